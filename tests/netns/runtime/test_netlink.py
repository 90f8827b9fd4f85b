"""Requests to a real kernel: many at once, refused, absent."""

import errno
import time
from ipaddress import IPv6Address, IPv6Network

import pytest

from mcoa.runtime.netlink import Changeable, Netlink
from mcoa.runtime.rtnetlink import (
    DEFAULT_ROUTE,
    PROTOCOL,
    Neighbour,
    NeighbourFlag,
    Route,
    Rule,
)
from netns.runtime.packets import PREFIX
from netns.runtime.pair import Pair

pytestmark = pytest.mark.netns

COUNT = 3000
HOMES = [IPv6Address(int(PREFIX[0x1000]) + number) for number in range(COUNT)]


def index_of(netlink: Netlink) -> int:
    link = netlink.link("wwan0")
    assert link is not None
    return link.index


def test_thousands_of_routes_are_added_and_removed_in_a_moment(pair: Pair) -> None:
    def scenario() -> float:
        with Netlink() as netlink:
            index = index_of(netlink)
            routes = [
                Route(destination=IPv6Network(each.packed), index=index) for each in HOMES
            ]
            start = time.perf_counter()
            assert netlink.add_all(routes) == []
            elapsed_s = time.perf_counter() - start
            assert set(netlink.routes(protocol=PROTOCOL)) == set(routes)
            assert netlink.remove_all(routes) == []
            assert netlink.routes(protocol=PROTOCOL) == []
        return COUNT / elapsed_s

    # A quarter of what an idle machine does.
    assert pair.node.call(scenario) > 7000


def test_proxy_entries_are_listed_with_our_mark(pair: Pair) -> None:
    def scenario() -> None:
        with Netlink() as netlink:
            index = index_of(netlink)
            entries = [Neighbour(index=index, address=each) for each in HOMES[:300]]
            assert netlink.add_all(entries) == []
            assert set(netlink.neighbours(NeighbourFlag.PROXY)) == set(entries)
            assert netlink.remove_all(entries) == []
            assert netlink.neighbours(NeighbourFlag.PROXY) == []

    pair.node.call(scenario)


def test_in_a_batch_the_refused_are_named_and_the_others_done(pair: Pair) -> None:
    def scenario() -> tuple[list[tuple[Changeable, OSError]], int]:
        with Netlink() as netlink:
            index = index_of(netlink)
            routes = [
                Route(
                    destination=IPv6Network(each.packed), index=999 if number == 70 else index
                )
                for number, each in enumerate(HOMES[:200])
            ]
            refused = netlink.add_all(routes)
            return refused, len(netlink.routes(protocol=PROTOCOL))

    refused, added = pair.node.call(scenario)
    assert [(what.index, why.errno) for what, why in refused if isinstance(what, Route)] == [
        (999, errno.ENODEV)
    ]
    assert added == 199


def test_what_is_there_already_is_refused_or_replaced(pair: Pair) -> None:
    def scenario() -> None:
        with Netlink() as netlink:
            index = index_of(netlink)
            route = Route(destination=PREFIX, index=index, metric=5)
            netlink.add(route)
            with pytest.raises(FileExistsError):
                netlink.add(route)
            smaller = Route(destination=PREFIX, index=index, metric=5, mtu=1300)
            netlink.add(smaller, replace=True)
            assert netlink.routes(protocol=PROTOCOL) == [smaller]
            assert netlink.remove(smaller)
            assert not netlink.remove(smaller)

    pair.node.call(scenario)


def test_a_refusal_is_in_the_kernels_words(pair: Pair) -> None:
    def scenario() -> None:
        with Netlink() as netlink:
            gateway = IPv6Address("ff02::1")
            route = Route(destination=DEFAULT_ROUTE, index=index_of(netlink), gateway=gateway)
            with pytest.raises(OSError, match="Invalid gateway address") as refused:
                netlink.add(route)
            assert refused.value.errno == errno.EINVAL

    pair.node.call(scenario)


def test_a_table_that_does_not_exist_has_no_routes(pair: Pair) -> None:
    def scenario() -> None:
        with Netlink() as netlink:
            assert netlink.routes(table=5177) == []
            rule = Rule(priority=5100, table=5100, source=PREFIX)
            netlink.add(rule)
            assert rule in netlink.rules()
            assert netlink.remove(rule)
            assert not netlink.remove(rule)
            assert not netlink.remove_link("nowhere0")

    pair.node.call(scenario)
