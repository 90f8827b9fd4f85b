"""What a home agent advertises, and what is understood of others' advertisements."""

from ipaddress import IPv6Address, IPv6Network

import pytest

from mcoa.runtime.home_routers import LIFETIME_S, advertisement
from mcoa.runtime.router_advertisements import Heard
from mcoa.wire.icmpv6 import emit_icmpv6, parse_icmpv6
from mcoa.wire.icmpv6_neighbor import RouterAdvertisement
from mcoa.wire.neighbor_discovery import INFINITE, HomeAgentInformation

AGENT = IPv6Address("2001:db8:1::1")
NETWORKS = (IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64"))
ROUTER, ALL_NODES = IPv6Address("fe80::1"), IPv6Address("ff02::1")
MAC = bytes.fromhex("020000000001")


def heard(message: RouterAdvertisement) -> Heard:
    """Return an advertisement as it comes off the wire."""
    octets = emit_icmpv6(message, ROUTER, ALL_NODES)
    parsed = parse_icmpv6(octets, ROUTER, ALL_NODES)
    assert isinstance(parsed, RouterAdvertisement)
    return Heard(router=ROUTER, message=parsed)


def test_rfc6275_7_a_home_agent_says_so_with_its_address_and_preference() -> None:
    told = heard(advertisement(AGENT, NETWORKS, preference=0xFFFF, mac=MAC))
    assert told.message.home_agent
    assert told.link_layer_address == MAC
    assert told.home_agent == HomeAgentInformation(preference=0xFFFF, lifetime_s=LIFETIME_S)
    ours, other = told.prefixes
    assert (ours.prefix, ours.router_address) == (AGENT, True)
    assert (other.prefix, other.router_address) == (NETWORKS[1].network_address, False)
    assert ours.valid_lifetime_s == ours.preferred_lifetime_s == INFINITE


@pytest.mark.parametrize("only_router", [False, True])
def test_it_is_a_default_router_only_where_it_is_the_only_one(*, only_router: bool) -> None:
    message = advertisement(AGENT, NETWORKS, only_router=only_router, mac=MAC)
    assert message.lifetime_s == (LIFETIME_S if only_router else 0)
    assert {each.autonomous for each in heard(message).prefixes} == {only_router}


def test_a_prefix_that_is_given_up_is_not_preferred() -> None:
    told = heard(advertisement(AGENT, NETWORKS, deprecated=[NETWORKS[0]], mac=MAC))
    assert [each.preferred_lifetime_s for each in told.prefixes] == [0, INFINITE]
    assert told.prefixes[0].valid_lifetime_s > 0


def test_the_last_one_takes_everything_back() -> None:
    told = heard(advertisement(AGENT, NETWORKS, only_router=True, mac=MAC, leaving=True))
    assert not told.message.home_agent
    assert told.message.lifetime_s == 0
    assert told.home_agent is None


def test_rfc6275_7_4_without_details_preference_is_0_and_the_lifetime_the_routers() -> None:
    plain = RouterAdvertisement(home_agent=True, lifetime_s=600)
    assert heard(plain).home_agent == HomeAgentInformation(preference=0, lifetime_s=600)
    assert heard(plain).link_layer_address == b""
