"""A daemon that is killed and started again goes on where it was, without a hand."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from random import Random

import pytest

from mcoa.lab.flows import FlowTally
from mcoa.lab.meters.launch import start_echo, start_stream, start_stream_server
from mcoa.lab.meters.stream import Order
from mcoa.lab.mishaps import roam
from mcoa.lab.namespaces import Namespaces, run
from mcoa.lab.nodes import AGENT, NODE, agent_configuration
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORE, CORRESPONDENT, HOME_AGENT, Network, Topology
from mcoa.runtime.control_client import request
from mcoa.runtime.errors import CommandError
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.registry import UpdateFlag
from netns.daemon import forks
from netns.daemon.churn import ACCESS, BIDS, Churn, open_access
from netns.daemon.laboratory import Laboratory, answers, laboratory, until

pytestmark = pytest.mark.netns

LINKS = ("lte", "wifi", "sat")
KILLS = 100
PORT = 5201
ELSEWHERE = IPv6Network("2001:db8:e::/64")
STARTED_S = 10.0
MOVED_WITHIN_S = 1.5  # after the new registration


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with laboratory() as built:
        yield built


def first_update(lab: Laboratory, since_s: float) -> BindingUpdate:
    updates = (
        message
        for _, message in lab.wire.messages(since_s)
        if isinstance(message, BindingUpdate)
    )
    return next(updates)


def test_a_killed_agent_serves_again_without_any_update(lab: Laboratory) -> None:
    before = lab.cache()
    begun_s = time.time()
    lab.nodes.kill(AGENT)
    correspondent = lab.network[CORRESPONDENT]
    # The kernel goes on without it.
    assert answers(correspondent, lab.topology.home_address, identifier=1, within_s=0.3)
    lab.nodes.start_agent()
    with FlowTally(lab.mobile_node, LINKS) as tally:
        assert answers(correspondent, lab.topology.home_address, identifier=2)
        assert tally.counts().carriers_of(Flow.echo(2), "down")
    until(lambda: lab.cache() == before, "the agent has its bindings again")
    assert answers(lab.mobile_node, lab.topology.correspondent, identifier=3)
    updates = [
        message
        for _, message in lab.wire.messages(begun_s)
        if isinstance(message, BindingUpdate)
    ]
    assert updates == []


@pytest.mark.parametrize("several", [True, False])
def test_flows_of_a_path_that_went_meanwhile_move_at_once(*, several: bool) -> None:
    """The node is killed, a link goes, and it starts again; also with one binding alone."""
    with laboratory(started=False) as lab:
        lab.nodes.start_agent()
        lab.nodes.start_node(multiple_care_of=several)
        until(lab.registered, "registered")
        names, peer = lab.network.namespaces, lab.network[CORRESPONDENT]
        home_address = str(lab.topology.home_address)
        trains = [
            start_echo(names, peer, home_address, identifier=each, duration_s=30.0)
            for each in range(700, 706)
        ]
        with FlowTally(lab.mobile_node, LINKS) as tally:
            tally.wait(1.5)
            counts = tally.counts()
        cut = counts.carrier_of(Flow.echo(700))
        assert cut is not None
        lab.nodes.kill(NODE)
        lab.network.cut(cut)
        lab.nodes.start_node(multiple_care_of=several)
        others = {each for each in LINKS if each != cut}
        until(
            lambda: (
                {link for link, _ in lab.registered().values()}
                and {link for link, _ in lab.registered().values()} <= others
                and (not several or len(lab.registered()) == len(others))
            ),
            lambda: f"registered without {cut}: {lab.registered()}",
        )
        moved_s = time.monotonic() + MOVED_WITHIN_S
        time.sleep(MOVED_WITHIN_S + 1.0)
        for train in trains:
            train.finish()
        for result in [train.result() for train in trains]:
            late = [
                (sent_s, received_s)
                for sent_s, received_s in zip(result.sent_s, result.received_s, strict=True)
                if sent_s > moved_s
            ]
            assert late
            assert all(received_s is not None for _, received_s in late)


def test_a_link_that_roamed_meanwhile_is_used_with_its_present_address() -> None:
    """The kernel keeps the address and the router of the network that was left."""
    with laboratory() as lab:
        old = IPv6Address(dict(lab.registered().values())["lte"])
        lab.nodes.kill(NODE)
        roam(lab.network, "lte", ELSEWHERE, router=0xE1)
        shown = ("ip", "-n", lab.mobile_node.full_name, "-6", "address", "show", "dev", "lte")
        until(lambda: "2001:db8:e:" in run(*shown), "an address of the other network")
        assert str(old) in run(*shown)
        begun_s = time.time()
        lab.nodes.start_node()
        lab.until_registered()
        new = IPv6Address(dict(lab.registered().values())["lte"])
        assert new in ELSEWHERE
        for sighting, message in lab.wire.messages(begun_s):
            if isinstance(message, BindingUpdate):
                named = {each.care_of_address for each in message.identifiers}
                assert old not in {sighting.source, *named}


def test_no_packet_is_lost_while_daemons_are_killed_and_start_again(lab: Laboratory) -> None:
    lab.until_registered()
    names = lab.network.namespaces
    start_stream_server(names, lab.network[CORRESPONDENT], PORT)
    order = Order(
        host=str(lab.topology.correspondent),
        port=PORT,
        first_port=22_000,
        flows=3,
        duration_s=9.0,
        upward=True,
        pacing_mbit_s=2.0,
    )
    transfers = start_stream(names, lab.mobile_node, order)
    train = start_echo(
        names,
        lab.mobile_node,
        str(lab.topology.correspondent),
        identifier=11,
        interval_s=0.005,
        duration_s=9.0,
    )
    time.sleep(1.0)
    with FlowTally(lab.mobile_node, LINKS) as tally:
        for name, start in ((AGENT, lab.nodes.start_agent), (NODE, lab.nodes.start_node)):
            lab.nodes.kill(name)
            time.sleep(0.7)
            start()
            until(lambda: lab.status(name), f"the {name} is there again")  # noqa: B023
            lab.until_registered()
        time.sleep(0.5)
        for way in ("up", "down"):
            assert len(tally.counts().carriers_of(Flow.echo(11), way)) == 1
    assert train.result().lost == 0
    for flow in transfers.result().flows:
        assert flow.error is None
        begun_s = flow.marks[0][0]
        # Its end is another matter: what was written into the socket is still on its way.
        assert all(length < 0.2 for start, length in flow.gaps if start < begun_s + 8.5)


@pytest.mark.requirement("S5.9-01", "S5.9-02")
def test_a_killed_node_boots_with_o_and_ends_with_the_links_that_are_there(
    lab: Laboratory,
) -> None:
    lab.nodes.kill(NODE)
    lab.network.cut("lte")
    begun_s = time.time()
    lab.nodes.start_node()
    lab.until_registered("wifi", "sat")
    assert first_update(lab, begun_s).flags & UpdateFlag.OVERWRITE
    assert answers(lab.network[CORRESPONDENT], lab.topology.home_address, identifier=4)
    lab.network.restore("lte")
    lab.until_registered()


def test_a_node_may_be_killed_at_any_moment(lab: Laboratory) -> None:
    rng = Random(5648)
    for _ in range(5):
        lab.nodes.kill(NODE)
        lab.nodes.start_node()
        time.sleep(rng.uniform(0.0, 1.5))
    lab.nodes.kill(NODE)
    lab.nodes.start_node()
    lab.until_registered()
    assert answers(lab.network[CORRESPONDENT], lab.topology.home_address, identifier=5)


def test_both_may_be_killed_at_once(lab: Laboratory) -> None:
    lab.nodes.kill(AGENT)
    lab.nodes.kill(NODE)
    lab.nodes.start_node()
    time.sleep(0.5)
    lab.nodes.start_agent()
    lab.until_registered()
    assert answers(lab.network[CORRESPONDENT], lab.topology.home_address, identifier=6)


def test_every_message_was_well_formed(lab: Laboratory, tmp_path: Path) -> None:
    assert lab.wire.judge(tmp_path)["Binding Update"] > 4


class Agent:
    """A home agent that is forked, and killed."""

    def __init__(self, network: Network, directory: Path) -> None:
        file = directory / "agent.toml"
        text = agent_configuration(network.topology, directory)
        text = text.replace(f'mobile_nodes = ["{network.topology.home_address}"]\n', "")
        file.write_text(f"{text}duplicate_address_detection = false\n", "utf-8")
        self._socket = directory / "agent.sock"
        self.log = directory / "agent.log"
        self._pid = 0
        with self.log.open("ab") as log:
            self._forks = network.namespaces.start(
                network[HOME_AGENT],
                [sys.executable, str(Path(forks.__file__)), str(file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def start(self) -> None:
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        self._forks.stdin.write(b"\n")
        self._forks.stdin.flush()
        self._pid = int(self._forks.stdout.readline())

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def bindings(self) -> dict[tuple[IPv6Address, int], IPv6Address] | None:
        """Return what it holds, by home address and BID; None while it does not answer."""
        try:
            status = request(self._socket, {"command": "status"})
        except CommandError:
            return None
        return {
            (IPv6Address(line["home_address"]), line["bid"]): IPv6Address(
                line["care_of_address"]
            )
            for line in status["bindings"]
        }


def test_no_acknowledged_binding_is_missing_in_a_hundred_kills(tmp_path: Path) -> None:
    """At random instants, in the start too; what is not acknowledged yet may be either way."""
    rng = Random(6275)
    with Namespaces() as namespaces:
        network = Network(namespaces, Topology(links=()))
        topology = network.topology
        network[CORE].ip(f"route add {ACCESS} via {topology.correspondent}")
        access = open_access(network[CORRESPONDENT], tmp_path)
        homes = [topology.home_prefix[0x100 + number] for number in range(4)]
        churn = Churn(access, topology.home_agent, homes, rng)
        agent = Agent(network, namespaces.directory)
        agent.start()
        for _ in range(KILLS):
            if rng.random() < 0.8:
                assert churn.run(STARTED_S, lambda: agent.bindings() is not None)
                assert_nothing_is_missing(churn, agent)
            churn.run(rng.uniform(0.0, 0.2))
            agent.kill()
            agent.start()
        assert churn.run(STARTED_S, lambda: agent.bindings() is not None)
        assert_nothing_is_missing(churn, agent)
        log = agent.log.read_text("utf-8")
        access.close()
    assert churn.acknowledged > 10 * KILLS
    for event in ("record-unreadable", "internal-fault", "Traceback"):
        assert event not in log


def assert_nothing_is_missing(churn: Churn, agent: Agent) -> None:
    bindings = agent.bindings()
    assert bindings is not None
    for home, node in churn.nodes.items():
        for bid in BIDS:
            assert bindings.get((home, bid)) in node.allowed(bid)
