"""The signalling benchmark: codec, whole transactions, and what a million bindings cost."""

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from mcoa.lab.bench.agent import Order
from mcoa.lab.bench.codec import codec_contest
from mcoa.lab.bench.correspondent import correspondent_contest
from mcoa.lab.bench.echo import compile_c_echo
from mcoa.lab.bench.figures import Contender, Contest
from mcoa.lab.bench.launch import Agent
from mcoa.lab.bench.population import BIDS
from mcoa.lab.bench.progress import Advanced, Began
from mcoa.lab.bench.result import SignallingResult
from mcoa.lab.namespaces import Namespaces

# /tmp may be memory; a journal is to be measured on a disk.
_ON_DISK = "/var/tmp"  # noqa: S108 a directory of its own is made in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured.

    Attributes:
        messages: for the codec, a round.
        packets: for the agents, a round.
        small, large: bindings of the two agents.
    """

    rounds: int = 21
    messages: int = 2000
    packets: int = 4096
    small: int = 1_000
    large: int = 1_000_000


FULL = Plan()
QUICK = Plan(rounds=5, messages=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All is done."""

    result: SignallingResult


Event = Began | Advanced | Measured


def measure(plan: Plan) -> Generator[Event, None, None]:
    """Run the benchmark; the last event carries the result.

    Raises:
        LabError: something could not be built, or an agent did not do what it was to do.
    """
    yield Began(title="the codec and scapy, in turn")
    codec = codec_contest(plan.rounds, plan.messages)
    yield from _advance(codec)
    yield Began(title="updates with proof and without, in turn")
    proof = correspondent_contest(plan.rounds, plan.messages)
    yield from _advance(proof)
    directory = os.environ.get("TMPDIR", _ON_DISK)
    with (
        TemporaryDirectory(prefix="mcoa-bench-", dir=directory) as name,
        Namespaces() as namespaces,
    ):
        yield from _Agents(plan, namespaces, Path(name)).run(codec, proof)


def _advance(contest: Contest) -> Iterator[Event]:
    for done, total in contest.run():
        yield Advanced(done=done, total=total)


class _Agents:
    """The agents with few and with many bindings, and what is asked of them."""

    def __init__(self, plan: Plan, namespaces: Namespaces, directory: Path) -> None:
        self._plan = plan
        self._namespaces = namespaces
        self._directory = directory
        self._echo = compile_c_echo(directory)

    def run(self, codec: Contest, proof: Contest) -> Iterator[Event]:
        """Measure all that needs an agent; the last event carries the whole result."""
        plan = self._plan
        yield Began(title=f"a home agent with {plan.small:,} bindings")
        small = self._start("small", plan.small)
        yield Began(title=f"a home agent with {plan.large:,} bindings")
        large = self._start("large", plan.large)
        yield Began(title="every mobile node refreshes its bindings")
        ticks, everyone = large.ask("ticks"), large.ask("everyone")
        yield Began(title="transactions through the device and bare echoes, in turn")
        agents = self._contest(small, large)
        yield from _advance(agents)
        herd = large.ask("herd")
        yield Measured(
            result=SignallingResult(
                codec_us=codec.result("codec"),
                scapy_us=codec.result("scapy"),
                authenticated_us=proof.result("authenticated"),
                unauthenticated_us=proof.result("plain"),
                small_bindings=plan.small,
                large_bindings=plan.large,
                transaction_us=agents.result("transaction"),
                transaction_with_journal_us=agents.result("journal"),
                echo_us=agents.result("echo"),
                c_echo_us=agents.figures("c echo"),
                large_transaction_us=agents.result("large"),
                octets_per_binding=everyone["octets_per_binding"],
                refresh_pause_ms=everyone["pause_ms"],
                tick_pause_ms=ticks["tick_ms"],
                herd_pause_ms=herd["tick_ms"],
                restore_s=large.started["restored_s"],
            )
        )

    def _start(self, name: str, bindings: int) -> Agent:
        order = Order(
            homes=ceil(bindings / len(BIDS)),
            packets=self._plan.packets,
            directory=str(self._directory / name),
            echo=None if self._echo is None else str(self._echo),
        )
        return Agent(self._namespaces, name, order)

    def _contest(self, small: Agent, large: Agent) -> Contest:
        contenders: dict[str, Contender] = {
            "echo": lambda: small.measure("python"),
            "transaction": lambda: small.measure("refresh"),
            "large": lambda: large.measure("refresh"),
            "journal": lambda: small.measure("journal"),
        }
        if self._echo is not None:
            contenders["c echo"] = lambda: small.measure("c")
        return Contest(contenders, self._plan.rounds)
