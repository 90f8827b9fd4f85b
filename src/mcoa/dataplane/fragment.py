"""Fragments of outer packets: making them and putting them together (RFC 8200 4.5, RFC 5722).

A tunnel entry fragments the outer packet when the inner one may not be refused (RFC 2473 7.1).
The tunnel exit reassembles, with a bound on everything: 60 s, octets in all, octets a source.
When a bound is met, the packet that waits longest is given up, not the newcomer: fragments of
one packet arrive together, so what has waited is what has lost a fragment.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from struct import Struct
from typing import Final

from mcoa.dataplane.packet import (
    BASE_LENGTH,
    DESTINATION_OPTIONS,
    FRAGMENT,
    HOP_BY_HOP,
    ROUTING,
)

REASSEMBLY_TIME_S: Final = 60.0
_LARGEST_PAYLOAD: Final = 65535
_HEADER = Struct("!BBHI")
_MOST_FRAGMENTS: Final = 64  # 65535 octets in fragments for links of 1280 are 54
_MOST_HEADERS: Final = 8
# What the objects cost, so that very many very small fragments are bounded as well.
_COST_OF_A_FRAGMENT: Final = 128
_COST_OF_A_PACKET: Final = 512
_NOT_CAPABLE, _CONGESTED = 1 << 0, 1 << 3  # by ECN codepoint
#: Headers that may stand before the Fragment header.
_UNFRAGMENTABLE: Final = frozenset((HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS))


def fragment_packet(
    packet: bytes, mtu: int, identification: int, head: int = BASE_LENGTH
) -> list[bytes]:
    """Split a packet into fragments of at most `mtu` octets.

    Each begins with the first `head` octets: the IPv6 header, and the one extension header of
    eight octets that the packet may have.
    """
    room = (mtu - head - _HEADER.size) & ~7
    previous = 6 if head == BASE_LENGTH else BASE_LENGTH
    payload, protocol = packet[head:], packet[previous]
    fragments = []
    for offset in range(0, len(payload), room):
        part = payload[offset : offset + room]
        more = offset + room < len(payload)
        base = bytearray(packet[:head])
        base[4:6] = (head - BASE_LENGTH + _HEADER.size + len(part)).to_bytes(2, "big")
        base[previous] = FRAGMENT
        header = _HEADER.pack(protocol, 0, offset | more, identification)
        fragments.append(bytes(base) + header + part)
    return fragments


class FragmentDrop(StrEnum):
    """Why a fragment, or all that came of a packet, was thrown away."""

    MALFORMED = "malformed"
    OVERLAPPING = "overlapping"
    TOO_LATE = "too late"
    NO_ROOM = "no room"
    MIXED_ECN = "congestion mark beside a fragment that does not know marks"


@dataclass(slots=True, kw_only=True)
class _Partial:
    """What came of one packet; a poisoned one swallows what follows."""

    source: bytes
    born_s: float
    octets: int = _COST_OF_A_PACKET
    head: bytes = b""
    total: int = 0
    ecn_seen: int = 0
    poisoned: bool = False
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Source:
    """The packets of one source that wait, oldest first (the values say nothing)."""

    octets: int = 0
    waiting: dict[bytes, None] = field(default_factory=dict)


class Reassembler:
    """Makes whole packets out of fragments.

    Attributes:
        drops: packets or fragments thrown away, by reason.
        reassembled: packets that became whole.
        octets: octets held at present.
    """

    def __init__(
        self, *, most_octets: int = 4 << 20, most_octets_a_source: int = 512 << 10
    ) -> None:
        self.drops = dict.fromkeys(FragmentDrop, 0)
        self.reassembled = 0
        self.octets = 0
        self._most_octets = most_octets
        self._most_octets_a_source = most_octets_a_source
        self._partials: dict[bytes, _Partial] = {}  # oldest first
        self._sources: dict[bytes, _Source] = {}

    def __len__(self) -> int:
        """Return the number of packets that wait for fragments."""
        return len(self._partials)

    def add(self, packet: bytes, now: float) -> bytes | None:
        """Take in a packet with a Fragment header; return the packet that it completes."""
        self.expire(now)
        found = _fragment_header(packet)
        if found is None:
            self.drops[FragmentDrop.MALFORMED] += 1
            return None
        previous, at = found
        protocol, _, placed, identification = _HEADER.unpack_from(packet, at)
        offset, more, part = placed & 0xFFF8, placed & 1, packet[at + _HEADER.size :]
        too_long = at - BASE_LENGTH + offset + len(part) > _LARGEST_PAYLOAD
        if too_long or (more and (len(part) & 7 or not part)):
            self.drops[FragmentDrop.MALFORMED] += 1
            return None
        head = packet[:previous] + bytes((protocol,)) + packet[previous + 1 : at]
        if not offset and not more:  # an atomic fragment meets no other (RFC 6946)
            return _with_length(head, part)
        identity = packet[8:40] + identification.to_bytes(4, "big")
        partial = self._partials.get(identity) or self._begin(identity, now)
        if not self._place(partial, offset, part, last=not more):
            return None
        if not offset:
            partial.head = head
        partial.ecn_seen |= 1 << (packet[1] >> 4 & 3)
        self._charge(partial, len(part) + _COST_OF_A_FRAGMENT)
        whole = self._finish(identity, partial)
        self._make_room(partial.source)
        return whole

    def expire(self, now: float) -> None:
        """Give up the packets that wait longer than 60 s."""
        while self._partials:
            identity, partial = next(iter(self._partials.items()))
            if now - partial.born_s < REASSEMBLY_TIME_S:
                return
            self._forget(identity)
            if not partial.poisoned:
                self.drops[FragmentDrop.TOO_LATE] += 1

    def counts(self) -> dict[str, int]:
        """Return how many packets were put together, and by reason how many were not."""
        given_up = {str(why): count for why, count in self.drops.items() if count}
        return {"reassembled": self.reassembled, **given_up}

    def _begin(self, identity: bytes, now: float) -> _Partial:
        partial = _Partial(source=identity[:16], born_s=now)
        self._partials[identity] = partial
        source = self._sources.setdefault(partial.source, _Source())
        source.waiting[identity] = None
        source.octets += partial.octets
        self.octets += partial.octets
        return partial

    def _place(self, partial: _Partial, offset: int, part: bytes, *, last: bool) -> bool:
        """Put a fragment in its place; False when it is not to be kept."""
        if partial.poisoned:
            return False
        end = offset + len(part)
        if partial.parts.get(offset) == part and (not last or partial.total == end):
            return False  # the network made a copy (RFC 8200 4.5)
        if _overlaps(partial, offset, end, last=last):
            self._poison(partial, FragmentDrop.OVERLAPPING)
            return False
        if len(partial.parts) >= _MOST_FRAGMENTS:
            self._poison(partial, FragmentDrop.NO_ROOM)
            return False
        partial.parts[offset] = part
        if last:
            partial.total = end
        return True

    def _poison(self, partial: _Partial, why: FragmentDrop) -> None:
        """Drop a packet and all that follows of it (RFC 5722)."""
        self.drops[why] += 1
        partial.poisoned = True
        partial.parts.clear()
        self._charge(partial, _COST_OF_A_PACKET - partial.octets)

    def _charge(self, partial: _Partial, octets: int) -> None:
        partial.octets += octets
        self._sources[partial.source].octets += octets
        self.octets += octets

    def _make_room(self, source: bytes) -> None:
        mine = self._sources.get(source)
        while mine and mine.octets > self._most_octets_a_source:
            self._give_up(next(iter(mine.waiting)))
        while self.octets > self._most_octets:
            self._give_up(next(iter(self._partials)))

    def _give_up(self, identity: bytes) -> None:
        self._forget(identity)
        self.drops[FragmentDrop.NO_ROOM] += 1

    def _forget(self, identity: bytes) -> None:
        partial = self._partials.pop(identity)
        source = self._sources[partial.source]
        del source.waiting[identity]
        source.octets -= partial.octets
        self.octets -= partial.octets
        if not source.waiting:
            del self._sources[partial.source]

    def _finish(self, identity: bytes, partial: _Partial) -> bytes | None:
        parts, head = partial.parts, partial.head
        if not partial.total or sum(map(len, parts.values())) < partial.total:
            return None
        self._forget(identity)
        if len(head) - BASE_LENGTH + partial.total > _LARGEST_PAYLOAD:
            # Each fragment was short enough behind its own headers; the first has more of them.
            self.drops[FragmentDrop.MALFORMED] += 1
            return None
        if partial.ecn_seen & _CONGESTED:
            if partial.ecn_seen & _NOT_CAPABLE:  # RFC 3168 5.3
                self.drops[FragmentDrop.MIXED_ECN] += 1
                return None
            head = head[:1] + bytes((head[1] | 0x30,)) + head[2:]
        self.reassembled += 1
        return _with_length(head, b"".join(parts[start] for start in sorted(parts)))


def _overlaps(partial: _Partial, offset: int, end: int, *, last: bool) -> bool:
    if partial.total and (last or end > partial.total):
        return True
    return any(
        (start < end and offset < start + len(part)) or (last and start + len(part) > end)
        for start, part in partial.parts.items()
    )


def _fragment_header(packet: bytes) -> tuple[int, int] | None:
    """Find the octet that announces the Fragment header, and the header itself."""
    previous, offset = 6, BASE_LENGTH
    for _ in range(_MOST_HEADERS):
        if len(packet) < offset + _HEADER.size:
            return None
        if packet[previous] == FRAGMENT:
            return previous, offset
        if packet[previous] not in _UNFRAGMENTABLE:
            return None
        previous, offset = offset, offset + (packet[offset + 1] + 1) * 8
    return None


def _with_length(head: bytes, payload: bytes) -> bytes:
    length = len(head) - BASE_LENGTH + len(payload)
    return head[:4] + length.to_bytes(2, "big") + head[6:] + payload
