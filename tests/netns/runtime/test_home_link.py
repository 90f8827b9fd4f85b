"""The home link: what is attracted, announced, found to be taken, and taken back."""

import asyncio
import socket
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from itertools import pairwise

import pytest

from mcoa.engine.actions import Interception
from mcoa.lab.namespaces import run
from mcoa.runtime.home_link import HomeLink
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Changeable, Netlink
from mcoa.runtime.readiness import deliver
from mcoa.runtime.rtnetlink import NeighbourFlag
from mcoa.runtime.sockets import IcmpSocket, PacketSender, endpoint
from mcoa.runtime.undo import Journal
from mcoa.wire.icmpv6 import parse_icmpv6
from mcoa.wire.icmpv6_neighbor import NeighborAdvertisement, NeighborSolicitation
from mcoa.wire.neighbor_discovery import TargetLinkLayerAddress
from netns.runtime.packets import NODE, PREFIX, plain
from netns.runtime.pair import Pair, collected, until

pytestmark = pytest.mark.netns

LINK_LOCAL = IPv6Address("fe80::100")
SERVICE, HOME, FREE = PREFIX[0xA], PREFIX[0x100], PREFIX[0x200]
ROUTER = PREFIX[1]
SOLICITATION, ADVERTISEMENT = 135, 136


@dataclass(slots=True)
class Agent:
    """A home agent's home link with what it told."""

    netlink: Netlink
    journal: Journal
    tun: Tun
    packets: list[bytes] = field(default_factory=list)
    duplicates: list[IPv6Address] = field(default_factory=list)
    refused: list[tuple[Changeable, OSError]] = field(default_factory=list)

    @classmethod
    def open(cls, pair: Pair) -> "Agent":
        netlink, journal = Netlink(), Journal.open(pair.journal)
        tun = Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
        return cls(netlink, journal, tun)

    def link(self) -> HomeLink:
        home_link = HomeLink(
            "wwan0",
            address=SERVICE,
            tun=self.tun,
            netlink=self.netlink,
            journal=self.journal,
            duplicate=self.duplicates.append,
            refused=lambda what, why: self.refused.append((what, why)),
        )
        home_link.start()
        return home_link

    def proxied(self) -> set[IPv6Address]:
        return {each.address for each in self.netlink.neighbours(NeighbourFlag.PROXY)}

    def routed(self) -> set[IPv6Address]:
        routes = [each for each in self.netlink.routes() if each.index == self.tun.index]
        return {each.destination.network_address for each in routes if each.table == 254}

    def close(self, home_link: HomeLink) -> None:
        home_link.close()
        self.tun.close()
        assert self.journal.undo(self.netlink) == ()
        assert self.refused == []
        self.netlink.close()


def test_packets_for_service_and_home_address_reach_the_device(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        agent = Agent.open(pair)
        home_link = agent.link()
        stop = deliver(agent.tun, agent.packets.extend, lambda _: None)
        home_link.intercept(HOME, Interception.PROXY)
        sender = pair.net.call(lambda: PacketSender(interface="acc0", source=ROUTER))
        for destination in (SERVICE, HOME):
            packet = plain(ROUTER, destination)
            assert sender.send(packet, endpoint(destination)) == 0
            await until(lambda: bool(agent.packets))
            # One router further: the hop limit is lower by one.
            assert agent.packets == [packet[:7] + b"\x3f" + packet[8:]]
            agent.packets.clear()
        home_link.intercept(HOME, Interception.NONE)
        await until(lambda: HOME not in agent.proxied() | agent.routed())
        assert agent.proxied() == agent.routed() == {SERVICE}
        stop()
        sender.close()
        agent.close(home_link)

    pair.run(scenario)


def test_senders_of_what_no_tunnel_holds_are_told_by_the_kernel(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        agent = Agent.open(pair)
        home_link = agent.link()
        home_link.intercept(HOME, Interception.PROXY)
        errors = pair.net.call(lambda: IcmpSocket((2,)))
        sender = pair.net.call(lambda: PacketSender(interface="acc0", source=ROUTER))
        assert sender.send(plain(ROUTER, HOME, 1460), endpoint(HOME)) == 0
        [answer] = await collected(errors.receive, 1)
        assert int.from_bytes(answer.message[4:8], "big") == home_link.mtu
        errors.close()
        sender.close()
        agent.close(home_link)

    pair.run(scenario)


def test_rfc6275_10_4_1_a_home_address_is_announced_three_times(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        agent = Agent.open(pair)
        heard = pair.net.call(lambda: IcmpSocket((ADVERTISEMENT,), interface="acc0"))
        home_link = agent.link()
        home_link.intercept(HOME, Interception.PROXY, router=True)
        loop, times = asyncio.get_running_loop(), []
        link = agent.netlink.link("wwan0")
        assert link is not None
        while len(times) < 3:
            for packet in await collected(heard.receive, 1):
                message = parse_icmpv6(
                    packet.message, packet.source.packed, packet.destination.packed
                )
                assert isinstance(message, NeighborAdvertisement)
                if message.target == HOME:
                    assert packet.destination == IPv6Address("ff02::1")
                    assert packet.hop_limit == 255
                    assert (message.override, message.solicited) == (True, False)
                    assert message.router
                    assert message.options == (TargetLinkLayerAddress(address=link.mac),)
                    times.append(loop.time())
        assert all(later - earlier > 0.95 for earlier, later in pairwise(times))
        heard.close()
        agent.close(home_link)

    pair.run(scenario)


def test_rfc4862_5_4_an_address_in_use_is_found(pair: Pair) -> None:
    pair.address()
    pair.net.ip(f"address add {HOME}/64 dev acc0 nodad")

    async def scenario() -> None:
        agent = Agent.open(pair)
        heard = pair.net.call(lambda: IcmpSocket((SOLICITATION,), interface="acc0"))
        home_link = agent.link()
        home_link.detect(HOME)
        home_link.detect(FREE)
        await until(lambda: bool(agent.duplicates))
        packets = [each for each in heard.receive() if each.source == IPv6Address("::")]
        [probe] = [each for each in packets if each.destination == PREFIX_GROUP]
        message = parse_icmpv6(probe.message, probe.source.packed, probe.destination.packed)
        assert isinstance(message, NeighborSolicitation)
        assert (message.target, probe.hop_limit) == (HOME, 255)
        await asyncio.sleep(0.2)
        assert agent.duplicates == [HOME]
        heard.close()
        agent.close(home_link)

    pair.run(scenario)


PREFIX_GROUP = IPv6Address("ff02::1:ff00:100")


def test_our_own_address_on_the_link_is_in_use(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        agent = Agent.open(pair)
        home_link = agent.link()
        home_link.detect(NODE)
        home_link.detect(FREE)
        await until(lambda: bool(agent.duplicates))
        await asyncio.sleep(0.2)
        assert agent.duplicates == [NODE]
        agent.close(home_link)

    pair.run(scenario)


def test_rfc4862_5_4_one_who_tries_at_the_same_time_is_found(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        agent = Agent.open(pair)
        home_link = agent.link()
        home_link.detect(HOME)
        # It probes before it takes the address.
        pair.net.ip(f"address add {HOME}/64 dev acc0")
        await until(lambda: bool(agent.duplicates))
        assert agent.duplicates == [HOME]
        agent.close(home_link)

    pair.run(scenario)


def test_once_proxied_the_address_is_defended_and_no_longer_doubted(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        agent = Agent.open(pair)
        home_link = agent.link()
        home_link.detect(HOME)
        home_link.intercept(HOME, Interception.PROXY)
        await until(lambda: HOME in agent.proxied())
        pair.net.ip(f"address add {HOME}/64 dev acc0")
        name = pair.net.full_name
        await until(lambda: "dadfailed" in run("ip", "-n", name, "address", "show", "acc0"))
        assert agent.duplicates == []
        agent.close(home_link)

    pair.run(scenario)


def test_proxying_survives_the_home_link_being_switched_off_and_on(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        agent = Agent.open(pair)
        home_link = agent.link()
        home_link.intercept(HOME, Interception.PROXY)
        await until(lambda: agent.proxied() == {SERVICE, HOME})
        pair.node.ip("link set wwan0 down")
        await until(lambda: not agent.proxied())
        pair.node.ip("link set wwan0 up")
        await until(lambda: agent.proxied() == {SERVICE, HOME})
        agent.close(home_link)

    pair.run(scenario)


def test_what_a_dead_agent_attracted_is_let_go_unless_taken_over(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        agent = Agent.open(pair)
        home_link = agent.link()
        for address in (HOME, FREE):
            home_link.intercept(address, Interception.PROXY)
        await until(lambda: agent.proxied() == {SERVICE, HOME, FREE})
        home_link.close()
        successor = agent.link()
        successor.intercept(HOME, Interception.PROXY)
        assert agent.routed() == {SERVICE, HOME, FREE}
        await until(lambda: agent.proxied() == agent.routed() == {SERVICE, HOME})
        agent.close(successor)

    pair.run(scenario)


def test_a_host_that_becomes_a_router_keeps_its_way_out(pair: Pair) -> None:
    pair.address()
    settings = ("conf/wwan0/accept_ra", "conf/wwan0/forwarding", "conf/all/forwarding")

    def values() -> list[str]:
        names = [f"net/ipv6/{each}" for each in settings]
        command = ["nsenter", f"--net={pair.node.path}", "sysctl", "-n", *names]
        return run(*command).split()

    async def scenario() -> None:
        agent = Agent.open(pair)
        home_link = agent.link()
        assert values() == ["2", "1", "1"]
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as application:
            application.connect(("2001:db8:c::1", 9))
        agent.close(home_link)

    before = values()
    assert before == ["1", "0", "0"]
    pair.run(scenario)
    assert values() == before


def test_rfc6275_10_4_1_a_link_local_address_is_proxied_and_leads_nowhere(pair: Pair) -> None:
    """Neighbours hear that it is here, and senders that it is not reached: it has no tunnel."""
    pair.address()

    async def scenario() -> None:
        agent = Agent.open(pair)
        heard = pair.net.call(lambda: IcmpSocket((ADVERTISEMENT,), interface="acc0"))
        errors = pair.net.call(lambda: IcmpSocket((1,), interface="acc0"))
        home_link = agent.link()
        await until(lambda: SERVICE in agent.proxied())
        home_link.intercept(LINK_LOCAL, Interception.PROXY)
        await until(lambda: LINK_LOCAL in agent.proxied())
        targets = await collected(heard.receive, 2)
        assert LINK_LOCAL.packed in {each.message[8:24] for each in targets}
        assert LINK_LOCAL not in agent.routed()
        index = pair.net.call(lambda: socket.if_nametoindex("acc0"))
        sender = pair.net.call(lambda: PacketSender(interface="acc0", source=ROUTER))
        packet = plain(ROUTER, LINK_LOCAL)
        assert sender.send(packet, endpoint(LINK_LOCAL, index)) == 0
        [answer] = await collected(errors.receive, 1)
        assert answer.message[0] == 1
        assert answer.message[8 + 24 : 8 + 40] == LINK_LOCAL.packed
        home_link.intercept(LINK_LOCAL, Interception.NONE)
        await until(lambda: LINK_LOCAL not in agent.proxied())
        for each in (heard, errors, sender):
            each.close()
        agent.close(home_link)

    pair.run(scenario)
