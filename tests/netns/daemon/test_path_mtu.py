"""Paths of 1500, 1400 and 1280 octets: nothing stalls, and senders are told the truth."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcoa.lab.capture import ETHERNET_OCTETS, Tap, open_tap
from mcoa.lab.flows import FlowTally
from mcoa.lab.meters.launch import Meter, start_stream, start_stream_server
from mcoa.lab.meters.results import StreamResult
from mcoa.lab.meters.stream import Order
from mcoa.lab.mishaps import narrow
from mcoa.lab.namespaces import Namespace, run
from mcoa.lab.sightings import FRAGMENT, Flow
from mcoa.lab.topology import CORE, CORRESPONDENT
from mcoa.wire.icmpv6 import PacketTooBig, emit_icmpv6
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from netns.daemon.laboratory import Laboratory, Udp, laboratory, until
from netns.daemon.packets import STRANGER, datagram, send, tunnelled

pytestmark = pytest.mark.netns

PORT = 5201
LINKS = ("lte", "wifi", "sat")
MTUS = {"lte": 1400, "wifi": 1280}
FLOWS = 6
PACKET_TOO_BIG, ICMPV6 = 2, 58
IPV6_MTU = 24
LONGEST_GAP_S = 2.0  # a stalled connection is silent for ever


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    """Figure 1 with a narrow hop behind two of the access networks."""
    with laboratory() as built:
        for link, mtu in MTUS.items():
            narrow(built.network, link, mtu)
        start_stream_server(built.network.namespaces, built.network[CORRESPONDENT], PORT)
        yield built


def start_both_ways(
    lab: Laboratory, first_port: int, duration_s: float
) -> list[Meter[StreamResult]]:
    """Start TCP connections that carry octets up, and as many that carry them down."""
    return [
        start_stream(
            lab.network.namespaces,
            lab.mobile_node,
            Order(
                host=str(lab.topology.correspondent),
                port=PORT,
                first_port=first_port + FLOWS * upward,
                flows=FLOWS,
                duration_s=duration_s,
                upward=upward,
                pacing_mbit_s=1.0,
            ),
        )
        for upward in (False, True)
    ]


def assert_never_stalled(meters: list[Meter[StreamResult]]) -> None:
    for flow in [flow for meter in meters for flow in meter.result().flows]:
        assert flow.error is None
        assert flow.longest_gap() < LONGEST_GAP_S
        end_s = flow.marks[-1][0]
        assert flow.octets_between(end_s - LONGEST_GAP_S, end_s) > 50_000


def test_bulk_transfers_over_narrow_paths_do_not_stall(lab: Laboratory) -> None:
    first_port = 20_000
    meters = start_both_ways(lab, first_port, 4.0)
    with FlowTally(lab.mobile_node, LINKS) as tally:
        tally.wait(4.0)
        counts = tally.counts()
    assert_never_stalled(meters)
    for first in (first_port, first_port + FLOWS):
        ports = range(first, first + FLOWS)
        assert {counts.carrier_of(Flow.tcp(PORT, port)) for port in ports} == set(LINKS)


def test_transfers_that_move_to_narrower_paths_do_not_stall(lab: Laboratory) -> None:
    meters = start_both_ways(lab, 21_000, 7.0)
    time.sleep(1.5)
    lab.network.cut("sat")
    lab.until_registered("lte", "wifi")
    lab.network.cut("lte")
    lab.until_registered("wifi")
    assert_never_stalled(meters)
    lab.network.restore("lte", "sat")
    lab.until_registered()


@contextmanager
def only(lab: Laboratory, link: str) -> Iterator[None]:
    """Leave one link."""
    others = [each for each in LINKS if each != link]
    lab.network.cut(*others)
    lab.until_registered(link)
    yield
    lab.network.restore(*others)
    lab.until_registered()


def told_mtu(sender: Udp) -> int:
    """Return what the kernel believes of a connected socket's path."""
    return sender.socket.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)


def outer_fragments(tapped: socket.socket) -> list[int]:
    """Return the sizes of the fragments that have passed a tap."""
    sizes: list[int] = []
    while True:
        try:
            packet = tapped.recv(65535)[ETHERNET_OCTETS:]
        except BlockingIOError:
            return sizes
        assert len(packet) <= MTUS["wifi"] or packet[6] == ICMPV6
        if packet[6] == FRAGMENT:
            sizes.append(len(packet))


def exchange(lab: Laboratory, sender: Udp, receiver: Udp, octets: int) -> tuple[int, list[int]]:
    """Send datagrams until one arrives whole.

    Returns:
        The MTU that the sender was told, and the outer fragments on the narrow hop.
    """
    core = Tap(namespace=lab.network[CORE].path, interface="wifi", label="core")
    with open_tap(core) as tapped:

        def arrives() -> bool:
            sender.send_connected(bytes(octets))
            time.sleep(0.1)
            return any(len(payload) == octets for payload, _, _ in receiver.received())

        until(arrives, lambda: f"{octets} octets; the sender believes {told_mtu(sender)}")
        return told_mtu(sender), outer_fragments(tapped)


def ends(lab: Laboratory, *, upward: bool) -> tuple[Namespace, str, Namespace, str]:
    here = lab.mobile_node, str(lab.topology.home_address)
    there = lab.network[CORRESPONDENT], str(lab.topology.correspondent)
    return (*here, *there) if upward else (*there, *here)


def test_datagrams_on_the_narrowest_path_are_fragmented_inside_and_outside(
    lab: Laboratory,
) -> None:
    """1280 octets is the least a sender is told; the tunnel has room for 1240."""
    with only(lab, "wifi"):
        for upward in (True, False):
            start, source, end, destination = ends(lab, upward=upward)
            with Udp(end) as receiver, Udp(start, source=source) as sender:
                sender.socket.connect((destination, receiver.port))
                mtu, fragments = exchange(lab, sender, receiver, 1400)
                assert mtu == 1280
                # Two inner fragments, of which the first is cut in two outside.
                assert len(fragments) >= 2


def test_a_packet_of_1280_octets_is_never_too_big(lab: Laboratory) -> None:
    with only(lab, "wifi"):
        for upward in (True, False):
            start, source, end, destination = ends(lab, upward=upward)
            with Udp(end) as receiver, Udp(start, source=source) as sender:
                sender.socket.connect((destination, receiver.port))
                _, fragments = exchange(lab, sender, receiver, 1280 - 48)
                assert len(fragments) >= 2


def test_a_forged_packet_too_big_is_not_believed(lab: Laboratory) -> None:
    """It quotes a tunnel packet that the agent cannot have sent."""
    topology = lab.topology
    inner = datagram(topology.correspondent, topology.home_address, 9)
    quoted = tunnelled(topology.home_agent, STRANGER, inner)
    message = emit_icmpv6(
        PacketTooBig(mtu=1280, invoking_packet=quoted), STRANGER, topology.home_agent
    )
    with only(lab, "sat"):
        forged = Ipv6Packet(
            source=STRANGER, destination=topology.home_agent, protocol=ICMPV6, payload=message
        )
        send(lab.network[CORE], emit_packet(forged))
        name = lab.network[CORRESPONDENT].full_name
        run("ip", "-n", name, "-6", "route", "flush", "cache")  # what it learned before
        with (
            Udp(lab.mobile_node) as receiver,
            Udp(lab.network[CORRESPONDENT], source=str(topology.correspondent)) as sender,
        ):
            sender.socket.connect((str(topology.home_address), receiver.port))
            assert sender.send_connected(bytes(1400)) == 0
            until(receiver.received, "the first datagram")
            assert told_mtu(sender) == 1500


def test_every_message_was_well_formed(lab: Laboratory, tmp_path: Path) -> None:
    names = lab.wire.judge(tmp_path)
    assert names["Binding Update"] > 4


def test_nothing_was_answered_but_packet_too_big(lab: Laboratory) -> None:
    assert lab.wire.errors(PACKET_TOO_BIG) == []
    assert lab.wire.errors()
