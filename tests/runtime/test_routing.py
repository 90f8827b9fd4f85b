"""The rules and routes that links and a home address call for."""

from ipaddress import IPv6Address, IPv6Network

import pytest

from mcoa.runtime.links import LinkAddress, LinkState
from mcoa.runtime.routing import (
    FIRST_TABLE,
    Home,
    HomeWay,
    home_routes,
    table_of,
    uplink_routes,
    uplink_rules,
)
from mcoa.runtime.rtnetlink import DEFAULT_ROUTE, MAIN_TABLE, NO_METRIC, PROTOCOL, RouteType

PREFIX = IPv6Network("2001:db8:a::/64")
GATEWAY = IPv6Address("fe80::1")
ADDRESSES = tuple(LinkAddress(address=PREFIX[number], prefix=PREFIX) for number in (2, 3))
LINK = LinkState(
    up=True, addresses=ADDRESSES, default_route=True, gateway=GATEWAY, mtu=1500, index=3
)
HOME_NETWORK = IPv6Network("2001:db8:1::/64")


def test_each_care_of_address_has_a_rule_to_its_links_table() -> None:
    rules = uplink_rules(2, LINK)
    assert {rule.source for rule in rules} == {
        IPv6Network("2001:db8:a::2"),
        IPv6Network("2001:db8:a::3"),
    }
    assert {(rule.priority, rule.table, rule.protocol) for rule in rules} == {
        (5102, 5102, PROTOCOL)
    }


def test_a_link_with_a_way_out_serves_its_own_prefix_by_it() -> None:
    routes = uplink_routes(0, LINK)
    assert {route.destination for route in routes} == {
        DEFAULT_ROUTE,
        IPv6Network("fe80::/64"),
    }
    [way_out] = [route for route in routes if route.gateway is not None]
    assert (way_out.gateway, way_out.index, way_out.table) == (GATEWAY, 3, FIRST_TABLE)


def test_a_link_without_a_way_out_reaches_its_own_prefix() -> None:
    routes = uplink_routes(0, LinkState(up=True, addresses=ADDRESSES, index=3))
    assert PREFIX in {route.destination for route in routes}
    assert all(route.index for route in routes if route.kind == RouteType.UNICAST)


def test_every_table_ends_in_a_refusal() -> None:
    for state in (LINK, LinkState()):
        refusals = [
            route for route in uplink_routes(1, state) if route.kind == RouteType.UNREACHABLE
        ]
        assert [(each.destination, each.metric, each.table) for each in refusals] == [
            (DEFAULT_ROUTE, NO_METRIC, 5101)
        ]


def test_a_link_that_is_down_leads_nowhere() -> None:
    state = LinkState(addresses=ADDRESSES, default_route=True, gateway=GATEWAY, index=3)
    assert all(route.kind == RouteType.UNREACHABLE for route in uplink_routes(0, state))


def test_everything_else_takes_the_home_address_and_the_device() -> None:
    routes = home_routes(home_by())
    assert {route.destination for route in routes} == {DEFAULT_ROUTE, HOME_NETWORK}
    for route in routes:
        assert (route.table, route.metric, route.mtu) == (MAIN_TABLE, 1, 1420)
        assert (route.index, route.source) == (9, HOME_NETWORK[0x100])
        assert not route.mtu_locked


@pytest.mark.parametrize("is_only", [False, True])
def test_where_the_home_address_is_defended_neighbours_are_reached_directly(
    *, is_only: bool
) -> None:
    way = HomeWay(interface="eth0", index=4, router=GATEWAY, is_only=is_only)
    found = {route.destination: route for route in home_routes(home_by(way))}
    assert found[HOME_NETWORK].index == 4
    assert found[HOME_NETWORK].gateway is None
    out = found[DEFAULT_ROUTE]
    assert (out.index, out.gateway) == ((4, GATEWAY) if is_only else (9, None))
    assert {route.source for route in found.values()} == {HOME_NETWORK[0x100]}
    assert {route.metric for route in found.values()} == {1}


def home_by(way: HomeWay | None = None) -> Home:
    address = HOME_NETWORK[0x100]
    return Home(address=address, network=HOME_NETWORK, index=9, mtu=1420, way=way)


@pytest.mark.parametrize("number", [-1, 100])
def test_there_are_a_hundred_tables(number: int) -> None:
    with pytest.raises(ValueError, match="no table"):
        table_of(number)
