"""The demonstration of `lab.demo`, step for step, where no namespaces can be made."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from random import Random

from mcoa.lab.demo import FLOWS, FULL, LEAST_PACKETS_OF_USE, REGISTER_TIMEOUT_S, Plan
from mcoa.lab.demo_cut import ECHO_INTERVAL_S, LOOK_S, START_S, CutMade
from mcoa.lab.demo_events import Built, Event, Finished, Found, GroundFound, StepBegan
from mcoa.lab.demo_result import CutResult, DemoResult
from mcoa.lab.ground import Ground
from mcoa.lab.meters.echo import LINGER_S
from mcoa.lab.sightings import Flow
from mcoa.lab.simulated.capture import PacketFile
from mcoa.lab.simulated.load import Load, first_port_of
from mcoa.lab.simulated.network import PacketNetwork
from mcoa.lab.simulated.stream import Stream, StreamOrder
from mcoa.lab.simulated.watch import Watch
from mcoa.lab.topology import Topology

SEED = 5648
NOTES = (
    "real: home agent, mobile node, both forwarders, and every octet between them",
    "simulated: time, the links with their queues, and the kernels around the nodes",
    "what is called TCP here is a model of it: window, slow start, losses, timeouts",
)


def simulate(ground: Ground, plan: Plan, *, seed: int = SEED) -> Generator[Event, None, None]:
    """Run the whole demonstration in virtual time; the same seed gives the same run.

    The last event carries the result. LabError when something fails that is no claim of the
    demonstration.
    """
    yield GroundFound(ground=ground)
    yield StepBegan(title="building the network of figure 1 in memory")
    rng = Random(seed)
    network = PacketNetwork(Topology(), rng)
    demonstration = Demonstration(network, rng, plan, ground)
    with closing(demonstration):
        yield from demonstration.run()


class Demonstration:
    """The steps, in order; each yields what happens."""

    def __init__(self, network: PacketNetwork, rng: Random, plan: Plan, ground: Ground) -> None:
        self._network, self._rng, self._plan = network, rng, plan
        self._watch = Watch(network)
        self._names = tuple(network.links)
        self._loads = 0
        self._capture = (
            None
            if plan.capture is None
            else PacketFile(plan.capture, network.clock, self._names)
        )
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
        yield from self._measure_aggregate()
        yield from self._measure_singles()
        yield from self._measure_cuts()
        yield from self._check_recovery()
        yield from self._compare()
        self.close()
        yield Finished(result=self._result)

    def close(self) -> None:
        """End the file of packets."""
        if self._capture is not None:
            self._capture.close()

    def _prepare(self) -> Iterator[Event]:
        yield Built(namespaces=())
        for note in NOTES:
            yield Found(sentence=note)
        for name, link in self._network.links.items():
            yield Found(sentence=f"{name}: care-of address {link.address}")
        if self._capture is not None:
            self._network.taps.append(self._capture.show)

    def _register(self) -> Iterator[Event]:
        yield StepBegan(title="starting the home agent and the mobile node")
        begun_s = self._network.clock.now
        self._network.start_agent()
        self._network.start_node()
        yield from self._until_registered(*self._names)
        count = len(self._network.registered())
        self._result = replace(self._result, bindings_registered=count)
        yield Found(
            sentence=f"{count} care-of addresses registered for"
            f" {self._network.topology.home_address}"
            f" {self._network.clock.now - begun_s:.1f} s after the start"
        )

    def _measure_aggregate(self) -> Iterator[Event]:
        yield StepBegan(title=f"all links together: {FLOWS} flows to the home address")
        rate = yield from self._goodput(self._plan.aggregate_s)
        self._result = replace(self._result, aggregate_mbit_s=rate)
        yield Found(sentence=f"together: {rate:.1f} Mbit/s")

    def _measure_singles(self) -> Iterator[Event]:
        yield StepBegan(title=f"each link alone: {FLOWS} flows to the home address")
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

    def _measure_cuts(self) -> Iterator[Event]:
        yield StepBegan(title="cutting links that carry traffic, without notice")
        if self._capture is not None:
            self._capture.takes_data = True
        cuts: list[CutResult] = []
        for number in range(self._plan.cuts):
            first = number % len(self._names)
            wanted = self._names[first:] + self._names[:first]
            # Virtual time is cheap: a short plan need not do without the calm.
            yield from self._watch.wait(max(self._plan.calm_s, FULL.calm_s))
            cut = yield from self._cut(wanted, self._plan.after_cut_s)
            cuts.append(cut)
            self._result = replace(self._result, cuts=tuple(cuts))
            yield Found(sentence=cut.sentence())

    def _check_recovery(self) -> Iterator[Event]:
        name = self._result.cuts[-1].link
        yield StepBegan(title=f"is {name}, cut and restored, used again?")
        load = self._load(START_S + LOOK_S)
        yield from self._watch.wait(START_S)
        counts = yield from self._watch.look(LOOK_S)
        packets = load.packets(counts, name)
        load.close()
        is_used = name in self._network.registered() and packets >= LEAST_PACKETS_OF_USE
        self._result = replace(self._result, recovered=is_used)
        yield Found(sentence=f"{name}: {packets} packets of new flows in {LOOK_S:.1f} s")

    def _compare(self) -> Iterator[Event]:
        yield StepBegan(title="the same cut with plain Mobile IPv6: one binding")
        yield from self._restart_as_plain()
        cuts: list[CutResult] = []
        for _ in range(self._plan.plain_cuts):
            cut = yield from self._cut(self._names, self._plan.after_plain_cut_s)
            cuts.append(cut)
            self._result = replace(self._result, plain_cuts=tuple(cuts))
            yield Found(sentence=cut.sentence())

    def _restart_as_plain(self) -> Iterator[Event]:
        network = self._network
        network.stop_node()
        yield from self._watch.wait_until(
            lambda: network.is_node_stopped, "the node de-registered", REGISTER_TIMEOUT_S
        )
        network.remove_node()
        network.start_node(multiple_care_of=False)
        yield from self._until_any_registered()

    def _goodput(self, measure_s: float) -> Generator[Event, None, float]:
        """Return the payload a second of parallel downloads once they are under way."""
        network = self._network
        order = StreamOrder(first_port=first_port_of(self._load_number()), flows=FLOWS)
        stream = Stream(network.clock, network.mobile_node, network.correspondent, order)
        yield from self._watch.wait(self._plan.warm_up_s)
        begun_s = network.clock.now
        yield from self._watch.wait(measure_s)
        return stream.close().goodput(begun_s, network.clock.now)

    def _cut(self, wanted: Sequence[str], after_s: float) -> Generator[Event, None, CutResult]:
        """Cut one link under load, restore it, and return what it cost."""
        network, watch = self._network, self._watch
        registered = network.registered()
        load = self._load(START_S + LOOK_S + after_s)
        yield from watch.wait(START_S + self._rng.uniform(0.0, ECHO_INTERVAL_S))
        counts = yield from watch.look(LOOK_S)
        link, identifier = load.choose(counts, wanted)
        cut_s = network.clock.now
        network.cut(link)
        yield from watch.wait(after_s - 2 * LOOK_S)
        later = yield from watch.look(LOOK_S)
        yield from watch.wait(LOOK_S)
        outcome = load.close()
        restored_s = network.clock.now
        network.restore(link)
        if len(registered) > 1:
            yield from self._until_registered(*registered)
        else:  # plain Mobile IPv6 may well stay on the link it went to
            yield from self._until_any_registered()
        recovered_s = network.clock.now - restored_s
        yield from watch.wait(LINGER_S)
        made = CutMade(
            link=link,
            identifier=identifier,
            before=counts,
            cut_s=cut_s,
            moved_to=later.carrier_of(Flow.echo(identifier)),
        )
        return replace(outcome.of(made), recovered_s=recovered_s)

    def _leave_only(self, *names: str) -> Iterator[Event]:
        """Leave these links their carrier, take it from the others, see both registered."""
        links = self._network.links
        self._network.restore(*[name for name in names if not links[name].has_carrier])
        yield from self._until_registered(*names)
        self._network.cut(
            *[name for name in self._names if name not in names and links[name].has_carrier]
        )
        yield from self._watch.wait_until(
            lambda: set(self._network.registered()) == set(names),
            f"{', '.join(names)} registered and no other",
            REGISTER_TIMEOUT_S,
        )

    def _until_registered(self, *names: str) -> Iterator[Event]:
        yield from self._watch.wait_until(
            lambda: set(self._network.registered()) >= set(names),
            f"{', '.join(names)} registered",
            REGISTER_TIMEOUT_S,
        )

    def _until_any_registered(self) -> Iterator[Event]:
        yield from self._watch.wait_until(
            lambda: bool(self._network.registered()),
            "a care-of address registered",
            REGISTER_TIMEOUT_S,
        )

    def _load(self, duration_s: float) -> Load:
        return Load(self._network, self._rng, number=self._load_number(), duration_s=duration_s)

    def _load_number(self) -> int:
        self._loads += 1
        return self._loads
