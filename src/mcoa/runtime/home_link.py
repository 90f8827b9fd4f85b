"""A home agent's place on its home link: it stands in for mobile nodes that are away.

Packets to a home address are attracted by proxy neighbour discovery (RFC 6275 §10.4.1) and
routed to `mip0`; so is the agent's own service address, which no interface has.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, IPv6Network
from random import Random

from mcoa.engine.actions import Interception
from mcoa.runtime.links import ABSENT_LINK, HOME_LINK_GROUPS, LinkState, LinkWatcher
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.neighbours import Neighbours
from mcoa.runtime.netlink import Changeable, Netlink
from mcoa.runtime.rtnetlink import (
    MAIN_TABLE,
    PROTOCOL,
    AddressFlag,
    Neighbour,
    NeighbourFlag,
    Route,
)
from mcoa.runtime.sysctl import (
    device_setting,
    devices_with_settings,
    neighbour_setting,
    read_setting,
)
from mcoa.runtime.undo import Journal
from mcoa.runtime.undo_entries import Proxies, RoutesThrough, Setting

ROUTE_METRIC = 1
ANNOUNCEMENTS = 3  # MAX_NEIGHBOR_ADVERTISEMENT (RFC 4861 §10)
ANNOUNCEMENT_INTERVAL_S = 1.0  # RETRANS_TIMER (RFC 4861 §10)
DETECTION_LIMIT_S = 5.0
"""How long an answer to a probe counts when nobody ends the detection."""

INNER_MTU = 1460
"""Of packets that a tunnel over paths of 1500 octets carries whole."""

ANNOUNCEMENTS_A_SECOND = 2000
"""A bound for the herd that a restart makes."""

_LEFTOVER_PATIENCE_S = 2.0
_BATCH = 32  # some 6 ms
_NAME = "home"
_UNUSABLE = AddressFlag.TENTATIVE | AddressFlag.DETECTION_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """How a home address is attracted; `router` is for the announcements."""

    by: Interception
    router: bool


class HomeLink:
    """Attracts packets for the service address and home addresses, and detects duplicates.

    Args:
        interface: the home link's; it may go away and come back.
        address: the service address.
        tun: `mip0`.
        netlink: for asking and changing.
        journal: learns of everything first.
        duplicate: told of an address given to detect() that another node has.
        refused: told what the kernel would not take.
        changed: told how the interface is now.
        anycast: attracted like the service address; others on the link may answer for them
            as well, so that they are not announced (RFC 4861 §7.2.7).
        mtu: of packets that are to be tunnelled; senders of larger ones are told by the
            kernel. Octets.
    """

    def __init__(  # noqa: PLR0913 a place has many neighbours
        self,
        interface: str,
        *,
        address: IPv6Address,
        tun: Tun,
        netlink: Netlink,
        journal: Journal,
        duplicate: Callable[[IPv6Address], None],
        refused: Callable[[Changeable, OSError], None] = lambda _what, _why: None,
        changed: Callable[[LinkState], None] = lambda _state: None,
        anycast: Iterable[IPv6Address] = (),
        mtu: int = INNER_MTU,
    ) -> None:
        self.interface = interface
        self.address = address
        self.mtu = mtu
        self._anycast = tuple(anycast)
        self._own = (address, *self._anycast)
        self._tun = tun
        self._netlink = netlink
        self._journal = journal
        self._duplicate = duplicate
        self._refused = refused
        self._told = changed
        self._rng = Random()
        self._state = ABSENT_LINK
        self._neighbours: Neighbours | None = None
        self._source: IPv6Address | None = None
        self._homes: dict[IPv6Address, _Home] = {}
        self._pending: dict[IPv6Address, None] = {}
        self._flushing: asyncio.Handle | None = None
        self._leftovers: set[IPv6Address] = set()
        self._detections: dict[IPv6Address, asyncio.TimerHandle] = {}
        self._announcements: dict[IPv6Address, asyncio.TimerHandle] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._watcher = LinkWatcher(
            {_NAME: interface},
            self._changed,
            netlink=netlink,
            groups=HOME_LINK_GROUPS,
            disturbed=self._attract,
        )

    @property
    def state(self) -> LinkState:
        """How the interface is."""
        return self._state

    def start(self) -> None:
        """Become a router that attracts the service address; on the running loop.

        Home addresses that a process before this one attracted remain so for two seconds:
        those not taken over by intercept() are let go then.
        """
        self._journal.record(RoutesThrough(device=self._tun.name))
        self._journal.record(Proxies(device=self.interface))
        enable_forwarding(self._journal, (self.interface, self._tun.name))
        ours = self._netlink.routes(table=MAIN_TABLE, protocol=PROTOCOL)
        self._leftovers = {
            route.destination.network_address
            for route in ours
            if route.index == self._tun.index and route.destination.prefixlen == 128
        } - {*self._own}
        self._add([self._route(each) for each in self._own])
        self._watcher.start()
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(_LEFTOVER_PATIENCE_S, self._let_go_of_leftovers)

    def close(self) -> None:
        """Stop watching and announcing; what was set stays until it is undone."""
        self._watcher.close()
        timers = (*self._detections.values(), *self._announcements.values())
        for timer in (*timers, self._sweep, self._flushing):
            if timer is not None:
                timer.cancel()
        if self._neighbours is not None:
            self._neighbours.close()
            self._neighbours = None

    def intercept(
        self, home_address: IPv6Address, by: Interception, *, router: bool = False
    ) -> None:
        """Begin or end to attract a home address, as soon as the loop is free.

        Args:
            home_address: it belongs to the home link's prefix.
            by: PROXY is told to all nodes three times.
            router: the mobile node is a mobile router (RFC 3963 §6.5).
        """
        self._end_detection(home_address)
        self._leftovers.discard(home_address)
        if by is Interception.NONE:
            self._homes.pop(home_address, None)
        else:
            self._homes[home_address] = _Home(by=by, router=router)
        self._put_off([home_address])

    def detect(self, home_address: IPv6Address) -> None:
        """Ask the link whether another node has a home address (RFC 4862 §5.4).

        Answers go to `duplicate`, until intercept() is called for the address or 5 s pass. How
        long none is proof enough is the caller's to decide.
        """
        self._end_detection(home_address)
        loop = asyncio.get_running_loop()
        self._detections[home_address] = loop.call_later(
            DETECTION_LIMIT_S, self._end_detection, home_address
        )
        if any(each.address == home_address for each in self._state.addresses):
            # The kernel does not hear our probe, and would not answer it.
            loop.call_soon(self._claimed, home_address)
            return
        if self._neighbours is not None:
            self._neighbours.probe(home_address)

    # The link itself.

    def _changed(self, _name: str, state: LinkState) -> None:
        before, self._state = self._state, state
        is_another = (state.index, state.mac) != (before.index, before.mac)
        if is_another and self._neighbours is not None:
            self._neighbours.close()
            self._neighbours = None
        if state.index == 0:
            return
        if self._neighbours is None and not self._prepare():
            return
        if is_another or (state.up and not before.up):
            # The kernel forgets proxy entries when a device is switched off.
            self._attract()
        self._told(state)

    def _attract(self) -> None:
        self._put_off([*self._own, *self._homes])

    def _prepare(self) -> bool:
        """Begin on a new interface; False when it has gone since, as an announcement will tell."""
        # The setting of all lets probes of reachability, which are unicast, reach the kernel's
        # proxy; that of the device alone would have them routed to mip0.
        self._journal.change_setting(device_setting("all", "proxy_ndp"), "1")
        self._journal.change_setting(device_setting(self.interface, "proxy_ndp"), "1")
        # In 1/100 s. A kernel delays its answers for others at random by up to so long.
        self._journal.change_setting(neighbour_setting(self.interface, "proxy_delay"), "0")
        try:
            self._neighbours = Neighbours(
                self.interface,
                self._state.index,
                self._state.mac,
                sender=self.address,
                claimed=self._claimed,
            )
        except OSError:
            return False
        for home_address in self._detections:
            self._neighbours.probe(home_address)
        return True

    def _claimed(self, home_address: IPv6Address) -> None:
        if home_address in self._detections:
            self._end_detection(home_address)
            self._duplicate(home_address)

    def _end_detection(self, home_address: IPv6Address) -> None:
        timer = self._detections.pop(home_address, None)
        if timer is not None:
            timer.cancel()
            if self._neighbours is not None:
                self._neighbours.release(home_address)

    def _announce(self, address: IPv6Address, left: int) -> None:
        self._announcements.pop(address, None)
        if left > 1:
            # Many that began together, as after a restart, must not stay together.
            spread = 0.5 + len(self._announcements) / ANNOUNCEMENTS_A_SECOND
            delay_s = ANNOUNCEMENT_INTERVAL_S + self._rng.uniform(0, spread)
            self._announcements[address] = asyncio.get_running_loop().call_later(
                delay_s, self._announce, address, left - 1
            )
        if self._neighbours is not None and self._source is not None:
            home = self._homes.get(address)
            router = home is not None and home.router
            self._neighbours.announce(address, self._source, router=router)

    def own_address(self) -> IPv6Address | None:
        """Return our address on the link, link-local if possible (RFC 4861 §4.4)."""
        ours = [
            each.address
            for each in self._netlink.addresses()
            if each.index == self._state.index and not each.flags & _UNUSABLE
        ]
        return min(ours, key=lambda each: not each.is_link_local, default=None)

    # Routes and proxy entries.

    def _put_off(self, addresses: Iterable[IPv6Address]) -> None:
        # A restart brings thousands at once. In batches they cost the kernel a tenth, and
        # between batches the loop serves packets.
        self._pending.update(dict.fromkeys(addresses))
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        addresses = list(itertools.islice(self._pending, _BATCH))
        for address in addresses:
            del self._pending[address]
            if (timer := self._announcements.pop(address, None)) is not None:
                timer.cancel()
        # First of all, so that what the kernel will not do now ends nothing but this batch.
        self._flushing = None
        if self._pending:
            self._put_off(())
        kept = [each for each in addresses if each in self._homes or each in self._own]
        gone = [each for each in addresses if each not in kept]
        self._remove([entry for each in gone for entry in self._entries(each)])
        self._add([entry for each in kept for entry in self._entries(each)])
        if self._state.index:
            left = [each for each in kept if not self._is_proxied(each)]
            self._remove(map(self._proxy_entry, left))
        self._source = self.own_address()
        for address in kept:
            if self._is_proxied(address) and address not in self._anycast:
                self._announce(address, ANNOUNCEMENTS)

    def _entries(self, address: IPv6Address) -> list[Neighbour | Route]:
        # To a link-local address nothing is routed: the kernel tells senders so itself.
        routes = [] if address.is_link_local else [self._route(address)]
        is_proxied = self._state.index and self._is_proxied(address)
        return [*routes, self._proxy_entry(address)] if is_proxied else [*routes]

    def _is_proxied(self, address: IPv6Address) -> bool:
        """Tell whether we answer neighbours about an address, or did until now."""
        home = self._homes.get(address)
        return home is None or home.by is Interception.PROXY

    def _route(self, address: IPv6Address) -> Route:
        route = Route(
            destination=IPv6Network(address.packed), index=self._tun.index, metric=ROUTE_METRIC
        )
        if address in self._own:
            return route  # tunnel packets come here, as large as the uplinks bring them
        # Unlocked, the kernel forwards what the device can hold.
        return replace(route, mtu=self.mtu, mtu_locked=True)

    def _proxy_entry(self, address: IPv6Address) -> Neighbour:
        return Neighbour(index=self._state.index, address=address, flags=NeighbourFlag.PROXY)

    def _add(self, entries: Iterable[Neighbour | Route]) -> None:
        for what, why in self._netlink.add_all(entries):
            self._refused(what, why)

    def _remove(self, entries: Iterable[Neighbour | Route]) -> None:
        for what, why in self._netlink.remove_all(entries):
            self._refused(what, why)

    def _let_go_of_leftovers(self) -> None:
        leftovers, self._leftovers = self._leftovers, set()
        self._remove([entry for each in leftovers for entry in self._entries(each)])


def enable_forwarding(journal: Journal, interfaces: Iterable[str]) -> None:
    """Make this machine an IPv6 router, between `interfaces` at least.

    One that was none listens to router advertisements as before, though the kernel would
    have a router deaf to them.
    """
    whole = "conf/all/forwarding"
    if read_setting(whole) == "0":
        for device in devices_with_settings():
            if read_setting(accept_ra := device_setting(device, "accept_ra")) == "1":
                journal.change_setting(accept_ra, "2")
            # The kernel sets each device's along with that of all, and takes it back alike.
            before = read_setting(forwarding := device_setting(device, "forwarding"))
            if before not in {None, "0"}:
                journal.record(Setting(path=forwarding, before=before, after=""))
        journal.change_setting(whole, "1")
    for interface in interfaces:
        journal.change_setting(device_setting(interface, "forwarding"), "1")
