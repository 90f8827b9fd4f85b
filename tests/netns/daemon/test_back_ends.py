"""Both back ends do the same with the same packets: those of a flow's start, and those after."""

import os
import signal
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from mcoa.lab.meters.launch import start_echo, start_stream, start_stream_server
from mcoa.lab.meters.stream import Order
from mcoa.lab.namespaces import Namespace
from mcoa.lab.nodes import AGENT, NODE
from mcoa.lab.topology import CORE, CORRESPONDENT
from mcoa.wire.checksum import internet_checksum
from netns.daemon.laboratory import Laboratory, laboratory, until
from netns.daemon.packets import send, tunnelled
from netns.daemon.sniffer import Sniffer

pytestmark = pytest.mark.netns

UDP, IPV6, FRAGMENT, ICMPV6, DESTINATION_OPTIONS = 17, 41, 44, 58, 60
NOT_ECT, ECT_0, CE = 0, 2, 3
PACKETS = 4
"""Of a flow: the first ones tell the daemon of it, the others are carried as it decided."""

PORT = 5201


@pytest.fixture(scope="module", params=["ebpf", "userspace"])
def lab(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    """Figure 1 with both daemons on one back end."""
    with laboratory(data_plane=request.param) as built:
        for name in (NODE, AGENT):
            assert built.status(name)["data_plane"] == request.param
        start_stream_server(built.network.namespaces, built.network[CORRESPONDENT], PORT)
        yield built


@pytest.fixture
def up(lab: Laboratory) -> Iterator[Sniffer]:
    """What comes in at the correspondent."""
    with Sniffer(lab.network[CORRESPONDENT], "eth0") as sniffer:
        yield sniffer


@pytest.fixture
def down(lab: Laboratory) -> Iterator[Sniffer]:
    """What comes out of the tunnels at the mobile node."""
    with Sniffer(lab.mobile_node, "mip0") as sniffer:
        yield sniffer


def packet(
    source: IPv6Address,
    destination: IPv6Address,
    port: int,
    *,
    first_octets: int = 0x6000_0000,
    extension: bytes = b"",
    payload: bytes = b"hello",
    hop_limit: int = 64,
) -> bytes:
    """Return a UDP packet, perhaps behind a header of destination options."""
    length = 8 + len(payload)
    header = struct.pack("!HHHH", 4000, port, length, 0)
    pseudo = source.packed + destination.packed + struct.pack("!II", length, UDP)
    checksum = internet_checksum(pseudo + header + payload) or 0xFFFF
    body = header[:6] + checksum.to_bytes(2) + payload
    protocol = DESTINATION_OPTIONS if extension else UDP
    start = struct.pack("!IHBB", first_octets, len(extension + body), protocol, hop_limit)
    return start + source.packed + destination.packed + extension + body


def fragments(whole: bytes, identification: int) -> tuple[bytes, bytes]:
    """Return a packet without extension headers in two fragments."""
    body = whole[40:]
    half = len(body) // 2 & ~7

    def fragment(part: bytes, offset: int, *, more: bool) -> bytes:
        header = struct.pack("!BBHI", whole[6], 0, offset | more, identification)
        length = (len(header) + len(part)).to_bytes(2)
        return whole[:4] + length + bytes((FRAGMENT,)) + whole[7:40] + header + part

    return fragment(body[:half], 0, more=True), fragment(body[half:], half, more=False)


def is_to_port(port: int, *, at: int = 40) -> object:
    def wanted(each: bytes) -> bool:
        return each[at + 2 : at + 4] == port.to_bytes(2)

    return wanted


def mobile(lab: Laboratory, port: int, **options: object) -> bytes:
    """Return a packet of the mobile node to the correspondent."""
    topology = lab.topology
    return packet(topology.home_address, topology.correspondent, port, **options)  # type: ignore[arg-type]


def back(lab: Laboratory, port: int, **options: object) -> bytes:
    """Return a packet of the correspondent to the mobile node."""
    topology = lab.topology
    return packet(topology.correspondent, topology.home_address, port, **options)  # type: ignore[arg-type]


def expect(sniffer: Sniffer, start: Namespace, sent: bytes, port: int) -> list[bytes]:
    """Send a packet several times, one after the other, and return what came of it."""
    arrived: list[bytes] = []
    for _ in range(PACKETS):
        send(start, sent)
        arrived += sniffer.wait(lambda each: port.to_bytes(2) in each[40:])
    assert len(arrived) == PACKETS
    return arrived


def test_a_packet_up_is_what_was_sent_but_for_the_hops(lab: Laboratory, up: Sniffer) -> None:
    sent = mobile(lab, 7001, first_octets=0x6BA1_2345)
    for arrived in expect(up, lab.mobile_node, sent, 7001):
        assert arrived[7] == sent[7] - 2  # the agent, and the router behind it
        assert arrived[:7] + arrived[8:] == sent[:7] + sent[8:]


def test_a_packet_down_is_what_was_sent_but_for_the_hops(
    lab: Laboratory, down: Sniffer
) -> None:
    sent = back(lab, 7002, first_octets=0x6BA1_2345)
    for arrived in expect(down, lab.network[CORRESPONDENT], sent, 7002):
        assert arrived[7] == sent[7] - 2
        assert arrived[:7] + arrived[8:] == sent[:7] + sent[8:]


def test_the_tunnel_header_has_class_and_label_of_the_packet(lab: Laboratory) -> None:
    sniffers = [Sniffer(lab.network[each.router], "radio") for each in lab.topology.links]
    sent = mobile(lab, 7003, first_octets=0x6BA1_2345)
    for _ in range(PACKETS):
        send(lab.mobile_node, sent)
        seen = [
            outer
            for each in sniffers
            for outer in each.wait(lambda outer: outer[40:] == sent, within_s=0.2)
        ]
        assert len(seen) == 1
        assert seen[0][:4] == sent[:4]
        assert seen[0][4:8] == len(sent).to_bytes(2) + bytes((IPV6, 64))
    for each in sniffers:
        each.close()


def in_tunnel(lab: Laboratory, inner: bytes, ecn: int) -> bytes:
    """Return a tunnel packet of the mobile node that routers have marked so."""
    _, care_of_address = next(iter(lab.registered().values()))
    outer = tunnelled(IPv6Address(care_of_address), lab.topology.home_agent, inner)
    return outer[:1] + bytes((ecn << 4,)) + outer[2:]


def test_congestion_marks_come_out_of_the_tunnel(lab: Laboratory, up: Sniffer) -> None:
    inner = mobile(lab, 7004, first_octets=0x6000_0000 | ECT_0 << 20)
    expect(up, lab.mobile_node, inner, 7004)
    for arrived in expect(up, lab.network[CORE], in_tunnel(lab, inner, CE), 7004):
        assert arrived[1] >> 4 & 3 == CE
        assert arrived[8:] == inner[8:]


def test_a_mark_that_cannot_be_told_drops_the_packet(lab: Laboratory, up: Sniffer) -> None:
    reason = "dropped: congestion mark on a packet that does not know marks"
    inner = mobile(lab, 7005, first_octets=0x6000_0000 | NOT_ECT << 20)
    expect(up, lab.mobile_node, inner, 7005)
    before = lab.counter(AGENT, reason)
    for _ in range(PACKETS):
        send(lab.network[CORE], in_tunnel(lab, inner, CE))
    until(lambda: lab.counter(AGENT, reason) == before + PACKETS, "the drops are counted")
    assert not up.wait(lambda each: b"\x1b\x5d" in each[40:], within_s=0.1)


def test_extension_headers_travel(lab: Laboratory, up: Sniffer) -> None:
    padding = bytes((UDP, 0, 1, 4, 0, 0, 0, 0))
    sent = mobile(lab, 7006, extension=padding)
    for arrived in expect(up, lab.mobile_node, sent, 7006):
        assert arrived[8:] == sent[8:]


def test_fragments_follow_their_first(lab: Laboratory, up: Sniffer) -> None:
    links = {
        each.name: Sniffer(lab.network[each.router], "radio") for each in lab.topology.links
    }
    ways = set()
    for identification in range(PACKETS):
        payload = bytes(1000)
        for part in fragments(mobile(lab, 7007, payload=payload), identification):
            send(lab.mobile_node, part)
            ways |= {
                name
                for name, each in links.items()
                if each.wait(lambda outer: outer[40:] == part, within_s=0.05)  # noqa: B023
            }
        found = up.wait(lambda each: each[6] == FRAGMENT, number=2)
        assert len(found) == 2
    assert len(ways) == 1
    for each in links.values():
        each.close()


def test_an_error_about_a_packet_comes_back(
    lab: Laboratory, up: Sniffer, down: Sniffer
) -> None:
    sent = mobile(lab, 9)  # where nobody listens
    expect(up, lab.mobile_node, sent, 9)
    errors = down.wait(lambda each: each[6] == ICMPV6 and each[40] == 1)
    assert errors
    assert errors[0][48:][8:40] == sent[8:40]


def test_what_is_too_large_is_told_so(lab: Laboratory, down: Sniffer) -> None:
    correspondent = lab.network[CORRESPONDENT]
    expect(down, correspondent, back(lab, 7008), 7008)  # the flow is known from now on
    with Sniffer(correspondent, "eth0") as sniffer:
        send(correspondent, back(lab, 7008, payload=bytes(1500 - 48)))
        errors = sniffer.wait(lambda each: each[6] == ICMPV6 and each[40] == 2)
    assert errors
    assert int.from_bytes(errors[0][44:48]) == 1460


def test_a_stranger_cannot_send_as_the_mobile_node(lab: Laboratory, up: Sniffer) -> None:
    inner = mobile(lab, 7009)
    expect(up, lab.mobile_node, inner, 7009)
    reason = "dropped: outer source is not registered for the inner source"
    before = lab.counter(AGENT, reason)
    core = lab.network[CORE]
    stranger = IPv6Address("2001:db8:a::bad")
    for _ in range(PACKETS):
        send(core, tunnelled(stranger, lab.topology.home_agent, inner))
    until(lambda: lab.counter(AGENT, reason) == before + PACKETS, "the drops are counted")
    assert not up.wait(lambda each: b"\x1b\x61" in each[40:], within_s=0.1)


def test_tcp_goes_both_ways_with_right_checksums(lab: Laboratory) -> None:
    meters = [
        start_stream(
            lab.network.namespaces,
            lab.mobile_node,
            Order(
                host=str(lab.topology.correspondent),
                port=PORT,
                first_port=21_000 + 10 * upward,
                flows=3,
                duration_s=2.0,
                upward=upward,
            ),
        )
        for upward in (False, True)
    ]
    for meter in meters:
        for flow in meter.result().flows:
            assert flow.error is None
            assert flow.octets > 100_000
    for namespace in (lab.mobile_node, lab.network[CORRESPONDENT]):
        snmp = namespace.call(Path("/proc/thread-self/net/snmp").read_text)
        heads, figures = [line.split() for line in snmp.splitlines() if line.startswith("Tcp:")]
        assert figures[heads.index("InCsumErrors")] == "0"


def test_while_daemons_do_nothing_the_fast_path_loses_nothing(lab: Laboratory) -> None:
    train = start_echo(
        lab.network.namespaces,
        lab.mobile_node,
        str(lab.topology.correspondent),
        identifier=77,
        duration_s=3.0,
    )
    time.sleep(1.0)
    pids = [lab.status(name)["pid"] for name in (NODE, AGENT)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.0)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    result = train.result()
    is_fast = lab.status(NODE)["data_plane"] == "ebpf"
    assert (result.longest_silence() < 0.5) is is_fast  # what waits in the device comes late
    assert result.lost == 0 or not is_fast
