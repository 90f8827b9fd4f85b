"""rtnetlink's messages as values: what is emitted is what is parsed."""

from ipaddress import IPv6Address, IPv6Network
from socket import AF_INET, AF_INET6

from hypothesis import given
from hypothesis import strategies as st

from mcoa.runtime.netlink_framing import (
    Message,
    MessageType,
    emit_attribute,
    uint32,
)
from mcoa.runtime.rtnetlink import (
    DEFAULT_ROUTE,
    Address,
    AddressFlag,
    Link,
    LinkFlag,
    Neighbour,
    NeighbourFlag,
    Route,
    RouteType,
    Rule,
    is_about_device,
    is_default_route,
    is_our_loss,
)

ADDRESSES = st.integers(0, 2**128 - 1).map(IPv6Address)
NETWORKS = st.tuples(ADDRESSES, st.integers(0, 128)).map(
    lambda pair: IPv6Network((pair[0].packed, pair[1]), strict=False)
)
NUMBERS = st.integers(1, 2**32 - 1)
GATEWAY = IPv6Address("fe80::1")


@given(ADDRESSES, st.integers(0, 128), st.integers(1, 99), st.sampled_from(AddressFlag))
def test_an_address_survives(
    address: IPv6Address, length: int, index: int, flags: AddressFlag
) -> None:
    value = Address(index=index, address=address, prefix_length=length, flags=flags)
    # Without its lifetimes, which only the kernel tells.
    parsed = Address.parse(value.emit())
    assert (parsed.index, parsed.address, parsed.prefix_length, parsed.flags) == (
        index,
        address,
        length,
        flags,
    )


@given(
    NETWORKS,
    st.integers(1, 99),
    st.none() | ADDRESSES,
    NUMBERS,
    NUMBERS,
    st.integers(0, 65535),
    st.none() | ADDRESSES,
)
def test_a_route_survives(
    destination: IPv6Network,
    index: int,
    gateway: IPv6Address | None,
    table: int,
    metric: int,
    mtu: int,
    source: IPv6Address | None,
) -> None:
    route = Route(
        destination=destination,
        index=index,
        gateway=gateway,
        table=table,
        metric=metric,
        mtu=mtu,
        mtu_locked=mtu > 1280,
        source=source,
    )
    assert Route.parse(route.emit()) == (route,)


def test_a_route_that_refuses_has_no_device() -> None:
    route = Route(destination=DEFAULT_ROUTE, kind=RouteType.UNREACHABLE, table=5100)
    # The kernel shows such routes at the loopback device.
    shown = route.emit() + emit_attribute(4, uint32(1))
    assert Route.parse(shown) == (route,)


def test_each_next_hop_of_a_route_is_a_route() -> None:
    def hop(index: int) -> bytes:
        gateway = emit_attribute(5, GATEWAY.packed)
        return (8 + len(gateway)).to_bytes(2, "little") + bytes(2) + uint32(index) + gateway

    body = Route(destination=DEFAULT_ROUTE).emit() + emit_attribute(9, hop(3) + hop(4))
    parsed = Route.parse(body)
    assert [(route.index, route.gateway) for route in parsed] == [(3, GATEWAY), (4, GATEWAY)]


@given(NETWORKS, st.integers(0, 32766), NUMBERS)
def test_a_rule_survives(source: IPv6Network, priority: int, table: int) -> None:
    rule = Rule(priority=priority, table=table, source=source)
    assert Rule.parse(rule.emit()) == rule


@given(ADDRESSES, st.integers(1, 99), st.binary(min_size=6, max_size=6))
def test_a_neighbour_survives(address: IPv6Address, index: int, mac: bytes) -> None:
    for flags, each in ((NeighbourFlag.PROXY, b""), (NeighbourFlag.ROUTER, mac)):
        neighbour = Neighbour(index=index, address=address, flags=flags, mac=each)
        assert Neighbour.parse(neighbour.emit()) == neighbour


def test_a_links_own_mtu_for_ipv6_is_read_from_either_place() -> None:
    settings = emit_attribute(2, uint32(0) + uint32(64) + uint32(1400))
    header = bytes(4) + uint32(3) + uint32(LinkFlag.UP) + bytes(4)
    device = header + emit_attribute(3, b"wwan0\0") + emit_attribute(4, uint32(1500))
    for place in (
        emit_attribute(26, emit_attribute(AF_INET6, settings)),
        emit_attribute(12, settings),
    ):
        link = Link.parse(device + place)
        assert (link.name, link.mtu, link.ipv6_mtu) == ("wwan0", 1500, 1400)
    assert Link.parse(device).ipv6_mtu == 1500


def test_a_place_in_a_bridge_is_not_the_device() -> None:
    assert is_about_device(bytes(16))
    assert not is_about_device(bytes((7,)) + bytes(15))


def test_only_ipv6_has_our_default_route() -> None:
    assert is_default_route(bytes((AF_INET6, 0)))
    assert not is_default_route(bytes((AF_INET, 0)))
    assert not is_default_route(bytes((AF_INET6, 64)))


def test_losing_what_carries_our_mark_is_our_loss() -> None:
    def message(kind: MessageType, value: Route | Rule) -> Message:
        return Message(kind=kind, flags=0, sequence=0, body=value.emit())

    ours = Route(destination=DEFAULT_ROUTE)
    theirs = Route(destination=DEFAULT_ROUTE, protocol=9)
    rule = Rule(priority=5100, table=5100, source=None)
    assert is_our_loss(message(MessageType.DELETE_ROUTE, ours))
    assert is_our_loss(message(MessageType.DELETE_RULE, rule))
    assert not is_our_loss(message(MessageType.DELETE_ROUTE, theirs))
    assert not is_our_loss(message(MessageType.NEW_ROUTE, ours))
