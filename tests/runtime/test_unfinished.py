"""What is left to do in packets from other interfaces."""

import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6

from mcoa.dataplane.trains import Train
from mcoa.runtime.unfinished import FINISHED, taken_in, train_header, virtio_header

NEEDS_CHECKSUM, TCP_SEGMENTS, WITH_ECN = 1, 4, 0x80
HEADER = IPv6(src="2001:db8::1", dst="2001:db8:1::2")


def unfinished(layer: "TCP | UDP", payload: bytes) -> bytes:
    """Return a packet whose checksum field has the sum of the pseudo-header alone."""
    packet = bytes(HEADER / layer / payload)
    at = 40 + (16 if isinstance(layer, TCP) else 6)
    pseudo = packet[8:40] + struct.pack("!IHH", len(packet) - 40, 0, packet[6])
    words = struct.unpack(f"!{len(pseudo) // 2}H", pseudo)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return packet[:at] + struct.pack("!H", total) + packet[at + 2 :]


@given(st.binary(max_size=1400))
def test_finished_packets_stay_as_they_are(payload: bytes) -> None:
    assert virtio_header(bytes(HEADER / ICMPv6EchoRequest() / payload)) == FINISHED
    for layer in (TCP(dport=80, seq=5), UDP(dport=53)):
        packet = bytes(HEADER / layer / payload)
        assume(packet != unfinished(layer, payload))
        assert virtio_header(packet) == FINISHED


@given(st.binary(max_size=1100))
def test_a_checksum_that_is_left_is_asked_for(payload: bytes) -> None:
    expected = struct.pack("=BBHHHH", NEEDS_CHECKSUM, 0, 0, 0, 40, 16)
    assert virtio_header(unfinished(TCP(flags="A"), payload)) == expected
    expected = struct.pack("=BBHHHH", NEEDS_CHECKSUM, 0, 0, 0, 40, 6)
    assert virtio_header(unfinished(UDP(), payload)) == expected


@pytest.mark.parametrize(
    ("options", "head"), [([], 60), ([("Timestamp", (1, 2)), ("NOP", 0), ("NOP", 0)], 72)]
)
def test_joined_segments_are_split_so_that_they_pass_anywhere(
    options: "list[tuple[str, object]]", head: int
) -> None:
    packet = unfinished(TCP(flags="PA", options=options), bytes(60000))
    expected = (NEEDS_CHECKSUM, TCP_SEGMENTS, head, 1280 - head, 40, 16)
    assert struct.unpack("=BBHHHH", virtio_header(packet)) == expected


def test_only_the_first_segment_says_that_congestion_was_met() -> None:
    packet = unfinished(TCP(flags="AC"), bytes(5000))
    assert virtio_header(packet)[1] == TCP_SEGMENTS | WITH_ECN


@pytest.mark.parametrize("length", range(61))
def test_a_packet_without_a_whole_header_is_left_alone(length: int) -> None:
    packet = unfinished(TCP(), b"")[:length]
    assert (virtio_header(packet) == FINISHED) == (length < 60)


def read_from_device(kind: int, packet: bytes, size: int = 0, at: int = 40) -> bytes:
    flags = NEEDS_CHECKSUM if kind or size == 0 else 0
    return struct.pack("=BBHHHH", flags, kind, 60, size, at, 16) + packet


@given(st.binary(min_size=1, max_size=3000))
def test_a_train_that_is_read_can_be_written(payload: bytes) -> None:
    packet = unfinished(TCP(flags="AC"), payload)
    octets = read_from_device(TCP_SEGMENTS | WITH_ECN, packet, 1000)
    train = taken_in(octets)
    assert isinstance(train, Train)
    assert (bytes(train.payload), train.size) == (payload, 1000)
    assert train_header(train) + train.headers + bytes(train.payload) == octets


@given(st.binary(max_size=1200))
def test_a_checksum_that_the_kernel_left_is_made(payload: bytes) -> None:
    packet = taken_in(read_from_device(0, unfinished(TCP(flags="PA"), payload)))
    assert isinstance(packet, bytes)
    anew = IPv6(packet)
    del anew[TCP].chksum
    assert bytes(anew) == packet


def test_a_finished_packet_that_is_read_stays_and_others_are_not_understood() -> None:
    packet = bytes(HEADER / UDP(dport=53) / b"question")
    assert taken_in(FINISHED + packet) == packet
    assert taken_in(read_from_device(1, packet, 1000)) is None  # TCP over IPv4
    assert taken_in(read_from_device(TCP_SEGMENTS, packet, 1000)) is None  # UDP in truth
