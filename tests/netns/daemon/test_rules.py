"""Rules for flows, with real packets: a class of flows uses its links, both ways."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcoa.lab.flows import FlowTally
from mcoa.lab.nodes import NODE, node_configuration
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT
from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.messages import BindingUpdate
from netns.daemon.laboratory import Laboratory, Udp, laboratory, until
from netns.daemon.wire import HOME_LINK

pytestmark = pytest.mark.netns

LINKS = ("lte", "wifi", "sat")
CALLS, BACKUPS, SENSORS, GAMES = 9001, 9002, 9003, 9004
RULES = f"""
[[rule]]
name = "sensors"
protocol = "udp"
port = {SENSORS}
use = ["lte", "wifi", "sat"]
how = "duplicate"

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

[[rule]]
name = "games"
port = {GAMES}
use = ["sat", "wifi", "lte"]
how = "lowest-latency"
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


def assert_they_leave(lab: Laboratory, flows: list[Flow], link: str, other: str) -> None:
    """All use a link; while that is cut, all use the other one. Then it is there again."""
    assert carriers(lab, flows) == [{link}] * len(flows)
    lab.network.cut(link)
    lab.until_registered(*(each for each in LINKS if each != link))
    assert carriers(lab, flows) == [{other}] * len(flows)
    lab.network.restore(link)
    lab.until_registered()


@pytest.mark.requirement("S3-16")
def test_a_class_of_flows_sticks_to_its_link_and_comes_back(lab: Laboratory) -> None:
    with conversations(lab, CALLS, 6) as own:
        flows = [Flow.udp(CALLS, port) for port in own]
        assert_they_leave(lab, flows, "sat", "wifi")
        assert carriers(lab, flows) == [{"sat"}] * 6
        calls = lab.status(NODE)["rules"][1]
        assert (calls["name"], calls["flows"], calls["by_link"]) == ("calls", 6, {"sat": 6})
        assert calls["agent"] == "accepted"


@pytest.mark.requirement("S3-16")
def test_the_home_agent_is_told_and_needs_no_uplink_packet(lab: Laboratory) -> None:
    """The downlink of a flow that the mobile node says nothing in goes where it wants it."""
    with Udp(lab.mobile_node) as sink, Udp(lab.network[CORRESPONDENT], CALLS) as source:
        flow = Flow.udp(CALLS, sink.port)
        with FlowTally(lab.mobile_node, LINKS) as tally:
            for _ in range(20):
                source.send(b"hello", lab.topology.home_address, sink.port)
                time.sleep(0.01)
            time.sleep(0.2)
            assert tally.counts().carriers_of(flow, "down") == {"sat"}


@pytest.mark.requirement("S3-16", "S3-19")
def test_another_class_is_spread_over_some_links(lab: Laboratory) -> None:
    with conversations(lab, BACKUPS, 6) as own:
        flows = [Flow.udp(BACKUPS, port) for port in own]
        found = carriers(lab, flows)
        assert all(len(links) == 1 for links in found)
        assert set().union(*found) == {"lte", "wifi"}
        until(
            lambda: lab.status(NODE)["rules"][2]["flows"] == 6,
            lambda: f"six flows; {lab.status(NODE)['rules']}",
        )


@pytest.mark.requirement("S3-16")
def test_a_class_takes_the_link_whose_probes_return_soonest(lab: Laboratory) -> None:
    with conversations(lab, GAMES, 6) as own:
        flows = [Flow.udp(GAMES, port) for port in own]
        assert_they_leave(lab, flows, "lte", "wifi")
        until(lambda: carriers(lab, flows) == [{"lte"}] * 6, "all over lte again")


def test_flows_move_first_and_one_update_follows(lab: Laboratory) -> None:
    """A link falls silent: its flows are elsewhere, its binding stays, and the agent is told."""
    with conversations(lab, CALLS, 3) as own:
        flows = [Flow.udp(CALLS, port) for port in own]
        assert carriers(lab, flows) == [{"sat"}] * 3
        began_s = time.time()
        lab.network.blackhole("sat")
        told = until(
            lambda: told_of(lab, began_s),
            lambda: f"an update; {lab.status(NODE)['links']}",
        )
        assert told < 2.0
        [update] = told_of(lab, began_s)
        assert len(update.identifiers) == len(LINKS)
        [calls] = [each for each in update.options if isinstance(each, FlowIdentification)]
        assert calls.bids == (2,)
        [kept] = [each for each in update.options if isinstance(each, FlowSummary)]
        assert calls.fid not in kept.fids
        assert carriers(lab, flows) == [{"wifi"}] * 3
        lab.network.set_loss("sat", 0)
        until(lambda: carriers(lab, flows) == [{"sat"}] * 3, "all over sat again")


def told_of(lab: Laboratory, since_s: float) -> list[BindingUpdate]:
    """Return the updates that say something new of flows, as the agent got them."""
    return [
        message
        for seen, message in lab.wire.messages(since_s)
        if seen.place == HOME_LINK
        and isinstance(message, BindingUpdate)
        and any(isinstance(each, FlowIdentification) for each in message.options)
    ]


class Exchange:
    """Datagrams that are all equal, both ways, and what became of them."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab
        self.sent, self.up, self.down = 0, 0, 0
        self._near = Udp(lab.mobile_node)
        self._far = Udp(lab.network[CORRESPONDENT], SENSORS)
        self.flow = Flow.udp(SENSORS, self._near.port)

    def run(self, seconds: float) -> None:
        """Send for a while, a hundred a second each way."""
        topology = self._lab.topology
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            assert self._near.send(b"equal", topology.correspondent, SENSORS) == 0
            assert self._far.send(b"equal", topology.home_address, self._near.port) == 0
            self.sent += 1
            time.sleep(0.01)
            self._take()

    def end(self) -> None:
        """Take what is still under way."""
        time.sleep(0.3)
        self._take()
        self._near.close()
        self._far.close()

    def _take(self) -> None:
        self.up += len(self._far.received())
        self.down += len(self._near.received())


@pytest.mark.requirement("S3-16")
def test_copies_go_over_all_links_and_each_packet_arrives_once(lab: Laboratory) -> None:
    """Though they are all equal; and none is lost while links die in silence."""
    exchange = Exchange(lab)
    with FlowTally(lab.mobile_node, LINKS) as tally:
        exchange.run(1.0)
        counts = tally.counts()
    for way in ("up", "down"):
        assert counts.carriers_of(exchange.flow, way) == set(LINKS)
    lab.network.blackhole("lte")
    exchange.run(1.0)
    lab.network.blackhole("sat")
    exchange.run(1.0)
    for link in ("lte", "sat"):
        lab.network.set_loss(link, 0)
    exchange.run(1.0)
    exchange.end()
    assert (exchange.up, exchange.down) == (exchange.sent, exchange.sent)
    lab.until_registered()


def test_wireshark_reads_what_is_said_of_flows_as_we_do(
    lab: Laboratory, tmp_path: Path
) -> None:
    judged = lab.wire.judge(tmp_path)
    assert judged["Binding Update"]
    assert judged["Binding Acknowledgement"]
