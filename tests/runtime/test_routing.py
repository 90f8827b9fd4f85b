"""The rules and routes that links and a home address call for."""

from ipaddress import IPv6Address, IPv6Network

import pytest

from mcoa.runtime.links import LinkAddress, LinkState
from mcoa.runtime.routing import (
    FIRST_TABLE,
    Home,
    home_route,
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
    home = Home(address=IPv6Address("2001:db8:1::100"), index=9, mtu=1420)
    route = home_route(home)
    assert (route.destination, route.table, route.metric) == (DEFAULT_ROUTE, MAIN_TABLE, 1)
    assert (route.index, route.source, route.mtu) == (9, home.address, 1420)
    assert not route.mtu_locked


@pytest.mark.parametrize("number", [-1, 100])
def test_there_are_a_hundred_tables(number: int) -> None:
    with pytest.raises(ValueError, match="no table"):
        table_of(number)
