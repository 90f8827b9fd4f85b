"""What the kernel leaves for later in packets that come in, and how a TUN device is told of it.

Network cards and kernels join TCP segments that come in, also those inside of tunnel packets, and
virtual machines hand packets to each other before their checksums are made. Raw and packet sockets
show such packets as they are and say nothing: the checksum field then holds the sum of the
pseudo-header alone (RFC 8200 8.1). Written to a TUN device as if they were finished they would be
lost, as corrupt or as too big. The header that virtio gives to packets says what is left to do.
"""

from struct import Struct
from typing import Final

from mcoa.dataplane.packet import BASE_LENGTH, MINIMUM_MTU, TCP, UDP
from mcoa.dataplane.trains import CHECKSUM_AT, FLAGS_AT, Train
from mcoa.wire.checksum import internet_checksum
from mcoa.wire.ipv6 import NO_NEXT_HEADER

HEADER_LENGTH: Final = 10
FINISHED: Final = bytes(HEADER_LENGTH)
"""The header of a packet with nothing left to do."""

OFFLOADS: Final = 0x01 | 0x04 | 0x08
"""What a TUN device is told of a reader that takes trains: it finishes checksums, and uncouples TCP
over IPv6, also with ECN."""

_CHECKSUM_AT: Final = {TCP: CHECKSUM_AT, UDP: 6}
_OTHER_ZERO: Final = 0xFFFF
_SHORTEST: Final = {TCP: BASE_LENGTH + 20, UDP: BASE_LENGTH + 8}
_NEVER: Final = 1 << 16
_HEADER: Final = Struct("=BBHHHH")
_NEEDS_CHECKSUM, _SEGMENTS_OF_TCP, _WITH_ECN = 0x01, 0x04, 0x80
_CONGESTION_REDUCED: Final = 0x80


def virtio_header(packet: bytes) -> bytes:
    """Return the header that a whole IPv6 packet from another interface needs; ten octets.

    One of 65535 finished checksums looks unfinished; to finish it again does not change it.
    """
    protocol = packet[6] if len(packet) > BASE_LENGTH else NO_NEXT_HEADER
    if len(packet) < _SHORTEST.get(protocol, _NEVER):
        return FINISHED
    checksum_at = _CHECKSUM_AT[protocol]
    field = BASE_LENGTH + checksum_at
    pseudo = int.from_bytes(packet[8:BASE_LENGTH]) + len(packet) - BASE_LENGTH + protocol
    if (pseudo - int.from_bytes(packet[field : field + 2])) % 65535:
        return FINISHED
    if protocol != TCP or len(packet) <= MINIMUM_MTU:
        return _HEADER.pack(_NEEDS_CHECKSUM, 0, 0, 0, BASE_LENGTH, checksum_at)
    # Nobody says how large the segments were: these pass everywhere.
    head = BASE_LENGTH + (packet[52] >> 4) * 4
    kind = _SEGMENTS_OF_TCP | (_WITH_ECN if packet[53] & _CONGESTION_REDUCED else 0)
    return _HEADER.pack(
        _NEEDS_CHECKSUM, kind, head, MINIMUM_MTU - head, BASE_LENGTH, checksum_at
    )


def train_header(train: Train) -> bytes:
    """Return the header of a train."""
    kind = _SEGMENTS_OF_TCP
    if train.headers[train.at + FLAGS_AT] & _CONGESTION_REDUCED:
        kind |= _WITH_ECN
    return _HEADER.pack(
        _NEEDS_CHECKSUM, kind, len(train.headers), train.size, train.at, CHECKSUM_AT
    )


def taken_in(octets: bytes) -> bytes | Train | None:
    """Return what was read from a device with OFFLOADS, as its header says.

    That is a finished packet, or a train; None for what the device was not told to give.
    """
    flags, kind, _, size, at, checksum_at = _HEADER.unpack_from(octets)
    if kind:
        is_tcp = kind & ~_WITH_ECN == _SEGMENTS_OF_TCP
        return Train.of(memoryview(octets)[HEADER_LENGTH:], at, size) if is_tcp else None
    packet = octets[HEADER_LENGTH:]
    if not flags & _NEEDS_CHECKSUM:
        return packet
    field = at + checksum_at
    # A UDP checksum of zero would be none, and the other zero is as good.
    checksum = internet_checksum(packet[at:]) or _OTHER_ZERO
    return packet[:field] + checksum.to_bytes(2) + packet[field + 2 :]
