"""Outer packets as large as the links: the first of each flow arrives, and nobody is told less."""

import socket
import time
from collections.abc import Iterator

import pytest

from mcoa.lab.namespaces import Namespace, run
from mcoa.lab.topology import AIR, CORRESPONDENT
from netns.daemon.laboratory import Laboratory, Udp, laboratory, until

pytestmark = [
    pytest.mark.netns,
    pytest.mark.parametrize("data_plane", ["auto", "userspace"], scope="module"),
]

JUMBO = 9000
TUNNEL_HEADER, UDP_OVERHEAD = 40, 48
IPV6_MTU = 24
FLOWS = 6
PACKET_TOO_BIG = 2


@pytest.fixture(scope="module")
def lab(data_plane: str) -> Iterator[Laboratory]:
    """Figure 1, of which all links become jumbo in the end."""
    with laboratory(data_plane=data_plane) as built:
        yield built


def enlarge(lab: Laboratory) -> None:
    """Give all devices of the network an MTU of 9000, but those of the daemons."""
    for link in lab.topology.links:
        for device in (link.near, link.far):  # whose shapers pass no such frames
            lab.network[AIR].tc(f"qdisc delete dev {device} root")
    for link in lab.topology.links:  # whose routers advertise 1500
        lab.mobile_node.sysctl(**{f"conf__{link.name}__accept_ra_mtu": 0})
    for name, _ in lab.network.namespaces.names():
        namespace = lab.network[name]
        listed = run("ip", "-n", namespace.full_name, "-o", "link", "show")
        devices = [
            line.split()[1].rstrip(":").partition("@")[0] for line in listed.splitlines()
        ]
        for device in devices:
            if device != "lo" and not device.startswith("mip0"):
                namespace.ip(f"link set dev {device} mtu {JUMBO}")


def mtu_of(namespace: Namespace, device: str) -> int:
    return int(
        run("ip", "netns", "exec", namespace.full_name, "cat", f"/sys/class/net/{device}/mtu")
    )


def first_datagrams(lab: Laboratory, octets: int) -> tuple[int, set[int]]:
    """Send one datagram in an inner packet of that size up on each of a few new flows.

    Returns how many arrive, and what their senders believe of the path.
    """
    arrived, believed = 0, set[int]()
    source, destination = str(lab.topology.home_address), str(lab.topology.correspondent)
    with Udp(lab.network[CORRESPONDENT]) as receiver:
        for _ in range(FLOWS):
            with Udp(lab.mobile_node, source=source) as sender:
                sender.socket.connect((destination, receiver.port))
                assert sender.send_connected(bytes(octets - UDP_OVERHEAD)) == 0
                time.sleep(0.2)
                arrived += len(receiver.received())
                believed.add(sender.socket.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU))
    return arrived, believed


def test_the_first_packet_of_a_flow_may_fill_the_link(lab: Laboratory) -> None:
    """The service address has no MTU of its own: only home addresses have (RFC 2473 §7.1)."""
    size = 1500 - TUNNEL_HEADER
    assert first_datagrams(lab, size) == (FLOWS, {size})
    assert lab.wire.errors(PACKET_TOO_BIG) == []


def test_packets_of_9000_octets_pass_between_jumbo_links(lab: Laboratory) -> None:
    enlarge(lab)
    for namespace in (lab.mobile_node, lab.home_agent):
        until(lambda where=namespace: mtu_of(where, "mip0") == JUMBO, "the device fits")
    size = JUMBO - TUNNEL_HEADER
    assert first_datagrams(lab, size) == (FLOWS, {size})


def test_the_device_shrinks_with_the_links(lab: Laboratory) -> None:
    for link in lab.topology.links:
        lab.mobile_node.ip(f"link set dev {link.name} mtu 1400")
    until(lambda: mtu_of(lab.mobile_node, "mip0") == 1500, "no less than Ethernet's")
    size = 1400 - TUNNEL_HEADER
    assert first_datagrams(lab, size) == (FLOWS, {size})
