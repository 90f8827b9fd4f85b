"""RFC 8200, RFC 6275 §6.3 and §6.4: packets and the extension headers of mobility."""

from ipaddress import IPv6Address

import pytest

from mcoa.wire.ipv6 import Fragment, Ipv6Packet, emit_packet, parse_packet
from mcoa.wire.reader import Disposition, ParseError

CARE_OF = IPv6Address("2001:db8:a::1")
HOME_AGENT = IPv6Address("2001:db8:1::1")
HOME = IPv6Address("2001:db8:1::100")
HOME_OCTETS = "20010db8000100000000000000000100"


def _packet(protocol: int, *headers: str, destination: IPv6Address = HOME_AGENT) -> bytes:
    body = bytes.fromhex("".join(headers))
    start = b"\x60\0\0\0" + len(body).to_bytes(2) + bytes((protocol, 64))
    return start + CARE_OF.packed + destination.packed + body


def _refused(data: bytes) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_packet(data)
    return caught.value


@pytest.mark.requirement("S5.2-01")
def test_rfc6275_6_3_the_home_address_option_has_its_layout() -> None:
    packet = Ipv6Packet(
        source=CARE_OF, destination=HOME_AGENT, protocol=135, payload=b"MH", home_address=HOME
    )
    octets = _packet(60, "8702 01020000 c910", HOME_OCTETS, b"MH".hex())
    assert emit_packet(packet) == octets
    assert parse_packet(octets) == packet
    assert packet.checksum_source == HOME
    assert packet.checksum_destination == HOME_AGENT


def test_rfc6275_6_4_the_type_2_routing_header_has_its_layout() -> None:
    packet = Ipv6Packet(
        source=CARE_OF,
        destination=HOME_AGENT,
        protocol=135,
        payload=b"MH",
        routing_home_address=HOME,
    )
    octets = _packet(43, "8702 0201 00000000", HOME_OCTETS, b"MH".hex())
    assert emit_packet(packet) == octets
    assert parse_packet(octets) == packet
    assert packet.checksum_source == CARE_OF
    assert packet.checksum_destination == HOME


def test_rfc6275_6_3_routing_comes_before_home_address_before_fragment() -> None:
    packet = Ipv6Packet(
        source=CARE_OF,
        destination=HOME_AGENT,
        protocol=17,
        routing_home_address=HOME,
        home_address=HOME,
        fragment=Fragment(identification=5, offset=8, more=True),
    )
    octets = emit_packet(packet)
    assert (octets[6], octets[40], octets[64], octets[88]) == (43, 60, 44, 17)
    assert octets[88:] == bytes.fromhex("1100 0009 00000005")


def test_rfc2473_4_1_1_the_tunnel_limit_stands_beside_a_home_address() -> None:
    alone = Ipv6Packet(
        source=CARE_OF, destination=HOME_AGENT, protocol=41, tunnel_encapsulation_limit=4
    )
    assert emit_packet(alone)[40:] == bytes.fromhex("2900 040104 00 0100")
    both = Ipv6Packet(
        source=CARE_OF,
        destination=HOME_AGENT,
        protocol=41,
        tunnel_encapsulation_limit=4,
        home_address=HOME,
    )
    assert emit_packet(both)[40:48] == bytes.fromhex("2902 040104 00 c910")
    assert parse_packet(emit_packet(both)) == both


def test_other_headers_and_harmless_options_are_skipped() -> None:
    hop_by_hop = "3c00 0502 0000 0100"
    unknown_option = "2b00 1e04 01020304"
    old_routing = "3b02 0000 00000000" + HOME_OCTETS
    packet = parse_packet(_packet(0, hop_by_hop, unknown_option, old_routing))
    assert packet.protocol == 59
    assert packet.home_address is packet.routing_home_address is None


@pytest.mark.parametrize(
    ("kind", "destination", "disposition"),
    [
        (0x3E, HOME_AGENT, None),
        (0x7E, HOME_AGENT, Disposition.DISCARD),
        (0xBE, HOME_AGENT, Disposition.PARAMETER_PROBLEM),
        (0xBE, IPv6Address("ff02::1"), Disposition.PARAMETER_PROBLEM),
        (0xFE, HOME_AGENT, Disposition.PARAMETER_PROBLEM),
        (0xFE, IPv6Address("ff02::1"), Disposition.DISCARD),
    ],
)
def test_rfc8200_4_2_the_top_bits_of_an_unknown_option_are_obeyed(
    kind: int, destination: IPv6Address, disposition: Disposition | None
) -> None:
    data = _packet(60, f"3b00 {kind:02x}04 00000000", destination=destination)
    if disposition is None:
        assert parse_packet(data).protocol == 59
        return
    error = _refused(data)
    assert (error.offset, error.disposition) == (42, disposition)
    if disposition is Disposition.PARAMETER_PROBLEM:
        assert error.code == 2


@pytest.mark.parametrize(
    ("data", "offset", "reason"),
    [
        (b"", 0, "40 octets"),
        (bytes(40), 0, "IP version is 0"),
        (_packet(59, "00")[:40], 4, "Payload Length is 1"),
        (_packet(60, "3b01 010400000000"), 42, "extension header needs 14"),
        (_packet(60, "3b00 0105 00000000"), 44, "option 1 needs 5"),
        (_packet(60, "3c02 01020000 c910", HOME_OCTETS), 64, "Next Header"),
        (
            _packet(60, "3c02 01020000 c910", HOME_OCTETS, "3b02 01020000 c910", HOME_OCTETS),
            70,
            "second Home Address",
        ),
        (_packet(43, "3b02 0202 00000000", HOME_OCTETS), 43, "Segments Left is 2"),
        (_packet(43, "3b02 0200 00000000", HOME_OCTETS), 43, "Segments Left is 0"),
        (_packet(43, "3b00 0201 00000000"), 41, "24 octets"),
        (
            _packet(43, "2b02 0201 00000000", HOME_OCTETS, "3b02 0201 00000000", HOME_OCTETS),
            64,
            "second type 2",
        ),
        (_packet(44, "3b00 0000 00"), 40, "Fragment header needs 8"),
        (_packet(44, "2c00 0000 00000000 3b00 0000 00000000"), 48, "second Fragment"),
    ],
)
def test_a_malformed_chain_is_an_error_with_its_place(
    data: bytes, offset: int, reason: str
) -> None:
    error = _refused(data)
    assert error.offset == offset
    assert reason in error.reason
    assert error.disposition is Disposition.DISCARD


def test_rfc8200_4_4_an_unknown_routing_header_with_segments_left_is_reported() -> None:
    error = _refused(_packet(43, "3b02 0001 00000000", HOME_OCTETS))
    assert (error.offset, error.disposition) == (42, Disposition.PARAMETER_PROBLEM)


def test_rfc8200_4_1_hop_by_hop_options_come_first_or_not_at_all() -> None:
    error = _refused(_packet(60, "0000 010400000000", "3b00 010400000000"))
    assert (error.offset, error.code) == (48, 1)


def test_a_fragment_hides_what_its_payload_is() -> None:
    packet = parse_packet(_packet(44, "3c00 0008 00000001", "ffffffff"))
    assert packet.protocol == 60
    assert packet.payload == b"\xff" * 4
    assert packet.fragment == Fragment(identification=1, offset=8)


def test_rfc6946_an_atomic_fragment_hides_nothing() -> None:
    packet = parse_packet(_packet(44, "3c00 0000 00000001", "3b00 010400000000"))
    assert packet.protocol == 59
    assert packet.fragment == Fragment(identification=1)


def test_what_cannot_be_sent_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        Fragment(identification=1, offset=4)
    with pytest.raises(ValueError, match="extension header"):
        Ipv6Packet(source=HOME, destination=HOME, protocol=60)
    with pytest.raises(ValueError, match="Payload Length"):
        emit_packet(
            Ipv6Packet(source=HOME, destination=HOME, protocol=59, payload=bytes(0x10000))
        )
