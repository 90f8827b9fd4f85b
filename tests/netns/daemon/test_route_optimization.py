"""Real daemons, real tests of return routability, and packets that go straight."""

import time
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from decode.routability import ACKNOWLEDGEMENT, UPDATE, judge
from mcoa.engine.policy import AtHome
from mcoa.lab.flows import FlowTally
from mcoa.lab.home_lan import HomeLan
from mcoa.lab.meters.launch import start_stream, start_stream_server
from mcoa.lab.meters.stream import Order
from mcoa.lab.mishaps import narrow
from mcoa.lab.nodes import (
    AGENT,
    NODE,
    PEER,
    agent_configuration,
    node_configuration,
)
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORE, CORRESPONDENT, FIGURE_1_LINKS, Topology
from mcoa.runtime.sockets import PacketSender, endpoint
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from mcoa.wire.messages import BindingError
from netns.daemon.laboratory import Laboratory, Udp, answers, laboratory, until
from netns.daemon.traces import differences, traces
from netns.daemon.traveller import Traveller

pytestmark = pytest.mark.netns

PORT, FLOWS = 5201, 6
LINKS = ("lte", "wifi", "sat")
CARE_OF = IPv6Address("2001:db8:2::20")
EVERYBODY = 'route_optimization = ["::/0"]\n'


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with laboratory(started=False) as built:
        start_stream_server(built.network.namespaces, built.network[CORRESPONDENT], PORT)
        built.nodes.start_agent()
        built.nodes.start_node(extra=EVERYBODY)
        built.until_registered()
        yield built


@pytest.fixture
def direct(lab: Laboratory) -> Laboratory:
    """Everybody runs, and all three addresses are bound at the correspondent."""
    if not lab.nodes.is_running(PEER):
        lab.nodes.start_correspondent()
    talk_until_bound(lab)
    return lab


def bound(lab: Laboratory) -> dict[int, str]:
    lines = lab.status(PEER).get("bindings", ())
    return {line["bid"]: line["care_of_address"] for line in lines}


def known(lab: Laboratory) -> dict[int, str]:
    """Return what the mobile node believes to be bound there."""
    return {
        line["bid"]: line["care_of_address"]
        for peer in lab.status(NODE).get("peers", ())
        for line in peer["bindings"]
        if line["state"] == "registered"
    }


def talk(lab: Laboratory, identifier: int = 40) -> bool:
    home_address = lab.topology.home_address
    return answers(lab.network[CORRESPONDENT], home_address, identifier=identifier)


def talk_until_bound(lab: Laboratory, within_s: float = 20.0) -> None:
    def agree() -> bool:
        talk(lab)
        return len(bound(lab)) == len(LINKS) and bound(lab) == known(lab)

    until(agree, lambda: f"{known(lab)} at the node, {bound(lab)} at the peer", within_s)


@pytest.mark.requirement("S3-08", "S5.2-05", "S5.2-07")
def test_every_mark_on_the_wires_is_what_the_formulas_give(
    direct: Laboratory, tmp_path: Path
) -> None:
    peer = direct.topology.correspondent.packed
    # What reached the access routers from the radio, or left by it: each message once.
    packets = [s.packet for s in direct.wire.seen() if s.is_mobility and s.place in LINKS]
    verdict = judge(packets, peer)
    assert verdict.faults == []
    assert verdict.marks[UPDATE] >= len(LINKS)
    assert verdict.marks[ACKNOWLEDGEMENT] >= len(LINKS)
    names = direct.wire.judge(tmp_path)
    assert names["Home Test"]
    assert names["Care-of Test"] >= len(LINKS)


def test_the_agent_sees_nothing_of_flows_that_go_straight(direct: Laboratory) -> None:
    order = Order(
        host=str(direct.topology.correspondent),
        port=PORT,
        first_port=26_000,
        flows=FLOWS,
        duration_s=3.0,
        pacing_mbit_s=1.0,
    )
    meter = start_stream(direct.network.namespaces, direct.mobile_node, order)
    time.sleep(0.5)
    with (
        FlowTally(direct.mobile_node, LINKS) as tally,
        FlowTally(direct.home_agent, ["eth0"]) as at_agent,
    ):
        tally.wait(2.0)
        counts, by_agent = tally.counts(), at_agent.counts()
    flows = [Flow.tcp(PORT, port) for port in range(26_000, 26_000 + FLOWS)]
    assert all(flow.error is None for flow in meter.result().flows)
    assert {counts.carrier_of(flow) for flow in flows} == set(LINKS)
    assert not any(by_agent.of(flow, "eth0") for flow in flows)


@pytest.mark.requirement("S6.5-01", "S6.5-02", "S6.5-03")
def test_a_home_address_from_elsewhere_is_dropped_and_answered(direct: Laboratory) -> None:
    topology, core = direct.topology, direct.network[CORE]
    stranger = core.call(PacketSender)
    received = Udp(direct.network[CORRESPONDENT], 7777)
    source = topology.links[0].transit[1]
    body = bytes.fromhex("270f1e61000d0000") + b"hello"
    packet = Ipv6Packet(
        source=source,
        destination=topology.correspondent,
        protocol=17,
        payload=body,
        home_address=topology.home_address,
    )
    before = direct.counter(
        PEER, "dropped: home address is not bound to the source of the packet"
    )
    stranger.send(emit_packet(packet), endpoint(topology.correspondent))
    stranger.close()
    key = "dropped: home address is not bound to the source of the packet"
    until(lambda: direct.counter(PEER, key) == before + 1, "a drop that is counted")
    with received:
        assert received.received() == []
    assert bound(direct) == known(direct)


def test_a_killed_correspondent_is_gone_round_and_found_again(direct: Laboratory) -> None:
    direct.nodes.kill(PEER)
    until(lambda: talk(direct, 41), "an answer through the tunnel", 15.0)
    begin_s = time.time()
    direct.nodes.start_correspondent()
    talk_until_bound(direct)
    errors = [m for _, m in direct.wire.messages(begin_s) if isinstance(m, BindingError)]
    assert all(error.home_address == direct.topology.home_address for error in errors)


def test_a_correspondent_that_ends_leaves_a_plain_host(direct: Laboratory) -> None:
    place = direct.network[CORRESPONDENT]
    assert direct.nodes.stop(PEER) == 0
    before = traces(place)
    assert "mip0" not in before["devices"]
    assert "clsact" not in before["queues"]
    assert talk(direct, 42)
    until(lambda: known(direct) == {}, "a node that knows")
    direct.nodes.start_correspondent()
    talk_until_bound(direct, 60.0)
    assert direct.nodes.stop(PEER) == 0
    assert differences(before, traces(place)) == {}


def test_narrow_paths_are_found_out_and_nothing_stalls(direct: Laboratory) -> None:
    narrow(direct.network, "lte", 1400)
    narrow(direct.network, "wifi", 1280)
    meters = [
        start_stream(
            direct.network.namespaces,
            direct.mobile_node,
            Order(
                host=str(direct.topology.correspondent),
                port=PORT,
                first_port=27_000 + 10 * upward,
                flows=FLOWS,
                duration_s=5.0,
                upward=upward,
                pacing_mbit_s=1.0,
            ),
        )
        for upward in (False, True)
    ]
    for flow in [flow for meter in meters for flow in meter.result().flows]:
        assert flow.error is None
        end_s = flow.marks[-1][0]
        assert flow.octets_between(end_s - 2.0, end_s) > 50_000
    assert set(bound(direct)) == {1, 2, 3}


def test_datagrams_that_need_fragments_arrive_both_ways(direct: Laboratory) -> None:
    topology = direct.topology
    home, peer = topology.home_address, topology.correspondent
    with (
        Udp(direct.network[CORRESPONDENT], 7878) as far,
        Udp(direct.mobile_node, 7879, str(home)) as near,
    ):
        for _ in range(5):  # the first ones find the paths' MTUs out
            assert near.send(bytes(4000), peer, 7878) == 0
            far.send(bytes(3000), home, 7879)
            time.sleep(0.3)
        assert [len(p) for p, *_ in far.received()][-1:] == [4000]
        assert [len(p) for p, *_ in near.received()][-1:] == [3000]


@pytest.fixture(scope="module")
def versatile() -> Iterator[Laboratory]:
    """A home agent and a mobile node that are correspondents as well."""
    with laboratory(started=False) as built:
        directory = built.network.namespaces.directory
        agent = agent_configuration(built.topology, directory) + "\n[correspondent]\n"
        node = node_configuration(built.topology, directory, extra=EVERYBODY)
        node += "\n[correspondent]\n"
        built.network[CORRESPONDENT].ip(f"address add {CARE_OF}/64 dev eth0 nodad")
        built.nodes.start(AGENT, agent)
        built.nodes.start(NODE, node)
        built.until_registered()
        yield built


@pytest.mark.parametrize("name", [AGENT, NODE])
def test_home_agents_and_mobile_nodes_are_correspondents_too(
    versatile: Laboratory, name: str
) -> None:
    topology = versatile.topology
    target = topology.home_address if name == NODE else topology.home_prefix[2]
    home = topology.correspondent
    place = versatile.network[CORRESPONDENT]
    with closing(Traveller(place, home, CARE_OF, target)) as traveller:
        status = traveller.bind(7)
        assert status == 0
        assert traveller.is_answered_directly()
    lines = versatile.status(name)["bindings"]
    assert [line["care_of_address"] for line in lines if line["home_address"] == str(home)] == [
        str(CARE_OF)
    ]


def test_what_a_home_agent_serves_itself_it_does_not_bind_twice(versatile: Laboratory) -> None:
    topology = versatile.topology
    assert answers(versatile.mobile_node, topology.home_prefix[2], identifier=43)
    until(
        lambda: versatile.counter(NODE, "correspondent-knows-no-test"),
        "a node that leaves it alone",
    )
    assert talk(versatile)
    lines = versatile.status(AGENT)["bindings"]
    own = [line for line in lines if line["home_address"] == str(topology.home_address)]
    assert len(own) == len(LINKS)


@pytest.mark.parametrize("at_home", [AtHome.BOTH, AtHome.HOME])
def test_a_mobile_node_is_a_correspondent_at_home_too(at_home: AtHome) -> None:
    lan = HomeLan(has_other_router=True)
    topology = Topology(links=FIGURE_1_LINKS[:2], home_lan=lan)
    with laboratory(topology, started=False) as built:
        directory = built.network.namespaces.directory
        node = node_configuration(topology, directory, at_home=at_home) + "\n[correspondent]\n"
        place = built.network[CORRESPONDENT]
        place.ip(f"address add {CARE_OF}/64 dev eth0 nodad")
        built.nodes.start_agent()
        built.nodes.start(NODE, node)
        built.until_registered("lte", "wifi")
        built.network.attach_home(attached=True)
        if at_home is AtHome.BOTH:
            built.until_registered("lte", "wifi", "home")
        else:
            until(lambda: built.registered() == {}, "a node that is home")
        time.sleep(1.0)  # nothing is under way by tunnels any more
        home, target = topology.correspondent, topology.home_address
        with closing(Traveller(place, home, CARE_OF, target)) as traveller:
            for number in range(1, 6):  # over one link and over another
                assert traveller.bind(number) == 0
                assert traveller.is_answered_directly()
