"""The way over the home link, where a packet travels as it is (RFC 5648 §5.6.2)."""

from collections.abc import Callable

from mcoa.dataplane.counters import DropReason, Drops
from mcoa.dataplane.icmp import ErrorSource
from mcoa.dataplane.path import Emit, Path, PathState
from mcoa.dataplane.path_mtu import advertised_mtu


def nowhere(_path: Path, _packet: bytes) -> None:
    """Lose a packet, where there is no home link."""


class OnLinkExit:
    """Sends packets over home paths, or tells their source why not."""

    def __init__(
        self,
        *,
        emit: Emit,
        answer: Callable[[bytes, float], object],
        errors: ErrorSource,
        drops: Drops,
    ) -> None:
        """Make an exit; `answer` takes ICMPv6 errors for the sources, with the time."""
        self._emit = emit
        self._answer = answer
        self._errors = errors
        self._drops = drops

    def send(self, state: PathState, packet: bytes, now: float) -> None:
        """Send a packet whose hop limit is as the next node shall see it."""
        mtu = state.mtu.path(now)
        if len(packet) <= mtu:
            refused = self._emit(state.path, packet)
            if not refused:
                state.packets_out += 1
                state.octets_out += len(packet)
                return
            mtu = refused
        self._drops.count(DropReason.TOO_BIG)
        error = self._errors.packet_too_big(packet, advertised_mtu(mtu), now)
        if error is not None:
            self._answer(error, now)
