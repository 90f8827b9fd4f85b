"""What a home agent tells: of other agents, of prefixes, and the operator's wishes.

RFC 6275 §10.5, §10.6, RFC 5142, RFC 5846, RFC 5648 §6.5.
"""

from ipaddress import IPv6Address, IPv6Network

import pytest

from engine.bench_of_agent import AGENT, HOME, LTE, OTHER_HOME, SAT, WIFI, Bench, bid
from mcoa.engine.actions import BindingsChanged, Envelope, Intercept, Interception, Report, Send
from mcoa.engine.addresses import home_agents_anycast
from mcoa.engine.home_agents_list import HomeAgentsList
from mcoa.engine.policy import HomePrefix
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
)
from mcoa.wire.messages import (
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    HomeAgentSwitch,
)
from mcoa.wire.neighbor_discovery import INFINITE, PrefixInformation
from mcoa.wire.options import LinkLayerAddress
from mcoa.wire.registry import BindingErrorStatus, BindingStatus, RevocationTrigger

NETWORK = IPv6Network("2001:db8:1::/64")
ANYCAST = IPv6Address("2001:db8:1:0:fdff:ffff:ffff:fffe")
ROUTERS = [IPv6Address(f"fe80::{number}") for number in range(1, 10)]
OTHERS = [IPv6Address(f"2001:db8:1::a{number}") for number in range(1, 10)]
MAC = bytes.fromhex("020000000064")


@pytest.fixture
def bench() -> Bench:
    """An agent that holds two bindings."""
    made = Bench()
    made.send(bid(1, LTE), bid(2, WIFI))
    return made


# Home agents (RFC 6275 §10.5).


def test_rfc2526_the_anycast_address_of_home_agents() -> None:
    assert home_agents_anycast(NETWORK) == ANYCAST
    assert home_agents_anycast(IPv6Network("2001:db8:1::/48")) == IPv6Address(
        "2001:db8:1:ffff:ffff:ffff:ffff:fffe"
    )


def hear(bench: Bench, number: int, preference: int, lifetime_s: int = 30) -> None:
    bench.agent.agents.hear(
        ROUTERS[number],
        [OTHERS[number]],
        preference=preference,
        lifetime_s=lifetime_s,
        now=bench.now,
    )


def listed(bench: Bench) -> list[IPv6Address]:
    envelope = Envelope(source=LTE, destination=ANYCAST)
    bench.deliver(HomeAgentAddressDiscoveryRequest(identifier=77), envelope)
    [send] = bench.sent()
    assert (send.envelope.source, send.envelope.destination) == (AGENT, LTE)
    assert isinstance(send.message, HomeAgentAddressDiscoveryReply)
    assert send.message.identifier == 77
    return list(send.message.addresses)


def test_rfc6275_10_5_agents_are_listed_by_preference() -> None:
    bench = Bench().with_policy(preference=5)
    assert listed(bench) == [AGENT]
    hear(bench, 0, 3)
    hear(bench, 1, 9)
    assert listed(bench) == [OTHERS[1], AGENT, OTHERS[0]]


def test_equals_come_in_random_order() -> None:
    bench = Bench()
    hear(bench, 0, 0)
    assert {tuple(listed(bench)) for _ in range(50)} == {
        (AGENT, OTHERS[0]),
        (OTHERS[0], AGENT),
    }


def test_an_agent_that_is_not_heard_any_more_is_dropped() -> None:
    bench = Bench()
    hear(bench, 0, 9)
    hear(bench, 1, 8)
    hear(bench, 1, 8, lifetime_s=0)
    assert listed(bench) == [OTHERS[0], AGENT]
    bench.now = 31.0
    assert listed(bench) == [AGENT]


def test_a_flood_of_agents_is_bounded_and_the_reply_fits_a_packet() -> None:
    bench = Bench()
    for number in range(500):
        bench.agent.agents.hear(
            IPv6Address(0xFE80 << 112 | number + 1),
            [IPv6Address((0x20010DB8 << 96) + 16 * number + place) for place in range(16)],
            preference=1,
            lifetime_s=30,
            now=0.0,
        )
    assert len(listed(bench)) == 77
    assert isinstance(bench.agent.agents, HomeAgentsList)


def test_addresses_that_nobody_can_register_at_are_not_listed() -> None:
    bench = Bench()
    bench.agent.agents.hear(
        ROUTERS[0], [IPv6Address("ff02::1")], preference=1, lifetime_s=30, now=0.0
    )
    assert listed(bench) == [AGENT]


def test_a_request_from_nowhere_is_not_answered() -> None:
    bench = Bench()
    envelope = Envelope(source=IPv6Address("fe80::9"), destination=ANYCAST)
    bench.deliver(HomeAgentAddressDiscoveryRequest(identifier=1), envelope)
    assert not bench.actions


# Prefixes (RFC 6275 §10.6).


def solicit(bench: Bench, source: IPv6Address) -> Send:
    envelope = Envelope(source=source, destination=AGENT, home_address=HOME)
    bench.deliver(MobilePrefixSolicitation(identifier=9), envelope)
    [send] = bench.sent()
    return send


def test_rfc6275_10_6_prefixes_are_told_with_their_lifetimes() -> None:
    second = HomePrefix(network=IPv6Network("2001:db8:2::/64"), preferred_until_s=-1.0)
    third = HomePrefix(network=IPv6Network("2001:db8:3::/64"), valid_until_s=500.5)
    bench = Bench().with_policy(home_prefixes=(HomePrefix(network=NETWORK), second, third))
    bench.send(bid(1, LTE))
    send = solicit(bench, LTE)
    assert send.envelope == Envelope(
        source=AGENT, destination=LTE, routing_header_home_address=HOME
    )
    assert isinstance(send.message, MobilePrefixAdvertisement)
    assert send.message.identifier == 9
    options = [each for each in send.message.options if isinstance(each, PrefixInformation)]
    told = [
        (each.prefix, each.router_address, each.preferred_lifetime_s, each.valid_lifetime_s)
        for each in options
    ]
    assert told == [
        (AGENT, True, INFINITE, INFINITE),
        (IPv6Address("2001:db8:2::"), False, 0, 7200),
        (IPv6Address("2001:db8:3::"), False, INFINITE, 500),
    ]


def test_prefixes_are_told_once_a_second_at_most(bench: Bench) -> None:
    assert isinstance(solicit(bench, LTE).message, MobilePrefixAdvertisement)
    envelope = Envelope(source=LTE, destination=AGENT, home_address=HOME)
    bench.deliver(MobilePrefixSolicitation(identifier=10), envelope)
    assert not bench.sent()
    bench.now += 1.0
    assert isinstance(solicit(bench, LTE).message, MobilePrefixAdvertisement)


def test_a_deprecated_prefix_is_said_with_status_1() -> None:
    prefix = HomePrefix(network=NETWORK, preferred_until_s=-1.0)
    answer = Bench().with_policy(home_prefixes=(prefix,)).send(bid(1, LTE))
    assert answer is not None
    assert answer.status is BindingStatus.ACCEPTED_PREFIX_DISCOVERY_NECESSARY


@pytest.mark.requirement("S9.2-02", "S6.5-01", "S6.5-02", "S6.5-03")
def test_rfc5648_6_5_who_is_not_bound_there_is_told_so(bench: Bench) -> None:
    for source in (LTE, WIFI):
        assert isinstance(solicit(bench, source).message, MobilePrefixAdvertisement)
        bench.now += 1.0
    send = solicit(bench, SAT)
    assert isinstance(send.message, BindingError)
    assert send.message.status is BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS
    assert send.message.home_address == HOME
    assert (send.envelope.source, send.envelope.destination) == (AGENT, SAT)


@pytest.mark.requirement("S6.5-01", "S6.5-02", "S6.5-03")
def test_rfc5648_6_5_any_packet_with_a_home_address_option_is_looked_at(bench: Bench) -> None:
    assert not [a for a in bench.agent.claimed(WIFI, HOME) if isinstance(a, Send)]
    [_, send] = bench.agent.claimed(SAT, HOME)
    assert isinstance(send, Send)
    assert isinstance(send.message, BindingError)
    assert not [a for a in bench.agent.claimed(IPv6Address("::1"), HOME) if isinstance(a, Send)]


@pytest.mark.requirement("S6.5-04")
def test_rfc5648_6_5_an_update_may_come_from_anywhere(bench: Bench) -> None:
    bench.send(bid(3, SAT), source=SAT)
    assert bench.bound() == {1: LTE, 2: WIFI, 3: SAT}


# Revocation (RFC 5846).


def revoke(bench: Bench, *bids: int) -> Send:
    bench.actions = bench.agent.revoke(HOME, frozenset(bids), bench.now)
    [send] = bench.sent()
    return send


def acknowledge(bench: Bench, sequence: int, source: IPv6Address = WIFI) -> None:
    envelope = Envelope(source=source, destination=AGENT, home_address=HOME)
    bench.deliver(BindingRevocationAcknowledgement(sequence=sequence), envelope)


def test_rfc5846_bindings_are_revoked_when_the_node_has_heard(bench: Bench) -> None:
    send = revoke(bench, 1)
    message = send.message
    assert isinstance(message, BindingRevocationIndication)
    assert message.trigger is RevocationTrigger.ADMINISTRATIVE_REASON
    assert [each.bid for each in message.identifiers] == [1]
    assert send.envelope.routing_header_home_address == HOME
    assert bench.bound() == {1: LTE, 2: WIFI}
    acknowledge(bench, message.sequence)
    assert bench.bound() == {2: WIFI}
    assert BindingsChanged(home_address=HOME) in bench.actions
    assert not bench.advance(30.0)


def test_all_bindings_can_be_revoked_at_once(bench: Bench) -> None:
    send = revoke(bench)
    assert isinstance(send.message, BindingRevocationIndication)
    assert send.message.identifiers == ()
    acknowledge(bench, send.message.sequence)
    assert bench.bound() == {}
    assert Intercept(home_address=HOME, by=Interception.NONE) in bench.actions


def test_an_indication_is_repeated_over_other_paths_and_then_taken_for_heard(
    bench: Bench,
) -> None:
    destinations = [revoke(bench, 1).envelope.destination]
    for pause_s in (1.0, 2.0, 2.0):
        assert not bench.advance(pause_s - 0.1)
        bench.advance(0.1)
        destinations.append(bench.sent()[0].envelope.destination)
    assert destinations == [LTE, WIFI, LTE, WIFI]
    bench.advance(2.0)
    assert bench.bound() == {2: WIFI}
    assert any(isinstance(a, Report) and a.event == "notice-unanswered" for a in bench.actions)
    assert bench.agent.notices.next_deadline() is None


def test_no_stranger_and_no_other_number_confirms_a_revocation(bench: Bench) -> None:
    send = revoke(bench, 1)
    assert isinstance(send.message, BindingRevocationIndication)
    acknowledge(bench, send.message.sequence ^ 1)
    acknowledge(bench, send.message.sequence, source=SAT)
    assert bench.bound() == {1: LTE, 2: WIFI}
    acknowledge(bench, send.message.sequence)
    acknowledge(bench, send.message.sequence)
    assert bench.bound() == {2: WIFI}


def test_a_node_at_home_is_told_at_its_link_layer_address() -> None:
    bench = Bench()
    bench.send(bid(1, home=True), LinkLayerAddress(address=MAC), at_home=True)
    envelope = revoke(bench, 1).envelope
    assert (envelope.destination, envelope.link_layer_address) == (HOME, MAC)
    assert envelope.routing_header_home_address is None


def test_who_has_deregistered_in_the_meantime_is_told_nothing_more(bench: Bench) -> None:
    revoke(bench)
    bench.send(lifetime_s=0)
    assert not bench.advance(1.0)
    assert bench.agent.notices.next_deadline() is None


def test_others_keep_their_bindings(bench: Bench) -> None:
    bench.send(bid(1, SAT), home=OTHER_HOME, source=SAT, sequence=1)
    send = revoke(bench)
    assert isinstance(send.message, BindingRevocationIndication)
    acknowledge(bench, send.message.sequence)
    assert bench.bound(OTHER_HOME) == {1: SAT}


# Switch (RFC 5142).


def test_rfc5142_a_node_is_asked_until_it_has_left(bench: Bench) -> None:
    bench.actions = bench.agent.switch(HOME, (OTHERS[0],), bench.now)
    [send] = bench.sent()
    assert send.message == HomeAgentSwitch(addresses=(OTHERS[0],))
    # Not through the tunnel (RFC 6275 §10.4.2), and to another address each time.
    to = {"source": AGENT, "routing_header_home_address": HOME}
    assert send.envelope == Envelope(destination=LTE, **to)
    bench.advance(5.0)
    [again] = bench.sent()
    assert (again.message, again.envelope) == (send.message, Envelope(destination=WIFI, **to))
    bench.send(lifetime_s=0)
    bench.advance(10.0)
    assert not bench.sent()


def test_rfc5142_5_3_what_is_to_end_is_not_extended(bench: Bench) -> None:
    """The node may leave, and come back then; or the operator revokes what it has instead."""
    bench.actions = bench.agent.switch(HOME, (), bench.now)
    bound = bench.bound()
    for lifetime_s in (600, 4):
        bench.send(bid(1), bid(2), lifetime_s=lifetime_s)
        answer = bench.acknowledgement()
        assert answer is not None
        assert answer.status is BindingStatus.ADMINISTRATIVELY_PROHIBITED
        assert bench.bound() == bound
    bench.send(lifetime_s=0)
    assert bench.bound() == {}
    bench.send(bid(1, LTE), lifetime_s=600)
    assert bench.bound() == {1: LTE}


def test_rfc5846_7_1_what_is_revoked_is_told_at_its_own_address(bench: Bench) -> None:
    destinations = [revoke(bench, 2).envelope.destination]
    bench.advance(1.0)
    destinations.append(bench.sent()[0].envelope.destination)
    assert destinations == [WIFI, LTE]


def test_a_node_that_does_not_switch_keeps_its_bindings(bench: Bench) -> None:
    bench.send(bid(1), bid(2), lifetime_s=600)
    bench.actions = bench.agent.switch(HOME, (), bench.now)
    for _ in range(20):
        bench.advance(5.0)
    assert bench.bound() == {1: LTE, 2: WIFI}
    assert bench.agent.notices.next_deadline() is None
