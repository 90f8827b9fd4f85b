"""What the kernel knows of some links: carrier, usable addresses, gateway, MTU.

LinkTable is pure: announcements in, LinkState out. LinkWatcher joins it to the event loop
and tells of each link whose state has changed.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from mcoa.engine.addresses import ipv4_mapped, is_unicast_routable
from mcoa.runtime.config_values import Family
from mcoa.runtime.guard import guarded
from mcoa.runtime.ipv4_addresses import GROUPS as IPV4_GROUPS
from mcoa.runtime.ipv4_addresses import ask_for_ipv4, concerns_ipv4
from mcoa.runtime.link_memory import LinkMemory, Remembered
from mcoa.runtime.netlink import Monitor, Netlink
from mcoa.runtime.netlink_framing import Message, MessageType
from mcoa.runtime.rtnetlink import (
    DEFAULT_ROUTE,
    MAIN_TABLE,
    PROTOCOL,
    Address,
    AddressFlag,
    Link,
    LinkFlag,
    Neighbour,
    NeighbourFlag,
    Route,
    RouteType,
    is_about_device,
    is_default_route,
    is_ipv6,
    is_our_loss,
)

UPLINK_GROUPS = ("link", "neighbour", "address", "route", "settings", "rule")
HOME_LINK_GROUPS = ("link", "address", "settings")
"""A home agent's own thousands of routes would only be noise to it."""

_AFTER_FAULT_S = 1.0
_READY = LinkFlag.UP | LinkFlag.RUNNING | LinkFlag.LOWER_UP
_UNUSABLE = AddressFlag.DETECTION_FAILED | AddressFlag.TENTATIVE
_RANKS = {1: 0, 0: 1, 3: 2}  # RFC 4191's router preferences, best first

_RouteKey = tuple[IPv6Address | None, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAddress:
    """An address that can be a care-of address now.

    Attributes:
        prefix: of the network the address is in; a /128 where DHCP gave it out.
        preferred: not deprecated (RFC 4862 §5.5.4).
        confirmed: known to be of the present network.
        optimistic: duplicate address detection is still running (RFC 4429).
    """

    address: IPv6Address
    prefix: IPv6Network
    preferred: bool = True
    confirmed: bool = True
    optimistic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """A link at one moment; as it stands, one that is absent.

    Attributes:
        up: switched on, with a carrier, and ready for packets.
        addresses: best first: those the present network has confirmed, then those left from
            before the last loss of the carrier, then deprecated ones.
        default_route: the link leads to other networks.
        gateway: its neighbour on that way; None on a link without gateways.
        gateway_mac: None as long as the kernel has not resolved it.
        unreachable: the gateway does not answer, whatever the carrier says.
        mtu: IPv6's, in octets.
        index: the device's number in the kernel.
        ipv4: addresses by which other networks are reached; none where nobody asked for them.
    """

    up: bool = False
    addresses: tuple[LinkAddress, ...] = ()
    default_route: bool = False
    gateway: IPv6Address | None = None
    gateway_mac: bytes | None = None
    unreachable: bool = False
    mtu: int = 0
    index: int = 0
    mac: bytes = b""
    ipv4: tuple[IPv4Address, ...] = ()

    def without(self, address: IPv6Address) -> "LinkState":
        """Return the state as it would be without an address."""
        if all(each.address != address for each in self.addresses):
            return self
        others = tuple(each for each in self.addresses if each.address != address)
        return replace(self, addresses=others)

    @property
    def care_of_addresses(self) -> tuple[IPv6Address, ...]:
        """The addresses as good as the best: one that has a successor is none any more."""
        ranks = [(each.preferred, each.confirmed) for each in self.addresses]
        best = max(ranks, default=None)
        pairs = zip(self.addresses, ranks, strict=True)
        return tuple(each.address for each, rank in pairs if rank == best)

    @property
    def leads_out(self) -> bool:
        """Whether care-of addresses of IPv6 are good for anything."""
        return self.up and self.default_route and not self.unreachable


ABSENT_LINK = LinkState()


def care_of_addresses(state: LinkState, family: Family) -> tuple[IPv6Address, ...]:
    """Return the addresses that a link can be used with now; those of IPv4 are IPv4-mapped."""
    ipv6 = state.care_of_addresses if state.leads_out and family != "ipv4" else ()
    ipv4 = map(ipv4_mapped, state.ipv4) if state.up and family != "ipv6" else ()
    return (*ipv6, *ipv4)


def describe_link(
    state: LinkState, *, needs_router: bool = True, family: Family = "auto"
) -> str:
    """Return in a word or two how a link is, that is to have care-of addresses of a family."""
    if not state.index:
        return "missing"
    if not state.up:
        return "no carrier"
    if state.ipv4 or family == "ipv4":
        return "up" if state.ipv4 else "no IPv4"
    if needs_router and not state.default_route:
        return "no router"
    if needs_router and state.unreachable:
        return "router silent"
    return "up" if state.addresses else "no address"


@dataclass(slots=True, kw_only=True)
class _Device:
    """What was announced of one device; the dicts keep the order of first mention.

    Attributes:
        unconfirmed: addresses with a lifetime that no router or server has renewed since
            the carrier came back: perhaps of another network than the present one.
        older_routes: default routes from before the carrier came back.
        silent: neighbours that did not answer when they were last asked.
        refuted: addresses that went while somebody else was looked for who has them. The
            kernel forms them again with the next advertisement: optimism has an end.
    """

    link: Link
    addresses: dict[IPv6Address, Address] = field(default_factory=dict)
    routes: dict[_RouteKey, Route] = field(default_factory=dict)
    macs: dict[IPv6Address, bytes] = field(default_factory=dict)
    unconfirmed: set[IPv6Address] = field(default_factory=set)
    older_routes: set[_RouteKey] = field(default_factory=set)
    silent: set[IPv6Address] = field(default_factory=set)
    refuted: set[IPv6Address] = field(default_factory=set)

    def remembered(self) -> Remembered:
        """Return what has to be known of it over a restart."""
        return Remembered(
            index=self.link.index,
            carrier_ups=self.link.carrier_ups,
            refreshed={str(each): held.refreshed_cs for each, held in self.addresses.items()},
            unconfirmed=sorted(map(str, self.unconfirmed)),
            gateways=sorted({str(gateway) for gateway, *_ in self.routes}),
            older_gateways=sorted({str(gateway) for gateway, *_ in self.older_routes}),
        )

    def recall(self, memory: Remembered) -> None:
        """Doubt what was doubtful, or all there was if the carrier has come again since."""
        is_same = memory.carrier_ups == self.link.carrier_ups
        doubtful = memory.unconfirmed if is_same else memory.refreshed
        self.unconfirmed |= {
            address
            for address, held in self.addresses.items()
            if str(address) in doubtful
            and not held.forever
            and memory.refreshed.get(str(address)) == held.refreshed_cs
        }
        older = memory.older_gateways if is_same else memory.gateways
        self.older_routes |= {key for key in self.routes if str(key[0]) in older}


class LinkTable:
    """All devices as announced; the announcements may repeat and overtake a full dump.

    Attributes:
        ipv4: addresses by device; to be kept up to date by the owner.
    """

    def __init__(self) -> None:
        self._devices: dict[int, _Device] = {}
        self.ipv4: Mapping[int, tuple[IPv4Address, ...]] = {}

    def state(self, interface: str, *, ipv4: bool = False) -> LinkState:
        """Return the state of the device of that name; its IPv4 addresses where they count."""
        for index, device in self._devices.items():
            if device.link.name == interface:
                state = _state(device)
                return replace(state, ipv4=self.ipv4.get(index, ())) if ipv4 else state
        return ABSENT_LINK

    def reload(
        self,
        links: Iterable[Link],
        addresses: Iterable[Address],
        routes: Iterable[Route],
        neighbours: Iterable[Neighbour],
    ) -> None:
        """Take in a full dump: what it does not mention is gone."""
        present = {link.index: link for link in links}
        held = {(address.index, address.address): address for address in addresses}
        ways = {(route.index, _route_key(route)): route for route in routes}
        for index in [index for index in self._devices if index not in present]:
            del self._devices[index]
        for link in present.values():
            self._link(link)
        for index, device in self._devices.items():
            device.macs.clear()
            device.silent.clear()
            for address in [each for each in device.addresses if (index, each) not in held]:
                del device.addresses[address]
            for key in [each for each in device.routes if (index, each) not in ways]:
                del device.routes[key]
        for each in held.values():
            self._address(each)
        for route in ways.values():
            self._route(route)
        for neighbour in neighbours:
            self._neighbour(neighbour)

    def remembered(self, interfaces: Iterable[str]) -> dict[str, Remembered]:
        """Return what has to be known of these devices over a restart."""
        wanted = set(interfaces)
        devices = [each for each in self._devices.values() if each.link.name in wanted]
        return {each.link.name: each.remembered() for each in devices}

    def recall(self, memories: Mapping[str, Remembered]) -> None:
        """Take in what was known before a restart, after the first dump."""
        for device in self._devices.values():
            memory = memories.get(device.link.name)
            if memory is not None and memory.index == device.link.index:
                device.recall(memory)

    def apply(self, message: Message) -> None:
        """Take in one announcement."""
        body = message.body
        match message.kind:
            case MessageType.NEW_LINK if is_about_device(body):
                self._link(self._with_ipv6_mtu(Link.parse(body)))
            case MessageType.DELETE_LINK if is_about_device(body):
                self._devices.pop(Link.parse(body).index, None)
            case MessageType.NEW_ADDRESS | MessageType.DELETE_ADDRESS if is_ipv6(body):
                is_gone = message.kind == MessageType.DELETE_ADDRESS
                self._address(Address.parse(body), is_gone=is_gone)
            case MessageType.NEW_ROUTE | MessageType.DELETE_ROUTE if is_default_route(body):
                is_gone = message.kind == MessageType.DELETE_ROUTE
                for route in Route.parse(body):
                    self._route(route, is_gone=is_gone)
            case MessageType.NEW_NEIGHBOUR | MessageType.DELETE_NEIGHBOUR if is_ipv6(body):
                is_gone = message.kind == MessageType.DELETE_NEIGHBOUR
                self._neighbour(Neighbour.parse(body), is_gone=is_gone)
            case _:
                pass

    def _link(self, link: Link) -> None:
        device = self._devices.get(link.index)
        if device is None:
            self._devices[link.index] = _Device(link=link)
            return
        before = device.link
        # A wireless driver's events carry flags and nothing else.
        device.link = link if link.name else replace(before, flags=link.flags)
        if not link.flags & LinkFlag.UP:
            # The kernel drops these with the flag, and may be set to be silent about it.
            device.routes.clear()
            device.macs.clear()
            device.silent.clear()
        if _is_ready(device.link) and not _is_ready(before):
            device.unconfirmed = {
                address for address, held in device.addresses.items() if not held.forever
            }
            device.older_routes = set(device.routes)
            device.silent.clear()
            device.refuted.clear()

    def _with_ipv6_mtu(self, link: Link) -> Link:
        """Return an announced link as IPv6 has it: another MTU is told just before IPv6 follows."""
        device = self._devices.get(link.index)
        if device is None or not link.name or link.mtu == device.link.mtu:
            return link
        return replace(link, ipv6_mtu=link.mtu)

    def _address(self, address: Address, *, is_gone: bool = False) -> None:
        device = self._devices.get(address.index)
        if device is None:
            return
        if is_gone:
            held = device.addresses.pop(address.address, None)
            if held is not None and held.flags & AddressFlag.TENTATIVE:
                device.refuted.add(address.address)
            return
        before = device.addresses.get(address.address)
        if before is None or before.refreshed_cs != address.refreshed_cs:
            device.unconfirmed.discard(address.address)
        device.addresses[address.address] = address

    def _route(self, route: Route, *, is_gone: bool = False) -> None:
        device = self._devices.get(route.index)
        if device is None or not _is_way_out(route):
            return
        key = _route_key(route)
        if is_gone:
            device.routes.pop(key, None)
            device.older_routes.discard(key)
        else:
            device.routes[key] = route

    def _neighbour(self, neighbour: Neighbour, *, is_gone: bool = False) -> None:
        device = self._devices.get(neighbour.index)
        if device is None:
            return
        # The kernel forgets one that failed after a while; that is no sign of life.
        if neighbour.failed and _is_gateway(neighbour.address, device):
            device.silent.add(neighbour.address)
        elif neighbour.mac and not is_gone:
            device.silent.discard(neighbour.address)
        if is_gone or not neighbour.mac:
            device.macs.pop(neighbour.address, None)
        elif neighbour.flags & NeighbourFlag.ROUTER or _is_gateway(neighbour.address, device):
            device.macs[neighbour.address] = neighbour.mac


class LinkWatcher:
    """Watches links by the names the configuration gives them.

    Args:
        interfaces: the interface of each link; it may be absent, come and go.
        changed: told the first state of each link, and each state that differs.
        netlink: for dumps.
        groups: UPLINK_GROUPS or HOME_LINK_GROUPS.
        disturbed: told when an address, or a route or rule that carries our mark, was removed,
            be it by another program, or announcements were lost: time to converge on what is
            wanted. An address that came back and went again makes no other state.
        buffer_octets: how much may be announced while the loop is busy.
        ipv4: the links whose IPv4 addresses count.
        memory: of what a daemon before this one knew; None has all taken for confirmed.
    """

    def __init__(
        self,
        interfaces: Mapping[str, str],
        changed: Callable[[str, LinkState], None],
        *,
        netlink: Netlink,
        groups: Iterable[str] = UPLINK_GROUPS,
        disturbed: Callable[[], None] | None = None,
        buffer_octets: int = 1 << 20,
        ipv4: Collection[str] = (),
        memory: LinkMemory | None = None,
    ) -> None:
        self._memory = memory
        self._ipv4 = frozenset(ipv4)
        self._interfaces = dict(interfaces)
        self._changed = changed
        self._netlink = netlink
        self._disturbed = disturbed
        self._table = LinkTable()
        self._states: dict[str, LinkState] = {}
        more = IPV4_GROUPS if self._ipv4 else ()
        self._monitor = Monitor((*groups, *more), buffer_octets=buffer_octets)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Report every link's state, and from now on each change; on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._monitor.fileno(), self._readable)
        self._reload()
        if self._memory is not None:
            self._table.recall(self._memory.load())
        self._tell()

    def close(self) -> None:
        """Stop watching; a second call does nothing."""
        if self._loop is not None:
            self._loop.remove_reader(self._monitor.fileno())
            self._loop = None
        self._monitor.close()

    def state(self, link: str) -> LinkState:
        """Return the last state told of a link; KeyError for one that is not watched."""
        return self._states[link]

    def _readable(self) -> None:
        messages = self._monitor.receive()
        if messages is None:
            self._reload()
        else:
            if self._ipv4 and any(map(concerns_ipv4, messages)):
                self._table.ipv4 = ask_for_ipv4(self._netlink)
            for message in messages:
                self._apply(message)
                # A link that went and came back while the loop was busy did go: the kernel
                # dropped what hung on it.
                if message.kind in {MessageType.NEW_LINK, MessageType.DELETE_LINK}:
                    self._tell()
        self._tell()
        if self._disturbed is not None and (messages is None or any(map(_is_loss, messages))):
            self._disturbed()

    def _apply(self, message: Message) -> None:
        with guarded():
            self._table.apply(message)
            return
        self._reload()

    def _reload(self) -> None:
        self._table.reload(
            self._netlink.links(),
            self._netlink.addresses(),
            self._netlink.routes(table=MAIN_TABLE),
            self._netlink.neighbours(),
        )
        if self._ipv4:
            self._table.ipv4 = ask_for_ipv4(self._netlink)

    def _tell(self) -> None:
        for link, interface in self._interfaces.items():
            state = self._table.state(interface, ipv4=link in self._ipv4)
            if self._states.get(link) != state:
                self._states[link] = state
                self._hand_over(link, state)
        if self._memory is not None:
            self._memory.save(self._table.remembered(self._interfaces.values()))

    def _hand_over(self, link: str, state: LinkState) -> None:
        is_taken = False
        with guarded():
            self._changed(link, state)
            is_taken = True
        if not is_taken and self._loop is not None:
            # Without this it would not be told again before it changes.
            self._loop.call_later(_AFTER_FAULT_S, self._tell_again, link)

    def _tell_again(self, link: str) -> None:
        if self._loop is not None:
            self._states.pop(link, None)
            self._tell()


def _is_loss(message: Message) -> bool:
    is_address = message.kind == MessageType.DELETE_ADDRESS and is_ipv6(message.body)
    return is_address or is_our_loss(message)


def _state(device: _Device) -> LinkState:
    route = min(device.routes.values(), key=lambda each: _rank(each, device), default=None)
    gateway = None if route is None else route.gateway
    return LinkState(
        up=_is_ready(device.link),
        addresses=_usable_addresses(device),
        default_route=route is not None,
        gateway=gateway,
        gateway_mac=None if gateway is None else device.macs.get(gateway),
        unreachable=gateway in device.silent,
        mtu=min(device.link.mtu, device.link.ipv6_mtu),
        index=device.link.index,
        mac=device.link.mac,
    )


def _usable_addresses(device: _Device) -> tuple[LinkAddress, ...]:
    usable = [each for each in device.addresses.values() if _is_usable(each, device.refuted)]
    # Temporary ones change daily, and a home agent knows where we are anyway.
    lasting = [address for address in usable if not address.flags & AddressFlag.TEMPORARY]

    def rank(address: Address) -> tuple[bool, bool]:
        is_deprecated = bool(address.flags & AddressFlag.DEPRECATED)
        return is_deprecated, address.address in device.unconfirmed

    ranked = sorted(lasting or usable, key=rank)
    return tuple(_link_address(each, device.unconfirmed) for each in ranked)


def _link_address(address: Address, unconfirmed: set[IPv6Address]) -> LinkAddress:
    return LinkAddress(
        address=address.address,
        prefix=IPv6Network((address.address.packed, address.prefix_length), strict=False),
        preferred=not address.flags & AddressFlag.DEPRECATED,
        confirmed=address.address not in unconfirmed,
        optimistic=bool(address.flags & AddressFlag.OPTIMISTIC),
    )


def _is_usable(address: Address, refuted: set[IPv6Address]) -> bool:
    # An address under optimistic detection carries both flags: it may be used already.
    hindrances = address.flags & _UNUSABLE
    is_optimistic = address.flags & AddressFlag.OPTIMISTIC and address.address not in refuted
    if hindrances == AddressFlag.TENTATIVE and is_optimistic:
        hindrances = AddressFlag.NONE
    return not hindrances and is_unicast_routable(address.address)


def _rank(route: Route, device: _Device) -> tuple[int, bool, int]:
    # The kernel forgets neighbours with the carrier and keeps routes: of two routers, the
    # one that has been heard since is the one that is there.
    is_doubtful = _route_key(route) in device.older_routes and (
        route.gateway is not None and route.gateway not in device.macs
    )
    is_doubtful |= route.gateway in device.silent
    return route.metric, is_doubtful, _RANKS.get(route.preference, 1)


def _route_key(route: Route) -> _RouteKey:
    return route.gateway, route.metric, route.protocol


def _is_way_out(route: Route) -> bool:
    return (
        route.destination == DEFAULT_ROUTE
        and route.table == MAIN_TABLE
        and route.kind == RouteType.UNICAST
        and route.protocol != PROTOCOL
    )


def _is_gateway(address: IPv6Address, device: _Device) -> bool:
    return any(route.gateway == address for route in device.routes.values())


def _is_ready(link: Link) -> bool:
    return link.flags & _READY == _READY
