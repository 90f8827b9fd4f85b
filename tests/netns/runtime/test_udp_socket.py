"""IPv6 in UDP over IPv4, with real packets: judged by scapy, and by the kernel's own socket."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENETUNREACH
from ipaddress import IPv4Address

import pytest

from mcoa.dataplane.trains import Segments, Train, couple, uncouple
from mcoa.runtime.udp_socket import ENCAPSULATION_PORT, Datagrams, UdpSocket
from netns.runtime.pair import Pair, collected

pytestmark = pytest.mark.netns

OURS, THEIRS = IPv4Address("192.0.2.2"), IPv4Address("192.0.2.1")
TO = (str(THEIRS), ENCAPSULATION_PORT)
MAPPED = bytes(10) + b"\xff\xff" + OURS.packed
ETH_P_IP = 0x0800
PACKET = bytes.fromhex("6ba12345") + (100).to_bytes(2) + bytes((59, 64)) + bytes(range(132))


@contextmanager
def sockets(pair: Pair) -> Iterator[tuple[UdpSocket, UdpSocket, socket.socket]]:
    """Yield ours, theirs, and one that sees all frames at the other end."""
    pair.node.ip(f"address add {OURS}/24 dev wwan0")
    pair.net.ip(f"address add {THEIRS}/24 dev acc0")
    ours = pair.node.call(lambda: UdpSocket(OURS, interface="wwan0"))
    theirs = pair.net.call(lambda: UdpSocket(THEIRS))
    seen = pair.net.call(lambda: listener("acc0"))
    try:
        yield ours, theirs, seen
    finally:
        for each in (ours, theirs, seen):
            each.close()


def listener(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    opened.bind((interface, ETH_P_IP))
    opened.settimeout(2.0)
    return opened


def train(size: int, count: int) -> Train:
    payload = bytes(range(256)) * (size * count // 256 + 1)
    header = bytes.fromhex("6b800000") + bytes(2) + bytes((6, 64)) + bytes(range(32))
    header += bytes(12) + bytes((0x50, 0x10)) + bytes(6)
    packet = bytearray(header + payload[: size * count - 7])
    packet[4:6] = (len(packet) - 40).to_bytes(2)
    pseudo = int.from_bytes(packet[8:40]) + len(packet) - 40 + 6
    packet[56:58] = (pseudo % 65535).to_bytes(2)
    made = Train.of(bytes(packet), 40, size)
    assert made is not None
    return made


def arrivals(pair: Pair, receiver: UdpSocket, octets: int) -> list[Datagrams]:
    """Return what comes, once it is so many octets."""

    async def scenario() -> list[Datagrams]:
        received: list[Datagrams] = []
        while sum(len(each.segments.octets) for each in received) < octets:
            received += await collected(receiver.receive, 1)
        return received

    return pair.run(scenario)


def test_a_datagram_is_right_for_others(pair: Pair) -> None:
    from scapy.layers.inet import IP, UDP  # noqa: PLC0415 - slow to import

    with sockets(pair) as (ours, theirs, seen):
        assert ours.send(PACKET, TO) == 0
        outer = IP(seen.recv(2000))
        (arrived,) = arrivals(pair, theirs, len(PACKET))
    assert (outer.src, outer.dst, outer.tos, str(outer.flags)) == (
        str(OURS),
        str(THEIRS),
        0xBA,
        "",
    )
    assert (outer[UDP].sport, outer[UDP].dport) == (ENCAPSULATION_PORT, ENCAPSULATION_PORT)
    assert bytes(outer[UDP].payload) == PACKET
    assert arrived == (Segments(PACKET, len(PACKET)), MAPPED, ENCAPSULATION_PORT, 0xBA)


@pytest.mark.parametrize("count", [2, 45, 64])
def test_segments_arrive_and_are_a_train_again(pair: Pair, count: int) -> None:
    size = 1300 if count < 50 else 900
    whole = train(size, count)
    segments = uncouple(whole)
    with sockets(pair) as (ours, theirs, _):
        assert ours.send_segments(segments, TO) == 0
        arrived = arrivals(pair, theirs, len(segments.octets))
    assert all(each.traffic_class == 0xB8 for each in arrived)
    found = [part for each in arrived for part in couple(each.segments)]
    got = [
        packet
        for part in found
        for packet in (uncouple(part).packets() if isinstance(part, Train) else [part])
    ]
    assert got == segments.packets()
    if count > 2:
        assert isinstance(found[0], Train)


def test_the_wire_has_a_whole_packet_in_each_datagram(pair: Pair) -> None:
    from scapy.layers.inet import IP, UDP  # noqa: PLC0415 - slow to import

    segments = uncouple(train(1000, 5))
    pair.node.call(lambda: no_offloads("wwan0"))
    with sockets(pair) as (ours, _, seen):
        assert ours.send_segments(segments, TO) == 0
        outers = [IP(seen.recv(2000)) for _ in range(5)]
    assert [bytes(outer[UDP].payload) for outer in outers] == segments.packets()
    for outer in outers:
        anew = IP(bytes(outer))
        del anew.chksum, anew[UDP].chksum
        assert bytes(anew) == bytes(outer)


def no_offloads(interface: str) -> None:
    from mcoa.lab.wires import disable_offloads  # noqa: PLC0415 - here alone

    disable_offloads(interface)


def test_what_is_larger_than_the_link_goes_in_fragments_also_in_a_row(pair: Pair) -> None:
    segments = uncouple(train(1200, 4))
    pair.node.ip("link set wwan0 mtu 1000")
    with sockets(pair) as (ours, theirs, _):
        assert ours.send_segments(segments, TO) == 0
        arrived = arrivals(pair, theirs, len(segments.octets))
    got = [packet for each in arrived for packet in each.segments.packets()]
    assert got == segments.packets()


def test_what_cannot_leave_is_told_and_nothing_breaks(pair: Pair) -> None:
    with sockets(pair) as (ours, theirs, _):
        nowhere = ("203.0.113.1", ENCAPSULATION_PORT)
        assert theirs.send(PACKET, nowhere) == ENETUNREACH
        assert theirs.send_segments(uncouple(train(1000, 5)), nowhere) == ENETUNREACH
        assert ours.send(PACKET, TO) == 0
        (arrived,) = arrivals(pair, theirs, len(PACKET))
        assert arrived.segments.packets() == [PACKET]


def test_an_empty_datagram_is_no_packet(pair: Pair) -> None:
    with sockets(pair) as (_, theirs, _):
        bare = pair.node.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with bare:
            bare.sendto(b"", TO)
            bare.sendto(PACKET, TO)
        arrived = arrivals(pair, theirs, len(PACKET))
    assert [p for each in arrived for p in couple(each.segments)] == [PACKET]
    assert {each.port for each in arrived} != {ENCAPSULATION_PORT}


def test_an_address_that_is_not_ours_is_refused(pair: Pair) -> None:
    with pytest.raises(OSError, match="assign"):
        pair.node.call(lambda: UdpSocket(IPv4Address("203.0.113.9")))
