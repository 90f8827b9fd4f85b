"""RFC 5648: what is allowed and therefore has to work, at both ends."""

from dataclasses import replace

import pytest

from engine import bench_of_agent, bench_of_node
from engine.bench_of_agent import LTE, SAT, WIFI, bid, statuses
from mcoa.engine.policy import LinkPolicy
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingStatus as Status


@pytest.mark.requirement("S3-13")
def test_rfc5648_3_a_single_binding_may_have_a_bid() -> None:
    agent = bench_of_agent.Bench()
    assert statuses(agent.send(bid(7, LTE))) == (Status.ACCEPTED, {7: Status.ACCEPTED})
    assert agent.bound() == {7: LTE}


@pytest.mark.requirement("S5.4-05")
def test_rfc5648_5_4_one_update_deletes_several_bids() -> None:
    agent = bench_of_agent.Bench()
    agent.send(bid(1, LTE), bid(2, WIFI), bid(3, SAT))
    answer = statuses(agent.send(bid(1), bid(3), lifetime_s=0))
    assert answer == (Status.ACCEPTED, {1: Status.ACCEPTED, 3: Status.ACCEPTED})
    assert agent.bound() == {2: WIFI}


@pytest.mark.requirement("S6.5-04")
def test_rfc5648_6_5_an_update_may_come_from_an_address_that_is_not_bound() -> None:
    agent = bench_of_agent.Bench()
    agent.send(bid(1, LTE))
    assert statuses(agent.send(bid(2, SAT), source=SAT))[0] is Status.ACCEPTED
    assert agent.bound() == {1: LTE, 2: SAT}


@pytest.mark.requirement("S5.1-06")
def test_rfc5648_5_1_a_node_with_one_address_may_do_without_bids() -> None:
    one_link = (LinkPolicy(name="lte"),)
    policy = replace(bench_of_node.POLICY, links=one_link, multiple_care_of=False)
    node = bench_of_node.Bench(policy=policy)
    node.link("lte", LTE)
    options = node.update().options
    assert not [each for each in options if isinstance(each, BindingIdentifier)]


@pytest.mark.requirement("S5.1-07")
def test_rfc5648_5_1_all_addresses_have_bids_as_soon_as_several_are_registered() -> None:
    node = bench_of_node.Bench(policy=replace(bench_of_node.POLICY, gather_s=0.0))
    node.link("lte", LTE)
    node.answer()
    node.link("sat", SAT)
    node.answer()
    assert node.usable() == {1: LTE, 3: SAT}
