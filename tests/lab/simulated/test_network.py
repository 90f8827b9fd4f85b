"""Figure 1 in memory: registration, what a cut does, and who gets which packet."""

from random import Random

import pytest

from mcoa.dataplane.packet import IPV6, encapsulate, tunnel_prefix
from mcoa.lab.simulated.echo import EchoTrain
from mcoa.lab.simulated.links import DOWN, UP
from mcoa.lab.simulated.network import CARRIER_EVENT_S, PacketNetwork
from mcoa.lab.simulated.segments import Segments
from mcoa.lab.topology import Topology

SOON_S = 2.0


@pytest.fixture
def network() -> PacketNetwork:
    """Return a network with all three links registered."""
    network = PacketNetwork(Topology(), Random(1))
    network.start_agent()
    network.start_node()
    network.clock.run_until(SOON_S)
    return network


def run(network: PacketNetwork, duration_s: float) -> None:
    network.clock.run_until(network.clock.now + duration_s)


def echo(network: PacketNetwork, count: int = 20) -> EchoTrain:
    train = EchoTrain(
        network.clock,
        network.correspondent,
        network.mobile_node.address,
        identifier=1,
        count=count,
        interval_s=0.01,
    )
    train.begin()
    return train


def test_three_links_are_registered_within_two_seconds(network: PacketNetwork) -> None:
    assert network.registered() == ("lte", "wifi", "sat")


def test_the_bindings_are_refreshed_for_hours(network: PacketNetwork) -> None:
    for _ in range(60):
        run(network, 120.0)
        assert network.registered() == ("lte", "wifi", "sat")


@pytest.mark.parametrize(("name", "rtt_ms"), [("lte", 20), ("wifi", 40), ("sat", 60)])
def test_each_link_has_the_round_trip_of_the_topology(
    network: PacketNetwork, name: str, rtt_ms: int
) -> None:
    network.cut(*(other for other in network.links if other != name))
    run(network, SOON_S)
    assert network.registered() == (name,)
    train = echo(network)
    run(network, SOON_S)
    measured_s = train.result().round_trip(0.0, network.clock.now)
    assert measured_s is not None
    assert rtt_ms < measured_s * 1000 < rtt_ms + 0.3  # two transmissions of a small packet


def test_the_node_hears_of_a_cut_a_millisecond_later(network: PacketNetwork) -> None:
    network.cut("lte")
    assert network.bindings()["lte"] == "registered"
    run(network, 0.9 * CARRIER_EVENT_S)
    assert network.bindings()["lte"] == "registered"
    run(network, 0.2 * CARRIER_EVENT_S)
    assert network.bindings()["lte"] == "deregistering"
    run(network, 0.1)
    assert network.bindings()["lte"] == "gone"


def test_what_is_on_its_way_when_a_link_is_cut_is_lost_even_if_it_comes_back(
    network: PacketNetwork,
) -> None:
    network.cut("wifi", "sat")
    run(network, SOON_S)
    train = echo(network, count=1)
    run(network, 0.005)
    network.cut("lte")
    network.restore("lte")
    run(network, SOON_S)
    assert train.result().lost == 1


def test_a_restored_link_is_registered_again_with_its_address(network: PacketNetwork) -> None:
    network.cut("sat")
    run(network, SOON_S)
    network.restore("sat")
    run(network, SOON_S)
    assert set(network.registered()) == {"lte", "wifi", "sat"}


def test_a_stopped_node_deregisters_and_another_one_can_follow(network: PacketNetwork) -> None:
    network.stop_node()
    assert not network.is_node_stopped
    run(network, SOON_S)
    assert network.is_node_stopped
    network.remove_node()
    assert network.bindings() == {}
    network.start_node(multiple_care_of=False)
    run(network, SOON_S)
    assert len(network.registered()) == 1
    run(network, 1000.0)  # the one that was removed has no more a part in it
    assert len(network.registered()) == 1


def test_packets_run_in_tunnels_over_the_uplinks(network: PacketNetwork) -> None:
    seen: list[tuple[str, str, bytes]] = []
    network.taps.append(lambda *packet: seen.append(packet))
    train = echo(network, count=1)
    run(network, 0.5)
    assert train.result().lost == 0
    assert [way for _, way, _ in seen] == [DOWN, UP]
    assert {link for link, _, _ in seen} == {seen[0][0]}  # the answer goes the same way
    assert all(packet[6] == IPV6 for _, _, packet in seen)
    link = network.links[seen[0][0]]
    assert seen[0][2][24:40] == link.address.packed == seen[1][2][8:24]
    assert link.octets[UP] >= len(seen[1][2])


def test_a_stranger_cannot_send_as_the_home_address(network: PacketNetwork) -> None:
    taken: list[bytes] = []
    home, topology = network.mobile_node.address, network.topology
    network.correspondent.open_port(4000, taken.append)
    packet = Segments(home, network.correspondent.address, 4000).packet(1, 1)
    stranger = topology.link("lte").prefix[0xBAD].packed
    for source, expected in ((stranger, []), (network.links["lte"].address.packed, [packet])):
        outer = encapsulate(packet, tunnel_prefix(source, topology.home_agent.packed))
        network.links["lte"].send_up(outer)
        run(network, 0.1)
        assert taken == expected


def test_packets_for_nobody_vanish(network: PacketNetwork) -> None:
    lte = network.links["lte"]
    before = lte.octets[DOWN]
    for destination in (bytes(16), lte.access.prefix[0xBAD].packed):
        network.correspondent.send(
            Segments(network.correspondent.address, destination, 1).packet(1, 1)
        )
    run(network, 0.1)
    assert lte.octets[DOWN] == before
