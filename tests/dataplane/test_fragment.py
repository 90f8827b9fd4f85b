"""Fragments of outer packets, and how they become whole again."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import (
    CARE_OF,
    PEER,
    SERVICE,
    encapsulate_limited,
    extension,
    fragment_header,
    ipv6,
    tunnelled,
    udp,
)
from mcoa.dataplane.fragment import FragmentDrop, Reassembler, fragment_packet
from mcoa.dataplane.packet import tunnel_prefix
from mcoa.wire.ipv6 import parse_packet


def outer(size: int = 1280, source: bytes = CARE_OF[0]) -> bytes:
    inner = udp(size=44)[:-1] + Random(size).randbytes(size - 43)
    return tunnelled(inner[:4] + (len(inner) - 40).to_bytes(2, "big") + inner[6:], source)


def piece(
    offset: int, part: bytes, *, more: bool, number: int = 7, source: bytes = PEER, ecn: int = 0
) -> bytes:
    header = fragment_header(41, offset, more=more, identification=number)
    return ipv6(source, SERVICE, header + part, 44, traffic_class=ecn)


@given(
    st.integers(1241, 3000),
    st.integers(1280, 1500),
    st.integers(0, 0xFFFF_FFFF),
    st.randoms(use_true_random=False),
)
def test_fragments_fit_and_become_whole_in_any_order(
    size: int, mtu: int, identification: int, rng: Random
) -> None:
    packet = outer(size)
    fragments = fragment_packet(packet, mtu, identification)
    assert all(len(fragment) <= mtu for fragment in fragments)
    rng.shuffle(fragments)
    reassembler = Reassembler()
    wholes = [reassembler.add(fragment, 0.0) for fragment in fragments]
    assert wholes[-1] == packet
    assert wholes[:-1] == [None] * (len(fragments) - 1)
    assert (len(reassembler), reassembler.octets) == (0, 0)


def test_fragments_are_what_the_general_codec_reads() -> None:
    first, last = (parse_packet(each) for each in fragment_packet(outer(), 1280, 77))
    assert first.fragment
    assert last.fragment
    assert (first.fragment.identification, first.fragment.offset, first.fragment.more) == (
        77,
        0,
        True,
    )
    assert (last.fragment.offset, last.fragment.more) == (len(first.payload), False)
    assert first.protocol == 41


@pytest.mark.parametrize("mtu", [1280, 1400])
def test_fragments_of_a_limited_tunnel_packet_each_have_the_limit(mtu: int) -> None:
    packet = encapsulate_limited(udp(size=1440), tunnel_prefix(CARE_OF[0], SERVICE), 3)
    fragments = fragment_packet(packet, mtu, 7, 48)
    reassembler = Reassembler()
    wholes = [reassembler.add(fragment, 0.0) for fragment in reversed(fragments)]
    assert wholes == [None, packet]
    for fragment in fragments:
        assert len(fragment) <= mtu
        assert parse_packet(fragment).tunnel_encapsulation_limit == 3


def test_headers_before_the_fragment_header_are_kept_from_the_first_fragment() -> None:
    routing = extension(44, bytes(6))
    header = fragment_header(17, 0, more=True)
    first = ipv6(PEER, SERVICE, routing + header + b"12345678", 43)
    last = ipv6(PEER, SERVICE, routing + fragment_header(17, 8, more=False) + b"90", 43)
    reassembler = Reassembler()
    assert reassembler.add(last, 0.0) is None
    whole = reassembler.add(first, 0.0)
    assert whole == ipv6(PEER, SERVICE, extension(17, bytes(6)) + b"1234567890", 43)


def test_rfc6946_an_atomic_fragment_is_whole_and_disturbs_no_other() -> None:
    reassembler = Reassembler()
    reassembler.add(piece(0, bytes(8), more=True), 0.0)
    assert reassembler.add(piece(0, b"atom", more=False), 0.0) == ipv6(
        PEER, SERVICE, b"atom", 41
    )
    assert len(reassembler) == 1


@pytest.mark.parametrize(
    "overlapping",
    [
        piece(8, b"overlap!", more=True),
        piece(0, b"different 16....", more=True),
        piece(8, b"end", more=False),
    ],
)
def test_rfc5722_an_overlap_drops_the_packet_and_all_that_follows_of_it(
    overlapping: bytes,
) -> None:
    reassembler = Reassembler()
    assert reassembler.add(piece(0, bytes(16), more=True), 0.0) is None
    assert reassembler.add(overlapping, 0.0) is None
    assert reassembler.drops[FragmentDrop.OVERLAPPING] == 1
    assert reassembler.add(piece(0, bytes(16), more=True), 0.0) is None
    assert reassembler.add(piece(16, b"end", more=False), 0.0) is None


def test_two_different_ends_are_an_overlap() -> None:
    reassembler = Reassembler()
    reassembler.add(piece(16, b"end", more=False), 0.0)
    reassembler.add(piece(24, b"end", more=False), 0.0)
    assert reassembler.drops[FragmentDrop.OVERLAPPING] == 1


def test_a_fragment_beyond_the_end_is_an_overlap() -> None:
    reassembler = Reassembler()
    reassembler.add(piece(16, b"end", more=False), 0.0)
    reassembler.add(piece(24, bytes(8), more=True), 0.0)
    assert reassembler.drops[FragmentDrop.OVERLAPPING] == 1


def test_an_exact_copy_of_a_fragment_is_ignored() -> None:
    reassembler = Reassembler()
    reassembler.add(piece(0, bytes(8), more=True), 0.0)
    reassembler.add(piece(0, bytes(8), more=True), 0.0)
    assert reassembler.add(piece(8, b"end", more=False), 0.0) == ipv6(
        PEER, SERVICE, bytes(8) + b"end", 41
    )


@pytest.mark.parametrize(
    "malformed",
    [
        piece(0, b"not eight", more=True),
        piece(0, b"", more=True),
        piece(65528, bytes(16), more=False),
        ipv6(PEER, SERVICE, b"\x29\0\0", 44),
        ipv6(PEER, SERVICE, bytes(20), 17),
        ipv6(PEER, SERVICE, b"".join(extension(60, bytes(6)) for _ in range(9)), 60),
    ],
)
def test_malformed_fragments_are_dropped_and_counted(malformed: bytes) -> None:
    reassembler = Reassembler()
    assert reassembler.add(malformed, 0.0) is None
    assert reassembler.drops[FragmentDrop.MALFORMED] == 1
    assert reassembler.octets == 0


def test_headers_of_the_first_fragment_cannot_make_a_packet_longer_than_ipv6_knows() -> None:
    reassembler = Reassembler()
    header = fragment_header(41, 0, more=True)
    first = ipv6(PEER, SERVICE, extension(44, bytes(62)) + header + bytes(1200), 60)
    assert reassembler.add(first, 0.0) is None
    for offset in range(1200, 65520, 1200):
        part = bytes(min(1200, 65520 - offset))
        assert reassembler.add(piece(offset, part, more=offset + 1200 < 65520), 0.0) is None
    assert reassembler.drops[FragmentDrop.MALFORMED] == 1
    assert (reassembler.octets, len(reassembler)) == (0, 0)


def test_after_60_seconds_an_incomplete_packet_is_given_up() -> None:
    reassembler = Reassembler()
    reassembler.add(piece(0, bytes(8), more=True), 0.0)
    reassembler.expire(59.9)
    assert len(reassembler) == 1
    assert reassembler.add(piece(8, b"end", more=False), 60.0) is None
    assert reassembler.drops[FragmentDrop.TOO_LATE] == 1


def test_one_source_may_not_use_more_than_its_share() -> None:
    reassembler = Reassembler(most_octets_a_source=100_000)
    reassembler.add(piece(0, bytes(8), more=True, source=CARE_OF[0]), 0.0)
    for number in range(1000):
        reassembler.add(piece(0, bytes(1232), more=True, number=number), 0.0)
    assert reassembler.octets < 102_000
    assert reassembler.drops[FragmentDrop.NO_ROOM] > 900
    assert reassembler.add(piece(8, b"end", more=False, source=CARE_OF[0]), 0.0)


def test_all_sources_together_are_bounded_and_the_longest_waiting_goes_first() -> None:
    reassembler = Reassembler(most_octets=100_000)
    for number in range(1000):
        source = bytes(12) + number.to_bytes(4, "big")
        reassembler.add(piece(0, bytes(1232), more=True, source=source), 0.0)
    assert reassembler.octets <= 100_000
    newest = bytes(12) + (999).to_bytes(4, "big")
    assert reassembler.add(piece(1232, b"end", more=False, source=newest), 0.0)


def test_a_packet_of_very_many_small_fragments_is_dropped() -> None:
    reassembler = Reassembler()
    for number in range(200):
        reassembler.add(piece(16 * number, bytes(8), more=True), 0.0)
    assert reassembler.drops[FragmentDrop.NO_ROOM] == 1
    assert reassembler.octets < 1024


@pytest.mark.parametrize(
    ("ecn", "result"), [((2, 3), 3), ((2, 2), 2), ((0, 0), 0), ((0, 3), None)]
)
def test_rfc3168_5_3_a_congestion_mark_on_one_fragment_marks_the_packet(
    ecn: tuple[int, int], result: int | None
) -> None:
    reassembler = Reassembler()
    reassembler.add(piece(0, bytes(8), more=True, ecn=ecn[0]), 0.0)
    whole = reassembler.add(piece(8, b"end", more=False, ecn=ecn[1]), 0.0)
    assert (whole and whole[1] >> 4 & 3) == result


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 40), st.booleans()), max_size=30))
def test_whatever_comes_the_books_are_right(pieces: list[tuple[int, int, bool]]) -> None:
    reassembler = Reassembler(most_octets_a_source=3000)
    for offset, size, more in pieces:
        reassembler.add(piece(8 * offset, bytes(size), more=more, number=size % 3), 0.0)
        assert 0 <= reassembler.octets <= 3000
    reassembler.expire(60.0)
    assert (reassembler.octets, len(reassembler)) == (0, 0)


@given(st.binary(min_size=40, max_size=100))
def test_any_octets_are_taken(data: bytes) -> None:
    Reassembler().add(data[:6] + b"\x2c" + data[7:], 0.0)
