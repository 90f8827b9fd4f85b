"""RFC 6275 §10.4.1: with the L flag the link-local address is defended like the home address."""

from ipaddress import IPv6Address

import pytest

from engine.bench_of_agent import HOME, LTE, REGISTER, WIFI, Bench, bid
from mcoa.engine.actions import DetectDuplicate, Intercept, Interception
from mcoa.wire.options import LinkLayerAddress
from mcoa.wire.registry import BindingStatus, UpdateFlag

LINK_LOCAL = IPv6Address(b"\xfe\x80" + bytes(6) + HOME.packed[8:])
MAC = bytes.fromhex("020000000064")
WITH_L = REGISTER | UpdateFlag.LINK_LOCAL


def defence(bench: Bench) -> list[Interception]:
    """Return what was last asked for about the link-local address."""
    return [
        each.by
        for each in bench.actions
        if isinstance(each, Intercept) and each.home_address == LINK_LOCAL
    ]


def test_it_is_defended_from_the_first_binding_to_the_last() -> None:
    bench = Bench()
    bench.send(bid(1, LTE), flags=WITH_L)
    assert defence(bench) == [Interception.PROXY]
    bench.send(bid(2, WIFI), flags=WITH_L)
    assert defence(bench) == []
    bench.send(bid(1), lifetime_s=0, flags=WITH_L)
    assert defence(bench) == []
    bench.send(bid(2), lifetime_s=0, flags=WITH_L)
    assert defence(bench) == [Interception.NONE]


def test_without_the_flag_it_is_nobodys() -> None:
    bench = Bench()
    bench.send(bid(1, LTE))
    assert defence(bench) == []
    bench.send(bid(1, LTE), flags=WITH_L)
    assert defence(bench) == [Interception.PROXY]
    bench.send(bid(1, LTE))
    assert defence(bench) == [Interception.NONE]


def test_it_goes_when_the_bindings_expire() -> None:
    bench = Bench()
    bench.send(bid(1, LTE), flags=WITH_L, lifetime_s=8)
    bench.advance(10.0)
    assert defence(bench) == [Interception.NONE]


def test_a_node_at_home_defends_it_itself() -> None:
    bench = Bench().with_policy(only_router=True)
    bench.send(bid(1, LTE), flags=WITH_L)
    bench.send(bid(2, home=True), LinkLayerAddress(address=MAC), flags=WITH_L, at_home=True)
    assert defence(bench) == [Interception.NONE]


def test_rfc6275_10_3_1_it_is_looked_for_before_the_first_answer() -> None:
    bench = Bench().with_policy(detect_duplicates=True)
    assert bench.send(bid(1, LTE), flags=WITH_L) is None
    assert bench.actions == [
        DetectDuplicate(home_address=HOME),
        DetectDuplicate(home_address=LINK_LOCAL),
    ]


@pytest.mark.parametrize("taken", [HOME, LINK_LOCAL])
def test_another_node_that_has_either_refuses_the_home_address(taken: IPv6Address) -> None:
    bench = Bench().with_policy(detect_duplicates=True)
    bench.send(bid(1, LTE), flags=WITH_L)
    bench.actions = bench.agent.duplicate_found(taken)
    answer = bench.acknowledgement()
    assert answer is not None
    assert answer.status is BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED
    assert bench.bound() == {}


def test_an_address_that_nobody_asked_for_is_a_conflict_and_no_more() -> None:
    bench = Bench()
    bench.send(bid(1, LTE), flags=WITH_L)
    bench.actions = bench.agent.duplicate_found(LINK_LOCAL)
    assert bench.acknowledgement() is None
    assert bench.bound() == {1: LTE}


def test_it_is_defended_again_after_a_restart() -> None:
    bench = Bench()
    bench.send(bid(1, LTE), flags=WITH_L)
    entry = bench.agent.cache.entry(HOME)
    assert entry is not None
    again = Bench()
    again.actions = again.agent.restore(entry, again.now)
    assert defence(again) == [Interception.PROXY]
