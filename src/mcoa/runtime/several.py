"""A node with several roles in one process, each with a device of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

from mcoa.runtime.control import Command
from mcoa.runtime.guard import run_each
from mcoa.runtime.node import Node
from mcoa.runtime.status import Status


class SeveralRoles:
    """Does with every role what is to be done with a node; the first one gives it its name."""

    def __init__(self, *roles: Node) -> None:
        self._roles = roles

    async def start(self) -> None:
        """Begin to serve."""
        for role in self._roles:
            await role.start()

    async def stop(self) -> None:
        """Say good-bye, in bounded time."""
        for role in reversed(self._roles):
            await role.stop()

    def close(self) -> None:
        """Let go of sockets and devices."""
        for role in reversed(self._roles):
            role.close()

    def tick(self) -> None:
        """Do what is due every second."""
        run_each(*(role.tick for role in self._roles))

    def status(self) -> Status:
        """Return what a view of the node shows: of the first role, with what the others hold."""
        first, *others = [role.status() for role in self._roles]
        counters = dict(first.counters)
        for each in others:
            for name, count in each.counters.items():
                counters[name] = counters.get(name, 0) + count
        everybody = (first, *others)
        return replace(
            first,
            bindings=chain.from_iterable(each.bindings for each in everybody),
            bindings_total=sum(each.bindings_total or 0 for each in everybody),
            counters=counters,
        )

    def commands(self) -> Mapping[str, Command]:
        """Return what else an operator may ask, by name."""
        return dict(_items(self._roles))


def _items(roles: tuple[Node, ...]) -> Iterator[tuple[str, Command]]:
    for role in roles:
        yield from role.commands().items()
