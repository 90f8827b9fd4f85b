"""Paths that fail without a word: found by probes, at either end, and used again."""

import time
from collections.abc import Iterator

import pytest

from mcoa.lab.flows import FlowTally
from mcoa.lab.meters.launch import Meter, start_echo
from mcoa.lab.meters.results import EchoResult
from mcoa.lab.nodes import AGENT, NODE, agent_configuration, node_configuration
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT
from netns.daemon.laboratory import PATIENCE_S, Laboratory, Udp, laboratory, until

pytestmark = pytest.mark.netns

LINKS = ("lte", "wifi", "sat")
PROBES = 'probe_interval = "50ms"\n'
TRAINS = range(6)


@pytest.fixture(scope="module", params=["ebpf", "userspace"])
def lab(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    with laboratory(data_plane=request.param, started=False) as built:
        directory = built.network.namespaces.directory
        agent = agent_configuration(built.topology, directory, extra=PROBES)
        node = node_configuration(built.topology, directory, extra=PROBES)
        built.nodes.start(AGENT, agent)
        built.nodes.start(NODE, node)
        built.until_registered()
        yield built


def state_of(lab: Laboratory, name: str) -> str:
    links = lab.status(NODE)["links"]
    return str(next(link["state"] for link in links if link["name"] == name))


def until_state(lab: Laboratory, name: str, *states: str, within_s: float = PATIENCE_S) -> None:
    until(
        lambda: state_of(lab, name) in states,
        lambda: f"{name} {states}; {lab.status(NODE)['links']}",
        within_s,
    )


def start_trains(
    lab: Laboratory, first: int, duration_s: float
) -> dict[int, Meter[EchoResult]]:
    return {
        first + number: start_echo(
            lab.network.namespaces,
            lab.network[CORRESPONDENT],
            str(lab.topology.home_address),
            identifier=first + number,
            duration_s=duration_s,
        )
        for number in TRAINS
    }


def on_link(lab: Laboratory, trains: dict[int, Meter[EchoResult]], name: str) -> list[int]:
    """Return the trains that a link carries now; there must be one, or nothing is proven."""
    time.sleep(0.8)
    with FlowTally(lab.mobile_node, LINKS) as tally:
        time.sleep(0.3)
        counts = tally.counts()
    found = [each for each in trains if name in counts.carriers_of(Flow.echo(each))]
    assert found
    return found


@pytest.mark.parametrize(("way", "first"), [("", 100), ("up", 120), ("down", 140)])
def test_a_link_that_falls_silent_is_left_and_used_again(
    lab: Laboratory, way: str, first: int
) -> None:
    trains = start_trains(lab, first, 6.0)
    moved = on_link(lab, trains, "wifi")
    lab.network.set_loss("wifi", 1.0, way)
    began_s = time.monotonic()
    until_state(lab, "wifi", "silent")
    # Packets have other ways at once, and nobody forgets the binding.
    assert set(lab.nodes.registered()) == set(LINKS)
    time.sleep(1.0)
    healed_s = time.monotonic()
    lab.network.set_loss("wifi", 0.0)
    until_state(lab, "wifi", "up")
    results = {each: meter.result() for each, meter in trains.items()}
    for each in moved:
        assert results[each].longest_silence(began_s) < 1.0
        assert results[each].lost_between(began_s + 0.8, healed_s) == 0


def test_the_agent_moves_the_downlink_by_itself(lab: Laboratory) -> None:
    """Nothing comes up that could lead it, and nothing is signalled."""
    with Udp(lab.mobile_node) as sink, Udp(lab.network[CORRESPONDENT]) as source:
        flow = Flow.udp(source.port, sink.port)

        def carriers(seconds: float) -> set[str]:
            with FlowTally(lab.mobile_node, LINKS) as tally:
                end_s = time.monotonic() + seconds
                while time.monotonic() < end_s:
                    source.send(b"down", lab.topology.home_address, sink.port)
                    time.sleep(0.01)
                time.sleep(0.15)
                return tally.counts().carriers_of(flow, "down")

        [before] = carriers(0.5)
        lab.network.set_loss(before, 1.0, "down")
        carriers(1.0)
        sink.received()
        [after] = carriers(0.5)
        assert after != before
        assert len(sink.received()) > 30
        lab.network.set_loss(before, 0.0)
        until_state(lab, before, "up")


def test_a_link_that_loses_packets_is_left_until_it_is_better(lab: Laboratory) -> None:
    trains = start_trains(lab, 160, 12.0)
    moved = on_link(lab, trains, "lte")
    # Where three answers in a row are lost by chance, the link is silent for a while.
    lab.network.set_loss("lte", 0.25, "up")
    until_state(lab, "lte", "lossy", "silent")
    with FlowTally(lab.mobile_node, LINKS) as tally:
        time.sleep(0.5)
        counts = tally.counts()
    assert all("lte" not in counts.carriers_of(Flow.echo(each), "up") for each in moved)
    lab.network.set_loss("lte", 0.0)
    until_state(lab, "lte", "up", within_s=30.0)  # one that fell again and again has to wait
    for meter in trains.values():
        meter.result()


def test_a_status_tells_what_probes_have_measured(lab: Laboratory) -> None:
    until(
        lambda: all(link["round_trip_s"] for link in lab.status(NODE)["links"]),
        "a round trip for each link",
    )
    for link in lab.status(NODE)["links"]:
        configured = lab.topology.link(link["name"]).rtt_s
        assert configured <= link["round_trip_s"] < configured + 0.1
        assert link["loss"] is not None
        assert link["last_heard_s"] < 5.0


def test_the_agent_does_not_pass_probes_on(lab: Laboratory) -> None:
    """Both ends answer by themselves, over the path that a probe came by."""
    began_s = time.time()
    time.sleep(1.0)
    seen = [each for each in lab.wire.seen(began_s) if each.icmpv6_type in (128, 129)]
    ends = {lab.topology.home_address, lab.topology.home_agent}
    assert seen
    assert all(each.source not in ends or each.destination not in ends for each in seen)
    assert {each.place for each in seen} >= set(LINKS)
