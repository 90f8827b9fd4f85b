"""Direct packets: the headers that take the place of a tunnel, and what does not fit."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.dataplane.counters import Drops
from mcoa.dataplane.direct import (
    DirectExit,
    peer_of,
    with_home_address,
    with_routing_header,
    without_home_address,
    without_routing_header,
)
from mcoa.dataplane.icmp import ErrorSource
from mcoa.dataplane.path import Path, PathState
from mcoa.wire.icmpv6 import PacketTooBig, parse_icmpv6
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet, parse_packet

HOME = bytes.fromhex("20010db8000100000000000000000100")
CARE_OF = bytes.fromhex("20010db8000a00000000000000000001")
PEER = bytes.fromhex("20010db800090000000000000000000c")
ADDRESSES = st.binary(min_size=16, max_size=16)


def packet(source: bytes, destination: bytes, payload: bytes, protocol: int = 17) -> bytes:
    head = bytes((0x60, 0xA, 0xBC, 0xDE)) + len(payload).to_bytes(2) + bytes((protocol, 61))
    return head + source + destination + payload


@given(source=ADDRESSES, destination=ADDRESSES, care_of=ADDRESSES, payload=st.binary())
def test_what_is_put_in_comes_out(
    source: bytes, destination: bytes, care_of: bytes, payload: bytes
) -> None:
    plain = packet(source, destination, payload)
    assert without_home_address(with_home_address(plain, care_of)) == plain
    assert without_routing_header(with_routing_header(plain, care_of)) == plain


@given(octets=st.binary(max_size=120))
def test_any_octets_are_taken_apart_or_refused(octets: bytes) -> None:
    for take in (without_home_address, without_routing_header):
        inner = take(octets)
        assert inner == b"" or len(inner) == len(octets) - 24


def test_the_headers_are_those_of_the_codec() -> None:
    plain = packet(HOME, PEER, b"x" * 9)
    out = parse_packet(with_home_address(plain, CARE_OF))
    assert (out.source.packed, out.destination.packed) == (CARE_OF, PEER)
    assert out.home_address is not None
    assert out.home_address.packed == HOME
    assert (out.payload, out.hop_limit, out.flow_label) == (b"x" * 9, 61, 0xABCDE)
    back = parse_packet(with_routing_header(packet(PEER, HOME, b"y"), CARE_OF))
    assert (back.source.packed, back.destination.packed) == (PEER, CARE_OF)
    assert back.routing_home_address is not None
    assert back.routing_home_address.packed == HOME


@pytest.mark.parametrize("protocol", [0, 43, 51, 60, 135])  # 43: of no type that is ours
def test_what_has_headers_of_its_own_goes_another_way(protocol: int) -> None:
    plain = packet(HOME, PEER, bytes(40), protocol)
    assert with_home_address(plain, CARE_OF) == b""
    assert with_routing_header(plain, CARE_OF) == b""


def test_both_headers_stand_in_the_order_of_the_rfc() -> None:
    other = bytes.fromhex("20010db8007700000000000000000007")
    away = bytes.fromhex("20010db8000f00000000000000000009")
    plain = packet(HOME, other, b"between two mobile nodes")
    routed = with_routing_header(plain, away)
    both = with_home_address(routed, CARE_OF)
    parsed = parse_packet(both)
    assert (parsed.source.packed, parsed.destination.packed) == (CARE_OF, away)
    assert parsed.home_address is not None
    assert parsed.routing_home_address is not None
    assert (parsed.home_address.packed, parsed.routing_home_address.packed) == (HOME, other)
    assert (both[6], both[40], both[64]) == (43, 60, 17)
    assert peer_of(routed) == peer_of(both) == other
    assert peer_of(plain) == other
    assert without_home_address(without_routing_header(both)) == plain


def test_reserved_bits_of_a_routing_header_are_not_looked_at() -> None:
    plain = packet(PEER, HOME, b"z")
    out = bytearray(with_routing_header(plain, CARE_OF))
    out[44:48] = b"\1\2\3\4"
    assert without_routing_header(bytes(out)) == plain
    for octet in (41, 42, 43):
        other = bytearray(out)
        other[octet] ^= 4
        assert without_routing_header(bytes(other)) == b""


class Exit:
    """A correspondent's exit over one path."""

    def __init__(self, mtu: int, refuse: int = 0) -> None:
        self.sent: list[bytes] = []
        self.answers: list[bytes] = []
        self.refuse = refuse
        path = Path(bid=1, care_of_address=CARE_OF, mtu=mtu, overhead=24)
        self.state = PathState(path, b"")
        self.exit = DirectExit(
            insert=with_routing_header,
            emit=self.emit,
            answer=lambda packet, _now: self.answers.append(packet),
            errors=ErrorSource(bytes(16)),
            drops=Drops(lambda *_: None),
            rng=Random(1),
        )

    def emit(self, _path: Path, octets: bytes) -> int:
        if self.refuse and len(octets) > self.refuse:
            return self.refuse
        self.sent.append(octets)
        return 0


def told(answer: bytes) -> PacketTooBig:
    message = parse_icmpv6(answer[40:], answer[8:24], answer[24:40])
    assert isinstance(message, PacketTooBig)
    return message


def test_the_largest_packet_that_fits_is_sent_and_one_octet_more_is_told() -> None:
    exit_ = Exit(1500)
    assert exit_.state.room == 1476
    assert exit_.exit.send(exit_.state, packet(PEER, HOME, bytes(1436)), 0.0)
    assert [len(each) for each in exit_.sent] == [1500]
    large = packet(PEER, HOME, bytes(1437))
    assert exit_.exit.send(exit_.state, large, 0.0)
    (answer,) = exit_.answers
    assert told(answer).mtu == 1476
    assert answer[24:40] == PEER
    assert told(answer).invoking_packet == large[: 1280 - 48]


def test_what_no_source_makes_smaller_is_sent_in_fragments() -> None:
    exit_ = Exit(1280)
    whole = packet(PEER, HOME, bytes(range(256)) * 4 + bytes(216))
    assert len(whole) == 1280
    assert exit_.exit.send(exit_.state, whole, 0.0)
    assert len(exit_.sent) == 2
    assert all(len(each) <= 1280 for each in exit_.sent)
    inner = [parse_packet(without_routing_header(each)) for each in exit_.sent]
    assert b"".join(each.payload for each in inner) == whole[40:]
    assert [each.fragment.offset for each in inner if each.fragment] == [
        0,
        len(inner[0].payload),
    ]
    assert all(each.destination.packed == HOME for each in inner)


def test_a_fragment_too_large_for_its_path_goes_another_way() -> None:
    exit_ = Exit(1280)
    fragment = emit_packet(
        Ipv6Packet(
            source=parse_packet(packet(PEER, HOME, b"")).source,
            destination=parse_packet(packet(PEER, HOME, b"")).destination,
            protocol=17,
            payload=bytes(1232),
            fragment=parse_packet(
                packet(PEER, HOME, bytes.fromhex("1100000100000001") + bytes(8), 44)
            ).fragment,
        )
    )
    assert len(fragment) == 1280
    assert not exit_.exit.send(exit_.state, fragment, 0.0)
    assert exit_.sent == []


def test_a_device_that_takes_less_is_believed() -> None:
    exit_ = Exit(1500, refuse=1400)
    assert exit_.exit.send(exit_.state, packet(PEER, HOME, bytes(1400)), 0.0)
    (answer,) = exit_.answers
    assert told(answer).mtu == 1376


def test_what_the_network_says_is_passed_on_once_it_is_new() -> None:
    exit_ = Exit(1500)
    large = packet(PEER, HOME, bytes(1430))
    exit_.exit.relay_too_big(exit_.state, 1400, large, 0.0)
    (answer,) = exit_.answers
    assert told(answer).mtu == 1376
    small = packet(PEER, HOME, bytes(1000))
    exit_.exit.relay_too_big(exit_.state, 1300, small, 0.0)
    assert len(exit_.answers) == 1
