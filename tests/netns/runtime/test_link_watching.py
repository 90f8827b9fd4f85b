"""Watching links: how soon a loss is told, and what becomes of addresses and gateways."""

import asyncio
import time
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network

import pytest

from mcoa.runtime.links import ABSENT_LINK, LinkState, LinkWatcher
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.routing import prepare_uplink
from mcoa.runtime.rtnetlink import LinkFlag
from mcoa.runtime.sockets import PacketSender
from mcoa.runtime.undo import Journal
from netns.runtime.packets import PREFIX, advertise
from netns.runtime.pair import Pair, until

pytestmark = pytest.mark.netns

LATENCY_S = 0.003
OTHER_PREFIX = IPv6Network("2001:db8:b::/64")
ROUTER, OTHER_ROUTER = IPv6Address("fe80::aa"), IPv6Address("fe80::bb")
QUICK = {"accept_dad": 0, "router_solicitations": 0}


@dataclass(slots=True)
class Told:
    """What a watcher told, with times."""

    states: list[LinkState] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __call__(self, name: str, state: LinkState) -> None:
        assert name == "lte"
        self.states.append(state)
        self.times.append(time.perf_counter())

    @property
    def last(self) -> LinkState:
        return self.states[-1]

    def addresses(self) -> list[IPv6Address]:
        return [each.address for each in self.last.addresses]


def watch(told: Told, netlink: Netlink, **options: int) -> LinkWatcher:
    watcher = LinkWatcher({"lte": "wwan0"}, told, netlink=netlink, **options)
    watcher.start()
    return watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """The network's side: it advertises, and takes its carrier away."""

    netlink: Netlink
    sender: PacketSender
    index: int

    @classmethod
    def of(cls, pair: Pair) -> "Router":
        netlink = pair.net.call(Netlink)
        link = netlink.link("acc0")
        assert link is not None
        # With a source the kernel need not choose one, for which it is too early.
        sender = pair.net.call(lambda: PacketSender(interface="acc0", source=PREFIX[1]))
        return cls(netlink=netlink, sender=sender, index=link.index)

    def advertise(
        self, router: IPv6Address, *prefixes: IPv6Network, lifetime_s: int = 1800
    ) -> None:
        advertise(self.sender, router, prefixes, index=self.index, lifetime_s=lifetime_s)

    def carrier(self, *, present: bool) -> None:
        flags, none = LinkFlag.UP, LinkFlag.NONE
        self.netlink.set_link(
            self.index,
            set_flags=flags if present else none,
            clear_flags=none if present else flags,
        )

    def close(self) -> None:
        self.sender.close()
        self.netlink.close()


def quick(pair: Pair, *more: str) -> None:
    """Spare the node the waits of duplicate address detection."""
    pair.node.sysctl(**{f"conf__wwan0__{name}": value for name, value in QUICK.items()})
    pair.node.ip(*more)


def test_a_lost_carrier_is_told_in_three_milliseconds(pair: Pair) -> None:
    pair.address()

    async def scenario() -> list[float]:
        told, netlink, router = Told(), Netlink(), Router.of(pair)
        watcher = watch(told, netlink)
        delays: list[float] = []
        for _ in range(4):
            await until(lambda: told.last.up)
            # The kernel hurries for the first change in a second only.
            await asyncio.sleep(1.05)
            start = time.perf_counter()
            router.carrier(present=False)
            await until(lambda: not told.last.up)
            delays.append(told.times[-1] - start)
            router.carrier(present=True)
        watcher.close()
        router.close()
        netlink.close()
        return delays

    # The best of four: on a busy machine the others tell of the machine.
    assert min(pair.run(scenario)) < LATENCY_S


def test_addresses_and_gateway_come_by_router_advertisements(pair: Pair) -> None:
    quick(pair)

    async def scenario() -> None:
        told, netlink, router = Told(), Netlink(), Router.of(pair)
        watcher = watch(told, netlink)
        assert not told.last.default_route
        router.advertise(ROUTER, PREFIX, OTHER_PREFIX)
        await until(lambda: len(told.last.addresses) == 2 and told.last.gateway_mac is not None)
        assert [each.prefix for each in told.last.addresses] == [PREFIX, OTHER_PREFIX]
        assert (told.last.gateway, told.last.gateway_mac) == (ROUTER, b"\x02\0\0\0\0\1")
        router.advertise(ROUTER, lifetime_s=0)
        await until(lambda: not told.last.default_route)
        assert len(told.last.addresses) == 2
        watcher.close()
        router.close()
        netlink.close()

    pair.run(scenario)


def test_an_address_serves_before_duplicate_detection_ends(pair: Pair) -> None:
    pair.node.sysctl(conf__wwan0__router_solicitations=0)

    async def scenario() -> None:
        told, netlink, router = Told(), Netlink(), Router.of(pair)
        journal = Journal.open(pair.journal)
        prepare_uplink("wwan0", journal)
        watcher = watch(told, netlink)
        start = time.perf_counter()
        router.advertise(ROUTER, PREFIX)
        await until(lambda: bool(told.last.addresses))
        assert told.last.addresses[0].optimistic
        assert told.times[-1] - start < 0.5
        await until(lambda: not told.last.addresses[0].optimistic)
        watcher.close()
        router.close()
        assert journal.undo(netlink) == ()
        netlink.close()

    pair.run(scenario)


def test_without_the_optimistic_form_an_address_waits(pair: Pair) -> None:
    pair.node.sysctl(conf__wwan0__router_solicitations=0)

    async def scenario() -> None:
        told, netlink = Told(), Netlink()
        watcher = watch(told, netlink)
        pair.node.ip("address add 2001:db8:a::2/64 dev wwan0")
        await asyncio.sleep(0.1)
        assert told.addresses() == []
        await until(lambda: told.addresses() == [PREFIX[2]])
        watcher.close()
        netlink.close()

    pair.run(scenario)


def test_an_address_that_another_node_has_never_serves(pair: Pair) -> None:
    pair.net.ip("address add 2001:db8:a::2/64 dev acc0 nodad")

    async def scenario() -> None:
        told, netlink = Told(), Netlink()
        watcher = watch(told, netlink)
        pair.node.ip("address add 2001:db8:a::2/64 dev wwan0")
        await asyncio.sleep(2.5)
        assert all(not state.addresses for state in told.states)
        watcher.close()
        netlink.close()

    pair.run(scenario)


def test_in_another_network_the_address_and_router_there_come_first(pair: Pair) -> None:
    quick(pair)

    async def scenario() -> None:
        told, netlink, router = Told(), Netlink(), Router.of(pair)
        watcher = watch(told, netlink)
        router.advertise(ROUTER, PREFIX)
        await until(lambda: told.last.gateway == ROUTER and bool(told.last.addresses))
        router.carrier(present=False)
        await until(lambda: not told.last.up)
        router.carrier(present=True)
        await until(lambda: told.last.up)
        router.advertise(OTHER_ROUTER, OTHER_PREFIX)
        await until(
            lambda: (
                told.last.gateway == OTHER_ROUTER
                and [each.prefix for each in told.last.addresses] == [OTHER_PREFIX, PREFIX]
            )
        )
        watcher.close()
        router.close()
        netlink.close()

    pair.run(scenario)


def test_an_interface_may_vanish_and_come_back(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        told, netlink = Told(), Netlink()
        watcher = watch(told, netlink)
        first = told.last
        assert first.up
        pair.node.ip("link delete wwan0")
        await until(lambda: told.last == ABSENT_LINK)
        pair.node.ip(
            "link add unused2 type veth peer name unused3",
            f"link add usb0 type veth peer name acc0 netns {pair.net.full_name}",
            "address add 2001:db8:a::7/64 dev usb0 nodad",
        )
        # As udev does: an interface gets its name after it has come.
        pair.node.ip("link set usb0 name wwan0", "link set wwan0 up")
        pair.net.ip("link set acc0 up")
        await until(lambda: told.last.up and bool(told.last.addresses))
        assert told.addresses() == [PREFIX[7]]
        assert told.last.index != first.index
        watcher.close()
        netlink.close()

    pair.run(scenario)


def test_lost_announcements_are_made_good_by_asking(pair: Pair) -> None:
    async def scenario() -> None:
        told, netlink = Told(), Netlink()
        watcher = watch(told, netlink, buffer_octets=4096)
        pair.node.ip(
            *(f"address add 2001:db8:a::{each:x}/64 dev wwan0 nodad" for each in range(2, 99)),
            "link set wwan0 mtu 1400",
        )
        # The loop was busy with the above; the buffer holds a few announcements at most.
        await until(lambda: len(told.last.addresses) == 97 and told.last.mtu == 1400)
        assert len(told.states) < 10
        watcher.close()
        netlink.close()

    pair.run(scenario)


def test_closing_twice_and_watching_nothing_more(pair: Pair) -> None:
    async def scenario() -> int:
        told, netlink = Told(), Netlink()
        watcher = watch(told, netlink)
        watcher.close()
        watcher.close()
        pair.node.ip("link set wwan0 mtu 1400")
        await asyncio.sleep(0.05)
        assert watcher.state("lte") == told.last
        netlink.close()
        return len(told.states)

    assert pair.run(scenario) == 1


@pytest.mark.parametrize("mtu", [1400, 9000])
def test_another_mtu_is_told_though_the_kernel_speaks_before_ipv6_follows(
    pair: Pair, mtu: int
) -> None:
    pair.address()

    async def scenario() -> None:
        told, netlink = Told(), Netlink()
        watcher = watch(told, netlink)
        await until(lambda: told.last.up)
        link = netlink.link("wwan0")
        assert link is not None
        netlink.set_link(link.index, mtu=mtu)
        await until(lambda: told.last.mtu == mtu)
        watcher.close()
        netlink.close()

    pair.run(scenario)
