"""Rules of a home agent, for a mobile node that says nothing of flows."""

import time
from collections.abc import Iterator

import pytest

from mcoa.lab.flows import FlowTally
from mcoa.lab.nodes import AGENT, NODE, agent_configuration, node_configuration
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT
from netns.daemon.laboratory import Laboratory, Udp, laboratory, until

pytestmark = pytest.mark.netns

LINKS = ("lte", "wifi", "sat")
CALLS, ALARMS, OTHERS = 9001, 9002, 9003
RULES = f"""
[[rule]]
name = "calls"
protocol = "udp"
port = {CALLS}
use = [3, 2]

[[rule]]
name = "alarms"
port = {ALARMS}
use = [1, 2, 3]
how = "duplicate"
"""


@pytest.fixture(scope="module", params=["ebpf", "userspace"])
def lab(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    with laboratory(data_plane=request.param, started=False) as built:
        directory = built.network.namespaces.directory
        built.nodes.start(AGENT, agent_configuration(built.topology, directory) + RULES)
        built.nodes.start(NODE, node_configuration(built.topology, directory))
        built.until_registered()
        yield built


def carriers(lab: Laboratory, port: int) -> set[str]:
    """Return the links that a train from a port of the correspondent goes down by."""
    links, arrived = lab.carriers_down(lab.network[CORRESPONDENT], port)
    assert arrived == 30  # copies count once
    return links


@pytest.mark.requirement("S3-16", "S3-18")
def test_flows_go_down_where_the_agent_wants_them(lab: Laboratory) -> None:
    assert carriers(lab, CALLS) == {"sat"}
    assert carriers(lab, ALARMS) == set(LINKS)
    assert len(carriers(lab, OTHERS)) == 1
    lab.network.cut("sat")
    lab.until_registered("lte", "wifi")
    assert carriers(lab, CALLS) == {"wifi"}
    assert carriers(lab, ALARMS) == {"lte", "wifi"}
    lab.network.restore("sat")
    lab.until_registered()
    assert carriers(lab, CALLS) == {"sat"}


@pytest.mark.requirement("S3-16")
def test_a_flow_that_never_rests_goes_down_its_path_again(lab: Laboratory) -> None:
    """Nothing is signalled, and a fast path carries it: it has to be moved, not met."""
    with Udp(lab.mobile_node) as sink, Udp(lab.network[CORRESPONDENT], CALLS) as source:
        flow = Flow.udp(CALLS, sink.port)

        def carriers_now() -> set[str]:
            with FlowTally(lab.mobile_node, LINKS) as tally:
                for _ in range(50):
                    source.send(b"down", lab.topology.home_address, sink.port)
                    time.sleep(0.01)
                return tally.counts().carriers_of(flow, "down")

        until(lambda: carriers_now() == {"sat"}, "down over sat")
        lab.network.set_loss("sat", 1.0, "down")
        until(lambda: carriers_now() == {"wifi"}, "down over wifi")
        lab.network.set_loss("sat", 0.0)
        until(lambda: carriers_now() == {"sat"}, "down over sat again")
