"""What a fast path below the forwarders is told, so that it carries the packets that follow.

The table decides, and whatever it decides it tells. A fast path remembers decisions for flows;
packets that it does not know come up to the forwarder as if there were no fast path.
"""

from enum import IntEnum
from typing import Protocol

from mcoa.dataplane.flows import Flow
from mcoa.dataplane.path import Path, PathState


class Form(IntEnum):
    """How packets look on a path."""

    NONE = 0
    TUNNEL = 1
    UDP = 2
    HOME_ADDRESS = 3
    ROUTING_HEADER = 4
    FRAME = 5


class FastPath(Protocol):
    """A memory of decisions."""

    def bind(self, home_address: bytes, paths: tuple[Path, ...]) -> None:
        """Know what a home address is bound to, from now on and of all there was."""
        ...

    def settle(self, state: PathState) -> None:
        """Know that a path takes more or less than before, or nothing."""
        ...

    def add(self, flow: Flow, shortcut: bytes, *, inbound: bool, direct: bool) -> bool:
        """Carry packets of this shortcut() by the path of their flow.

        `direct` is for those between mobile node and correspondent, without a tunnel. False
        when it cannot be done.
        """
        ...

    def move(self, flow: Flow) -> None:
        """Know that a flow has another path."""
        ...

    def remove(self, flow: Flow) -> None:
        """Forget a flow."""
        ...

    def forget(self, far_end: bytes) -> None:
        """Forget how the packets to and from a far end look."""
        ...


class NoFastPath:
    """Carries nothing."""

    def bind(self, home_address: bytes, paths: tuple[Path, ...]) -> None:
        """Do nothing."""

    def settle(self, state: PathState) -> None:
        """Do nothing."""

    def add(self, flow: Flow, shortcut: bytes, *, inbound: bool, direct: bool) -> bool:
        """Refuse."""
        del flow, shortcut, inbound, direct
        return False

    def move(self, flow: Flow) -> None:
        """Do nothing."""

    def remove(self, flow: Flow) -> None:
        """Do nothing."""

    def forget(self, far_end: bytes) -> None:
        """Do nothing."""
