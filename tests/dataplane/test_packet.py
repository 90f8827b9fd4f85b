"""Flow keys, tunnel headers and ECN of raw packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import (
    CARE_OF,
    HOME,
    PEER,
    SERVICE,
    address,
    encapsulate_limited,
    extension,
    fragment_header,
    ipv6,
    ports,
    tunnelled,
    udp,
)
from mcoa.dataplane.packet import (
    FlowClassifier,
    encapsulate,
    encapsulation_limit,
    flow_key,
    is_forwardable,
    is_tunnel_packet,
    is_whole,
    shortcut,
    tunnel_prefix,
    upper_layer,
    with_lower_hop_limit,
    with_outer_ecn,
)
from mcoa.wire.ipv6 import parse_packet

TCP, UDP, ESP, ICMPV6 = 6, 17, 50, 58
NOT_ECT, ECT_1, ECT_0, CE = 0, 1, 2, 3


def echo(kind: int, source: bytes, destination: bytes, identifier: int = 9) -> bytes:
    body = bytes((kind, 0, 0, 0)) + identifier.to_bytes(2, "big") + bytes(10)
    return ipv6(source, destination, body, ICMPV6)


@pytest.mark.parametrize("protocol", [6, 17, 33, 132, 136])
def test_both_directions_of_a_flow_have_one_key(protocol: int) -> None:
    there = ipv6(PEER, HOME, ports(5000, 80) + bytes(8), protocol)
    back = ipv6(HOME, PEER, ports(80, 5000) + bytes(8), protocol)
    assert flow_key(there) == flow_key(back)


def test_the_ends_of_a_flow_do_not_mix() -> None:
    assert flow_key(ipv6(PEER, HOME, ports(1, 2) * 3)) != flow_key(
        ipv6(PEER, HOME, ports(2, 1) * 3)
    )


def test_protocols_and_ports_tell_flows_apart() -> None:
    packets = [
        ipv6(PEER, HOME, ports(port, 80) * 3, protocol)
        for port in (1, 2)
        for protocol in (6, 17)
    ]
    assert len({flow_key(packet) for packet in packets}) == 4


def test_an_echo_and_its_reply_are_one_flow_by_identifier() -> None:
    assert flow_key(echo(128, PEER, HOME)) == flow_key(echo(129, HOME, PEER))
    assert flow_key(echo(128, PEER, HOME, 9)) != flow_key(echo(128, PEER, HOME, 10))


def test_an_icmpv6_error_belongs_to_the_flow_it_quotes() -> None:
    quoted = udp(HOME, PEER)
    router = address("2001:db8:ffff::1")
    error = ipv6(router, HOME, b"\x02\0\0\0\0\0\x05\0" + quoted, ICMPV6)
    assert flow_key(error) == flow_key(quoted)
    about_an_error = ipv6(router, HOME, b"\x01\0\0\0\0\0\0\0" + error, ICMPV6)
    assert flow_key(about_an_error) != flow_key(quoted)


def test_extension_headers_do_not_hide_the_ports() -> None:
    plain = udp(PEER, HOME)
    chain = (
        extension(43, bytes(4))
        + extension(60, bytes((4, 0) + (0,) * 10))
        + extension(17, bytes(4))
    )
    assert flow_key(ipv6(PEER, HOME, chain + plain[40:], 0)) == flow_key(plain)


def test_an_authentication_header_counts_in_words() -> None:
    plain = udp(PEER, HOME)
    authentication = bytes((17, 4)) + bytes(22)
    assert flow_key(ipv6(PEER, HOME, authentication + plain[40:], 51)) == flow_key(plain)


def test_other_protocols_are_one_flow_for_two_addresses() -> None:
    assert flow_key(ipv6(PEER, HOME, b"spi1" * 4, ESP)) == flow_key(
        ipv6(HOME, PEER, b"spi2" * 4, ESP)
    )


def test_fragments_have_the_key_of_their_first_fragment() -> None:
    classifier = FlowClassifier()
    first = ipv6(PEER, HOME, fragment_header(17, 0, more=True) + udp()[40:], 44)
    second = ipv6(PEER, HOME, fragment_header(17, 64, more=False) + bytes(30), 44)
    other = ipv6(
        PEER, HOME, fragment_header(17, 64, more=False, identification=8) + bytes(30), 44
    )
    assert classifier.key(second) is None
    assert classifier.key(first) == flow_key(udp())
    assert classifier.key(second) == flow_key(udp())
    assert classifier.key(other) is None


def test_the_memory_for_fragments_is_bounded() -> None:
    classifier = FlowClassifier(most_fragmented=2)
    for number in range(3):
        header = fragment_header(17, 0, more=True, identification=number)
        classifier.key(ipv6(PEER, HOME, header + udp()[40:], 44))
    later = [
        ipv6(PEER, HOME, fragment_header(17, 64, more=False, identification=number) + b"!", 44)
        for number in range(3)
    ]
    assert [classifier.key(packet) is None for packet in later] == [True, False, False]


def test_a_chain_that_ends_nowhere_has_no_flow() -> None:
    endless = b"".join(extension(60, bytes(6)) for _ in range(20))
    assert upper_layer(ipv6(payload=endless, protocol=60)) is None
    assert upper_layer(ipv6(payload=b"\x11\xff" + bytes(6), protocol=0)) is None
    assert upper_layer(ipv6(payload=b"\x11", protocol=0)) is None
    twice = fragment_header(44, 0, more=False) + fragment_header(17, 0, more=False)
    assert upper_layer(ipv6(payload=twice, protocol=44)) is None


@given(
    st.binary(min_size=40, max_size=120), st.sampled_from([0, 6, 17, 43, 44, 51, 58, 60, 41])
)
def test_any_octets_have_a_key_or_none(data: bytes, protocol: int) -> None:
    packet = data[:6] + bytes((protocol,)) + data[7:]
    assert isinstance(flow_key(packet), bytes | None)
    assert isinstance(shortcut(packet), bytes)
    assert encapsulation_limit(packet) < len(packet)


@given(
    st.sampled_from([6, 17, 50, 58, 41, 47]),
    st.binary(min_size=12, max_size=16),
    st.binary(min_size=12, max_size=16),
)
def test_packets_of_one_shortcut_have_one_key(protocol: int, one: bytes, other: bytes) -> None:
    first, second = (ipv6(PEER, HOME, payload, protocol) for payload in (one, other))
    if shortcut(first) and shortcut(first) == shortcut(second):
        assert flow_key(first) == flow_key(second)


def test_the_tunnel_header_is_what_the_general_codec_reads() -> None:
    inner = udp(traffic_class=0xBA, flow_label=0x12345)
    outer = parse_packet(encapsulate(inner, tunnel_prefix(SERVICE, CARE_OF[0])))
    assert (outer.source.packed, outer.destination.packed) == (SERVICE, CARE_OF[0])
    assert (outer.protocol, outer.payload, outer.hop_limit) == (41, inner, 64)
    assert (outer.traffic_class, outer.flow_label) == (0xBA, 0x12345)


def test_rfc2473_4_1_1_the_encapsulation_limit_goes_along_one_lower() -> None:
    limited = encapsulate_limited(udp(), tunnel_prefix(SERVICE, CARE_OF[0]), 3)
    at = encapsulation_limit(limited)
    assert limited[at] == 3
    parsed = parse_packet(limited)
    assert (parsed.protocol, parsed.payload, parsed.tunnel_encapsulation_limit) == (
        41,
        udp(),
        3,
    )
    assert encapsulation_limit(udp()) == 0


def test_an_encapsulation_limit_is_found_behind_other_options_and_headers() -> None:
    options = extension(41, b"\x00\x01\x02\x00\x00\x04\x01\x09")
    packet = ipv6(payload=extension(60, bytes(6)) + options + udp(), protocol=60)
    assert packet[encapsulation_limit(packet)] == 9
    assert encapsulation_limit(ipv6(payload=extension(41, bytes(6)) + udp(), protocol=60)) == 0


@pytest.mark.parametrize(
    ("inner", "outer", "result"),
    [
        (NOT_ECT, NOT_ECT, NOT_ECT),
        (NOT_ECT, ECT_0, NOT_ECT),
        (NOT_ECT, ECT_1, NOT_ECT),
        (NOT_ECT, CE, None),
        (ECT_0, NOT_ECT, ECT_0),
        (ECT_0, ECT_0, ECT_0),
        (ECT_0, ECT_1, ECT_1),
        (ECT_0, CE, CE),
        (ECT_1, NOT_ECT, ECT_1),
        (ECT_1, ECT_0, ECT_1),
        (ECT_1, ECT_1, ECT_1),
        (ECT_1, CE, CE),
        (CE, NOT_ECT, CE),
        (CE, ECT_0, CE),
        (CE, ECT_1, CE),
        (CE, CE, CE),
    ],
)
def test_rfc6040_4_2_ecn_at_the_tunnel_exit(inner: int, outer: int, result: int | None) -> None:
    before = udp(traffic_class=0xB8 | inner, flow_label=0xFFFFF)
    after = with_outer_ecn(before, outer)
    expected = None if result is None else udp(traffic_class=0xB8 | result, flow_label=0xFFFFF)
    assert after == expected


def test_the_hop_limit_falls_by_one_and_ends() -> None:
    assert with_lower_hop_limit(udp(hop_limit=64)) == udp(hop_limit=63)
    assert with_lower_hop_limit(udp(hop_limit=1)) is None
    assert with_lower_hop_limit(udp(hop_limit=0)) is None


def test_a_whole_packet_has_the_length_it_claims() -> None:
    assert is_whole(udp())
    assert not is_whole(udp()[:-1])
    assert not is_whole(udp() + b"!")
    assert not is_whole(b"\x45" + udp()[1:])
    assert not is_whole(b"")


@pytest.mark.parametrize("text", ["ff02::1", "fe80::1", "febf::1", "::", "::1"])
def test_what_no_router_forwards_is_not_forwardable(text: str) -> None:
    assert not is_forwardable(udp(address(text), HOME))
    assert not is_forwardable(udp(HOME, address(text)))
    assert is_forwardable(udp(HOME, PEER))


def test_the_first_fragment_shows_an_encapsulation_limit_behind_its_header() -> None:
    limited = encapsulate_limited(udp(), tunnel_prefix(PEER, HOME), 3)
    header = fragment_header(60, 0, more=True)
    first = ipv6(PEER, HOME, header + limited[40:88], 44)
    assert first[encapsulation_limit(first)] == 3
    later = ipv6(PEER, HOME, fragment_header(60, 8, more=True) + limited[40:88], 44)
    assert encapsulation_limit(later) == 0


@pytest.mark.parametrize(
    ("packet", "is_one"),
    [
        (tunnelled(udp()), True),
        (ipv6(payload=extension(41, bytes(6)) + udp(), protocol=60), True),
        (ipv6(payload=fragment_header(41, 0, more=True) + udp(), protocol=44), True),
        (ipv6(payload=fragment_header(41, 8, more=False) + udp(), protocol=44), True),
        (ipv6(payload=fragment_header(60, 8, more=False) + udp(), protocol=44), True),
        (ipv6(payload=fragment_header(17, 8, more=False) + udp(), protocol=44), False),
        (ipv6(payload=extension(41, bytes(6))[:7], protocol=60), False),
        (udp(), False),
    ],
)
def test_a_tunnel_packet_is_known_by_its_headers_also_in_parts(
    packet: bytes, is_one: bool
) -> None:
    assert is_tunnel_packet(packet) == is_one
    if is_one:
        assert shortcut(packet) == b""
