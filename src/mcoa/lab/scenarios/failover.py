"""`mcoa lab failover`: links fail in several ways, and what that costs, again and again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from mcoa.lab.demo_cut import (
    LONGEST_LOAD_S,
    LOOK_S,
    START_S,
    STREAM_PORT,
    CutMade,
    choose,
    judge,
    look,
    start_load,
)
from mcoa.lab.demo_events import Found, StepBegan
from mcoa.lab.demo_result import Claim, CutResult, JsonValue
from mcoa.lab.meters.launch import start_echo, start_stream_server
from mcoa.lab.namespaces import LabError, Namespaces
from mcoa.lab.nodes import AGENT, NODE, Nodes, agent_configuration, node_configuration
from mcoa.lab.scenarios.proof import Proof, Proven, ScenarioEvent
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT, FOREIGN_PREFIX, MOBILE_NODE, Network, Topology
from mcoa.runtime.control_client import request

_COPIED_TO: Final = FOREIGN_PREFIX[0x20]
"""Another address of the correspondent: packets to and from there are copied to all links."""

_PROBES: Final = 'probe_interval = "50ms"\nprobe_multiplier = 3\n'
_RULES: Final = f"""
[[rule]]
name = "copied"
to = "{_COPIED_TO}/128"
use = ["lte", "wifi", "sat"]
how = "duplicate"
"""
_AFTER_S: Final = 2.5
_FLAPS, _FLAP_S = 3, 0.3
_CALM_S: Final = 3.0  # until the flows of one fault are no load any more for the next
_PATIENCE_S: Final = 20.0
_COPIED_TRAIN: Final = 900  # its identifiers, apart from those of the load


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A way to fail, or to go.

    Attributes:
        strike, heal: do it to a link, and undo it; strike returns when it began.
        median_ms, worst_ms: most silence of the echo train, less the surviving path's round
            trip; None where that is not the point.
        loses_nothing: no packet at all is lost.
    """

    name: str
    strike: Callable[["Stage", str], float]
    heal: Callable[["Stage", str], object]
    median_ms: float | None = None
    worst_ms: float | None = None
    loses_nothing: bool = False


def _cut(stage: "Stage", link: str) -> float:
    return stage.network.cut(link)


def _restore(stage: "Stage", link: str) -> None:
    stage.network.restore(link)


def _losing(share: float, way: str = "") -> Callable[["Stage", str], float]:
    def strike(stage: "Stage", link: str) -> float:
        stage.network.set_loss(link, share, way)
        return time.monotonic()

    return strike


def _heal_air(stage: "Stage", link: str) -> None:
    stage.network.set_loss(link, 0.0)


def _flap(stage: "Stage", link: str) -> float:
    begun_s = time.monotonic()
    for _ in range(_FLAPS):
        stage.network.set_loss(link, 1.0)
        time.sleep(_FLAP_S)
        stage.network.set_loss(link, 0.0)
        time.sleep(_FLAP_S)
    stage.network.set_loss(link, 1.0)
    return begun_s


def _disable(stage: "Stage", link: str) -> float:
    begun_s = time.monotonic()
    stage.ask({"command": "link-disable", "link": link})
    return begun_s


def _enable(stage: "Stage", link: str) -> None:
    stage.ask({"command": "link-enable", "link": link})


FAULTS: Final = (
    Fault(name="carrier cut", strike=_cut, heal=_restore, median_ms=30.0),
    Fault(
        name="silent blackhole",
        strike=_losing(1.0),
        heal=_heal_air,
        median_ms=200.0,
        worst_ms=300.0,
    ),
    Fault(name="one-way blackhole, up", strike=_losing(1.0, "up"), heal=_heal_air),
    Fault(name="one-way blackhole, down", strike=_losing(1.0, "down"), heal=_heal_air),
    Fault(name="20 % loss", strike=_losing(0.2), heal=_heal_air),
    Fault(name="flapping", strike=_flap, heal=_heal_air),
    Fault(name="link disable", strike=_disable, heal=_enable, loses_nothing=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one fault cost: the flows on the link, and those that are copied to all links."""

    cut: CutResult
    copies_lost: int
    """Of the packets that were copied, those of which no copy arrived, or no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The results of one fault, repeated."""

    fault: Fault
    outcomes: tuple[Outcome, ...]

    @property
    def results(self) -> list[CutResult]:
        """What happened to the flows on the link."""
        return [each.cut for each in self.outcomes]

    @property
    def gaps_ms(self) -> list[float]:
        """Silences less the surviving path's round trip, in order of length."""
        return sorted(
            max(0.0, each.gap_ms - (each.surviving_rtt_ms or 0.0)) for each in self.results
        )

    def claims(self) -> Iterator[Claim]:
        """Yield what is to hold."""
        name, gaps = self.fault.name, self.gaps_ms
        if self.fault.median_ms is not None:
            yield Claim(
                sentence=f"{name}: the median silence is at most {self.fault.median_ms:.0f} ms"
                f" beyond the surviving round trip ({median(gaps):.0f} ms)",
                holds=median(gaps) <= self.fault.median_ms,
            )
        if self.fault.worst_ms is not None:
            yield Claim(
                sentence=f"{name}: and the longest is at most {self.fault.worst_ms:.0f} ms"
                f" ({gaps[-1]:.0f} ms)",
                holds=gaps[-1] <= self.fault.worst_ms,
            )
        if self.fault.loses_nothing:
            lost = sum(each.lost for each in self.results)
            yield Claim(sentence=f"{name}: no packet is lost ({lost})", holds=not lost)
        copies = sum(each.copies_lost for each in self.outcomes)
        yield Claim(
            sentence=f"{name}: flows that are copied to all links lose nothing ({copies})",
            holds=not copies,
        )
        survived = sum(each.tcp_survived for each in self.results)
        yield Claim(
            sentence=f"{name}: TCP survives ({survived} of {len(self.results)} times)",
            holds=survived == len(self.results),
        )

    def to_object(self) -> dict[str, JsonValue]:
        """Return the figures, milliseconds and packets."""
        return {
            "gaps_ms": [round(gap, 1) for gap in self.gaps_ms],
            "lost": [each.lost for each in self.results],
            "copies_lost": [each.copies_lost for each in self.outcomes],
            "tcp_gaps_ms": [each.tcp_gap_ms for each in self.results],
            "message_gaps_ms": [each.message_gap_ms for each in self.results],
        }


def failover(repeats: int) -> Iterator[ScenarioEvent]:
    """Play the scenario; the last event carries the proof."""
    yield StepBegan(title="building the network of figure 1; probes every 50 ms")
    with Namespaces() as namespaces:
        stage = Stage(Network(namespaces, Topology()))
        series: list[Series] = []
        for fault in FAULTS:
            yield StepBegan(title=f"{fault.name}, {repeats} times")
            outcomes: list[Outcome] = []
            for _ in range(repeats):
                outcomes.append(stage.suffer(fault))
                yield Found(sentence=_sentence(outcomes[-1]))
            series.append(Series(fault=fault, outcomes=tuple(outcomes)))
        claims = tuple(claim for each in series for claim in each.claims())
        figures: dict[str, JsonValue] = {each.fault.name: each.to_object() for each in series}
        yield Proven(proof=Proof(scenario="failover", claims=claims, figures=figures))


def silences(proof: Proof) -> list[tuple[str, list[float]]]:
    """Return the silences in a proof, in milliseconds, by the names of the faults."""
    found: list[tuple[str, list[float]]] = []
    for name, figures in proof.figures.items():
        gaps = figures.get("gaps_ms") if isinstance(figures, dict) else None
        if isinstance(gaps, list):
            found.append((name, [float(gap) for gap in gaps if isinstance(gap, int | float)]))
    return found


def _sentence(outcome: Outcome) -> str:
    said = outcome.cut.sentence().replace(" cut:", ":")
    return f"{said}; of copied packets {outcome.copies_lost} lost"


class Stage:
    """The network with its daemons, and one fault after the other."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._nodes = nodes = Nodes(network)
        self._names = tuple(link.name for link in network.topology.links)
        self._loads = 0
        directory = network.namespaces.directory
        # Deprecated, so that nothing else speaks from there.
        second = f"{_COPIED_TO}/64 dev eth0 nodad preferred_lft 0"
        network[CORRESPONDENT].ip(f"address add {second}")
        network.wait_for_care_of_addresses()
        start_stream_server(network.namespaces, network[CORRESPONDENT], STREAM_PORT)
        topology = network.topology
        nodes.start(AGENT, agent_configuration(topology, directory, extra=_PROBES))
        nodes.start(NODE, node_configuration(topology, directory, extra=_PROBES) + _RULES)
        self._wait(lambda: set(nodes.registered()) == set(self._names), "all links registered")

    def ask(self, question: dict[str, str]) -> None:
        """Have the mobile node do something."""
        request(self._nodes.socket(NODE), question)

    def suffer(self, fault: Fault) -> Outcome:
        """Let one loaded link fail, heal it, and return what it cost."""
        time.sleep(_CALM_S)
        network, number = self.network, self._loads
        self._loads += 1
        first = number % len(self._names)
        copied = start_echo(
            network.namespaces,
            network[MOBILE_NODE],
            str(_COPIED_TO),
            identifier=_COPIED_TRAIN + number % 100,
            duration_s=LONGEST_LOAD_S,
        )
        load = start_load(network, number)
        time.sleep(START_S)
        counts = look(network)
        wanted = self._names[first:] + self._names[:first]
        link, identifier = choose(load, counts, wanted)
        begun_s = fault.strike(self, link)
        time.sleep(max(0.0, begun_s + _AFTER_S - 2 * LOOK_S - time.monotonic()))
        moved_to = look(network).carrier_of(Flow.echo(identifier))
        made = CutMade(
            link=link, identifier=identifier, before=counts, cut_s=begun_s, moved_to=moved_to
        )
        load.finish()
        copied.finish()
        result, copies_lost = judge(load, made), copied.result().lost
        healed_s = time.monotonic()
        fault.heal(self, link)
        self._wait(lambda: self._is_well(link), f"{link} in use again")
        cut = replace(result, recovered_s=time.monotonic() - healed_s)
        return Outcome(cut=cut, copies_lost=copies_lost)

    def _is_well(self, link: str) -> bool:
        if set(self._nodes.registered()) != set(self._names):
            return False
        links = self._nodes.status(NODE)["links"]
        return any(each["name"] == link and each["state"] == "up" for each in links)

    def _wait(self, claim: Callable[[], bool], what: str) -> None:
        end_s = time.monotonic() + _PATIENCE_S
        while not claim():
            if time.monotonic() > end_s:
                raise LabError(f"not within {_PATIENCE_S:.0f} s: {what}")
            time.sleep(0.1)
