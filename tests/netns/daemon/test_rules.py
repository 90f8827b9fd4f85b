"""Rules for flows, with real packets: a class of flows uses its links, both ways."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mcoa.lab.flows import FlowTally
from mcoa.lab.nodes import NODE, node_configuration
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT
from netns.daemon.laboratory import Laboratory, Udp, laboratory, until

pytestmark = pytest.mark.netns

LINKS = ("lte", "wifi", "sat")
CALLS, BACKUPS = 9001, 9002
RULES = f"""
[[rule]]
name = "calls"
protocol = "udp"
port = "9000-{CALLS}"
use = ["sat", "wifi"]

[[rule]]
name = "backups"
to = "2001:db8:2::/64"
port = {BACKUPS}
use = ["wifi", "lte"]
how = "spread"
"""


@pytest.fixture(scope="module", params=["ebpf", "userspace"])
def lab(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    with laboratory(data_plane=request.param, started=False) as built:
        built.nodes.start_agent()
        text = node_configuration(built.topology, built.network.namespaces.directory)
        built.nodes.start(NODE, text + RULES)
        built.until_registered()
        yield built


@contextmanager
def conversations(lab: Laboratory, port: int, number: int) -> Iterator[list[int]]:
    """Send datagrams to a port and have them answered, a hundred a second; yields own ports."""
    end = threading.Event()
    sources = [Udp(lab.mobile_node) for _ in range(number)]
    sink = Udp(lab.network[CORRESPONDENT], port)

    def talk() -> None:
        while not end.wait(0.01):
            for source in sources:
                source.send(b"hello", lab.topology.correspondent, port)
                source.received()
            for payload, host, own_port in sink.received():
                sink.send(payload, host, own_port)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield [source.port for source in sources]
    finally:
        end.set()
        thread.join()
        for each in (*sources, sink):
            each.close()


def carriers(lab: Laboratory, flows: list[Flow]) -> list[set[str]]:
    """Return the links that carry each flow now, either way."""
    time.sleep(0.2)
    with FlowTally(lab.mobile_node, LINKS) as tally:
        time.sleep(0.3)
        counts = tally.counts()
    return [counts.carriers_of(flow, "up") | counts.carriers_of(flow, "down") for flow in flows]


@pytest.mark.requirement("S3-16")
def test_a_class_of_flows_sticks_to_its_link_and_comes_back(lab: Laboratory) -> None:
    with conversations(lab, CALLS, 6) as own:
        flows = [Flow.udp(CALLS, port) for port in own]
        assert carriers(lab, flows) == [{"sat"}] * 6
        lab.network.cut("sat")
        lab.until_registered("lte", "wifi")
        assert carriers(lab, flows) == [{"wifi"}] * 6
        lab.network.restore("sat")
        lab.until_registered()
        assert carriers(lab, flows) == [{"sat"}] * 6
        (calls, _) = lab.status(NODE)["rules"]
        assert (calls["name"], calls["flows"], calls["by_link"]) == ("calls", 6, {"sat": 6})


@pytest.mark.requirement("S3-16", "S3-19")
def test_another_class_is_spread_over_some_links(lab: Laboratory) -> None:
    with conversations(lab, BACKUPS, 6) as own:
        flows = [Flow.udp(BACKUPS, port) for port in own]
        found = carriers(lab, flows)
        assert all(len(links) == 1 for links in found)
        assert set().union(*found) == {"lte", "wifi"}
        until(
            lambda: lab.status(NODE)["rules"][1]["flows"] == 6,
            lambda: f"six flows; {lab.status(NODE)['rules']}",
        )
