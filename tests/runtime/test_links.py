"""What a link's announcements amount to: which addresses serve, which way is out."""

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest

from mcoa.runtime.link_memory import LinkMemory
from mcoa.runtime.links import ABSENT_LINK, LinkState, LinkTable, describe_link
from mcoa.runtime.netlink_framing import Message, MessageType
from mcoa.runtime.rtnetlink import (
    DEFAULT_ROUTE,
    Address,
    AddressFlag,
    Link,
    LinkFlag,
    Neighbour,
    NeighbourFlag,
    Route,
)

UP = LinkFlag.UP | LinkFlag.RUNNING | LinkFlag.LOWER_UP
NO_CARRIER = LinkFlag.UP
WWAN = Link(index=3, name="wwan0", flags=UP, mtu=1500, ipv6_mtu=1500, mac=b"\x02abcde")
FIRST, SECOND = IPv6Address("2001:db8:a::2"), IPv6Address("2001:db8:b::2")
ROUTER, OTHER_ROUTER = IPv6Address("fe80::1"), IPv6Address("fe80::2")
WAY_OUT = Route(destination=DEFAULT_ROUTE, index=3, gateway=ROUTER, protocol=9)
OTHER_WAY = replace(WAY_OUT, gateway=OTHER_ROUTER)


class Told:
    """A table, and everything that a dump would tell it now."""

    def __init__(self, *addresses: Address, routes: tuple[Route, ...] = (WAY_OUT,)) -> None:
        self.table = LinkTable()
        self.link = WWAN
        self.addresses = addresses
        self.routes = routes
        self.neighbours: tuple[Neighbour, ...] = ()

    def state(self) -> LinkState:
        self.table.reload([self.link], self.addresses, self.routes, self.neighbours)
        return self.table.state("wwan0")

    def flap(self) -> None:
        """Lose the carrier and get it back."""
        for flags in (NO_CARRIER, UP):
            self.link = replace(WWAN, flags=flags)
            self.state()


def address(value: IPv6Address, flags: AddressFlag = AddressFlag.NONE) -> Address:
    return Address(index=3, address=value, prefix_length=64, flags=flags)


def leased(value: IPv6Address, refreshed_cs: int = 100) -> Address:
    return replace(address(value), forever=False, refreshed_cs=refreshed_cs)


def addresses_of(state: LinkState) -> list[IPv6Address]:
    return [each.address for each in state.addresses]


def test_an_unknown_interface_is_an_absent_link() -> None:
    assert LinkTable().state("wwan0") == ABSENT_LINK


def test_a_link_tells_address_prefix_gateway_and_mtu() -> None:
    told = Told(address(FIRST))
    told.link = replace(WWAN, ipv6_mtu=1400)
    told.neighbours = (Neighbour(index=3, address=ROUTER, flags=NeighbourFlag.NONE, mac=b"m"),)
    state = told.state()
    assert state.up
    assert (state.index, state.mtu, state.mac) == (3, 1400, b"\x02abcde")
    assert (state.default_route, state.gateway, state.gateway_mac) == (True, ROUTER, b"m")
    assert state.addresses[0].prefix == IPv6Network("2001:db8:a::/64")


@pytest.mark.parametrize("missing", [LinkFlag.UP, LinkFlag.RUNNING, LinkFlag.LOWER_UP])
def test_a_link_is_up_only_when_switched_on_and_carried_and_ready(missing: LinkFlag) -> None:
    told = Told()
    told.link = replace(WWAN, flags=UP & ~missing)
    assert not told.state().up


def test_several_prefixes_give_several_addresses() -> None:
    assert addresses_of(Told(address(FIRST), address(SECOND)).state()) == [FIRST, SECOND]


def test_an_optimistic_address_serves_while_it_is_being_detected() -> None:
    flags = AddressFlag.TENTATIVE | AddressFlag.OPTIMISTIC
    [serving] = Told(address(FIRST, flags)).state().addresses
    assert serving.optimistic


@pytest.mark.parametrize(
    "flags",
    [
        AddressFlag.TENTATIVE,
        AddressFlag.TENTATIVE | AddressFlag.DETECTION_FAILED,
        AddressFlag.OPTIMISTIC | AddressFlag.TENTATIVE | AddressFlag.DETECTION_FAILED,
    ],
)
def test_an_address_that_may_be_anothers_does_not_serve(flags: AddressFlag) -> None:
    assert Told(address(FIRST, flags)).state().addresses == ()


@pytest.mark.parametrize("value", ["fe80::5", "ff02::1", "::1", "::ffff:192.0.2.1"])
def test_an_address_without_global_reach_does_not_serve(value: str) -> None:
    assert Told(address(IPv6Address(value))).state().addresses == ()


def test_a_unique_local_address_serves() -> None:
    assert addresses_of(Told(address(IPv6Address("fd00::5"))).state())


def test_a_deprecated_address_comes_last() -> None:
    state = Told(address(FIRST, AddressFlag.DEPRECATED), address(SECOND)).state()
    assert addresses_of(state) == [SECOND, FIRST]
    assert [each.preferred for each in state.addresses] == [True, False]


def test_a_temporary_address_serves_only_where_nothing_lasts() -> None:
    temporary = address(FIRST, AddressFlag.TEMPORARY)
    assert addresses_of(Told(temporary, address(SECOND)).state()) == [SECOND]
    assert addresses_of(Told(temporary).state()) == [FIRST]


def test_after_a_flap_addresses_of_the_network_before_come_last() -> None:
    told = Told(leased(FIRST))
    told.state()
    told.flap()
    assert addresses_of(told.state()) == [FIRST]
    told.addresses = (leased(FIRST), leased(SECOND, 300))
    assert addresses_of(told.state()) == [SECOND, FIRST]


def test_after_a_flap_a_renewed_address_keeps_its_place() -> None:
    told = Told(leased(FIRST), leased(SECOND))
    told.state()
    told.flap()
    told.addresses = (leased(FIRST, 300), leased(SECOND))
    assert addresses_of(told.state()) == [FIRST, SECOND]


def test_an_address_with_a_successor_is_no_care_of_address() -> None:
    renumbered = Told(address(FIRST, AddressFlag.DEPRECATED), address(SECOND)).state()
    assert renumbered.care_of_addresses == (SECOND,)
    told = Told(leased(FIRST))
    told.state()
    told.flap()
    assert told.state().care_of_addresses == (FIRST,)
    told.addresses = (leased(FIRST), leased(SECOND, 300))
    assert told.state().care_of_addresses == (SECOND,)
    told.addresses = (leased(FIRST, 400), leased(SECOND, 300))
    assert told.state().care_of_addresses == (FIRST, SECOND)


def test_without_a_successor_even_a_deprecated_address_is_a_care_of_address() -> None:
    deprecated = Told(address(FIRST, AddressFlag.DEPRECATED)).state()
    assert deprecated.care_of_addresses == (FIRST,)
    assert ABSENT_LINK.care_of_addresses == ()


def test_an_address_set_by_hand_needs_no_renewal() -> None:
    told = Told(address(FIRST))
    told.state()
    told.flap()
    told.addresses = (address(FIRST), leased(SECOND, 300))
    assert addresses_of(told.state()) == [FIRST, SECOND]


def test_of_two_routers_the_one_that_came_after_the_flap_is_the_gateway() -> None:
    told = Told()
    told.state()
    told.flap()
    told.routes = (WAY_OUT, OTHER_WAY)
    assert told.state().gateway == OTHER_ROUTER


def test_after_a_flap_the_router_that_is_heard_is_the_gateway() -> None:
    told = Told(routes=(WAY_OUT, OTHER_WAY))
    told.state()
    told.flap()
    told.neighbours = (
        Neighbour(index=3, address=OTHER_ROUTER, flags=NeighbourFlag.ROUTER, mac=b"m"),
    )
    assert told.state().gateway == OTHER_ROUTER


def test_the_lower_metric_and_then_the_preferred_router_is_the_gateway() -> None:
    assert Told(routes=(WAY_OUT, replace(OTHER_WAY, metric=100))).state().gateway == (
        OTHER_ROUTER
    )
    assert Told(routes=(WAY_OUT, replace(OTHER_WAY, preference=1))).state().gateway == (
        OTHER_ROUTER
    )


def test_a_link_without_gateways_still_leads_out() -> None:
    state = Told(routes=(replace(WAY_OUT, gateway=None),)).state()
    assert (state.default_route, state.gateway) == (True, None)


def test_our_own_default_route_leads_nowhere() -> None:
    assert not Told(routes=(Route(destination=DEFAULT_ROUTE, index=3),)).state().default_route


def test_a_switched_off_device_has_lost_its_routes_even_in_silence() -> None:
    told = Told()
    told.state()
    told.routes = ()
    told.link = replace(WWAN, flags=LinkFlag.NONE)
    assert not told.state().default_route


def test_announcements_add_and_take_away() -> None:
    told = Told(routes=())
    told.state()
    table = told.table

    def announce(kind: MessageType, value: Address | Route | Neighbour) -> LinkState:
        table.apply(Message(kind=kind, flags=0, sequence=0, body=value.emit()))
        return table.state("wwan0")

    router = Neighbour(index=3, address=ROUTER, flags=NeighbourFlag.ROUTER, mac=b"\x02abcde")
    assert addresses_of(announce(MessageType.NEW_ADDRESS, address(FIRST))) == [FIRST]
    assert announce(MessageType.NEW_ROUTE, WAY_OUT).gateway == ROUTER
    assert announce(MessageType.NEW_NEIGHBOUR, router).gateway_mac == b"\x02abcde"
    assert announce(MessageType.DELETE_NEIGHBOUR, router).gateway_mac is None
    assert announce(MessageType.DELETE_ROUTE, WAY_OUT).gateway is None
    assert addresses_of(announce(MessageType.DELETE_ADDRESS, address(FIRST))) == []


def test_announcements_about_unknown_devices_change_nothing() -> None:
    table = LinkTable()
    for value, kind in (
        (address(FIRST), MessageType.NEW_ADDRESS),
        (WAY_OUT, MessageType.NEW_ROUTE),
        (Neighbour(index=3, address=ROUTER), MessageType.NEW_NEIGHBOUR),
    ):
        table.apply(Message(kind=kind, flags=0, sequence=0, body=value.emit()))
    assert table.state("wwan0") == ABSENT_LINK


def test_what_a_dump_does_not_mention_is_gone() -> None:
    told = Told(address(FIRST))
    told.state()
    told.addresses, told.routes = (), ()
    assert not told.state().addresses
    told.table.reload([], [], [], [])
    assert told.table.state("wwan0") == ABSENT_LINK


# A gateway that does not answer (RFC 4861 §7.3).

HEARD = Neighbour(index=3, address=ROUTER, flags=NeighbourFlag.NONE, mac=b"m")
FAILED = replace(HEARD, mac=b"", failed=True)


def test_a_gateway_that_failed_makes_its_link_unusable_until_it_is_heard() -> None:
    told = Told(address(FIRST))
    told.neighbours = (HEARD,)
    assert not told.state().unreachable
    told.neighbours = (FAILED,)
    state = told.state()
    assert state.unreachable
    assert describe_link(state) == "router silent"
    told.neighbours = (HEARD,)
    assert not told.state().unreachable


def test_another_gateway_takes_the_place_of_one_that_failed() -> None:
    told = Told(address(FIRST), routes=(WAY_OUT, OTHER_WAY))
    told.neighbours = (FAILED,)
    state = told.state()
    assert (state.gateway, state.unreachable) == (OTHER_ROUTER, False)


def test_a_neighbour_that_is_no_gateway_may_fail() -> None:
    told = Told(address(FIRST))
    told.neighbours = (replace(FAILED, address=OTHER_ROUTER),)
    assert not told.state().unreachable


def test_a_new_carrier_is_a_new_beginning_for_a_gateway() -> None:
    told = Told(address(FIRST))
    told.neighbours = (FAILED,)
    assert told.state().unreachable
    told.neighbours = ()
    told.flap()
    assert not told.state().unreachable


# An address that somebody else has (RFC 4429 §3.3).

OPTIMISTIC = AddressFlag.TENTATIVE | AddressFlag.OPTIMISTIC


def test_an_address_that_went_while_it_was_doubted_is_not_trusted_at_once_again() -> None:
    told = Told(routes=(WAY_OUT,))
    told.state()
    hopeful = address(FIRST, OPTIMISTIC)
    told.table._address(hopeful)
    assert addresses_of(told.table.state("wwan0")) == [FIRST]
    told.table._address(hopeful, is_gone=True)
    told.table._address(hopeful)  # the router advertises the prefix once more
    assert addresses_of(told.table.state("wwan0")) == []
    told.table._address(address(FIRST))
    assert addresses_of(told.table.state("wwan0")) == [FIRST]


def test_one_that_went_in_peace_is_trusted() -> None:
    told = Told(routes=(WAY_OUT,))
    told.state()
    told.table._address(address(FIRST))
    told.table._address(address(FIRST), is_gone=True)
    told.table._address(address(FIRST, OPTIMISTIC))
    assert addresses_of(told.table.state("wwan0")) == [FIRST]


# Over a restart.


class Restarted:
    """A daemon that is killed, and what it wrote."""

    def __init__(self, told: Told, directory: Path) -> None:
        self.told, self.memory = told, LinkMemory(directory / "node.links")

    def starts_again(self) -> LinkState:
        self.memory.save(self.told.table.remembered(["wwan0"]))
        self.told.table = LinkTable()
        self.told.state()
        self.told.table.recall(self.memory.load())
        return self.told.table.state("wwan0")


def test_an_address_that_was_doubtful_is_so_after_a_restart(tmp_path: Path) -> None:
    told = Told(leased(FIRST))
    told.state()
    told.flap()
    told.addresses = (leased(FIRST), leased(SECOND, 900))
    assert told.state().care_of_addresses == (SECOND,)
    restarted = Restarted(told, tmp_path)
    assert restarted.starts_again().care_of_addresses == (SECOND,)
    told.addresses = (leased(FIRST, 950), leased(SECOND, 900))
    assert set(restarted.starts_again().care_of_addresses) == {FIRST, SECOND}


def test_a_carrier_that_came_while_nobody_watched_makes_doubtful(tmp_path: Path) -> None:
    told = Told(leased(FIRST))
    told.link = replace(WWAN, carrier_ups=3)
    told.state()
    memory = LinkMemory(tmp_path / "node.links")
    memory.save(told.table.remembered(["wwan0"]))
    # It is somewhere else now, and has the old address and router besides the new ones.
    told.table, told.link = LinkTable(), replace(WWAN, carrier_ups=4)
    told.addresses = (leased(FIRST), leased(SECOND, 900))
    told.routes = (WAY_OUT, OTHER_WAY)
    told.state()
    told.table.recall(memory.load())
    state = told.table.state("wwan0")
    assert state.care_of_addresses == (SECOND,)
    assert state.gateway == OTHER_ROUTER
    # Without a new carrier both would do.
    told.link = WWAN
    told.table = LinkTable()
    assert set(told.state().care_of_addresses) == {FIRST, SECOND}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"wwan0": {"index": "x"}}', "\\0"])
def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.links"
    path.write_text(text, "utf-8")
    assert LinkMemory(path).load() == {}


def test_another_device_of_the_name_is_not_the_one_remembered(tmp_path: Path) -> None:
    told = Told(leased(FIRST))
    told.state()
    told.flap()
    restarted = Restarted(told, tmp_path)
    told.state()
    restarted.memory.save(told.table.remembered(["wwan0"]))
    memories = {name: replace(each, index=99) for name, each in restarted.memory.load().items()}
    told.table = LinkTable()
    told.state()
    told.table.recall(memories)
    assert told.table.state("wwan0").addresses[0].confirmed
