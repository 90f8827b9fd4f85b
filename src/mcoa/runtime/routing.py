"""A mobile node's rules and routes: everything by `mip0`, each care-of address by its link.

Desired state is computed purely (uplink_rules, uplink_routes, home_route), and Routing makes
the kernel's agree with it, whatever it was: our own mark tells what may be removed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, IPv6Network

from mcoa.runtime.links import LinkState
from mcoa.runtime.netlink import Changeable, Netlink
from mcoa.runtime.rtnetlink import (
    DEFAULT_ROUTE,
    MAIN_TABLE,
    NO_METRIC,
    PROTOCOL,
    Address,
    AddressFlag,
    Route,
    RouteType,
    Rule,
)
from mcoa.runtime.sysctl import device_setting, ipv4_device_setting, read_setting
from mcoa.runtime.undo import Journal
from mcoa.runtime.undo_entries import AddressOf, RoutesThrough, Tables

FIRST_TABLE, LAST_TABLE = 5100, 5199
"""Tables of uplinks, and the priorities of the rules that lead to them."""

HOME_ROUTE_METRIC = 1
"""Less than any default route that a router advertisement or a DHCP client brings."""

_NEARBY_METRIC, _WAY_OUT_METRIC = 256, 1024
_LINK_LOCAL = IPv6Network("fe80::/64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What applications shall see: the home address, with everything going by `mip0`.

    Attributes:
        network: the home prefix, which is there and not where a router advertises it, but on
            the home link itself.
        index: of the device.
        mtu: of packets inside the tunnel, octets.
        way: on the home link, for what the kernel may send there; None elsewhere.
    """

    address: IPv6Address
    network: IPv6Network
    index: int
    mtu: int
    way: "HomeWay | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeWay:
    """The home link while the home address is its interface's (RFC 5648 §5.6.4).

    Attributes:
        router: the default router's link-local address.
        is_only: nothing goes by `mip0` any more.
    """

    interface: str
    index: int
    router: IPv6Address
    is_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something that the kernel would not take, as a device vanishes perhaps."""

    what: Changeable
    error: OSError


def table_of(number: int) -> int:
    """Return the table of the n-th uplink, from 0; ValueError beyond the last."""
    if not 0 <= number <= LAST_TABLE - FIRST_TABLE:
        raise ValueError(f"there is no table for uplink {number}")
    return FIRST_TABLE + number


def uplink_rules(number: int, state: LinkState) -> frozenset[Rule]:
    """Return the rules that send what has a care-of address to the table of its link."""
    table = table_of(number)
    return frozenset(
        Rule(priority=table, table=table, source=IPv6Network(each.address.packed))
        for each in state.addresses
    )


def uplink_routes(number: int, state: LinkState) -> frozenset[Route]:
    """Return the routes of an uplink's table.

    Where there is a way out, it also serves the link's own prefix: a prefix that the kernel
    keeps from the network visited before would swallow updates to a home agent in it. The
    last route refuses what finds no other, which main's default would take into the tunnel.
    """
    table = table_of(number)
    routes = {
        Route(
            destination=DEFAULT_ROUTE,
            table=table,
            metric=NO_METRIC,
            kind=RouteType.UNREACHABLE,
        )
    }
    if not state.up:
        return frozenset(routes)
    near = [_LINK_LOCAL]
    if state.default_route:
        routes.add(
            Route(
                destination=DEFAULT_ROUTE,
                index=state.index,
                gateway=state.gateway,
                table=table,
                metric=_WAY_OUT_METRIC,
            )
        )
    else:
        near += [each.prefix for each in state.addresses if each.prefix.prefixlen < 128]
    routes |= {
        Route(destination=prefix, index=state.index, table=table, metric=_NEARBY_METRIC)
        for prefix in near
    }
    return frozenset(routes)


def home_routes(home: Home) -> frozenset[Route]:
    """Return main's routes, which give unbound sockets the home address.

    The home prefix has one of its own: else the kernel would look for its nodes on whatever
    link it heard of the prefix last.
    """
    tunnel = Route(
        destination=DEFAULT_ROUTE,
        index=home.index,
        table=MAIN_TABLE,
        metric=HOME_ROUTE_METRIC,
        mtu=home.mtu,
        source=home.address,
    )
    if home.way is None:
        return frozenset((tunnel, replace(tunnel, destination=home.network)))
    near = replace(tunnel, destination=home.network, index=home.way.index, mtu=0)
    if not home.way.is_only:
        return frozenset((tunnel, near))
    out = replace(near, destination=DEFAULT_ROUTE, gateway=home.way.router)
    return frozenset((out, near))


def prepare_uplink(interface: str, journal: Journal, *, ipv4: bool = False) -> None:
    """Set what an uplink needs to get care-of addresses soon; for each time it appears.

    Duplicate address detection stays, in its optimistic form (RFC 4429), which does not wait
    for its end. Router advertisements that are off stay off; on a host that forwards, they
    are listened to still. What comes over IPv4 from the agent is good on any uplink, though
    routes lead to the agent by one of them: the strict form of the reverse path filter (RFC 3704)
    gives way to the loose one.
    """
    journal.change_setting(device_setting(interface, "optimistic_dad"), "1")
    journal.change_setting(device_setting(interface, "use_optimistic"), "1")
    forwards = read_setting(device_setting(interface, "forwarding")) == "1"
    accept_ra = device_setting(interface, "accept_ra")
    if forwards and read_setting(accept_ra) == "1":
        journal.change_setting(accept_ra, "2")
    filters = [
        read_setting(ipv4_device_setting(each, "rp_filter")) for each in ("all", interface)
    ]
    if ipv4 and max(each or "0" for each in filters) == "1":
        journal.change_setting(ipv4_device_setting(interface, "rp_filter"), "2")


class Routing:
    """Makes the kernel's rules and routes those that are wanted.

    Args:
        device: `mip0`.
        netlink: for asking and changing.
        journal: learns of everything first.
    """

    def __init__(self, device: str, netlink: Netlink, journal: Journal) -> None:
        self._device = device
        self._netlink = netlink
        self._journal = journal

    def converge(
        self, uplinks: Mapping[int, LinkState], home: Home | None
    ) -> tuple[Refusal, ...]:
        """Add what is missing and remove what is not wanted, of ours; touch nothing else.

        Args:
            uplinks: the states by the uplinks' numbers.
            home: None leaves the main table to others.
        """
        self._journal.record(Tables(first=FIRST_TABLE, last=LAST_TABLE))
        self._journal.record(RoutesThrough(device=self._device))
        if home is not None and home.way is not None:
            self._journal.record(RoutesThrough(device=home.way.interface))
        refusals: list[Refusal] = []
        if home is not None:
            refusals += self._hold_address(home)
            uplinks = {
                number: _without_way_home(state, home.network)
                for number, state in uplinks.items()
            }
        rules = {rule for number in uplinks for rule in uplink_rules(number, uplinks[number])}
        routes = {
            route for number in uplinks for route in uplink_routes(number, uplinks[number])
        }
        if home is not None:
            routes |= home_routes(home)
        # Routes first: a rule that leads to an empty table lets packets fall through to main.
        network = None if home is None else home.network
        refusals += self._converge_routes(routes, network)
        refusals += self._converge_rules(rules)
        return tuple(refusals)

    def _hold_address(self, home: Home) -> list[Refusal]:
        held = (each.address for each in self._netlink.addresses() if each.index == home.index)
        if home.address in held:
            return []
        entry = AddressOf(device=self._device, address=str(home.address), prefix_length=128)
        self._journal.record(entry)
        # Nobody on a TUN device could object, and no route is needed to ourselves.
        flags = AddressFlag.NO_DETECTION | AddressFlag.NO_PREFIX_ROUTE
        address = Address(
            index=home.index, address=home.address, prefix_length=128, flags=flags
        )
        return self._add([address])

    def _converge_routes(
        self, wanted: set[Route], network: IPv6Network | None
    ) -> list[Refusal]:
        routes = self._netlink.routes(protocol=PROTOCOL)
        present = {route for route in routes if _is_our_route(route, network)}
        keys = {_key(route) for route in wanted}
        # One that differs in its gateway or MTU is replaced in place, without a gap.
        gone = [route for route in present - wanted if _key(route) not in keys]
        refused = self._netlink.remove_all(gone)
        refused += self._netlink.add_all(wanted - present)
        return [Refusal(what=what, error=error) for what, error in refused]

    def _converge_rules(self, wanted: set[Rule]) -> list[Refusal]:
        present = {rule for rule in self._netlink.rules() if _is_our_rule(rule)}
        refused = self._netlink.remove_all(present - wanted)
        refusals = [Refusal(what=what, error=error) for what, error in refused]
        return refusals + self._add(wanted - present)

    def _add(self, values: Iterable[Address | Rule]) -> list[Refusal]:
        refusals: list[Refusal] = []
        for value in values:
            try:
                self._netlink.add(value)
            except FileExistsError:
                continue
            except OSError as error:
                refusals.append(Refusal(what=value, error=error))
        return refusals


def _without_way_home(state: LinkState, network: IPv6Network) -> LinkState:
    # The kernel takes no route by a gateway to which main leads another way, and main leads
    # the home prefix into the tunnel. On a link with such a gateway nothing is visited.
    if state.gateway is None or state.gateway not in network:
        return state
    return replace(state, default_route=False, gateway=None)


def _key(route: Route) -> tuple[int, IPv6Network, int]:
    return route.table, route.destination, route.metric


def _is_our_rule(rule: Rule) -> bool:
    return rule.protocol == PROTOCOL and FIRST_TABLE <= rule.priority <= LAST_TABLE


def _is_our_route(route: Route, network: IPv6Network | None) -> bool:
    # A home agent of this host has its routes in the main table under our mark.
    is_home = route.table == MAIN_TABLE and route.destination in {DEFAULT_ROUTE, network}
    return is_home or FIRST_TABLE <= route.table <= LAST_TABLE
