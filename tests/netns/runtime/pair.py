"""A node attached to a network by its interface `wwan0`, each in a namespace."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mcoa.lab.namespaces import Namespace, run

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The node, the network at the other end (`acc0`), and a place for the journal."""

    node: Namespace
    net: Namespace
    journal: Path

    def run(self, scenario: Callable[[], Coroutine[None, None, ResultT]]) -> ResultT:
        """Run a scenario inside the node's namespace, for at most fifteen seconds."""

        async def bounded() -> ResultT:
            async with asyncio.timeout(15):
                return await scenario()

        return self.node.call(lambda: asyncio.run(bounded()))

    def wait_for_carrier(self) -> None:
        """Wait until both ends are up: a busy kernel is late to find that a cable is there."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            ends = ((self.node, "wwan0"), (self.net, "acc0"))
            listings = [run("ip", "-n", n.full_name, "link", "show", name) for n, name in ends]
            if all(" state UP " in listing for listing in listings):
                return
            time.sleep(0.01)
        raise AssertionError("no carrier")

    def address(self) -> None:
        """Give both ends addresses of 2001:db8:a::/64, and the node a way out."""
        self.net.ip("address add 2001:db8:a::1/64 dev acc0 nodad")
        self.node.ip(
            "address add 2001:db8:a::2/64 dev wwan0 nodad",
            "address add 2001:db8:a::3/64 dev wwan0 nodad",
            "route add default via 2001:db8:a::1",
        )


async def until(claim: Callable[[], bool]) -> None:
    """Wait for a claim to become true; the scenario's time limit bounds it."""
    while not claim():  # noqa: ASYNC110 the claims are about kernels, which set no events
        await asyncio.sleep(0.005)


async def collected(receive: Callable[[], list[ItemT]], count: int) -> list[ItemT]:
    """Return what a socket or device yields, once it is `count` items at least."""
    items: list[ItemT] = []
    while len(items) < count:
        items += receive()
        await asyncio.sleep(0.005)
    return items
