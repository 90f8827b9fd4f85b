"""RFC 5648 §3, §6.1: look-ups by home address and BID."""

from ipaddress import IPv6Address

import pytest

from mcoa.binding.cache import Binding, BindingCache, CacheEntry

HOME, OTHER_HOME = IPv6Address("2001:db8:1::100"), IPv6Address("2001:db8:1::200")


def binding(bid: int | None, *, verified_at_s: float = 0.0) -> Binding:
    return Binding(
        bid=bid,
        care_of_address=IPv6Address(f"2001:db8:a::{bid or 0}"),
        expires_at_s=100.0,
        verified_at_s=verified_at_s,
    )


@pytest.fixture
def cache() -> BindingCache:
    made = BindingCache()
    bindings = (binding(1, verified_at_s=5.0), binding(2, verified_at_s=9.0), binding(3))
    made.put(CacheEntry(home_address=HOME, sequence=1, bindings=bindings))
    made.put(CacheEntry(home_address=OTHER_HOME, sequence=1, bindings=(binding(1),)))
    return made


@pytest.mark.requirement("S3-14", "S6.1-02", "S6.1-03")
def test_rfc5648_6_1_home_address_and_bid_name_one_binding(cache: BindingCache) -> None:
    found = cache.lookup(HOME, 3)
    assert found is not None
    assert found.bid == 3


@pytest.mark.requirement("S3-18")
def test_rfc5648_3_an_unknown_bid_gives_way_to_the_home_address(cache: BindingCache) -> None:
    found = cache.lookup(HOME, 77)
    assert found is not None
    assert found.bid == 2


@pytest.mark.requirement("S3-17", "S6.1-04")
def test_rfc5648_3_without_bid_the_binding_verified_last_is_used(cache: BindingCache) -> None:
    found = cache.lookup(HOME)
    assert found is not None
    assert found.bid == 2


def test_an_unknown_home_address_has_no_binding(cache: BindingCache) -> None:
    assert cache.lookup(IPv6Address("2001:db8:1::300")) is None


def test_a_tombstone_has_no_binding(cache: BindingCache) -> None:
    cache.put(CacheEntry(home_address=HOME, sequence=9, forget_at_s=10.0))
    assert cache.lookup(HOME, 1) is None
    assert len(cache) == 2
