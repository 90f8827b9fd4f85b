"""Both daemons in user space, with a path in UDP over IPv4: TCP travels in trains."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random

import pytest

from mcoa.lab.bench.forwarding_network import CORRESPONDENT, OURS, ForwardingNetwork
from mcoa.lab.namespaces import Namespace, Namespaces, run
from netns.daemon.transfer import transfer

pytestmark = pytest.mark.netns

PORT, WITHIN_S = 7001, 20.0
OCTETS = Random(5).randbytes(8 << 20)
LARGER_THAN_ANY_PACKET = 3000


@dataclass(frozen=True)
class Ends:
    """Namespaces of the mobile node, its agent and a correspondent."""

    node: Namespace
    agent: Namespace
    peer: Namespace


@pytest.fixture(scope="module")
def ends() -> Iterator[Ends]:
    with Namespaces() as namespaces:
        network = ForwardingNetwork(namespaces, "d")
        network.start_daemons("userspace", ipv4=True)
        yield Ends(network.node, network.agent, network.peer)


def arrived(ends: Ends, *, up: bool) -> bytes:
    """Send octets in one connection of the mobile node's; return what arrived."""
    received, source = transfer(ends.node, ends.peer, CORRESPONDENT, OCTETS, up=up)
    assert source == OURS.source
    return received


def sent_by_device(namespace: Namespace) -> tuple[int, int]:
    """Return the octets and packets that the kernel gave to the data plane."""
    (link,) = json.loads(
        run("ip", "-n", namespace.full_name, "-j", "-s", "link", "show", "mip0")
    )
    counted = link["stats64"]["tx"]
    return counted["bytes"], counted["packets"]


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_tcp_arrives_whole_and_travels_in_trains(ends: Ends, up: bool) -> None:
    entry = ends.node if up else ends.agent
    octets, packets = sent_by_device(entry)
    assert sha256(arrived(ends, up=up)).digest() == sha256(OCTETS).digest()
    octets_after, packets_after = sent_by_device(entry)
    average = (octets_after - octets) / (packets_after - packets)
    assert average > LARGER_THAN_ANY_PACKET


@pytest.mark.parametrize("size", [1, 1412], ids=["smallest", "largest"])
def test_datagrams_pass_both_ways(ends: Ends, size: int) -> None:
    there, back = OCTETS[:size], OCTETS[-size:]
    peer = ends.peer.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    node = ends.node.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    with peer, node:
        peer.bind(("::", PORT))
        node.bind((OURS.source, PORT))
        for each in (peer, node):
            each.settimeout(WITHIN_S)
        node.sendto(there, (CORRESPONDENT, PORT))
        assert peer.recv(2000) == there
        peer.sendto(back, (OURS.source, PORT))
        assert node.recv(2000) == back


def test_a_stranger_who_speaks_udp_gets_nothing_through(ends: Ends) -> None:
    inner = bytes.fromhex("60000000") + (16).to_bytes(2) + bytes((17, 64))
    inner += socket.inet_pton(socket.AF_INET6, OURS.source)
    inner += socket.inet_pton(socket.AF_INET6, CORRESPONDENT)
    inner += (9).to_bytes(2) + PORT.to_bytes(2) + (16).to_bytes(2) + bytes(2) + b"stranger"
    sink = ends.peer.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    stranger = ends.node.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with sink, stranger:
        sink.bind(("::", PORT))
        sink.settimeout(0.5)
        for packet in (inner, inner * 8, b"x", bytes(3000)):
            stranger.sendto(packet, ("198.51.100.2", 4191))
        with pytest.raises(TimeoutError):
            sink.recv(100)
    assert arrived(ends, up=True) == OCTETS
