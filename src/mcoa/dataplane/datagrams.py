"""IPv6 packets in UDP datagrams over IPv4: paths through networks that know nothing else (RFC 5555).

There is no tunnel header of IPv6, so a packet leaves the forwarder as it is, and whoever sends the
datagram copies its traffic class. Copies alone have one, from end to end, for their number. What is larger than the path goes in fragments of IPv4, which
the kernel makes; a packet above 1280 octets is refused before, as on any tunnel.
"""

from collections.abc import Callable
from typing import Final

from mcoa.dataplane.copies import OVERHEAD, mark, number_in
from mcoa.dataplane.counters import DropReason, Drops
from mcoa.dataplane.flows import Flow
from mcoa.dataplane.icmp import ErrorSource
from mcoa.dataplane.packet import BASE_LENGTH, encapsulate_with
from mcoa.dataplane.path import Emit, Path, PathState
from mcoa.dataplane.path_mtu import advertised_mtu
from mcoa.dataplane.trains import Segments, Train, uncouple

UDP_OVERHEAD: Final = 28
"""Octets of the headers of IPv4 and UDP."""

_COPY_OVERHEAD: Final = BASE_LENGTH + OVERHEAD

EmitSegments = Callable[[Path, Segments], object]
"""Sends each packet in a datagram of its own, over a path that takes them."""


def _nowhere(_path: Path, _packet: "bytes | Segments") -> None:
    """Lose packets, where there is no socket."""


class DatagramExit:
    """Sends packets over paths with a port, or tells their source why not.

    Attributes:
        emit, emit_segments: send a packet, and packets in a row; for the owner to set.
    """

    def __init__(
        self,
        *,
        ends: Callable[[PathState], bytes],
        answer: Callable[[bytes, float], object],
        errors: ErrorSource,
        drops: Drops,
    ) -> None:
        """Make an exit.

        Args:
            ends: tells the constant part of a tunnel header from our end to the other one,
                the agent's address and a home address.
            answer: takes ICMPv6 errors for the sources, with the time.
            errors: makes them.
            drops: counts.
        """
        self._ends = ends
        self.emit: Emit = _nowhere
        self.emit_segments: EmitSegments = _nowhere
        self._answer = answer
        self._errors = errors
        self._drops = drops

    def send(self, state: PathState, packet: bytes, now: float) -> None:
        """Send a packet whose hop limit is as the other end shall see it."""
        state.settle(now)
        if self._fits(packet, state.mtu.tunnel(now), now):
            _count_out(state, 1, len(packet))
            self.emit(state.path, packet)

    def send_copy(self, state: PathState, packet: bytes, number: int, now: float) -> None:
        """Send a packet as one of copies that have a number in common."""
        state.settle(now)
        if self._fits(packet, state.mtu.tunnel(now) - _COPY_OVERHEAD, now):
            _count_out(state, 1, len(packet))
            self.emit(state.path, encapsulate_with(mark(number), packet, self._ends(state)))

    def _fits(self, packet: bytes, room: int, now: float) -> bool:
        """Tell whether a packet is not larger than a path takes, or tell its source."""
        most = advertised_mtu(room)
        if len(packet) <= most:
            return True
        self._drops.count(DropReason.TOO_BIG)
        error = self._errors.packet_too_big(packet, most, now)
        if error is not None:
            self._answer(error, now)
        return False

    def send_known(self, flow: Flow | None, packet: bytes, now: float) -> bool:
        """Send a packet of a known flow; False, and nothing sent, where that takes thought."""
        if flow is None or not _takes(flow, len(packet), now):
            return False
        _count_out(flow.path, 1, len(packet))
        self.emit(flow.path.path, packet)
        return True

    def send_train(self, flow: Flow | None, train: Train, now: float) -> bool:
        """Do so with the segments of a train."""
        if flow is None or not _takes(flow, train.largest, now):
            return False
        _count_out(flow.path, train.segments, train.octets)
        self.emit_segments(flow.path.path, uncouple(train))
        return True


def without_mark(packet: bytes, end: bytes) -> tuple[bytes, int | None]:
    """Return the packet in a datagram, and its number; None for one that is no copy.

    `packet` is whole; `end` is our end of the tunnel header that a copy has.
    """
    number = number_in(packet) if packet[24:BASE_LENGTH] == end else None
    return (packet, None) if number is None else (packet[_COPY_OVERHEAD:], number)


def _count_out(state: PathState, packets: int, octets: int) -> None:
    state.packets_out += packets
    state.octets_out += octets


def _takes(flow: Flow, size: int, now: float) -> bool:
    """Tell whether a flow's path is one of datagrams, in use, and not too small."""
    state = flow.path
    is_known = now < flow.fresh_until_s and state.path.port > 0
    return is_known and size + UDP_OVERHEAD <= state.outer_room
