"""RFC 5648 §8.1: a mobile node registers the IPv4 addresses of its links."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

import pytest

from engine.bench_of_node import AGENT, HOME, LTE, MAC, POLICY, WIFI, Bench
from mcoa.engine.actions import Envelope, UdpEnd
from mcoa.engine.addresses import ipv4_mapped
from mcoa.engine.policy import AtHome, FlowPolicy, LinkPolicy
from mcoa.wire.messages import BindingRevocationAcknowledgement, BindingRevocationIndication
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.options_ipv4 import Ipv4CareOfAddress, NatDetection
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.registry import RevocationTrigger, UpdateFlag
from mcoa.wire.selectors import Ipv6TrafficSelector

FIRST, SECOND, THIRD = (IPv4Address(f"192.0.2.{n}") for n in (1, 2, 3))
ONE, TWO, THREE = map(ipv4_mapped, (FIRST, SECOND, THIRD))
POLICY_4 = replace(POLICY, home_agent_by_ipv4=True)
NO_NAT = NatDetection(force_udp=True, refresh_time_s=NatDetection.NO_KEEPALIVE)
NAT = NatDetection(force_udp=True, refresh_time_s=110)


@pytest.fixture
def bench() -> Bench:
    return Bench(policy=POLICY_4)


def three_links(bench: Bench) -> Bench:
    """IPv4 on two links and IPv6 on the third, all of them registered."""
    for name, address in (("lte", ONE), ("wifi", TWO), ("sat", LTE)):
        bench.link(name, address)
    for _ in range(3):
        bench.answer()
    assert bench.usable() == {1: ONE, 2: TWO, 3: LTE}
    return bench


@pytest.mark.requirement("S8.1-04", "S8.1-05", "S8.1-07")
def test_rfc5648_8_1_an_update_from_ipv4_goes_in_udp_from_the_home_address(
    bench: Bench,
) -> None:
    bench.link("lte", ONE)
    bench.advance(0.2)
    (sent,) = bench.updates
    end = UdpEnd(address=ONE)
    assert sent.envelope == Envelope(source=HOME, destination=AGENT, link="lte", udp=end)
    assert bench.said() == {1: FIRST}
    assert UpdateFlag.FORCE_UDP in bench.update().flags
    assert not any(isinstance(o, Ipv4CareOfAddress) for o in bench.update().options)


@pytest.mark.requirement("S8.1-01", "S8.1-02", "S8.1-03")
def test_rfc5648_8_1_each_ipv4_address_has_an_update_of_its_own(bench: Bench) -> None:
    bench.link("lte", ONE)
    bench.link("wifi", TWO)
    bench.link("sat", LTE)
    said = [(bench.said(), bench.overwrote, bench.updates[-1].envelope.origin)]
    for _ in range(2):
        bench.answer()
        said.append((bench.said(), bench.overwrote, bench.updates[-1].envelope.origin))
    assert said == [
        ({3: LTE}, True, LTE),
        ({1: FIRST}, False, ONE),
        ({2: SECOND}, False, TWO),
    ]
    bench.answer()
    assert bench.usable() == {1: ONE, 2: TWO, 3: LTE}


@pytest.mark.requirement("S8.1-08")
def test_rfc5648_8_1_a_changed_ipv4_address_goes_alone(bench: Bench) -> None:
    three_links(bench)
    bench.link("lte", THREE)
    assert bench.said() == {1: THIRD}
    assert bench.updates[-1].envelope.udp == UdpEnd(address=THREE)
    bench.answer()
    assert bench.usable() == {1: THREE, 2: TWO, 3: LTE}


@pytest.mark.requirement("S8.1-07")
def test_rfc5648_8_1_a_refresh_of_an_ipv4_address_leaves_by_its_link(bench: Bench) -> None:
    three_links(bench)
    bench.updates.clear()
    while len(bench.updates) < 3:
        bench.until_due()
        if bench.updates and bench.node.outstanding is not None:
            bench.answer()
    seen = {next(iter(_bids(each))): each.envelope.origin for each in bench.updates[:3]}
    assert seen == {1: ONE, 2: TWO, 3: LTE}
    assert all(len(_bids(each)) == 1 for each in bench.updates[:3])


def test_an_address_behind_a_nat_is_refreshed_before_the_nat_forgets(bench: Bench) -> None:
    bench = bench.with_policy(lifetime_s=600)
    bench.link("lte", ONE)
    bench.advance(0.2)
    bench.answer(extra=(NAT,))
    assert bench.node.update_list.get(1).translated  # type: ignore[union-attr]
    assert 90 < bench.until_due() < 110
    assert bench.said() == {1: None}


@pytest.mark.parametrize(("told_s", "least_s"), [(1, 8), (0, 90), (30, 20)])
def test_an_agent_may_say_what_the_nat_needs_but_not_anything(
    bench: Bench, told_s: int, least_s: int
) -> None:
    bench = bench.with_policy(lifetime_s=600)
    bench.link("lte", ONE)
    bench.advance(0.2)
    bench.answer(extra=(NatDetection(force_udp=True, refresh_time_s=told_s),))
    assert least_s < bench.until_due() <= max(told_s or 110, 10)


def test_without_a_nat_the_lifetime_says_when(bench: Bench) -> None:
    bench = bench.with_policy(lifetime_s=600)
    bench.link("lte", ONE)
    bench.advance(0.2)
    bench.answer(extra=(NO_NAT,))
    assert not bench.node.update_list.get(1).translated  # type: ignore[union-attr]
    assert bench.until_due() > 400


def test_a_silent_link_does_not_hold_up_the_others(bench: Bench) -> None:
    three_links(bench)
    bench.link("lte", THREE)
    bench.updates.clear()
    bench.advance(1.0)  # nobody answers there
    bench.link("wifi", ONE)
    assert bench.said() == {2: FIRST}
    bench.answer()
    # From now on it is asked less and less often, and the others are refreshed meanwhile.
    times: list[float] = []
    while bench.now < 200.0:
        before = len(bench.updates)
        bench.until_due()
        for sent in bench.updates[before:]:
            if _bids(sent) == {1: THIRD}:
                times.append(bench.now)
            else:
                bench.answer()
    assert 5 < len(times) < 14
    assert bench.usable() == {2: ONE, 3: LTE}
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert max(waits) > 30.0


def test_a_lone_silent_link_makes_the_agent_suspect(bench: Bench) -> None:
    bench.link("lte", ONE)
    bench.advance(10.0)
    assert [each.envelope.origin for each in bench.updates] == [ONE] * 3
    assert all(_bids(each) == {1: FIRST} for each in bench.updates)


def test_a_path_that_fell_silent_is_registered_anew_at_once(bench: Bench) -> None:
    three_links(bench)
    bench.updates.clear()
    bench.avoid({"lte"})
    assert bench.said() == {1: None}
    assert bench.updates[-1].envelope.udp == UdpEnd(address=ONE)
    bench.answer()
    bench.updates.clear()
    bench.avoid({"lte"})
    bench.avoid(set())
    assert bench.updates == []


def test_ipv6_is_preferred_on_the_same_link(bench: Bench) -> None:
    bench.link("lte", LTE, ONE)
    bench.advance(0.2)
    assert bench.said() == {1: LTE}
    bench.answer()
    assert bench.usable() == {1: LTE}
    bench.link("lte", ONE)
    assert bench.said() == {1: FIRST}
    bench.answer()
    bench.link("lte", LTE, ONE)
    assert bench.said() == {1: LTE}


def test_a_link_may_be_bound_with_both_families() -> None:
    links = (LinkPolicy(name="lte", bid=1, both_families=True), LinkPolicy(name="wifi", bid=2))
    bench = Bench(policy=replace(POLICY_4, links=links))
    bench.link("lte", LTE, ONE)
    bench.link("wifi", WIFI, TWO)
    assert bench.said() == {1: LTE, 2: WIFI}
    bench.answer()
    assert bench.said() == {3: FIRST}
    bench.answer()
    assert bench.usable() == {1: LTE, 2: WIFI, 3: ONE}


def test_rfc5555_4_an_agent_that_is_silent_over_ipv6_is_asked_over_ipv4() -> None:
    bench = Bench(policy=replace(POLICY_4, links=(LinkPolicy(name="lte", bid=1),)))
    bench.link("lte", LTE, ONE)
    bench.advance(1.5 + 3 + 6 - 0.1)
    assert [_bids(each) for each in bench.updates] == [{1: LTE}] * 3
    bench.advance(0.1)
    assert bench.said() == {1: FIRST}
    bench.answer()
    assert bench.usable() == {1: ONE}
    bench.link("lte", WIFI, ONE)  # another address does not bring the agent back
    assert bench.usable() == {1: ONE}


def test_what_has_never_been_tried_is_tried_first() -> None:
    bench = Bench(policy=replace(POLICY_4, links=(LinkPolicy(name="lte", bid=1),)))
    bench.link("lte", LTE)
    bench.advance(12.0)  # there is nothing to turn to
    bench.link("lte", WIFI, ONE)
    assert bench.said() == {1: WIFI}


def test_and_over_ipv6_again_when_ipv4_does_no_better(bench: Bench) -> None:
    bench.link("lte", LTE, ONE)
    bench.advance(300.0)
    said = [_bids(each)[1] for each in bench.updates]
    assert said[:9] == [LTE] * 3 + [FIRST] * 3 + [LTE] * 3
    assert len(said) < 16  # as seldom as ever


def test_an_agent_without_ipv4_is_offered_none() -> None:
    bench = Bench()
    bench.link("lte", ONE)
    bench.link("wifi", WIFI)
    bench.advance(0.2)
    assert bench.said() == {2: WIFI}
    bench.answer()
    assert bench.usable() == {2: WIFI}


def test_another_agent_is_not_reached_by_the_address_of_the_first() -> None:
    other = IPv6Address("2001:db8:1::2")
    bench = Bench(policy=replace(POLICY_4, other_home_agents=(other,)))
    bench.link("lte", ONE)
    bench.link("wifi", WIFI)
    bench.advance(30.0)  # the first one does not answer
    assert bench.updates[-1].envelope.destination == other
    assert bench.said() == {2: WIFI}


def test_a_node_without_bids_tells_its_address_in_rfc_5555s_option(bench: Bench) -> None:
    bench = bench.with_policy(multiple_care_of=False)
    bench.link("lte", ONE)
    bench.advance(0.2)
    assert bench.update().options == (Ipv4CareOfAddress(address=FIRST),)
    assert bench.updates[-1].envelope.udp == UdpEnd(address=ONE)
    bench.answer(options={})
    assert bench.usable() == {None: ONE}


def test_stopping_deregisters_all_in_one_update(bench: Bench) -> None:
    three_links(bench)
    bench.stop()
    assert (bench.said(), bench.update().lifetime_s) == ({}, 0)
    bench.answer()
    assert bench.node.is_stopped


def test_a_link_that_went_is_deregistered_over_another(bench: Bench) -> None:
    three_links(bench)
    bench.link("lte")
    assert (bench.said(), bench.update().lifetime_s) == ({1: None}, 0)
    assert bench.updates[-1].envelope.origin != ONE
    bench.answer()
    assert bench.usable() == {2: TWO, 3: LTE}


def test_a_link_that_moves_to_ipv6_while_another_goes_keeps_the_rest(bench: Bench) -> None:
    three_links(bench)
    bench.link("lte")
    bench.link("sat", WIFI)
    while bench.node.outstanding is not None:
        assert not bench.overwrote  # it would delete the IPv4 address that it cannot name
        bench.answer()
    assert bench.usable() == {2: TWO, 3: WIFI}


def test_the_home_link_is_not_named_with_an_ipv4_address(bench: Bench) -> None:
    bench.link("wifi", TWO)
    bench.link("sat", LTE)
    bench.home("lte", MAC)
    for _ in range(4):
        if bench.node.outstanding is not None:
            bench.answer()
    assert bench.usable() == {1: HOME, 2: TWO, 3: LTE}
    bench.updates.clear()
    bench.link("wifi", THREE)
    assert bench.said() == {2: THIRD}
    assert bench.node.home_link == "lte"
    bench.answer()
    assert bench.usable() == {1: HOME, 2: THREE, 3: LTE}


def test_leaving_home_with_ipv4_alone_deregisters_the_home_link(bench: Bench) -> None:
    bench.link("wifi", TWO)
    bench.home("lte", MAC)
    bench.advance(0.2)
    for _ in range(4):
        if bench.node.outstanding is not None:
            bench.answer()
    assert bench.usable() == {1: HOME, 2: TWO}
    bench.home(None)
    assert (bench.said(), bench.update().lifetime_s) == ({1: None}, 0)
    bench.answer()
    assert bench.usable() == {2: TWO}
    assert bench.node.outstanding is None


def test_at_home_alone_nothing_of_ipv4_is_registered() -> None:
    bench = Bench(policy=replace(POLICY_4, at_home=AtHome.HOME))
    bench.link("wifi", TWO)
    bench.home("lte", MAC)
    bench.advance(5.0)
    assert (bench.said(), bench.update().lifetime_s) == ({}, 0)


def test_flows_are_told_over_ipv4_too(bench: Bench) -> None:
    selector = Ipv6TrafficSelector(start_next_header=17)
    flow = FlowPolicy(fid=1, selector=selector, links=("wifi", "lte"))
    bench = bench.with_policy(flows=(flow,))
    bench.link("lte", ONE)
    bench.advance(0.2)
    bench.answer()
    bench.advance(60.0)
    assert len(bench.updates) < 10  # an agent that knows no flow bindings is not asked for ever


def test_correspondents_are_offered_no_ipv4_address(bench: Bench) -> None:
    three_links(bench)
    surroundings = bench.node._surroundings()
    assert surroundings.offered == {"sat": (LTE,)}


def test_a_revocation_that_came_in_udp_is_answered_there(bench: Bench) -> None:
    bench = bench.with_policy(accepts_unprotected=True)
    three_links(bench)
    indication = BindingRevocationIndication(
        trigger=RevocationTrigger.ADMINISTRATIVE_REASON,
        sequence=7,
        options=(BindingIdentifier(bid=1),),
    )
    end = UdpEnd(address=ONE)
    envelope = Envelope(source=AGENT, destination=HOME, tunnelled=True, udp=end)
    bench.deliver_in(indication, envelope)
    answers = [
        each
        for each in bench.sent()
        if isinstance(each.message, BindingRevocationAcknowledgement)
    ]
    assert answers[0].envelope == Envelope(source=HOME, destination=AGENT, link="lte", udp=end)
    assert bench.usable() == {2: TWO, 3: LTE}


def test_a_refusal_is_not_repeated_at_once(bench: Bench) -> None:
    bench.link("lte", ONE)
    bench.link("wifi", WIFI)
    bench.advance(0.2)
    bench.answer()
    bench.answer(Status.ADMINISTRATIVELY_PROHIBITED)
    bench.updates.clear()
    bench.advance(9.0)
    assert bench.updates == []
    assert bench.usable() == {2: WIFI}


def _bids(sent: object) -> dict[int, object]:
    identifiers = sent.message.identifiers  # type: ignore[attr-defined]
    return {each.bid: each.care_of_address for each in identifiers}
