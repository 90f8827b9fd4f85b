"""`mcoa lab simultaneous`: home and visited links at once, in both topologies of figure 3.

(a) The home agent is the only router: the mobile node takes its home address back and defends
it, while the agent sends what comes from outside over home and visited links. (b) Other routers
are on the link: the agent goes on answering for the home address there, and the mobile node says
nothing about it; both send frames to each other's link-layer address (RFC 5648 §5.6).
"""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from mcoa.lab.demo_events import Built, Found, StepBegan
from mcoa.lab.demo_result import Claim, JsonValue
from mcoa.lab.flows import FlowCounts
from mcoa.lab.home_lan import HOME_DEVICE, NEIGHBOUR
from mcoa.lab.meters.launch import Meter
from mcoa.lab.meters.results import EchoResult, StreamResult
from mcoa.lab.scenarios.acknowledged import first_acknowledgement
from mcoa.lab.scenarios.neighbour_discovery import NeighbourMessage
from mcoa.lab.scenarios.proof import Proof, Proven, ScenarioEvent
from mcoa.lab.scenarios.stage import (
    STREAM_PORT,
    HomeTopology,
    Stage,
    gap_ms,
    set_stage,
)
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORE, CORRESPONDENT, HOME_AGENT

NAME = "simultaneous"
ACCEPTED, ACCEPTED_WITHOUT_DEFENCE = 0, 5
FLOWS = 10
_ABROAD_S, _SETTLING_S, _LOOK_S, _AGAIN_S = 1.5, 1.5, 2.0, 4.0
_LONGEST_GAP_MS = 100.0  # a round trip of the slower visited link, and what detection takes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """What one stay at home showed; times of the real-time clock, where not said otherwise."""

    kind: str
    status: int | None
    registered_s: float
    held_home: bool
    interface_has_it: bool
    known_to_router: str
    known_to_neighbour: str
    mac_of_agent: str
    mac_of_node: str
    acknowledged_at: float | None
    spoken: tuple[NeighbourMessage, ...]
    flows: FlowCounts
    trains: tuple[EchoResult, ...]
    streams: tuple[StreamResult, ...]
    plugged_s: float  # monotonic
    unplugged_s: float  # monotonic
    is_clean_after: bool

    @property
    def lost(self) -> int:
        """Echoes lost while it was plugged in and stayed."""
        stay_s = self.plugged_s - 0.5, self.unplugged_s - 0.1
        return sum(train.lost_between(*stay_s) for train in self.trains)

    @property
    def longest_gap_ms(self) -> float:
        """The longest silence of a train when it was unplugged."""
        return max(gap_ms(train, self.unplugged_s) for train in self.trains)

    def over(self, interfaces: tuple[str, ...], way: str) -> int:
        """Return how many TCP flows went over any of these links on this way."""
        flows = [Flow.tcp(STREAM_PORT, port) for port in (*_ports(0), *_ports(1))]
        return sum(bool(self.flows.carriers_of(flow, way) & set(interfaces)) for flow in flows)


def simultaneous(which: HomeTopology) -> Iterator[ScenarioEvent]:
    """Run the scenario; the last event is its proof. LabError if a daemon fails.

    In (b) it is played twice: the second home address is the one that the kernel of the mobile
    node would form on the home link by itself, and speak of.
    """
    kinds = {"chosen": False}
    if which is HomeTopology.OTHER_ROUTERS:
        kinds["autoconfigured"] = True
    rounds: list[_Round] = []
    for kind, autoconfigured in kinds.items():
        yield StepBegan(
            title=f"building figure 1 with home link ({which.value}) of figure 3;"
            f" home address: {kind}"
        )
        with set_stage(which, autoconfigured=autoconfigured) as stage:
            yield Built(namespaces=stage.network.namespaces.names())
            rounds.append((yield from _play(stage, kind)))
            foreign = stage.foreign_links
    claims = [claim for each in rounds for claim in _claims(which, each, foreign)]
    figures: dict[str, JsonValue] = {
        "topology": which.value,
        "rounds": [_figures(each, foreign) for each in rounds],
    }
    proof = Proof(scenario=NAME, claims=tuple(claims), figures=figures)
    yield Proven(proof=proof)


def _play(stage: Stage, kind: str) -> Generator[ScenarioEvent, None, _Round]:
    yield StepBegan(title="starting the home agent and the mobile node, abroad")
    stage.nodes.start_agent()
    stage.nodes.start_node()
    registered_s = stage.until_registered(*stage.foreign_links)
    yield Found(sentence=f"{', '.join(stage.foreign_links)} registered in {registered_s:.1f} s")
    # The last part of it may be spent waiting for the kernel to announce another carrier.
    whole_s = _ABROAD_S + _SETTLING_S + _LOOK_S + _AGAIN_S + 2.0
    trains = _trains(stage, 81, whole_s)
    time.sleep(_ABROAD_S)

    yield StepBegan(title="plugging it into its home link as well")
    plugged_s = stage.network.attach_home(attached=True)
    plugged_at = time.time() - (time.monotonic() - plugged_s)
    together_s = stage.until_registered(*stage.foreign_links, HOME_DEVICE)
    yield Found(sentence=f"home link registered {together_s:.2f} s after its carrier")
    # Those that begin now may take the home link, and have to leave it.
    trains += _trains(stage, 91, whole_s - _ABROAD_S - together_s)
    streams = [
        stage.transfers(
            first_port=_ports(upward)[0],
            flows=FLOWS,
            duration_s=_SETTLING_S + _LOOK_S,
            upward=bool(upward),
        )
        for upward in (0, 1)
    ]
    time.sleep(_SETTLING_S)
    flows = stage.watch_flows(_LOOK_S)
    results = tuple(each.result() for each in streams)
    is_beside_router = stage.has_other_router
    seen: dict[str, Any] = {
        "status": stage.last_status(HOME_DEVICE),
        "held_home": HOME_DEVICE in stage.nodes.registered() and stage.has_home_binding(),
        "interface_has_it": stage.has_home_address(),
        "known_to_router": stage.mac_known_to(CORE, "home") if is_beside_router else "",
        "known_to_neighbour": stage.mac_known_to(NEIGHBOUR, "eth0"),
        "mac_of_agent": stage.mac_of(HOME_AGENT, "eth0"),
    }

    yield StepBegan(title="unplugging it")
    unplugged_s = stage.network.attach_home(attached=False)
    stage.until_registered(*stage.foreign_links)
    return _Round(
        kind=kind,
        registered_s=together_s,
        mac_of_node=stage.node_mac.hex(":"),
        acknowledged_at=first_acknowledgement(stage.home_link.seen(plugged_at)),
        spoken=tuple(
            each
            for each in stage.neighbour_messages(plugged_at)
            if each.is_about(stage.home_address)
        ),
        flows=flows,
        trains=tuple(train.result() for train in trains),
        streams=results,
        plugged_s=plugged_s,
        unplugged_s=unplugged_s,
        is_clean_after=stage.has_proxy() and not stage.has_home_address(),
        **seen,
    )


def _trains(stage: Stage, identifier: int, duration_s: float) -> list[Meter[EchoResult]]:
    return [
        stage.echo(start, identifier=identifier + number, duration_s=duration_s)
        for number, start in enumerate((CORRESPONDENT, CORRESPONDENT, NEIGHBOUR))
    ]


def _claims(which: HomeTopology, seen: _Round, foreign: tuple[str, ...]) -> Iterator[Claim]:
    home = (HOME_DEVICE,)
    if which is HomeTopology.ONLY_ROUTER:
        yield from _claims_of_defence(seen)
    else:
        yield from _claims_of_silence(seen)
    yield Claim(
        sentence=f"{seen.kind}: the agent holds the home link beside both visited ones",
        holds=seen.held_home,
    )
    yield Claim(
        sentence=f"{seen.kind}: traffic goes both ways over the home link",
        holds=seen.over(home, "up") > 0 and seen.over(home, "down") > 0,
    )
    yield Claim(
        sentence=f"{seen.kind}: and both ways over visited links at the same time",
        holds=seen.over(foreign, "up") > 0 and seen.over(foreign, "down") > 0,
    )
    yield Claim(
        sentence=f"{seen.kind}: no packet was lost when it came home, and TCP lived",
        holds=seen.lost == 0 and all(each.survived for each in seen.streams),
    )
    yield Claim(
        sentence=f"{seen.kind}: unplugged, it goes on over visited links within"
        f" {_LONGEST_GAP_MS:.0f} ms, and the agent alone answers for it",
        holds=seen.longest_gap_ms <= _LONGEST_GAP_MS and seen.is_clean_after,
    )


def _claims_of_defence(seen: _Round) -> Iterator[Claim]:
    acknowledged_at = seen.acknowledged_at
    yield Claim(
        sentence=f"{seen.kind}: the agent answers with status {ACCEPTED}: it may defend",
        holds=seen.status == ACCEPTED,
    )
    yield Claim(
        sentence=f"{seen.kind}: it has its address back, and its neighbour sends to it directly",
        holds=seen.interface_has_it and seen.known_to_neighbour == seen.mac_of_node,
    )
    yield Claim(
        sentence=f"{seen.kind}: it speaks of the address after the acknowledgement,"
        " and not before",
        holds=acknowledged_at is not None
        and bool(seen.spoken)
        and all(each.time_s >= acknowledged_at for each in seen.spoken),
    )


def _claims_of_silence(seen: _Round) -> Iterator[Claim]:
    yield Claim(
        sentence=f"{seen.kind}: the agent answers with status {ACCEPTED_WITHOUT_DEFENCE}:"
        " it may not defend",
        holds=seen.status == ACCEPTED_WITHOUT_DEFENCE,
    )
    yield Claim(
        sentence=f"{seen.kind}: not one packet of neighbour discovery about the address"
        " came from it",
        holds=not seen.spoken,
    )
    yield Claim(
        sentence=f"{seen.kind}: the default router and the neighbour know the agent's"
        " link-layer address alone",
        holds={seen.known_to_router, seen.known_to_neighbour} == {seen.mac_of_agent},
    )


def _figures(seen: _Round, foreign: tuple[str, ...]) -> dict[str, JsonValue]:
    return {
        "home_address": seen.kind,
        "status": seen.status,
        "registered_ms": round(seen.registered_s * 1000, 1),
        "neighbour_discovery_about_it": len(seen.spoken),
        "tcp_flows": {
            "home": {way: seen.over((HOME_DEVICE,), way) for way in ("up", "down")},
            "visited": {way: seen.over(foreign, way) for way in ("up", "down")},
        },
        "lost_on_arrival": seen.lost,
        "gap_on_leaving_ms": round(seen.longest_gap_ms, 1),
    }


def _ports(upward: int) -> range:
    first = 22_000 + 100 * upward
    return range(first, first + FLOWS)
