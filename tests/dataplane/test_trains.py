"""TCP in trains: uncoupled into segments that others find right, and coupled from such alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt

from mcoa.dataplane.trains import Segments, Train, couple, uncouple

ENDS = {"src": "2001:db8::1", "dst": "2001:db8:1::2"}
ACK, PSH, FIN, CWR = 0x10, 0x08, 0x01, 0x80
TIMESTAMP = [("Timestamp", (1, 2)), ("NOP", 0), ("NOP", 0)]

octets = st.binary(min_size=1, max_size=4000)
options = st.sampled_from(([], TIMESTAMP))


def train(
    payload: bytes, size: int, *, flags: int = ACK, extended: bool = False, **tcp: object
) -> Train:
    """Return what a kernel would hand over."""
    header = IPv6(**ENDS, fl=0x12345, tc=0xB8, hlim=61)
    if extended:
        header /= IPv6ExtHdrDestOpt()
    at = len(bytes(header))
    packet = bytearray(bytes(header / TCP(sport=4000, dport=80, flags=flags, **tcp) / payload))
    pseudo = int.from_bytes(packet[8:40]) + len(packet) - at + 6
    packet[at + 16 : at + 18] = (pseudo % 65535).to_bytes(2)
    made = Train.of(bytes(packet), at, size)
    assert made is not None
    return made


def is_right(packet: bytes) -> bool:
    """Let scapy make the lengths and the checksum anew."""
    anew = IPv6(packet)
    del anew.plen, anew[TCP].chksum
    return bytes(anew) == packet


@given(octets, st.integers(8, 1500), options, st.booleans(), st.integers(0, 0xFFFFFFFF))
def test_segments_are_right_for_others(
    payload: bytes,
    size: int,
    tcp_options: "list[object]",
    extended: bool,
    first: int,
) -> None:
    flags = ACK | PSH | FIN | CWR
    whole = train(payload, size, flags=flags, extended=extended, options=tcp_options, seq=first)
    packets = uncouple(whole).packets()
    assert all(is_right(packet) for packet in packets)
    segments = [IPv6(packet)[TCP] for packet in packets]
    assert b"".join(bytes(each.payload) for each in segments) == payload
    assert [each.seq for each in segments] == [
        (first + size * row) % (1 << 32) for row in range(len(segments))
    ]
    assert [int(each.flags) & (PSH | FIN) for each in segments[:-1]] == [0] * (
        len(segments) - 1
    )
    assert int(segments[-1].flags) & (PSH | FIN) == PSH | FIN
    assert [bool(int(each.flags) & CWR) for each in segments] == [
        row == 0 for row in range(len(segments))
    ]
    assert (whole.segments, whole.octets) == (len(packets), sum(map(len, packets)))
    assert whole.largest == max(map(len, packets))


@given(st.binary(min_size=400, max_size=4000), st.integers(8, 100), options, st.booleans())
def test_what_was_uncoupled_is_coupled(
    payload: bytes,
    size: int,
    tcp_options: "list[object]",
    pushed: bool,
) -> None:
    flags = ACK | (PSH if pushed else 0)
    whole = train(payload, size, flags=flags, options=tcp_options, seq=0xFFFFFF00)
    (again,) = couple(uncouple(whole))
    assert isinstance(again, Train)
    assert again.headers == whole.headers
    assert bytes(again.payload) == payload
    assert (again.at, again.size) == (whole.at, whole.size)


def changed(packet: bytes, at: int, value: int) -> bytes:
    return packet[:at] + bytes((value,)) + packet[at + 1 :]


def with_right_checksum(packet: bytes) -> bytes:
    anew = IPv6(packet)
    del anew[TCP].chksum
    return bytes(anew)


SIX = uncouple(train(bytes(range(200)) * 3, 100))


def coupled(packets: list[bytes]) -> list[int]:
    """Return how many segments each of what becomes of packets has; 0 for a packet."""
    found = list(couple(Segments(b"".join(packets), len(packets[0]))))
    return [each.segments if isinstance(each, Train) else 0 for each in found]


def test_a_train_is_what_it_was() -> None:
    assert coupled(SIX.packets()) == [6]


@pytest.mark.parametrize("at", [59, 60, 159], ids=["urgent", "payload", "end"])
def test_a_corrupt_segment_is_not_hidden_in_a_train(at: int) -> None:
    packets = SIX.packets()
    packets[3] = changed(packets[3], at, packets[3][at] ^ 1)
    found = list(couple(Segments(b"".join(packets), len(packets[0]))))
    assert packets[3] in found
    assert [packet for each in found for packet in single(each)] == packets


@pytest.mark.parametrize(
    ("at", "value"),
    [(1, 0x80), (7, 60), (8, 0x21), (41, 1), (43, 81), (51, 9), (53, ACK | 0x40), (54, 1)],
    ids=["class", "hop limit", "source", "port", "port", "ack", "echo", "window"],
)
def test_segments_that_differ_are_not_coupled(at: int, value: int) -> None:
    packets = SIX.packets()
    packets[2] = with_right_checksum(changed(packets[2], at, value))
    assert coupled(packets) == [2, 0, 3]


def test_a_push_ends_a_train() -> None:
    packets = SIX.packets()
    packets[3] = with_right_checksum(changed(packets[3], 53, ACK | PSH))
    assert coupled(packets) == [4, 2]


def test_two_connections_are_two_trains_and_a_gap_ends_one() -> None:
    packets = SIX.packets()
    other = [with_right_checksum(changed(packet, 41, 9)) for packet in packets]
    assert coupled(packets + other) == [6, 6]
    assert (
        coupled([each for pair in zip(packets, other, strict=True) for each in pair])
        == [0] * 12
    )
    assert coupled([*packets[:2], *packets[3:], packets[2]]) == [2, 3, 0]


def test_a_few_packets_and_others_than_tcp_stay_single() -> None:
    assert coupled(SIX.packets()[:3]) == [0, 0, 0]
    assert coupled([changed(each, 6, 17) for each in SIX.packets()]) == [0] * 6
    assert list(couple(Segments(b"", 1))) == []


def single(each: Train | bytes) -> list[bytes]:
    return uncouple(each).packets() if isinstance(each, Train) else [each]


@st.composite
def rows(draw: st.DrawFn) -> Segments:
    """Draw packets of one size, most of them segments, some of them hurt."""
    pool = SIX.packets()
    packets = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=20))
    if draw(st.booleans()):
        packets = pool * 2
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.integers(0, len(packets) - 1))
        packets[row] = changed(
            packets[row], draw(st.integers(0, 159)), draw(st.integers(0, 255))
        )
        is_tcp = packets[row][0] >> 4 == 6 and packets[row][4:7] == pool[0][4:7]
        if draw(st.booleans()) and is_tcp:
            packets[row] = changed(packets[row], 52, 0x50)
            packets[row] = with_right_checksum(packets[row])
    cut = draw(st.integers(0, 159))
    return Segments(b"".join(packets)[: len(packets) * 160 - cut], 160)


@given(rows())
def test_nothing_is_lost_or_changed_by_coupling(segments: Segments) -> None:
    again = [packet for each in couple(segments) for packet in single(each)]
    assert again == segments.packets()


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 300))
def test_any_octets_are_handed_on(anything: bytes, size: int) -> None:
    segments = Segments(anything, size)
    assert [p for each in couple(segments) for p in single(each)] == segments.packets()


@pytest.mark.parametrize("size", [0, -1])
def test_what_is_no_train_is_refused(size: int) -> None:
    packet = SIX.packets()[0]
    assert Train.of(packet, 40, size) is None
    assert Train.of(packet, 44, 100) is None
    assert Train.of(packet[:50], 40, 100) is None
    assert Train.of(packet[:60], 40, 100) is None
    assert Train.of(changed(packet, 52, 0x40), 40, 100) is None
