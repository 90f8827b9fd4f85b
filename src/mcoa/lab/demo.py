"""The demonstration: three links, one address; pure of drawing."""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mcoa.lab.capture_control import CaptureControl
from mcoa.lab.demo_cut import (
    LOOK_S,
    START_S,
    STREAM_PORT,
    CutMade,
    choose,
    judge,
    look,
    packets_of,
    start_load,
)
from mcoa.lab.demo_events import Built, Event, Finished, Found, GroundFound, StepBegan
from mcoa.lab.demo_result import CutResult, DemoResult
from mcoa.lab.demo_watch import Watch
from mcoa.lab.ground import Ground
from mcoa.lab.meters.launch import start_stream, start_stream_server
from mcoa.lab.meters.stream import Order
from mcoa.lab.namespaces import Namespaces
from mcoa.lab.nodes import Nodes, NodesLike
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT, MOBILE_NODE, Network, Topology
from mcoa.runtime.kernel_features import missing_features

FLOWS = 8
REGISTER_TIMEOUT_S = 20.0
LEAST_PACKETS_OF_USE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often and how long, in seconds; `capture` is the file for the packets, if any."""

    cuts: int = 5
    plain_cuts: int = 2
    warm_up_s: float = 1.2
    single_s: float = 2.5
    aggregate_s: float = 5.0
    after_cut_s: float = 2.5
    after_plain_cut_s: float = 5.0
    calm_s: float = 4.5  # until the flows of one cut no longer count as load for the next
    capture: Path | None = None


FULL = Plan()
QUICK = Plan(
    cuts=2,
    plain_cuts=1,
    warm_up_s=1.0,
    single_s=1.0,
    aggregate_s=2.0,
    after_cut_s=1.5,
    after_plain_cut_s=3.0,
    calm_s=0.0,
)


def demonstrate(ground: Ground, plan: Plan) -> Generator[Event, None, None]:
    """Run the whole demonstration in namespaces.

    The last event carries the result, and the network stands until the iterator is asked for
    more or closed. LabError when something fails that is no claim of the demonstration.
    """
    yield GroundFound(ground=ground)
    for feature in missing_features():
        yield Found(sentence=feature.absence())
    yield StepBegan(title="building the network of figure 1 from namespaces")
    with Namespaces() as namespaces:
        network = Network(namespaces, Topology())
        yield from Demonstration(network, Nodes(network), plan, ground).run()


class Demonstration:
    """The steps, in order; each yields what happens."""

    def __init__(self, network: Network, nodes: NodesLike, plan: Plan, ground: Ground) -> None:
        self._network, self._nodes, self._plan = network, nodes, plan
        self._watch = Watch(network, nodes)
        self._names = tuple(link.name for link in network.topology.links)
        self._loads = 0
        self._capture: CaptureControl | None = None
        self._result = DemoResult(
            ground=ground.kind.value,
            links=len(self._names),
            bindings_registered=0,
            singles_mbit_s=(),
            aggregate_mbit_s=0.0,
            cuts=(),
            plain_cuts=(),
            recovered=False,
            capture=None if plan.capture is None else str(plan.capture),
        )

    def run(self) -> Iterator[Event]:
        """Do everything; the last event carries the result."""
        yield from self._prepare()
        yield from self._register()
        # All together comes first: flows of an earlier measurement would still count as load
        # where they ran, and the new ones would be spread unevenly.
        yield from self._measure_aggregate()
        yield from self._measure_singles()
        yield from self._measure_cuts()
        yield from self._check_recovery()
        yield from self._compare()
        if self._capture is not None:
            self._capture.finish()
        yield Finished(result=self._result)

    def _prepare(self) -> Iterator[Event]:
        network = self._network
        addresses = network.wait_for_care_of_addresses()
        yield Built(namespaces=network.namespaces.names())
        for name in self._names:
            yield Found(sentence=f"{name}: care-of address {addresses[name]} by advertisement")
        start_stream_server(network.namespaces, network[CORRESPONDENT], STREAM_PORT)
        if self._plan.capture is not None:
            self._capture = CaptureControl(network, self._plan.capture)

    def _register(self) -> Iterator[Event]:
        yield StepBegan(title="starting the home agent and the mobile node")
        begun_s = time.monotonic()
        self._nodes.start_agent()
        self._nodes.start_node()
        yield from self._until_registered(*self._names)
        count = len(self._nodes.registered())
        self._result = replace(self._result, bindings_registered=count)
        yield Found(
            sentence=f"{count} care-of addresses registered for"
            f" {self._network.topology.home_address}"
            f" {time.monotonic() - begun_s:.1f} s after the start"
        )

    def _measure_singles(self) -> Iterator[Event]:
        yield StepBegan(title=f"each link alone: {FLOWS} TCP flows to the home address")
        singles: list[tuple[str, float]] = []
        for name in self._names:
            yield from self._leave_only(name)
            rate = yield from self._goodput(self._plan.single_s)
            singles.append((name, rate))
            yield Found(sentence=f"{name} alone: {rate:.1f} Mbit/s")
        yield from self._leave_only(*self._names)
        self._result = replace(self._result, singles_mbit_s=tuple(singles))
        share = self._result.aggregate_mbit_s / max(self._result.sum_of_singles_mbit_s, 1e-9)
        yield Found(sentence=f"together they carried {share:.2f} of the sum")

    def _measure_aggregate(self) -> Iterator[Event]:
        yield StepBegan(title=f"all links together: {FLOWS} TCP flows to the home address")
        if self._capture is not None:
            self._capture.select_signalling()
        rate = yield from self._goodput(self._plan.aggregate_s)
        self._result = replace(self._result, aggregate_mbit_s=rate)
        yield Found(sentence=f"together: {rate:.1f} Mbit/s")

    def _measure_cuts(self) -> Iterator[Event]:
        yield StepBegan(title="cutting links that carry traffic, without notice")
        if self._capture is not None:
            self._capture.select_everything()
        cuts: list[CutResult] = []
        for number in range(self._plan.cuts):
            first = number % len(self._names)
            wanted = self._names[first:] + self._names[:first]
            yield from self._watch.wait(self._plan.calm_s)
            cut = yield from self._cut(wanted, self._plan.after_cut_s)
            cuts.append(cut)
            self._result = replace(self._result, cuts=tuple(cuts))
            yield Found(sentence=cut.sentence())

    def _check_recovery(self) -> Iterator[Event]:
        name = self._result.cuts[-1].link
        yield StepBegan(title=f"is {name}, cut and restored, used again?")
        load = start_load(self._network, self._load_number())
        yield from self._watch.wait(START_S)
        packets = packets_of(load, look(self._network), name)
        load.finish()
        load.collect()
        is_used = name in self._nodes.registered() and packets >= LEAST_PACKETS_OF_USE
        self._result = replace(self._result, recovered=is_used)
        yield Found(sentence=f"{name}: {packets} packets of new flows in {LOOK_S:.1f} s")

    def _compare(self) -> Iterator[Event]:
        yield StepBegan(title="the same cut with plain Mobile IPv6: one binding")
        self._nodes.stop_node()
        self._nodes.start_node(multiple_care_of=False)
        yield from self._until_any_registered()
        cuts: list[CutResult] = []
        for _ in range(self._plan.plain_cuts):
            cut = yield from self._cut(self._names, self._plan.after_plain_cut_s)
            cuts.append(cut)
            self._result = replace(self._result, plain_cuts=tuple(cuts))
            yield Found(sentence=cut.sentence())

    def _goodput(self, measure_s: float) -> Generator[Event, None, float]:
        """Return the payload a second of parallel downloads once they are under way."""
        duration_s = self._plan.warm_up_s + measure_s
        order = Order(
            host=str(self._network.topology.correspondent),
            port=STREAM_PORT,
            first_port=20_000 + 100 * self._load_number(),
            flows=FLOWS,
            duration_s=duration_s,
        )
        meter = start_stream(self._network.namespaces, self._network[MOBILE_NODE], order)
        yield from self._watch.wait(duration_s)
        result = meter.result()
        begun_s = max(flow.marks[0][0] for flow in result.flows)
        ended_s = min(flow.marks[-1][0] for flow in result.flows)
        return result.goodput(begun_s + self._plan.warm_up_s, ended_s)

    def _cut(self, wanted: Sequence[str], after_s: float) -> Generator[Event, None, CutResult]:
        """Cut one link under load, restore it, and return what it cost."""
        registered = self._nodes.registered()
        load = start_load(self._network, self._load_number())
        yield from self._watch.wait(START_S)
        counts = look(self._network)
        link, identifier = choose(load, counts, wanted)
        cut_s = self._network.cut(link)
        yield from self._watch.wait(after_s - 2 * LOOK_S)
        moved_to = look(self._network).carrier_of(Flow.echo(identifier))
        yield from self._watch.wait(LOOK_S)
        load.finish()
        restored_s = self._network.restore(link)
        if len(registered) > 1:
            yield from self._until_registered(*registered)
        else:  # plain Mobile IPv6 may well stay on the link it went to
            yield from self._until_any_registered()
        recovered_s = time.monotonic() - restored_s
        made = CutMade(
            link=link, identifier=identifier, before=counts, cut_s=cut_s, moved_to=moved_to
        )
        return replace(judge(load, made), recovered_s=recovered_s)

    def _leave_only(self, *names: str) -> Iterator[Event]:
        """Leave these links their carrier, take it from the others, see both registered."""
        others = tuple(name for name in self._names if name not in names)
        missing = tuple(name for name in names if not self._network.has_carrier(name))
        if missing:
            self._network.restore(*missing)
            yield from self._until_registered(*names)
        superfluous = tuple(name for name in others if self._network.has_carrier(name))
        if superfluous:
            self._network.cut(*superfluous)
        yield from self._watch.wait_until(
            lambda: set(self._nodes.registered()) == set(names),
            f"{', '.join(names)} registered and no other",
            REGISTER_TIMEOUT_S,
        )

    def _until_registered(self, *names: str) -> Iterator[Event]:
        yield from self._watch.wait_until(
            lambda: set(self._nodes.registered()) >= set(names),
            f"{', '.join(names)} registered",
            REGISTER_TIMEOUT_S,
        )

    def _until_any_registered(self) -> Iterator[Event]:
        yield from self._watch.wait_until(
            lambda: bool(self._nodes.registered()),
            "a care-of address registered",
            REGISTER_TIMEOUT_S,
        )

    def _load_number(self) -> int:
        self._loads += 1
        return self._loads
