"""`mcoa lab route-optimization`: straight to the correspondent, over all links at once.

A mobile node with three visited links talks to a correspondent. It proves each care-of address
to it, and flows then go directly over all three (RFC 5648 §3, RFC 6275 §11.7.2). A link is cut;
the correspondent's daemon is killed, and forgets; the node goes home, where figure 2 of the
specification has it talk over visited links still.
"""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial

from mcoa.engine.policy import AtHome
from mcoa.lab.demo_events import Built, Found, StepBegan
from mcoa.lab.demo_result import Claim, JsonValue
from mcoa.lab.flows import FlowCounts, FlowTally
from mcoa.lab.home_lan import HOME_DEVICE
from mcoa.lab.meters.launch import Meter
from mcoa.lab.meters.results import EchoResult
from mcoa.lab.nodes import PEER
from mcoa.lab.scenarios.mobility_messages import (
    ACKNOWLEDGEMENT,
    CARE_OF_TEST_INIT,
    ERROR,
    HOME_TEST_INIT,
    MobilityMessage,
    mobility_messages,
)
from mcoa.lab.scenarios.proof import Proof, Proven, ScenarioEvent
from mcoa.lab.scenarios.stage import STREAM_PORT, HomeTopology, Stage, gap_ms, set_stage
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT, FIGURE_1_LINKS, HOME_AGENT, MOBILE_NODE

NAME = "route-optimization"
CUT = "lte"
FLOWS, TRAINS = 6, 9
_FIRST_PORT = 23_000
_LOOK_S, _SETTLING_S, _IDLE_S = 1.5, 1.0, 2.2
_ALLOWANCE_MS = 20.0
_OPTIONS = """\
route_optimization = ["::/0"]
route_optimization_at_home = true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Who carried which flow for a while; None of the agent where nobody looked."""

    at_node: FlowCounts
    at_agent: FlowCounts

    def carriers(self, flows: list[Flow]) -> set[str]:
        """Return the node's links that carried any of these flows."""
        return {name for flow in flows for name in self.at_node.carriers_of(flow)}

    def passed_agent(self, flows: list[Flow]) -> int:
        """Return how many packets of these flows the home agent saw."""
        return sum(self.at_agent.of(flow, "eth0") for flow in flows)


def route_optimization() -> Iterator[ScenarioEvent]:
    """Run the scenario; the last event is its proof. LabError if a daemon fails."""
    yield StepBegan(title="building figure 1 with three visited links, and a home link")
    with set_stage(HomeTopology.OTHER_ROUTERS, links=FIGURE_1_LINKS) as stage:
        yield Built(namespaces=stage.network.namespaces.names())
        yield from _play(stage)


def _play(stage: Stage) -> Iterator[ScenarioEvent]:
    yield StepBegan(title="starting home agent, correspondent and mobile node, abroad")
    stage.nodes.start_agent()
    stage.nodes.start_correspondent()
    stage.nodes.start_node(at_home=AtHome.HOME, extra=_OPTIONS)
    registered_s = stage.until_registered(*stage.foreign_links)
    yield Found(sentence=f"registered with the home agent in {registered_s:.1f} s")
    acts = (
        _bind,
        partial(_cut, act=1),
        _forget,
        _go_home,
        partial(_cut, act=4, where="at home, "),
    )
    claims: list[Claim] = []
    figures: dict[str, JsonValue] = {}
    for act in acts:
        found, measured = yield from act(stage)
        time.sleep(_IDLE_S)  # these flows are no load any more
        claims += found
        figures |= measured
    yield Proven(proof=Proof(scenario=NAME, claims=tuple(claims), figures=figures))


Act = Generator[ScenarioEvent, None, tuple[list[Claim], dict[str, JsonValue]]]


def _bind(stage: Stage) -> Act:
    yield StepBegan(title="talking to the correspondent")
    began_at = time.time()
    traffic = _Traffic(stage, 0, 9.0)
    stage.until_direct(*stage.foreign_links)
    messages = _spoken(stage, began_at)
    updates = [each for each in messages if each.octets[2] == 5]
    first, last = messages[0].seen.time_s, max(each.seen.time_s for each in updates)
    bound_ms = (last - first) * 1000
    yield Found(
        sentence=f"three care-of addresses bound within {bound_ms:.0f} ms of the first test"
    )
    time.sleep(_SETTLING_S)
    look = _look(stage)
    survived = traffic.survived()
    tests = [each.type for each in messages]
    claims = [
        Claim(
            sentence="one home test through the tunnel and three care-of tests gave three"
            " bindings at the correspondent",
            holds=tests.count(HOME_TEST_INIT) == 1
            and tests.count(CARE_OF_TEST_INIT) == len(stage.foreign_links)
            and all(each.tunnelled for each in messages if each.type == HOME_TEST_INIT),
        ),
        Claim(
            sentence="TCP flows go directly over all three links, and the home agent sees"
            " nothing of them",
            holds=look.carriers(traffic.flows) == set(stage.foreign_links)
            and look.passed_agent(traffic.flows) == 0,
        ),
        Claim(
            sentence="every TCP connection lived through the change from tunnel to direct",
            holds=survived,
        ),
    ]
    by_link: dict[str, JsonValue] = {
        name: sum(look.at_node.carrier_of(flow) == name for flow in traffic.flows)
        for name in stage.foreign_links
    }
    return claims, {"bound_ms": round(bound_ms, 1), "flows_by_link": by_link}


def _cut(stage: Stage, *, act: int, where: str = "") -> Act:
    yield StepBegan(title=f"{where}cutting {CUT}")
    trains = _trains(stage, act, 7.0)
    time.sleep(_SETTLING_S)
    traffic = _Traffic(stage, act, 6.0)
    time.sleep(_SETTLING_S)
    look = _look(stage)
    on_it = [n for n in range(TRAINS) if look.at_node.carrier_of(Flow.echo(_id(act, n))) == CUT]
    began_at = time.time()
    cut_s = stage.network.cut(CUT)
    cut_at = time.time() - (time.monotonic() - cut_s)
    others = tuple(name for name in stage.foreign_links if name != CUT)
    stage.until_direct(*others)
    messages = _spoken(stage, began_at - 0.1)
    farewell = [each for each in messages if each.deregisters]
    results = [each.result() for each in trains]
    survived = traffic.survived()
    noticed_ms = (farewell[0].seen.time_s - cut_at) * 1000 if farewell else 0.0
    gaps_ms = [gap_ms(results[number], cut_s) - noticed_ms for number in on_it]
    # The word goes out by the one, the first packet comes in by the other: never more than
    # the slowest of both takes for both ways.
    bound_ms = _slowest_ms(stage) + _ALLOWANCE_MS
    yield Found(
        sentence=f"{len(on_it)} of {TRAINS} trains moved; noticed after {noticed_ms:.0f} ms,"
        f" silent for {max(gaps_ms, default=0):.0f} ms more"
    )
    stage.network.restore(CUT)
    again_s = stage.until_direct(*stage.foreign_links)
    yield Found(sentence=f"{CUT} bound again {again_s:.1f} s after it came back")
    claims = [
        Claim(
            sentence=f"{where}the address of {CUT} was de-registered from another care-of address",
            holds=bool(farewell) and farewell[0].seen.place in others,
        ),
        Claim(
            sentence=f"{where}flows of the dead link went on over the others within one round trip"
            f" and {_ALLOWANCE_MS:.0f} ms of its being noticed",
            holds=bool(gaps_ms) and max(gaps_ms) <= bound_ms,
        ),
        Claim(sentence=f"{where}no TCP connection was lost with the link", holds=survived),
    ]
    measured: JsonValue = {
        "noticed_ms": round(noticed_ms, 1),
        "silent_after_that_ms": [round(each, 1) for each in gaps_ms],
        "slowest_round_trip_ms": _slowest_ms(stage),
    }
    return claims, {"cut_at_home" if where else "cut_abroad": measured}


def _forget(stage: Stage) -> Act:
    yield StepBegan(title="killing the correspondent's daemon, and starting it again")
    traffic = _Traffic(stage, 2, 8.0)
    time.sleep(_SETTLING_S)
    began_at = time.time()
    with FlowTally(stage.network[HOME_AGENT], ["eth0"]) as tally:
        stage.nodes.kill(PEER)
        stage.nodes.start_correspondent()
        stage.until(lambda: not stage.held(PEER), "a correspondent that knows nothing")
        stage.until_direct(*stage.foreign_links)
        by_agent = tally.counts()
    time.sleep(_SETTLING_S)  # what was under way by the tunnel has arrived
    messages = list(mobility_messages(stage.uplinks.seen(began_at)))
    errors = [each.seen.time_s for each in messages if each.type == ERROR]
    bound = [each.seen.time_s for each in messages if each.type == ACKNOWLEDGEMENT]
    recovered_ms = (max(bound, default=0.0) - min(errors, default=0.0)) * 1000
    look = _look(stage)
    survived = traffic.survived()
    tunnelled = sum(by_agent.of(flow, "eth0") for flow in traffic.flows)
    yield Found(
        sentence=f"{tunnelled} packets went by the home agent; all bound again"
        f" {recovered_ms:.0f} ms after the first Binding Error"
    )
    claims = [
        Claim(
            sentence="it answered with a Binding Error, and the tunnel carried the flows",
            holds=bool(errors) and tunnelled > 0,
        ),
        Claim(
            sentence="then all three addresses were bound again, and the flows direct",
            holds=look.carriers(traffic.flows) == set(stage.foreign_links)
            and look.passed_agent(traffic.flows) == 0,
        ),
        Claim(sentence="every TCP connection lived through that", holds=survived),
    ]
    return claims, {
        "bound_again_ms": round(recovered_ms, 1),
        "packets_by_tunnel_meanwhile": tunnelled,
    }


def _go_home(stage: Stage) -> Act:
    yield StepBegan(title="going home, with the visited links up (figure 2)")
    stage.network.attach_home(attached=True)
    stage.until_registered()
    began_at = time.time()
    stage.nodes.kill(PEER)
    stage.nodes.start_correspondent()
    stage.until(lambda: not stage.held(PEER), "a correspondent that knows nothing")
    traffic = _Traffic(stage, 3, 6.0)
    stage.until_direct(*stage.foreign_links)
    time.sleep(_SETTLING_S)
    look = _look(stage)
    survived = traffic.survived()
    home_tests = [
        each
        for each in mobility_messages(stage.home_link.seen(began_at))
        if each.type == HOME_TEST_INIT
    ]
    yield Found(sentence=f"flows over {', '.join(sorted(look.carriers(traffic.flows)))}")
    claims = [
        Claim(
            sentence="at home nothing is registered with the agent, and home tests go"
            " directly over the home link",
            holds=not stage.held()
            and bool(home_tests)
            and not any(each.tunnelled for each in home_tests),
        ),
        Claim(
            sentence="and flows with the correspondent go over all three visited links,"
            " neither by the agent nor over the home link",
            holds=look.carriers(traffic.flows) == set(stage.foreign_links)
            and look.passed_agent(traffic.flows) == 0
            and survived,
        ),
    ]
    return claims, {"home_tests_at_home": len(home_tests)}


def _look(stage: Stage) -> _Look:
    names = [*stage.foreign_links, HOME_DEVICE]
    at_node = FlowTally(stage.network[MOBILE_NODE], names)
    with at_node, FlowTally(stage.network[HOME_AGENT], ["eth0"]) as at_agent:
        at_node.wait(_LOOK_S)
        return _Look(at_node=at_node.counts(), at_agent=at_agent.counts())


def _spoken(stage: Stage, since_s: float) -> list[MobilityMessage]:
    """Return what the mobile node said to the correspondent over its visited links."""
    peer = stage.network.topology.correspondent
    return [
        each
        for each in mobility_messages(stage.uplinks.seen(since_s))
        if each.seen.outbound and each.destination == peer
    ]


class _Traffic:
    """TCP connections both ways, each time from ports that no flow had before."""

    def __init__(self, stage: Stage, act: int, duration_s: float) -> None:
        ports = [_FIRST_PORT + 100 * act + 50 * upward for upward in (0, 1)]
        self._streams = [
            stage.transfers(
                first_port=first, flows=FLOWS, duration_s=duration_s, upward=bool(upward)
            )
            for upward, first in enumerate(ports)
        ]
        self.flows = [
            Flow.tcp(STREAM_PORT, port)
            for first in ports
            for port in range(first, first + FLOWS)
        ]

    def survived(self) -> bool:
        """Wait for the end, and tell whether all connections were there to see it."""
        results = [each.result() for each in self._streams]
        return all(each.survived for each in results)


def _trains(stage: Stage, act: int, duration_s: float) -> list[Meter[EchoResult]]:
    return [
        stage.echo(CORRESPONDENT, identifier=_id(act, number), duration_s=duration_s)
        for number in range(TRAINS)
    ]


def _id(act: int, number: int) -> int:
    return 300 + 100 * act + number


def _slowest_ms(stage: Stage) -> float:
    return max(link.rtt_s for link in stage.network.topology.links if link.name != CUT) * 1000
