"""Taking packets below the kernel's IPv6, by either way."""

import asyncio
import subprocess
from collections.abc import Callable

import pytest

from mcoa.dataplane.copies import mark
from mcoa.dataplane.fragment import fragment_packet
from mcoa.dataplane.packet import encapsulate_with, tunnel_prefix
from mcoa.runtime import ingress
from mcoa.runtime.capture import Capture, PacketTap, Redirect, open_capture
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.patterns import (
    HOME_ADDRESS_OPTION,
    TYPE_2_ROUTING_HEADER,
    tunnel_patterns,
)
from mcoa.runtime.readiness import deliver
from mcoa.runtime.sockets import IcmpSocket, PacketSender, endpoint
from mcoa.runtime.undo import Journal
from netns.runtime.everything import has_nftables
from netns.runtime.packets import (
    CORRESPONDENT,
    HOME_ADDRESS,
    NODE,
    ROUTER,
    plain,
    tunnelled,
    with_home_address_option,
    with_routing_header,
)
from netns.runtime.pair import Pair, collected, until

pytestmark = pytest.mark.netns

BOTH = (TYPE_2_ROUTING_HEADER, HOME_ADDRESS_OPTION)
PACKETS = [with_routing_header(), with_home_address_option()]


def by_redirect(netlink: Netlink, journal: Journal) -> Capture:
    tun = Tun.open("mip0-in", mtu=1500, netlink=netlink, journal=journal)
    return Redirect(tun, BOTH, netlink=netlink, journal=journal)


def by_packet_socket(_netlink: Netlink, journal: Journal) -> Capture:
    return PacketTap("mcoa_test", BOTH, journal=journal)


NEEDS_NFT = pytest.mark.skipif(not has_nftables(), reason="nft(8) is not installed")
WAYS = pytest.mark.parametrize(
    "way", [by_redirect, pytest.param(by_packet_socket, marks=NEEDS_NFT)]
)


@WAYS
def test_packets_are_taken_whole_and_the_kernel_says_nothing(
    pair: Pair, way: Callable[[Netlink, Journal], Capture]
) -> None:
    pair.address()

    async def scenario() -> None:
        netlink, journal = Netlink(), Journal.open(pair.journal)
        link = netlink.link("wwan0")
        assert link is not None
        sender = pair.net.call(lambda: PacketSender(interface="acc0"))
        errors = pair.net.call(lambda: IcmpSocket((1, 2, 3, 4)))
        capture = way(netlink, journal)
        taken: list[bytes] = []
        stop = deliver(capture, taken.extend, lambda _: None)
        capture.attach("wwan0", link.index)
        capture.attach("wwan0", link.index)
        for packet in (*PACKETS, plain(NODE, NODE)):
            assert sender.send(packet, endpoint(NODE)) == 0
        await until(lambda: len(taken) == len(PACKETS))
        await asyncio.sleep(0.1)
        assert taken == PACKETS
        assert errors.receive() == []

        capture.detach("wwan0", link.index)
        for packet in PACKETS:
            assert sender.send(packet, endpoint(NODE)) == 0
        answers = await collected(errors.receive, len(PACKETS))
        assert [each.message[:2] for each in answers] == [b"\4\0", b"\4\2"]
        assert taken == PACKETS
        stop()
        for each in (capture, sender, errors):
            each.close()
        assert journal.undo(netlink) == ()
        netlink.close()

    pair.run(scenario)


def filters(pair: Pair) -> str:
    command = ["tc", "-n", pair.node.full_name, "filter", "show", "dev", "wwan0", "ingress"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def queues(pair: Pair) -> str:
    command = ["tc", "-n", pair.node.full_name, "qdisc", "show", "dev", "wwan0"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("others", [False, True])
def test_filters_of_others_survive_ours(pair: Pair, *, others: bool) -> None:
    if others:
        pair.node.tc(
            "qdisc add dev wwan0 clsact",
            "filter add dev wwan0 ingress protocol ipv6 prio 7 u32 match u32 0 0",
        )

    async def scenario() -> None:
        netlink, journal = Netlink(), Journal.open(pair.journal)
        link = netlink.link("wwan0")
        assert link is not None
        capture = open_capture("mip0", netlink=netlink, journal=journal)
        assert isinstance(capture, Redirect)
        capture.attach("wwan0", link.index)
        assert "pref 5135" in filters(pair)
        capture.close()
        assert journal.undo(netlink) == ()
        netlink.close()

    pair.run(scenario)
    assert "5135" not in filters(pair)
    assert ("pref 7" in filters(pair)) is others
    assert ("clsact" in queues(pair)) is others


def test_a_redirect_outlives_the_process_and_is_taken_over(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        netlink, journal = Netlink(), Journal.open(pair.journal)
        link = netlink.link("wwan0")
        assert link is not None
        for _ in range(2):
            capture = open_capture("mip0", netlink=netlink, journal=journal)
            capture.attach("wwan0", link.index)
            sender = pair.net.call(lambda: PacketSender(interface="acc0"))
            assert sender.send(PACKETS[0], endpoint(NODE)) == 0
            assert await collected(capture.receive, 1) == PACKETS[:1]
            capture.close()
            sender.close()
        assert journal.undo(netlink) == ()
        netlink.close()

    pair.run(scenario)


@NEEDS_NFT
def test_without_the_filters_a_packet_socket_serves(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Redirect, "_install", refuse)

    async def scenario() -> None:
        netlink, journal = Netlink(), Journal.open(pair.journal)
        capture = open_capture("mip0", netlink=netlink, journal=journal)
        assert isinstance(capture, PacketTap)
        assert netlink.link("mip0-in") is None
        capture.close()
        assert journal.undo(netlink) == ()
        netlink.close()

    pair.run(scenario)


def copied(inner: bytes) -> bytes:
    return encapsulate_with(mark(7), inner, tunnel_prefix(ROUTER.packed, NODE.packed))


TUNNEL_PACKETS = [
    tunnelled(plain(CORRESPONDENT, HOME_ADDRESS)),
    copied(plain(CORRESPONDENT, HOME_ADDRESS)),
    *fragment_packet(tunnelled(plain(CORRESPONDENT, HOME_ADDRESS, 1500)), 1280, 1),
    *fragment_packet(copied(plain(CORRESPONDENT, HOME_ADDRESS, 1500)), 1280, 2),
    *fragment_packet(copied(plain(CORRESPONDENT, HOME_ADDRESS, 1500)), 1280, 3, 48),
]


@WAYS
def test_tunnel_packets_of_the_agent_are_taken_and_those_of_others_left(
    pair: Pair, way: Callable[[Netlink, Journal], Capture]
) -> None:
    pair.address()

    async def scenario() -> None:
        netlink, journal = Netlink(), Journal.open(pair.journal)
        link = netlink.link("wwan0")
        assert link is not None
        capture = way(netlink, journal)
        capture.attach("wwan0", link.index)
        sender = pair.net.call(lambda: PacketSender(interface="acc0"))
        errors = pair.net.call(lambda: IcmpSocket((1, 2, 3, 4)))
        capture.set_patterns((*BOTH, *tunnel_patterns(ROUTER)))
        for packet in TUNNEL_PACKETS:
            assert sender.send(packet, endpoint(NODE)) == 0
        assert await collected(capture.receive, len(TUNNEL_PACKETS)) == TUNNEL_PACKETS
        assert errors.receive() == []

        capture.set_patterns((*BOTH, *tunnel_patterns(CORRESPONDENT)))
        assert sender.send(TUNNEL_PACKETS[0], endpoint(NODE)) == 0
        assert await collected(errors.receive, 1)  # the kernel has no such tunnel
        assert capture.receive() == []
        for each in (capture, sender, errors):
            each.close()
        assert journal.undo(netlink) == ()
        netlink.close()

    pair.run(scenario)


def test_a_restart_lets_no_packet_slip_by(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filters of before stand until those of now do."""
    pair.address()
    left: list[int] = []
    remove = ingress.remove_filters

    def counted(index: int, first: int, last: int, netlink: Netlink) -> None:
        remove(index, first, last, netlink)
        left.append(len(ingress.filter_priorities(index, netlink)))

    async def scenario() -> None:
        netlink, journal = Netlink(), Journal.open(pair.journal)
        link = netlink.link("wwan0")
        assert link is not None
        for _ in range(2):
            capture = by_redirect(netlink, journal)
            monkeypatch.setattr(ingress, "remove_filters", counted)
            capture.attach("wwan0", link.index)
            monkeypatch.undo()
            capture.close()
        assert left == [len(BOTH) + 1, len(BOTH)]
        assert journal.undo(netlink) == ()
        netlink.close()

    pair.run(scenario)
