"""What the daemon needs of a role."""

from collections.abc import Mapping
from typing import Protocol

from mcoa.runtime.control import Command
from mcoa.runtime.status import Status


class Node(Protocol):
    """A role at work on this machine."""

    async def start(self) -> None:
        """Begin to serve."""
        ...

    async def stop(self) -> None:
        """Say good-bye, in bounded time."""
        ...

    def close(self) -> None:
        """Let go of sockets and devices."""
        ...

    def tick(self) -> None:
        """Do what is due every second."""
        ...

    def status(self) -> Status:
        """Return what a view of the node shows."""
        ...

    def commands(self) -> Mapping[str, Command]:
        """Return what else an operator may ask, by name."""
        ...
