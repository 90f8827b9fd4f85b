"""IPv6 packets in UDP datagrams over IPv4: paths through networks that know nothing else (RFC 5555).

There is no tunnel header of IPv6, so a packet leaves the forwarder as it is, and whoever sends the
datagram copies its traffic class. What is larger than the path goes in fragments of IPv4, which
the kernel makes; a packet above 1280 octets is refused before, as on any tunnel.
"""

from collections.abc import Callable
from typing import Final

from mcoa.dataplane.counters import DropReason, Drops
from mcoa.dataplane.flows import Flow
from mcoa.dataplane.icmp import ErrorSource
from mcoa.dataplane.path import Emit, Path, PathState
from mcoa.dataplane.path_mtu import advertised_mtu
from mcoa.dataplane.trains import Segments, Train, uncouple

UDP_OVERHEAD: Final = 28
"""Octets of the headers of IPv4 and UDP."""

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
        answer: Callable[[bytes, float], object],
        errors: ErrorSource,
        drops: Drops,
    ) -> None:
        """Make an exit; `answer` takes ICMPv6 errors for the sources, with the time."""
        self.emit: Emit = _nowhere
        self.emit_segments: EmitSegments = _nowhere
        self._answer = answer
        self._errors = errors
        self._drops = drops

    def send(self, state: PathState, packet: bytes, now: float) -> None:
        """Send a packet whose hop limit is as the other end shall see it."""
        state.settle(now)
        most = advertised_mtu(state.mtu.tunnel(now))
        if len(packet) > most:
            self._drops.count(DropReason.TOO_BIG)
            error = self._errors.packet_too_big(packet, most, now)
            if error is not None:
                self._answer(error, now)
            return
        _count_out(state, 1, len(packet))
        self.emit(state.path, packet)

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


def _count_out(state: PathState, packets: int, octets: int) -> None:
    state.packets_out += packets
    state.octets_out += octets


def _takes(flow: Flow, size: int, now: float) -> bool:
    """Tell whether a flow's path is one of datagrams, in use, and not too small."""
    state = flow.path
    is_known = now < flow.fresh_until_s and state.path.port > 0
    return is_known and size + UDP_OVERHEAD <= state.outer_room
