"""Packets that go directly between mobile node and correspondent (RFC 6275 §6.3, §6.4, §11.3).

Nothing is wrapped: one address changes places with a home address, which travels in an
extension header of 24 octets. A packet in fragments has it in each fragment, so the end that
takes it out has nothing to put together.
"""

from collections.abc import Callable
from random import Random
from struct import Struct
from typing import Final

from mcoa.dataplane.counters import DropReason, Drops
from mcoa.dataplane.fragment import fragment_packet
from mcoa.dataplane.icmp import ADDRESS_UNREACHABLE, ErrorSource
from mcoa.dataplane.packet import (
    AUTHENTICATION,
    BASE_LENGTH,
    DESTINATION_OPTIONS,
    FRAGMENT,
    HOP_BY_HOP,
    MINIMUM_MTU,
    MOBILITY_HEADER,
    ROUTING,
)
from mcoa.dataplane.path import Emit, PathState
from mcoa.dataplane.path_mtu import advertised_mtu
from mcoa.wire.extension_headers import HOME_ADDRESS, HOME_ADDRESS_LAYOUT, ROUTING_LAYOUT

DIRECT_OVERHEAD: Final = 24
_SHORTEST: Final = BASE_LENGTH + DIRECT_OVERHEAD
# Before some of these the new header would have to stand, and one covers the addresses; and
# signalling goes where its sender says (RFC 6275 §9.3.2).
_NOT_DIRECT: Final = frozenset(
    (HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, AUTHENTICATION, MOBILITY_HEADER)
)

_start: Final = Struct("!4sHBB32sB").pack
_HOME_ADDRESS: Final = slice(48, 64)
_OPTION_TYPE: Final = slice(46, 47)
_HOME_ADDRESS_OPTION: Final = bytes((HOME_ADDRESS,))
_OPTIONS: Final = bytes((DESTINATION_OPTIONS,))
_WITHOUT_RESERVED: Final = 3  # octets of a routing header that mean something to its receiver

Insert = Callable[[bytes, bytes], bytes]
"""Makes the direct packet of a packet and a care-of address; empty where it must not be."""


def with_home_address(packet: bytes, care_of_address: bytes) -> bytes:
    """Return a mobile node's packet with its Home Address option (RFC 6275 §11.3.1).

    A type 2 routing header, of a packet to another mobile node, stays before it (§6.4).
    """
    addresses, option = care_of_address + packet[24:40], HOME_ADDRESS_LAYOUT + packet[8:24]
    if not _is_routed(packet):
        return _longer(packet, addresses, DESTINATION_OPTIONS, option)
    length = len(packet) - BASE_LENGTH + DIRECT_OVERHEAD
    start = _start(packet[:4], length, ROUTING, packet[7], addresses, DESTINATION_OPTIONS)
    return (
        start
        + packet[41:_SHORTEST]
        + packet[BASE_LENGTH : BASE_LENGTH + 1]
        + option
        + packet[_SHORTEST:]
    )


def with_routing_header(packet: bytes, care_of_address: bytes) -> bytes:
    """Return a correspondent's packet with a type 2 routing header (RFC 6275 §9.3.2)."""
    addresses = packet[8:24] + care_of_address
    return _longer(packet, addresses, ROUTING, ROUTING_LAYOUT + packet[24:40])


def _longer(packet: bytes, addresses: bytes, protocol: int, header: bytes) -> bytes:
    """Put a header, which lacks its first octet, before all others."""
    if packet[6] in _NOT_DIRECT:
        return b""
    length = len(packet) - BASE_LENGTH + DIRECT_OVERHEAD
    start = _start(packet[:4], length, protocol, packet[7], addresses, packet[6])
    return start + header + packet[BASE_LENGTH:]


def peer_of(packet: bytes) -> bytes:
    """Return whom a packet is for: its destination, or the home address that is behind it."""
    return packet[_HOME_ADDRESS] if _is_routed(packet) else packet[24:40]


def _is_routed(packet: bytes) -> bool:
    return _has(packet, ROUTING, ROUTING_LAYOUT[:_WITHOUT_RESERVED])


def has_home_address(packet: bytes) -> bool:
    """Tell whether a packet has a Home Address option where it has to stand (RFC 6275 §6.3)."""
    is_options = packet[6:7] == _OPTIONS
    return is_options and packet[_OPTION_TYPE] == _HOME_ADDRESS_OPTION


def without_home_address(packet: bytes) -> bytes:
    """Return the packet as its application sent it; empty unless it begins as above does."""
    if not _has(packet, DESTINATION_OPTIONS, HOME_ADDRESS_LAYOUT):
        return b""
    return _shorter(packet) + packet[_HOME_ADDRESS] + packet[24:40] + packet[_SHORTEST:]


def without_routing_header(packet: bytes) -> bytes:
    """Return the packet as its application sent it; empty unless it begins as above does."""
    if not _is_routed(packet):
        return b""
    return _shorter(packet) + packet[8:24] + packet[_HOME_ADDRESS] + packet[_SHORTEST:]


def _has(packet: bytes, header: int, layout: bytes) -> bool:
    return len(packet) >= _SHORTEST and packet[6] == header and packet.startswith(layout, 41)


def _shorter(packet: bytes) -> bytes:
    length = (packet[4] << 8 | packet[5]) - DIRECT_OVERHEAD
    return packet[:4] + max(length, 0).to_bytes(2) + packet[40:41] + packet[7:8]


class DirectExit:
    """Sends packets directly, the careful way."""

    def __init__(
        self,
        *,
        insert: Insert,
        emit: Emit,
        answer: Callable[[bytes, float], object],
        errors: ErrorSource,
        drops: Drops,
        rng: Random,
    ) -> None:
        """Make an exit; `answer` takes ICMPv6 errors for the sources, with the time."""
        self._insert = insert
        self._emit = emit
        self._answer = answer
        self._errors = errors
        self._drops = drops
        self._rng = rng
        self.fragments_made = 0

    def send(self, state: PathState, packet: bytes, now: float) -> bool:
        """Send a packet, or tell its source that it is too big; False: it has to go otherwise."""
        outer = self._insert(packet, state.path.care_of_address)
        while outer:
            mtu = state.mtu.path(now)
            state.settle(now)
            if len(outer) > mtu and len(packet) > MINIMUM_MTU:
                self._too_big(packet, mtu, now)
                return True
            if len(outer) > mtu and packet[6] == FRAGMENT:
                return False
            refused = self._emit_all(state, outer, mtu)
            if not refused:
                state.packets_out += 1
                state.octets_out += len(packet)
                return True
            if not state.mtu.reduce(refused, now):
                self._drops.count(DropReason.TOO_BIG)
                return True
        return False

    def relay_too_big(self, state: PathState, mtu: int, packet: bytes, now: float) -> None:
        """Believe a Packet Too Big about this path, and pass it on.

        `packet` is the start of the one that was too big, as its application sent it.
        """
        state.mtu.reduce(mtu, now)
        state.settle(now)
        mtu = state.mtu.path(now)
        if (packet[4] << 8 | packet[5]) + _SHORTEST > mtu:
            self._too_big(packet, mtu, now)

    def tell_undelivered(self, packet: bytes, now: float) -> None:
        """Tell the application that sent `packet` that it did not get there."""
        self._errors.speak_as(packet[24:40])
        error = self._errors.unreachable(packet, ADDRESS_UNREACHABLE, now)
        if error is not None:
            self._answer(error, now)

    def _too_big(self, packet: bytes, mtu: int, now: float) -> None:
        self._drops.count(DropReason.TOO_BIG)
        told = advertised_mtu(mtu - DIRECT_OVERHEAD)
        self._errors.speak_as(packet[24:40])
        error = self._errors.packet_too_big(packet, told, now)
        if error is not None:
            self._answer(error, now)

    def _emit_all(self, state: PathState, outer: bytes, mtu: int) -> int | None:
        if len(outer) <= mtu:
            return self._emit(state.path, outer)
        fragments = fragment_packet(outer, mtu, self._rng.getrandbits(32), _SHORTEST)
        self.fragments_made += len(fragments)
        for fragment in fragments:
            refused = self._emit(state.path, fragment)
            if refused:
                return refused
        return None
