"""The ways out, by what packets look like on a path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mcoa.dataplane.copies import mark
from mcoa.dataplane.datagrams import DatagramExit
from mcoa.dataplane.on_link import OnLinkExit
from mcoa.dataplane.path import PathState
from mcoa.dataplane.tunnel import TunnelEntry, may_be_marked


class Exit(Protocol):
    """Sends packets over paths, or tells their source why not."""

    def send(self, state: PathState, packet: bytes, now: float) -> None:
        """Send a packet over a path."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """Sends each packet by the exit that its path has."""

    tunnel: TunnelEntry
    home_link: OnLinkExit
    datagrams: DatagramExit

    def send(self, state: PathState, packet: bytes, now: float) -> None:
        """Send a packet over a path of any kind."""
        exit_: Exit = self.tunnel
        if state.path.home:
            exit_ = self.home_link
        elif state.path.port:
            exit_ = self.datagrams
        exit_.send(state, packet, now)

    def send_copies(
        self, states: Sequence[PathState], packet: bytes, number: int, now: float
    ) -> None:
        """Send a copy over each of some paths, none the home link, with a number in common.

        What is a tunnel packet already goes over the first one alone.
        """
        if not may_be_marked(packet):
            self.send(states[0], packet, now)
            return
        for state in states:
            if state.path.port:
                self.datagrams.send_copy(state, packet, number, now)
            else:
                self.tunnel.send(state, packet, now, mark(number))
