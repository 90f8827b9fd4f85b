"""The program that holds a home agent with its bindings; started inside a namespace.

It obeys one command a line and prints one JSON object for each. Between commands it stands
still: what it is measured with lies in the device's queue before the clock starts.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Self

from mcoa.lab.bench.echo import c_echo, python_echo
from mcoa.lab.bench.node import MeasuredAgent, Served
from mcoa.lab.bench.population import (
    BIDS,
    HOME_AGENT,
    HOME_PREFIX,
    LIFETIME_S,
    Population,
)
from mcoa.lab.bench.queue import Sender, Tap
from mcoa.lab.namespaces import LabError, run
from mcoa.runtime.config import Configuration, HomeAgentConfiguration, parse
from mcoa.runtime.log import EventLog, Level
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.store import Store
from mcoa.runtime.undo import Journal
from mcoa.runtime.unfinished import FINISHED

DEVICE = "mip0"
_SEED = 5648
_RECORDS_A_BATCH = 4096
_CONFIGURATION = """\
role = "home-agent"
name = "agent"
security = "none"
device = "{device}"
runtime_directory = "{directory}"
state_directory = "{directory}"
[home-agent]
address = "{address}"
home_link = "home"
home_prefixes = ["{prefix}"]
max_lifetime = "{lifetime_s}s"
"""

Answer = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to hold, and how much a round is.

    Attributes:
        homes: mobile nodes, with three bindings each.
        packets: updates a round.
        directory: for the agent's files, on a disk.
        echo: the echo in C, if there is one.
    """

    homes: int
    packets: int
    directory: str
    echo: str | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what to_json() wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self))


class Bench:
    """A home agent with its mobile nodes, ready for rounds.

    Args:
        octets: what the process occupied before there was an agent.
    """

    def __init__(
        self,
        order: Order,
        population: Population,
        node: MeasuredAgent,
        sender: Sender,
        octets: int,
    ) -> None:
        self._order = order
        self._population = population
        self._node = node
        self._sender = sender
        self._rng = Random(_SEED)
        self._turn: list[int] = []
        self._octets = octets
        self._acknowledgement = b""
        self._herd_s = 0.0

    async def start(self) -> Answer:
        """Have the agent take over its bindings, as after a restart."""
        begun_s = time.perf_counter()
        await self._node.start()
        restored_s = time.perf_counter() - begun_s
        run("ip", "link", "set", DEVICE, "txqueuelen", str(2 * self._order.packets))
        with Tap(DEVICE) as tap:
            self._fill([0])
            await self._node.serve(is_durable=False)
            self._acknowledgement = FINISHED + tap.written()
        return {"restored_s": restored_s}

    async def refresh(self) -> Answer:
        """Have a round of updates answered, the journal apart."""
        return await self._refresh(self._order.packets, is_durable=False)

    async def journal(self) -> Answer:
        """Have a round of updates answered after they were written to the disk."""
        return await self._refresh(self._order.packets, is_durable=True)

    async def everyone(self) -> Answer:
        """Have every node refresh, and some of them again; take stock afterwards."""
        self._herd_s = asyncio.get_running_loop().time()
        left = len(self._population) * 5 // 4
        rounds: list[Answer] = []
        while left > 0:
            rounds.append(await self._refresh(min(left, self._order.packets), is_durable=True))
            left -= self._order.packets
        octets = _resident_octets() - self._octets
        return {
            "pause_ms": max(each["pause_ms"] for each in rounds),
            "octets_per_binding": octets / (len(BIDS) * len(self._population)),
        }

    async def ticks(self) -> Answer:
        """Let the time come at which some of the bindings are about to end, spread evenly."""
        first = int(self._node.engine.next_deadline() or 0)
        # Refreshes are asked for ten seconds before the end: none ends here.
        return {"tick_ms": self._longest_tick(range(first, first + 9))}

    async def herd(self) -> Answer:
        """Let the time come for all that refreshed in everyone(); the last command of all."""
        first = int(self._node.engine.next_deadline() or 0)
        return {"tick_ms": self._longest_tick(range(first, int(self._herd_s) + LIFETIME_S))}

    def _longest_tick(self, seconds: Iterable[int]) -> float:
        return 1e3 * max(map(self._node.tick_at, map(float, seconds)), default=0.0)

    async def python(self) -> Answer:
        """Have a round of the same packets answered by the bare loop."""
        count = self._fill(self._next(self._order.packets))
        elapsed_s = python_echo(self._node.descriptor, count, self._acknowledgement)
        return {"us": elapsed_s / count * 1e6}

    async def c(self) -> Answer:
        """Have a round of the same packets answered by the bare loop in C."""
        if self._order.echo is None:
            raise LabError("there is no echo in C")
        program = Path(self._order.echo)
        count = self._fill(self._next(self._order.packets))
        elapsed_s = c_echo(program, self._node.descriptor, count, self._acknowledgement)
        return {"us": elapsed_s / count * 1e6}

    async def _refresh(self, count: int, *, is_durable: bool) -> Answer:
        nodes = self._next(count)
        self._fill(nodes)
        served = await self._node.serve(is_durable=is_durable)
        self._check(nodes)
        return _answer(served, count)

    def _fill(self, nodes: Sequence[int]) -> int:
        packets = [self._population.refresh(node) for node in nodes]
        return self._sender.send(packets, str(HOME_AGENT))

    def _next(self, count: int) -> list[int]:
        """Return nodes in an order without pattern; each is there once before any again."""
        while len(self._turn) < count:
            another = list(range(len(self._population)))
            self._rng.shuffle(another)
            self._turn += another
        nodes, self._turn = self._turn[:count], self._turn[count:]
        return nodes

    def _check(self, nodes: Sequence[int]) -> None:
        """Refuse a round in which not every update was accepted and answered."""
        cache, population = self._node.engine.cache, self._population
        for node in set(nodes):
            entry = cache.entry_of(population.home_address(node))
            if entry is None or entry.sequence != population.sequence(node):
                raise LabError("the home agent did not take an update")
        if self._node.unwritten:
            raise LabError("the kernel did not take an acknowledgement")


async def serve(order: Order) -> None:
    """Build the agent, then obey the standard input until it ends."""
    configuration = _configuration(order)
    population = Population(order.homes, Random(_SEED))
    _write_records(configuration.store_directory, population)
    log = EventLog(
        sys.stderr, monotonic=time.monotonic, wall_clock=time.time, level=Level.ERROR
    )
    journal = Journal.open(configuration.undo_journal)
    with Netlink() as netlink, Sender() as sender:
        octets = _resident_octets()
        node = MeasuredAgent(configuration, netlink=netlink, journal=journal, log=log)
        try:
            bench = Bench(order, population, node, sender, octets)
            _tell(await bench.start())
            await _obey(bench)
        finally:
            node.close()


async def _obey(bench: Bench) -> None:
    commands: dict[str, Callable[[], Awaitable[Answer]]] = {
        "refresh": bench.refresh,
        "journal": bench.journal,
        "everyone": bench.everyone,
        "ticks": bench.ticks,
        "herd": bench.herd,
        "python": bench.python,
        "c": bench.c,
    }
    while line := sys.stdin.readline():
        _tell(await commands[line.strip()]())


def _configuration(order: Order) -> HomeAgentConfiguration:
    text = _CONFIGURATION.format(
        device=DEVICE,
        directory=order.directory,
        address=HOME_AGENT,
        prefix=HOME_PREFIX,
        lifetime_s=LIFETIME_S,
    )
    configuration: Configuration = parse(text, file="benchmark", default_name="agent")
    if not isinstance(configuration, HomeAgentConfiguration):
        raise LabError("this is no configuration of a home agent")
    return configuration


def _write_records(directory: Path, population: Population) -> None:
    store = Store.open(directory)
    monotonic_s = time.monotonic()
    records = population.records(monotonic_s, time.time() - monotonic_s, Random(_SEED))
    batch: list[tuple[bytes, bytes]] = []
    for record in records:
        batch.append(record)
        if len(batch) == _RECORDS_A_BATCH:
            store.commit(batch)
            batch.clear()
    store.commit(batch)
    store.close()


def _answer(served: Served, count: int) -> Answer:
    return {"us": served.elapsed_s / count * 1e6, "pause_ms": served.pause_s * 1e3}


def _resident_octets() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _tell(answer: Answer) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 the answer is what the program is for


def main(arguments: Sequence[str]) -> None:
    """Hold the agent that an Order in JSON describes."""
    asyncio.run(serve(Order.from_json(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
