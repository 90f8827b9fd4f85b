"""TCP in trains: many segments of one connection that are handled as one.

Kernels move TCP in packets of up to 64 kilobytes and make segments of them as late as they can, and
join what comes in as early as they can. A forwarder that takes part decides once for forty
segments, and so does the receiver, which acknowledges them at once. What has to be done to every
octet, copies and sums, is numpy's work.

A checksum is unfinished where somebody further on is to complete it: its field then holds the sum
of the pseudo-header alone (RFC 8200 8.1). That of a train is; those of its segments are not.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from mcoa.dataplane.packet import BASE_LENGTH, TCP, upper_layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Octets = NDArray[np.uint8]
    Numbers = NDArray[np.int64]

FLAGS_AT: Final = 13
CHECKSUM_AT: Final = 16
"""Where a TCP header has its flags and its checksum."""

_IP_VERSION: Final = 6
_OFFSET_AT: Final = 12
_SHORTEST_HEADER, _LONGEST_HEADER = 20, 60
_SHORTEST: Final = BASE_LENGTH + _SHORTEST_HEADER
_SEQUENCE_WORD, _FLAGS_WORD, _CHECKSUM_WORD = 11, 13, 14
"""Where these are in the headers of a segment, counted in words of four octets."""
_FIN, _PUSH, _ACK, _CONGESTION_REDUCED = 0x01, 0x08, 0x10, 0x80
_OF_THE_LAST, _OF_THE_FIRST = _FIN | _PUSH, _CONGESTION_REDUCED
_PUSHED: Final = _PUSH << 16
"""The flag in the word that has it."""
_MOST_OCTETS: Final = 65535
_WORTH_IT: Final = 4
"""Packets; fewer are sooner dealt with one by one."""
_SWAP: Final = 256
"""Times this, a sum of words in the other order of octets is the right one, modulo 65535."""


class Segments(NamedTuple):
    """Packets in a row, each finished.

    Attributes:
        octets: of all.
        size: of each of them; the last one may have less.
    """

    octets: bytes | memoryview
    size: int

    def packets(self) -> list[bytes]:
        """Return them one by one."""
        octets, size = self.octets, self.size
        return [bytes(octets[at : at + size]) for at in range(0, len(octets), size)]


class Train(NamedTuple):
    """A TCP packet of many segments, its checksum unfinished.

    Attributes:
        headers: those of the segments; lengths in them are those of the whole.
        payload: of all segments, in a row.
        at: where the TCP header begins.
        size: octets of payload of each segment; the last one may have less.
    """

    headers: bytes
    payload: bytes | memoryview
    at: int
    size: int

    @property
    def segments(self) -> int:
        """How many there are."""
        return -(-len(self.payload) // self.size)

    @property
    def octets(self) -> int:
        """Of all segments, headers included."""
        return len(self.payload) + self.segments * len(self.headers)

    @property
    def largest(self) -> int:
        """Octets of the largest segment, headers included."""
        return len(self.headers) + min(self.size, len(self.payload))

    @classmethod
    def of(cls, packet: bytes | memoryview, at: int, size: int) -> Self | None:
        """Return a packet with a TCP header at `at` as a train; None if it cannot be one."""
        start = bytes(packet[: at + _SHORTEST_HEADER])
        if len(start) < at + _SHORTEST_HEADER or upper_layer(start) != (TCP, at, 0):
            return None
        head = at + (packet[at + _OFFSET_AT] >> 4) * 4
        if head < at + _SHORTEST_HEADER or len(packet) <= head or size <= 0:
            return None
        return cls(bytes(packet[:head]), memoryview(packet)[head:], at, size)


def uncouple(train: Train) -> Segments:
    """Return the segments of a train, with lengths and checksums of their own."""
    head, tcp, size = len(train.headers), train.at, train.size
    full, rest = divmod(len(train.payload), size)
    width, count = head + size, full + (rest > 0)
    headers = bytearray(train.headers)
    flags = headers[tcp + FLAGS_AT]
    headers[tcp + FLAGS_AT] &= ~(_OF_THE_LAST | _OF_THE_FIRST)
    headers[4:6] = (width - BASE_LENGTH).to_bytes(2)
    headers[tcp + CHECKSUM_AT : tcp + CHECKSUM_AT + 2] = bytes(2)
    rows = np.empty((count, width), np.uint8)
    rows[:, :head] = np.frombuffer(headers, np.uint8)
    payload = np.frombuffer(train.payload, np.uint8)
    rows[:full, head:] = payload[: full * size].reshape(full, size)
    if rest:
        rows[-1, head : head + rest] = payload[full * size :]
        rows[-1, head + rest :] = 0
        rows[-1, 4:6] = divmod(head + rest - BASE_LENGTH, 256)
    rows[0, tcp + FLAGS_AT] |= flags & _OF_THE_FIRST
    rows[-1, tcp + FLAGS_AT] |= flags & _OF_THE_LAST
    first = int.from_bytes(train.headers[tcp + 4 : tcp + 8])
    _put(rows, tcp + 4, (_multiples(size, count) + np.uint32(first)).astype(">u4"))
    # The lengths in the rows stand for those in the pseudo-headers. What is before the
    # addresses besides, and between them and TCP, is in no checksum.
    besides = int.from_bytes(headers[:4]) + int.from_bytes(headers[6:8]) - TCP
    besides += int.from_bytes(headers[BASE_LENGTH:tcp]) + tcp - BASE_LENGTH
    _put(rows, tcp + CHECKSUM_AT, ((besides - _sums(rows)) % 65535).astype(">u2"))
    octets = memoryview(rows.reshape(-1).data)
    return Segments(octets[: len(octets) - (size - rest if rest else 0)], width)


def couple(segments: Segments) -> Iterator[Train | bytes]:
    """Find the trains among packets, and yield all in their order.

    Only what a receiver could not tell from the single segments is coupled: headers are equal
    but for what must differ, and the checksums were right.
    """
    octets, width = segments
    count = -(-len(octets) // width)
    row = 0
    if count >= _WORTH_IT and width > _SHORTEST and octets[6] == TCP:
        for rows, train in _trains(octets, width, count):
            yield from _singles(octets, width, range(row, rows.start))
            yield train
            row = rows.stop
    yield from _singles(octets, width, range(row, count))


def _singles(octets: bytes | memoryview, width: int, rows: range) -> Iterator[bytes]:
    for row in rows:
        yield bytes(octets[row * width : (row + 1) * width])


def _trains(
    octets: bytes | memoryview, width: int, count: int
) -> Iterator[tuple[range, Train]]:
    """Yield the trains, each with the rows that it consists of."""
    head = BASE_LENGTH + (octets[BASE_LENGTH + _OFFSET_AT] >> 4) * 4
    if not _SHORTEST <= head < width:
        return
    short = count * width - len(octets)
    filled = b"".join((octets, bytes(short))) if short else octets
    rows = np.frombuffer(filled, np.uint8).reshape(count, width)
    words = np.ascontiguousarray(rows[:, :head]).view(">u4").astype(np.uint32)
    words[-1, 1] += short << 16  # as if all had the same length
    follows = ~((words[1:] ^ words[:-1]) & _EQUAL[: head // 4]).any(axis=1)
    sequences = words[:, _SEQUENCE_WORD]
    follows &= sequences[1:] - sequences[:-1] == width - head
    follows &= words[:-1, _FLAGS_WORD] & _PUSHED == 0
    sums = _sums(rows)
    for run in _runs(follows.tolist(), max((_MOST_OCTETS - head) // (width - head), 1)):
        last = width - head - (short if run.stop == count else 0)
        train = _join(rows[run.start : run.stop], head, last)
        if train is not None and _are_intact(sums[run.start : run.stop], train):
            yield run, train


def _runs(follows: list[bool], most: int) -> Iterator[range]:
    """Yield the rows that follow each other, two or more, but not more than `most`."""
    first = 0
    for row, is_next in enumerate((*follows, False), 1):
        if is_next and row - first < most:
            continue
        if row - first > 1:
            yield range(first, row)
        first = row


def _join(rows: "Octets", head: int, last: int) -> Train | None:
    """Return the train of rows with equal headers, of which the last has `last` octets of payload.

    None where the first shows that they are none.
    """
    size = rows.shape[1] - head
    headers = bytearray(rows[0, :head].tobytes())
    is_segment = (
        headers[0] >> 4 == _IP_VERSION
        and headers[6] == TCP
        and int.from_bytes(headers[4:6]) == head + size - BASE_LENGTH
        and BASE_LENGTH + (headers[BASE_LENGTH + _OFFSET_AT] >> 4) * 4 == head
        and headers[BASE_LENGTH + FLAGS_AT] == _ACK
        and last > 0
    )
    if not is_segment:
        return None
    payload = memoryview(rows[:, head:].tobytes())[: (len(rows) - 1) * size + last]
    headers[BASE_LENGTH + FLAGS_AT] = int(rows[-1, BASE_LENGTH + FLAGS_AT])
    length = head - BASE_LENGTH + len(payload)
    headers[4:6] = length.to_bytes(2)
    pseudo = (int.from_bytes(headers[8:BASE_LENGTH]) + length + TCP) % 65535
    field = BASE_LENGTH + CHECKSUM_AT
    headers[field : field + 2] = pseudo.to_bytes(2)
    return Train(bytes(headers), payload, BASE_LENGTH, size)


def _are_intact(sums: "Numbers", train: Train) -> bool:
    """Tell whether the checksums of a train's segments were right, each by the sum of its row.

    With a packet's length and next header in place of the pseudo-header's, the sum of an intact
    one is that of what the pseudo-header lacks: the first words, and the hop limit.
    """
    first = train.headers
    besides = int.from_bytes(first[:4]) + int.from_bytes(first[6:8]) - TCP
    return not ((sums - besides) % 65535).any()


def _equal() -> "NDArray[np.uint32]":
    """Return which bits of the words of headers must be equal in the segments of a train.

    Those are all but sequence numbers, checksums, and the push flag.
    """
    equal = np.full((BASE_LENGTH + _LONGEST_HEADER) // 4, 0xFFFFFFFF, np.uint32)
    equal[_SEQUENCE_WORD] = 0
    equal[_FLAGS_WORD] = 0xFFFFFFFF ^ _PUSHED
    equal[_CHECKSUM_WORD] = 0x0000FFFF
    return equal


_EQUAL: Final = _equal()


def _sums(rows: "Octets") -> "Numbers":
    """Return the one's complement sums of rows of octets, each less than 65535."""
    width = rows.shape[1]
    if width % 2:
        return (_sums(rows[:, :-1]) + rows[:, -1].astype(np.int64) * 256) % 65535
    # A sum of wider words is the same modulo 65535, and takes fewer steps.
    kind, total = ("<u2", np.uint32) if width % 4 else ("<u4", np.uint64)
    words = np.ascontiguousarray(rows).view(kind).sum(axis=1, dtype=total)
    sums: Numbers = (words % 65535).astype(np.int64) * _SWAP % 65535
    return sums


@lru_cache(maxsize=256)
def _multiples(size: int, count: int) -> "NDArray[np.uint32]":
    return (size * np.arange(count)).astype(np.uint32)


def _put(rows: "Octets", at: int, numbers: "NDArray[Any]") -> None:
    octets = numbers.view(np.uint8).reshape(len(rows), -1)
    rows[:, at : at + octets.shape[1]] = octets
