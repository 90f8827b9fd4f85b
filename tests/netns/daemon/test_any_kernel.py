"""What holds on any kernel, whatever modules it has loaded, and however slow it is.

Nothing here is timed: `make test-debian-kernel` runs these tests on a kernel that has Mobile IPv6,
tunnels, ESP and the like of its own, with one slow processor; and on the same kernel without them.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from ipaddress import IPv6Address
from random import Random

import pytest

from mcoa.lab.capture import ETHERNET_OCTETS, Tap, open_tap
from mcoa.lab.mishaps import narrow
from mcoa.lab.namespaces import LabError, run
from mcoa.lab.nodes import AGENT, NODE, PEER
from mcoa.lab.topology import CORRESPONDENT
from netns.daemon.ipv4_network import LTE, Ipv4Network, ipv4_network
from netns.daemon.laboratory import Laboratory, Udp, answers, laboratory, until
from netns.daemon.transfer import transfer

pytestmark = [
    pytest.mark.netns,
    pytest.mark.parametrize("data_plane", ["auto", "userspace"], scope="module"),
]

PATIENCE_S = 60.0
PACKET_TOO_BIG = 2
ICMP, UNREACHABLE = 1, (b"\3\2", b"\3\3")  # what only the destination itself says
OCTETS = 300_000
ALL = 'route_optimization = ["::/0"]\n'
TUNNEL, TUNNEL_HERE, TUNNEL_THERE = "ip6tnl9", "2001:db8:99::1", "2001:db8:99::2"


@pytest.fixture(scope="module")
def lab(data_plane: str) -> Iterator[Laboratory]:
    """Figure 1 with all three daemons; tunnels first, flows that go straight later."""
    with laboratory(started=False, data_plane=data_plane) as built:
        built.nodes.start_agent()
        built.nodes.start_node()
        built.until_registered(within_s=PATIENCE_S)
        yield built


def talk(lab: Laboratory, identifier: int) -> None:
    """See that echoes come back, both ways, and TCP carries octets whole, both ways."""
    peer, node = lab.network[CORRESPONDENT], lab.mobile_node
    home_address, address = lab.topology.home_address, lab.topology.correspondent
    assert answers(peer, home_address, identifier=identifier, within_s=PATIENCE_S)
    assert answers(node, address, identifier=identifier + 1, within_s=PATIENCE_S)
    octets = Random(identifier).randbytes(OCTETS)
    for up in (True, False):
        received, source = transfer(node, peer, str(address), octets, up=up)
        assert received == octets
        assert source == str(home_address)


def assert_no_stray_answer(lab: Laboratory, *expected: int) -> None:
    """See that no kernel said anything about packets of the daemons."""
    strays = [each.packet.hex() for each in lab.wire.errors(*expected)]
    assert strays == []


def test_packets_pass_and_nobody_complains(lab: Laboratory) -> None:
    for identifier in (10, 20, 30):
        talk(lab, identifier)
    assert_no_stray_answer(lab)


def test_flows_survive_a_cut(lab: Laboratory) -> None:
    lab.network.cut("wifi")
    lab.until_registered("lte", "sat", within_s=PATIENCE_S)
    talk(lab, 40)
    lab.network.restore("wifi")
    lab.until_registered(within_s=PATIENCE_S)
    talk(lab, 50)
    assert_no_stray_answer(lab)


@pytest.mark.parametrize("name", [AGENT, NODE])
def test_a_killed_daemon_goes_on_where_it_was(lab: Laboratory, name: str) -> None:
    lab.nodes.kill(name)
    # Packets for the dead daemon: whoever answers them now breaks connections.
    with Udp(lab.mobile_node) as sink:
        for port in range(20_000, 20_020):
            with Udp(lab.network[CORRESPONDENT], port) as sender:
                sender.send(b"to whom?", lab.topology.home_address, sink.port)
        time.sleep(0.5)
    start = lab.nodes.start_agent if name == AGENT else lab.nodes.start_node
    start()
    until(lambda: lab.status(name), f"the {name} is there again", PATIENCE_S)
    lab.until_registered(within_s=PATIENCE_S)
    talk(lab, 60)
    assert_no_stray_answer(lab)


def arrives(sender: Udp, receiver: Udp, octets: int) -> bool:
    sender.send_connected(bytes(octets))
    time.sleep(0.1)
    return any(len(payload) == octets for payload, *_ in receiver.received())


def test_large_datagrams_arrive_over_narrow_paths(lab: Laboratory) -> None:
    """In fragments of the inner and of the outer packet; nobody is told more than that."""
    narrow(lab.network, "lte", 1400)
    narrow(lab.network, "wifi", 1280)
    home_address, address = str(lab.topology.home_address), str(lab.topology.correspondent)
    with (
        Udp(lab.network[CORRESPONDENT], source=address) as far,
        Udp(lab.mobile_node, source=home_address) as near,
    ):
        near.socket.connect((address, far.port))
        far.socket.connect((home_address, near.port))
        for sender, receiver in ((near, far), (far, near)):
            for octets in (1232, 1400, 4000):
                until(
                    partial(arrives, sender, receiver, octets), f"{octets} octets", PATIENCE_S
                )
    talk(lab, 80)
    assert_no_stray_answer(lab, PACKET_TOO_BIG)


def test_packets_go_straight_to_a_correspondent(lab: Laboratory) -> None:
    lab.nodes.kill(NODE)
    lab.nodes.start_correspondent()
    lab.nodes.start_node(extra=ALL)
    lab.until_registered(within_s=PATIENCE_S)

    def is_bound() -> bool:
        answers(lab.mobile_node, lab.topology.correspondent, identifier=90)
        return len(lab.status(PEER).get("bindings", ())) == len(lab.topology.links)

    until(is_bound, lambda: str(lab.status(NODE).get("peers")), PATIENCE_S)
    talk(lab, 91)
    lab.network.cut("lte")
    lab.until_registered("wifi", "sat", within_s=PATIENCE_S)
    talk(lab, 93)
    assert_no_stray_answer(lab, PACKET_TOO_BIG)


def test_a_tunnel_of_the_host_goes_on_working(lab: Laboratory) -> None:
    """Between care-of address and correspondent; it is none of ours."""
    peer, node = lab.network[CORRESPONDENT], lab.mobile_node
    address = dict(lab.registered().values())["wifi"]
    ends = {node: (address, TUNNEL_HERE, TUNNEL_THERE)}
    ends[peer] = (str(lab.topology.correspondent), TUNNEL_THERE, TUNNEL_HERE)
    for (place, (local, inside, _)), (remote, *_) in zip(
        ends.items(), reversed(ends.values()), strict=True
    ):
        words = f"tunnel add {TUNNEL} mode ip6ip6 local {local} remote {remote} encaplimit none"
        try:
            run("ip", "-n", place.full_name, "-6", *words.split())
        except LabError as error:
            pytest.skip(f"this kernel has no tunnels: {error}")
        # Nothing leaves by it before the other end is there.
        place.ip(f"link set {TUNNEL} addrgenmode none multicast off")
        place.ip(f"link set {TUNNEL} up")
        place.ip(f"address add {inside}/64 dev {TUNNEL} nodad")
    for place, (_, _, other) in ends.items():
        assert answers(place, IPv6Address(other), identifier=70, within_s=PATIENCE_S)
    talk(lab, 71)
    assert_no_stray_answer(lab, PACKET_TOO_BIG)
    for place in ends:
        run("ip", "-n", place.full_name, "link", "delete", TUNNEL)


@pytest.fixture(scope="module")
def network(data_plane: str) -> Iterator[Ipv4Network]:
    """Two uplinks of IPv4, one of them behind a NAT."""
    with ipv4_network(data_plane) as built:
        yield built


def stray_answers(tapped: list[socket.socket]) -> list[str]:
    """Return what taps saw of ICMP's Protocol and Port Unreachable."""
    strays: list[str] = []
    for tap in tapped:
        with suppress(BlockingIOError):
            while True:
                packet = tap.recv(65535)[ETHERNET_OCTETS:]
                if packet[9] == ICMP and packet[20:22] in UNREACHABLE:
                    strays.append(packet.hex())
    return strays


def test_datagrams_over_ipv4_pass_and_nobody_complains(network: Ipv4Network) -> None:
    places = ((network.node, "lte"), (network.node, "wifi"), (network.agent, "eth0"))
    with ExitStack() as stack:
        tapped = [
            stack.enter_context(
                closing(open_tap(Tap(namespace=place.path, interface=name, label=name)))
            )
            for place, name in places
        ]
        network.wait(network.is_served, PATIENCE_S)
        octets = Random(1).randbytes(OCTETS)
        for up in (True, False):
            assert network.transfer(octets, up=up) == octets
        network.carrier("wifi", present=False)
        network.wait(lambda: set(network.cache()) == {LTE}, PATIENCE_S)
        assert network.transfer(octets, up=False) == octets
        network.carrier("wifi", present=True)
        network.wait(network.is_served, PATIENCE_S)
        assert stray_answers(tapped) == []
    for name in ("agent", "node"):
        network.kill(name)
        network.run(name)
        network.wait(network.is_served, PATIENCE_S)
        assert network.transfer(octets, up=True) == octets
