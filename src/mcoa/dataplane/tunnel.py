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
    FRAGMENT,
    HOP_BY_HOP,
    IPV6,
    MINIMUM_MTU,
    ROUTING,
    TUNNEL_OVERHEAD,
    encapsulate,
    encapsulate_with,
    encapsulation_limit,
    encapsulation_limit_header,
    is_tunnel_packet,
)
from mcoa.dataplane.path import Emit, PathState
from mcoa.dataplane.path_mtu import advertised_mtu

_MAY_LIMIT: Final = frozenset((HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, FRAGMENT, IPV6))
#: What a tunnel packet may be put into, if it does not say (RFC 2473 6.6). Two agents of which
#: each has the other's home address for a care-of address would else do so for ever.
_DEFAULT_LIMIT: Final = 4


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

    def send(self, state: PathState, packet: bytes, now: float, extra: bytes = b"") -> None:
        """Encapsulate a packet and send it, or tell its source why not.

        `extra` is a header of destination options to go before what has no limit.
        """
        limit_at = encapsulation_limit(packet) if packet[6] in _MAY_LIMIT else 0
        if limit_at and not packet[limit_at]:
            self._drops.count(DropReason.ENCAPSULATION_LIMIT)
            self._reply(self._errors.parameter_problem(packet, limit_at, now), now)
            return
        limit = _limit(packet, limit_at) if packet[6] in _MAY_LIMIT else None
        options = extra if limit is None else encapsulation_limit_header(limit)
        overhead = TUNNEL_OVERHEAD + len(options)
        while True:
            mtu = state.mtu.path(now)
            state.settle(now)
            # Before the header is made: one for 65535 octets of payload and more does not exist.
            if len(packet) + overhead > mtu and len(packet) > MINIMUM_MTU:
                self._drops.count(DropReason.TOO_BIG)
                mtu = advertised_mtu(mtu - overhead)
                self._reply(self._errors.packet_too_big(packet, mtu, now), now)
                return
            refused = self._emit_all(state, packet, options, mtu)
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

    def _emit_all(
        self, state: PathState, packet: bytes, options: bytes, mtu: int
    ) -> int | None:
        if options:
            outer = encapsulate_with(options, packet, state.prefix)
        else:
            outer = encapsulate(packet, state.prefix)
        if len(outer) <= mtu:
            return self._emit(state.path, outer)
        # Each fragment has the limit: it may be put into the next tunnel by itself.
        head = BASE_LENGTH + len(options)
        fragments = fragment_packet(outer, mtu, self._rng.getrandbits(32), head)
        self.fragments_made += len(fragments)
        for fragment in fragments:
            refused = self._emit(state.path, fragment)
            if refused:
                return refused
        return None

    def _reply(self, packet: bytes | None, now: float) -> None:
        if packet is not None:
            self._answer(packet, now)


def may_be_marked(packet: bytes) -> bool:
    """Tell whether a tunnel header may have options of ours: that of a tunnel packet has a limit."""
    return packet[6] not in _MAY_LIMIT or _limit(packet, encapsulation_limit(packet)) is None


def _limit(packet: bytes, limit_at: int) -> int | None:
    """Return the limit for the tunnel header; `limit_at` is where the packet has one, else 0."""
    if limit_at:
        return packet[limit_at] - 1
    return _DEFAULT_LIMIT if is_tunnel_packet(packet) else None
