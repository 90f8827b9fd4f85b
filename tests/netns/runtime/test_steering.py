"""Rules and routes in a real kernel: who takes which way, and who restores them."""

import asyncio
import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, IPv6Network

import pytest

from mcoa.lab.namespaces import run
from mcoa.runtime.links import ABSENT_LINK, LinkState, LinkWatcher
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Monitor, Netlink
from mcoa.runtime.netlink_framing import Message, MessageType
from mcoa.runtime.routing import Home, Routing
from mcoa.runtime.rtnetlink import PROTOCOL, Route, Rule
from mcoa.runtime.sockets import IcmpSocket, PacketSender, endpoint
from mcoa.runtime.undo import Journal
from netns.runtime.packets import CORRESPONDENT, HOME_ADDRESS, NODE, PREFIX, echo_request
from netns.runtime.pair import Pair, collected, until

pytestmark = pytest.mark.netns

AGENT = IPv6Address("2001:db8:1::1")


@dataclass(slots=True)
class Node:
    """A mobile node with the uplink `wwan0` as its number 3."""

    netlink: Netlink
    journal: Journal
    tun: Tun
    routing: Routing
    state: LinkState
    watcher: LinkWatcher | None = None
    converged: int = 0

    @classmethod
    def open(cls, pair: Pair) -> "Node":
        netlink, journal = Netlink(), Journal.open(pair.journal)
        tun = Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
        routing = Routing("mip0", netlink, journal)
        node = cls(netlink, journal, tun, routing, ABSENT_LINK)
        node.watcher = LinkWatcher(
            {"lte": "wwan0"}, node.changed, netlink=netlink, disturbed=node.converge
        )
        node.watcher.start()
        return node

    @property
    def home(self) -> Home:
        network = IPv6Network((HOME_ADDRESS, 64), strict=False)
        return Home(address=HOME_ADDRESS, network=network, index=self.tun.index, mtu=1420)

    def changed(self, _name: str, state: LinkState) -> None:
        self.state = state
        self.converge()

    def converge(self) -> None:
        self.converged += 1
        assert self.routing.converge({3: self.state}, self.home) == ()

    def close(self) -> None:
        assert self.watcher is not None
        self.watcher.close()
        self.tun.close()
        assert self.journal.undo(self.netlink) == ()
        self.netlink.close()


def rules(pair: Pair) -> str:
    return run("ip", "-n", pair.node.full_name, "-6", "rule")


def source_towards(destination: IPv6Address, source: IPv6Address | None = None) -> IPv6Address:
    """Return the address that a socket gets, on its way to `destination`."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as application:
        if source is not None:
            application.bind((str(source), 0))
        application.connect((str(destination), 9))
        return IPv6Address(application.getsockname()[0])


def is_ours(message: Message) -> bool:
    match message.kind:
        case MessageType.NEW_RULE | MessageType.DELETE_RULE:
            return Rule.parse(message.body).protocol == PROTOCOL
        case _:
            return any(each.protocol == PROTOCOL for each in Route.parse(message.body))


def scene(pair: Pair, play: Callable[[Node], None]) -> None:
    """Open a node, let something happen, close it and see that nothing is left."""
    pair.address()

    def everything() -> str:
        name = pair.node.full_name
        routes = run("ip", "-n", name, "-6", "route", "show", "table", "all")
        return (
            routes + rules(pair) + run("ip", "-n", name, "address", "show", "scope", "global")
        )

    async def scenario() -> None:
        before = everything()
        node = Node.open(pair)
        try:
            play(node)
        finally:
            node.close()
        assert everything() == before

    # The kernel's own link-local addresses come late, and would make a difference.
    pair.node.sysctl(conf__wwan0__addr_gen_mode=1, conf__wwan0__accept_dad=0)
    pair.node.ip("address flush dev wwan0 scope link")
    pair.run(scenario)


def test_unbound_sockets_take_the_home_address_and_bound_ones_their_link(pair: Pair) -> None:
    def play(node: Node) -> None:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as application:
            application.connect((str(CORRESPONDENT), 9))
            assert IPv6Address(application.getsockname()[0]) == HOME_ADDRESS
            mtu = application.getsockopt(socket.IPPROTO_IPV6, 24)
            assert mtu == node.home.mtu
        assert source_towards(CORRESPONDENT, NODE) == NODE

    scene(pair, play)


def test_converging_again_changes_nothing(pair: Pair) -> None:
    def play(node: Node) -> None:
        monitor = Monitor(("route", "rule"))
        node.converge()
        messages = monitor.receive()
        assert messages is not None
        # The kernel may have something to say of its own.
        assert [each for each in messages if is_ours(each)] == []
        monitor.close()

    scene(pair, play)


def test_a_link_that_is_down_refuses_instead_of_using_the_tunnel(pair: Pair) -> None:
    def play(node: Node) -> None:
        node.changed("lte", replace(node.state, up=False))
        with pytest.raises(OSError, match="No route") as refused:
            source_towards(CORRESPONDENT, NODE)
        assert refused.value.errno == errno.EHOSTUNREACH
        assert source_towards(CORRESPONDENT) == HOME_ADDRESS

    scene(pair, play)


def test_a_new_gateway_takes_the_place_of_the_old(pair: Pair) -> None:
    def play(node: Node) -> None:
        node.changed("lte", replace(node.state, gateway=PREFIX[9]))
        [way_out] = [
            each for each in node.netlink.routes(table=5103, protocol=PROTOCOL) if each.gateway
        ]
        assert way_out.gateway == PREFIX[9]

    scene(pair, play)


def test_an_address_that_went_has_no_rule(pair: Pair) -> None:
    def play(node: Node) -> None:
        node.changed("lte", replace(node.state, addresses=node.state.addresses[:1]))
        assert rules(pair).count("lookup 5103") == 1
        node.changed("lte", ABSENT_LINK)
        assert "5103" not in rules(pair)

    scene(pair, play)


def test_rules_of_others_stay(pair: Pair) -> None:
    run("ip", "-n", pair.node.full_name, "-6", "rule", "add", "pref", "5103", "table", "77")

    def play(node: Node) -> None:
        node.changed("lte", ABSENT_LINK)
        assert "lookup 77" in rules(pair)

    scene(pair, play)


def test_an_agent_inside_a_prefix_left_from_another_network_is_reached(pair: Pair) -> None:
    pair.address()
    pair.node.ip("route add 2001:db8:1::/64 dev wwan0")
    pair.net.ip(f"address add {AGENT}/128 dev lo")

    async def scenario() -> None:
        node = Node.open(pair)
        there = pair.net.call(lambda: IcmpSocket((128,)))
        here = PacketSender(interface="wwan0", source=NODE)
        assert here.send(echo_request(NODE, AGENT), endpoint(AGENT)) == 0
        arrived = await collected(there.receive, 1)
        assert (arrived[0].source, arrived[0].destination) == (NODE, AGENT)
        there.close()
        here.close()
        node.close()

    pair.run(scenario)


def test_what_another_program_removes_comes_back(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        node = Node.open(pair)
        name = pair.node.full_name
        for words in (
            "-6 rule delete pref 5103 from 2001:db8:a::2",
            "-6 route flush table 5103",
            "-6 route delete default dev mip0",
        ):
            before = node.converged
            run("ip", "-n", name, *words.split())
            await until(lambda before=before: node.converged > before)  # type: ignore[misc]
            assert rules(pair).count("lookup 5103") == 2
            assert source_towards(CORRESPONDENT) == HOME_ADDRESS
            assert source_towards(CORRESPONDENT, NODE) == NODE
        # Our own changes are announced to us as well: it must come to rest.
        await asyncio.sleep(0.1)
        before = node.converged
        await asyncio.sleep(0.2)
        assert node.converged == before
        node.close()

    pair.run(scenario)
