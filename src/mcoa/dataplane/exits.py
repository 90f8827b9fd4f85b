"""The ways out, by what packets look like on a path."""

from dataclasses import dataclass
from typing import Protocol

from mcoa.dataplane.datagrams import DatagramExit
from mcoa.dataplane.on_link import OnLinkExit
from mcoa.dataplane.path import PathState
from mcoa.dataplane.tunnel import TunnelEntry


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
