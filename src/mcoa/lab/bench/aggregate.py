"""The aggregation benchmark: what all links carry together, beside what each carries alone."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from mcoa.lab.bench.progress import Advanced, Began
from mcoa.lab.meters.launch import start_stream, start_stream_server
from mcoa.lab.meters.stream import Order
from mcoa.lab.namespaces import LabError, Namespaces
from mcoa.lab.nodes import Nodes
from mcoa.lab.topology import (
    CORRESPONDENT,
    FIGURE_1_LINKS,
    MOBILE_NODE,
    Network,
    Topology,
)

SCHEMA = "mcoa.bench.aggregate/1"
WANTED: Final = 0.95

_PORT: Final = 5201
_PATIENCE_S: Final = 20.0
_POLL_S: Final = 0.1
_CALM_S: Final = 2.5  # until earlier flows no longer count as load
_RATES_MBIT_S: Final = {"equal": (30, 30, 30), "unequal": (40, 20, 30)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured; a measurement begins after its flows have found their speed."""

    rounds: int = 5
    flows: int = 12
    warm_up_s: float = 1.5
    measure_s: float = 4.0


FULL = Plan()
QUICK = Plan(rounds=1, warm_up_s=1.0, measure_s=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Goodputs in Mbit/s: of all links together, and of each alone."""

    together: float
    alone: dict[str, float]

    @property
    def share(self) -> float:
        """What all carried together of the sum of the single ones."""
        return self.together / sum(self.alone.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateResult:
    """The rounds, by kind of links."""

    rounds: dict[str, tuple[Round, ...]]

    def share(self, kind: str) -> float:
        """Return the median share of a kind."""
        return median(each.share for each in self.rounds[kind])

    def to_object(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return {
            "schema": SCHEMA,
            "wanted": WANTED,
            "shares": {kind: self.share(kind) for kind in self.rounds},
            "rounds": {
                kind: [
                    {
                        "together_mbit_s": each.together,
                        "alone_mbit_s": each.alone,
                        "share": each.share,
                    }
                    for each in rounds
                ]
                for kind, rounds in self.rounds.items()
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All is done."""

    result: AggregateResult


Event = Began | Advanced | Measured


def measure(plan: Plan) -> Generator[Event, None, None]:
    """Run the benchmark; the last event carries the result.

    Raises:
        LabError: the network could not be built, or a link did not come back.
    """
    rounds: dict[str, tuple[Round, ...]] = {}
    for kind, rates in _RATES_MBIT_S.items():
        yield Began(title=f"three links of {kind} rate: {', '.join(map(str, rates))} Mbit/s")
        links = tuple(
            replace(link, rate_mbit_s=rate)
            for link, rate in zip(FIGURE_1_LINKS, rates, strict=True)
        )
        with Namespaces() as namespaces:
            bench = _Bench(Network(namespaces, Topology(links=links)), plan)
            done: list[Round] = []
            for number in range(plan.rounds):
                yield Advanced(done=number, total=plan.rounds)
                done.append(bench.round())
            rounds[kind] = tuple(done)
    yield Measured(result=AggregateResult(rounds=rounds))


class _Bench:
    """A network with daemons, and what is measured in it."""

    def __init__(self, network: Network, plan: Plan) -> None:
        self._network, self._plan = network, plan
        self._nodes = Nodes(network)
        self._names = tuple(link.name for link in network.topology.links)
        self._first_port = 20_000
        network.wait_for_care_of_addresses()
        start_stream_server(network.namespaces, network[CORRESPONDENT], _PORT)
        self._nodes.start_agent()
        self._nodes.start_node()
        self._until_registered(*self._names)

    def round(self) -> Round:
        """Measure all links together, then each alone."""
        together = self._goodput()
        alone: dict[str, float] = {}
        for name in self._names:
            others = [each for each in self._names if each != name]
            self._network.cut(*others)
            self._until_registered(name)
            alone[name] = self._goodput()
            self._network.restore(*others)
            self._until_registered(*self._names)
        return Round(together=together, alone=alone)

    def _goodput(self) -> float:
        time.sleep(_CALM_S)
        self._first_port += 100
        duration_s = self._plan.warm_up_s + self._plan.measure_s
        order = Order(
            host=str(self._network.topology.correspondent),
            port=_PORT,
            first_port=self._first_port,
            flows=self._plan.flows,
            duration_s=duration_s,
        )
        meter = start_stream(self._network.namespaces, self._network[MOBILE_NODE], order)
        result = meter.result()
        begun_s = max(flow.marks[0][0] for flow in result.flows)
        ended_s = min(flow.marks[-1][0] for flow in result.flows)
        return result.goodput(begun_s + self._plan.warm_up_s, ended_s)

    def _until_registered(self, *names: str) -> None:
        _wait(
            lambda: set(self._nodes.registered()) == set(names),
            f"{', '.join(names)} registered, and no other",
        )


def _wait(claim: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while not claim():
        if time.monotonic() > end_s:
            raise LabError(f"not within {_PATIENCE_S:.0f} s: {what}")
        time.sleep(_POLL_S)


def sentences(result: AggregateResult) -> Iterator[str]:
    """Yield what a user reads."""
    for kind, rounds in result.rounds.items():
        share = result.share(kind)
        verdict = "yes" if share >= WANTED else "no "
        last = rounds[-1]
        alone = ", ".join(f"{name} {rate:.1f}" for name, rate in last.alone.items())
        yield (
            f"{verdict}  three links of {kind} rate carry {share:.3f} of the sum of the single"
            f" ones, median of {len(rounds)} (wanted {WANTED:.2f}); the last time"
            f" {last.together:.1f} Mbit/s, alone {alone}"
        )
