"""The entry of a tunnel: size, limits and fragments of what goes in (RFC 2473 3.1, 4.1.1, 7.1).

The hop limit of the inner packet is lowered where it is forwarded: by the kernel that routed it
to the device, and by the home agent itself between two of its mobile nodes. A mobile node's
own packets start at the tunnel and keep theirs.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from mcoa.dataplane.counters import DropReason, Drops
from mcoa.dataplane.fragment import fragment_packet
from mcoa.dataplane.icmp import ErrorSource
from mcoa.dataplane.packet import (
    BASE_LENGTH,
    DESTINATION_OPTIONS,
    HOP_BY_HOP,
    MINIMUM_MTU,
    ROUTING,
    TUNNEL_OVERHEAD,
    encapsulate,
    encapsulate_limited,
    encapsulation_limit,
)
from mcoa.dataplane.path import Path, PathState
from mcoa.dataplane.path_mtu import advertised_mtu

_MAY_LIMIT: Final = frozenset((HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS))
_LIMIT_OVERHEAD: Final = 8

Emit = Callable[[Path, bytes], int | None]
"""Sends a whole outer packet. Where the path takes less, it sends nothing and returns the
octets that it takes; else None or 0."""


class TunnelEntry:
    """Sends packets into tunnels, the careful way; the usual packet does not come here.

    Attributes:
        fragments_made: outer fragments sent.
    """

    def __init__(
        self,
        *,
        emit: Emit,
        answer: Callable[[bytes, float], object],
        errors: ErrorSource,
        drops: Drops,
        rng: Random,
    ) -> None:
        """Make an entry; `answer` takes ICMPv6 errors for inner sources, with the time."""
        self._emit = emit
        self._answer = answer
        self._errors = errors
        self._drops = drops
        self._rng = rng
        self.fragments_made = 0

    def send(self, state: PathState, packet: bytes, now: float) -> None:
        """Encapsulate a packet and send it, or tell its source why not."""
        limit_at = encapsulation_limit(packet) if packet[6] in _MAY_LIMIT else 0
        if limit_at and not packet[limit_at]:
            self._drops.count(DropReason.ENCAPSULATION_LIMIT)
            self._reply(self._errors.parameter_problem(packet, limit_at, now), now)
            return
        overhead = TUNNEL_OVERHEAD + (_LIMIT_OVERHEAD if limit_at else 0)
        while True:
            mtu = state.mtu.path(now)
            state.settle(now)
            # Before the header is made: one for 65535 octets of payload and more does not exist.
            if len(packet) + overhead > mtu and len(packet) > MINIMUM_MTU:
                self._drops.count(DropReason.TOO_BIG)
                mtu = advertised_mtu(mtu - overhead)
                self._reply(self._errors.packet_too_big(packet, mtu, now), now)
                return
            refused = self._emit_all(state.path, _outer(state, packet, limit_at), mtu)
            if not refused:
                state.packets_out += 1
                state.octets_out += len(packet)
                return
            if not state.mtu.reduce(refused, now):
                self._drops.count(DropReason.TOO_BIG)
                return

    def relay_too_big(self, state: PathState, mtu: int, inner: bytes, now: float) -> None:
        """Believe a Packet Too Big about this path, and pass it on to the inner source.

        `inner` is the start of the packet that was too big, as the error quotes it: its source
        learns at once what it would else learn by losing one packet more.
        """
        state.mtu.reduce(mtu, now)
        state.settle(now)
        told = advertised_mtu(state.mtu.tunnel(now))
        if (inner[4] << 8 | inner[5]) + BASE_LENGTH > told:
            self._reply(self._errors.packet_too_big(inner, told, now), now)

    def _emit_all(self, path: Path, outer: bytes, mtu: int) -> int | None:
        if len(outer) <= mtu:
            return self._emit(path, outer)
        fragments = fragment_packet(outer, mtu, self._rng.getrandbits(32))
        self.fragments_made += len(fragments)
        for fragment in fragments:
            refused = self._emit(path, fragment)
            if refused:
                return refused
        return None

    def _reply(self, packet: bytes | None, now: float) -> None:
        if packet is not None:
            self._answer(packet, now)


def _outer(state: PathState, packet: bytes, limit_at: int) -> bytes:
    """Return the tunnel packet; `limit_at` is where `packet` limits encapsulation, else 0."""
    if limit_at:
        return encapsulate_limited(packet, state.prefix, packet[limit_at] - 1)
    return encapsulate(packet, state.prefix)
