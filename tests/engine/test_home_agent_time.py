"""The home agent and time: expiry, refresh requests, duplicate detection, restart."""

from ipaddress import IPv6Address, IPv6Network
from math import inf, nan

import pytest

from engine.bench_of_agent import (
    AGENT,
    HOME,
    LTE,
    OTHER_HOME,
    POLICY,
    SAT,
    WIFI,
    Bench,
    bid,
    statuses,
)
from mcoa.binding.cache import Binding, CacheEntry
from mcoa.engine.actions import (
    BindingsChanged,
    DetectDuplicate,
    Envelope,
    Intercept,
    Interception,
    Remember,
    Report,
    Send,
)
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.policy import HomePrefix
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    HomeAgentSwitch,
    Message,
    UnknownMessage,
)
from mcoa.wire.options import BindingRefreshAdvice
from mcoa.wire.registry import BindingErrorStatus
from mcoa.wire.registry import BindingStatus as Status


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def detecting() -> Bench:
    return Bench().with_policy(detect_duplicates=True)


# Expiry.


def test_a_binding_expires_within_a_second_of_its_deadline_and_not_before(
    bench: Bench,
) -> None:
    bench.send(bid(1, LTE), lifetime_s=100)
    bench.advance(99.9)
    assert bench.bound() == {1: LTE}
    actions = bench.advance(0.1)
    assert bench.bound() == {}
    assert BindingsChanged(home_address=HOME) in actions
    assert Intercept(home_address=HOME, by=Interception.NONE) in actions
    assert bench.advance(0.0) == []


def test_a_refreshed_binding_does_not_expire(bench: Bench) -> None:
    bench.send(bid(1, LTE), bid(2, WIFI), lifetime_s=100)
    bench.advance(90.0)
    bench.send(bid(1), lifetime_s=100)
    bench.advance(50.0)
    assert bench.bound() == {1: LTE}
    bench.advance(60.0)
    assert bench.bound() == {}


def test_a_shortened_lifetime_counts(bench: Bench) -> None:
    bench.send(bid(1, LTE), lifetime_s=400)
    bench.send(bid(1), lifetime_s=8)
    bench.advance(9.0)
    assert bench.bound() == {}


def test_a_tombstone_is_forgotten(bench: Bench) -> None:
    bench.send(bid(1, LTE))
    bench.send(lifetime_s=0)
    for _ in range(12):
        bench.advance(1.0)
    assert len(bench.agent.cache) == 0
    bench.advance(60.0)
    assert bench.agent.next_deadline() is None


@pytest.mark.requirement("S6.2-33")
def test_rfc5648_proxying_lasts_from_the_first_binding_to_the_last(bench: Bench) -> None:
    bench.send(bid(1, LTE))
    assert Intercept(home_address=HOME, by=Interception.PROXY) in bench.actions
    bench.send(bid(2, WIFI))
    assert not [a for a in bench.actions if isinstance(a, Intercept)]
    bench.send(bid(1), lifetime_s=0)
    assert not [a for a in bench.actions if isinstance(a, Intercept)]
    bench.send(bid(2), lifetime_s=0)
    assert Intercept(home_address=HOME, by=Interception.NONE) in bench.actions


# Refreshing.


@pytest.mark.requirement("S6.4-01", "S6.4-02")
def test_rfc5648_6_4_expiring_bids_are_asked_for_in_one_request(bench: Bench) -> None:
    bench.send(bid(1, LTE), bid(2, WIFI), lifetime_s=200)
    bench.now = 50.0
    bench.send(bid(3, SAT), lifetime_s=400)
    bench.advance(1.0)
    while not bench.sent():
        bench.advance(1.0)
    assert 180.0 <= bench.now < 200.0
    send = bench.sent()[0]
    assert isinstance(send.message, BindingRefreshRequest)
    assert [i.bid for i in send.message.identifiers] == [1, 2]
    assert (send.envelope.source, send.envelope.destination) == (AGENT, HOME)
    assert send.envelope.routing_header_home_address is None


def test_rfc6275_9_5_5_a_binding_that_nobody_uses_is_left_to_expire() -> None:
    bench = Bench()
    bench.agent = HomeAgent(POLICY, in_use=lambda _home: False)
    bench.send(bid(1, LTE), lifetime_s=200)
    sent: list[Send] = []
    for _ in range(210):
        bench.advance(1.0)
        sent += bench.sent()
    assert sent == []
    assert bench.bound() == {}


def test_rfc6275_6_2_4_advice_is_given_when_it_is_shorter_than_the_lifetime() -> None:
    bench = Bench().with_policy(refresh_advice_s=60)
    answer = bench.send(bid(1, LTE), lifetime_s=100)
    assert answer is not None
    assert answer.options[0] == BindingRefreshAdvice(interval_s=60)
    short = bench.send(bid(1), lifetime_s=60)
    assert short is not None
    assert [o for o in short.options if isinstance(o, BindingRefreshAdvice)] == []


# The home prefix.


def test_rfc6275_10_3_1_no_lifetime_outlives_the_home_prefix() -> None:
    prefix = HomePrefix(network=POLICY.home_prefixes[0].network, valid_until_s=50.0)
    answer = Bench().with_policy(home_prefixes=(prefix,)).send(bid(1, LTE), lifetime_s=100)
    assert answer is not None
    assert answer.lifetime_s == 48


def test_rfc6275_10_3_1_status_1_announces_that_the_prefix_gets_deprecated() -> None:
    prefix = HomePrefix(network=POLICY.home_prefixes[0].network, preferred_until_s=50.0)
    bench = Bench().with_policy(home_prefixes=(prefix,))
    accepted = statuses(bench.send(bid(1, LTE), lifetime_s=40))
    announced = statuses(bench.send(bid(1), lifetime_s=60))
    assert accepted[0] is Status.ACCEPTED
    assert announced == (Status.ACCEPTED_PREFIX_DISCOVERY_NECESSARY, {1: 0})


# Duplicate address detection.


def test_rfc6275_10_3_1_the_first_registration_waits_for_duplicate_detection(
    detecting: Bench,
) -> None:
    assert detecting.send(bid(1, LTE)) is None
    assert detecting.actions == [DetectDuplicate(home_address=HOME)]
    assert detecting.bound() == {}
    detecting.advance(0.99)
    assert detecting.sent() == []
    detecting.advance(0.01)
    assert statuses(detecting.acknowledgement()) == (Status.ACCEPTED, {1: 0})
    assert detecting.bound() == {1: LTE}


@pytest.mark.requirement("S6.2-31")
def test_rfc6275_10_3_1_a_second_bid_waits_for_nothing(detecting: Bench) -> None:
    detecting.send(bid(1, LTE))
    detecting.advance(1.0)
    assert statuses(detecting.send(bid(2, WIFI)))[0] is Status.ACCEPTED


def test_rfc6275_10_3_1_a_duplicate_refuses_the_whole_update(detecting: Bench) -> None:
    detecting.send(bid(1, LTE), bid(2, WIFI))
    detecting.actions = detecting.agent.duplicate_found(HOME)
    status = Status.DUPLICATE_ADDRESS_DETECTION_FAILED
    assert statuses(detecting.acknowledgement()) == (status, {1: 0, 2: 0})
    assert detecting.advance(2.0) == []
    assert detecting.bound() == {}


def test_detections_of_many_nodes_run_side_by_side(detecting: Bench) -> None:
    homes = [IPv6Address(f"2001:db8:1::{number:x}") for number in range(0x1000, 0x1064)]
    for number, home in enumerate(homes):
        detecting.now = number * 0.001
        assert detecting.send(bid(1, LTE), home=home) is None
    detecting.advance(1.0)
    acknowledged = [s.envelope.routing_header_home_address for s in detecting.sent()]
    assert acknowledged == homes


def test_during_detection_the_newest_update_counts(detecting: Bench) -> None:
    detecting.send(bid(1, LTE), sequence=5)
    detecting.send(bid(1, WIFI), source=WIFI, sequence=6)
    detecting.send(bid(1, LTE), sequence=5)
    detecting.advance(1.0)
    assert detecting.bound() == {1: WIFI}
    acknowledgement = detecting.acknowledgement()
    assert acknowledgement is not None
    assert acknowledgement.sequence == 6
    assert detecting.sent()[0].envelope.destination == WIFI


def test_a_deregistration_ends_the_detection(detecting: Bench) -> None:
    detecting.send(bid(1, LTE))
    answer = detecting.send(lifetime_s=0)
    assert statuses(answer)[0] is Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE
    assert detecting.advance(2.0) == []


def test_an_update_that_would_be_refused_starts_no_detection(detecting: Bench) -> None:
    assert statuses(detecting.send(bid(1)))[0] is Status.MCOA_UNKNOWN_COA


def test_a_conflict_over_a_bound_address_is_reported(bench: Bench) -> None:
    bench.send(bid(1, LTE))
    assert bench.agent.duplicate_found(HOME) == [
        Report(event="home-address-conflict", home_address=HOME)
    ]
    assert bench.bound() == {1: LTE}


# Restart.


def test_a_restarted_agent_serves_at_once_without_detection(detecting: Bench) -> None:
    detecting.send(bid(1, LTE), bid(2, WIFI), sequence=77)
    detecting.advance(1.0)
    entry = detecting.agent.cache.entry(HOME)
    assert entry is not None
    entry.wake_at_s = None
    restarted = Bench(policy=detecting.policy, now=10.0)
    actions = restarted.agent.restore(entry, 10.0)
    assert actions == [
        Intercept(home_address=HOME, by=Interception.PROXY),
        BindingsChanged(home_address=HOME),
    ]
    assert restarted.bound() == {1: LTE, 2: WIFI}
    late = restarted.send(bid(1), sequence=77)
    assert statuses(late)[0] is Status.SEQUENCE_NUMBER_OUT_OF_WINDOW
    assert statuses(restarted.send(bid(1), sequence=78))[0] is Status.ACCEPTED


def test_what_expired_while_the_agent_was_down_is_not_served(bench: Bench) -> None:
    bench.send(bid(1, LTE), lifetime_s=60)
    entry = bench.agent.cache.entry(HOME)
    assert entry is not None
    entry.wake_at_s = None
    restarted = Bench(now=100.0)
    assert restarted.agent.restore(entry, 100.0) == []
    assert restarted.bound() == {}
    restarted.advance(30.0)
    assert Remember(home_address=HOME) in restarted.actions
    assert len(restarted.agent.cache) == 0


def restored(entry: CacheEntry, **policy: object) -> Bench:
    bench = Bench().with_policy(**policy)
    bench.actions = bench.agent.restore(entry, 0.0)
    return bench


def test_a_clock_that_was_set_back_gives_nobody_more_time_than_is_granted() -> None:
    year_s = 365 * 86400.0
    binding = Binding(
        bid=1, care_of_address=LTE, expires_at_s=year_s, verified_at_s=year_s - 60
    )
    bound = restored(CacheEntry(home_address=HOME, sequence=1, bindings=(binding,)))
    bound.advance(599.0)
    assert bound.bound() == {1: LTE}
    bound.advance(2.0)
    assert bound.bound() == {}
    gone = restored(CacheEntry(home_address=HOME, sequence=1, forget_at_s=year_s))
    gone.advance(12.0)
    assert len(gone.agent.cache) == 0


@pytest.mark.parametrize("time_s", [inf, nan])
def test_a_record_with_an_impossible_time_does_no_harm(time_s: float) -> None:
    binding = Binding(bid=1, care_of_address=LTE, expires_at_s=time_s, verified_at_s=time_s)
    entry = CacheEntry(home_address=HOME, sequence=1, bindings=(binding,), forget_at_s=time_s)
    bench = restored(entry)
    bench.advance(601.0)
    bench.advance(12.0)
    assert len(bench.agent.cache) == 0


@pytest.mark.parametrize(
    "policy",
    [
        {"home_addresses": frozenset({OTHER_HOME})},
        {"home_prefixes": (HomePrefix(network=IPv6Network("2001:db8:77::/64")),)},
        {"address": HOME},
    ],
)
def test_who_is_not_served_any_more_after_a_restart_has_no_bindings(
    policy: dict[str, object],
) -> None:
    binding = Binding(bid=1, care_of_address=LTE, expires_at_s=60.0, verified_at_s=0.0)
    entry = CacheEntry(home_address=HOME, sequence=1, bindings=(binding,))
    bench = restored(entry, **policy)
    assert bench.bound() == {}
    assert Remember(home_address=HOME) in bench.actions
    assert not any(isinstance(action, Intercept) for action in bench.actions)
    assert statuses(bench.send(bid(1, LTE), sequence=2))[0].is_rejection


# How much there can be.


def test_detections_under_way_count_among_the_home_addresses(detecting: Bench) -> None:
    bench = detecting.with_policy(max_home_addresses=2)
    homes = [IPv6Address(HOME + n) for n in range(3)]
    answers = [bench.send(bid(1, LTE), home=home) for home in homes]
    assert answers[:2] == [None, None]
    assert statuses(answers[2])[0] is Status.INSUFFICIENT_RESOURCES
    bench.advance(1.0)
    assert len(bench.agent.cache) == 2


def test_a_lifetime_shortened_again_and_again_leaves_nothing_behind() -> None:
    bench = Bench().with_policy(max_lifetime_s=40_000)
    for _ in range(5):
        for lifetime_s in range(40_000, 0, -4):
            bench.send(bid(1, LTE), lifetime_s=lifetime_s)
        bench.advance(4.0)
    assert len(bench.agent._wakes) < 2000
    bench.send(bid(1, LTE), lifetime_s=60)
    bench.advance(61.0)
    assert bench.bound() == {}


# Other messages.


def test_rfc6275_9_2_an_unknown_message_is_answered_with_a_binding_error(
    bench: Bench,
) -> None:
    unknown = UnknownMessage(type=99, data=bytes(10))
    envelope = Envelope(source=LTE, destination=AGENT, home_address=HOME)
    bench.deliver(unknown, envelope)
    send = bench.sent()[0]
    assert isinstance(send.message, BindingError)
    assert send.message.status is BindingErrorStatus.UNRECOGNIZED_MESSAGE_TYPE
    assert send.message.home_address == HOME
    assert send.envelope.destination == LTE


def test_an_unknown_message_from_nowhere_is_not_answered(bench: Bench) -> None:
    unknown = UnknownMessage(type=99, data=bytes(10))
    bench.deliver(unknown, Envelope(source=IPv6Address("ff02::1"), destination=AGENT))
    assert bench.actions == []


@pytest.mark.parametrize(
    "message",
    [
        BindingAcknowledgement(status=Status.ACCEPTED, sequence=1, lifetime_s=4),
        HomeAgentSwitch(),
        *(UnknownMessage(type=kind, data=bytes(2)) for kind in (8, 13, 14, 17, 99)),
    ],
)
def test_rfc6275_9_2_what_is_not_for_a_home_agent_is_answered(
    bench: Bench, message: Message
) -> None:
    bench.deliver(message, Envelope(source=LTE, destination=AGENT))
    report, send = bench.actions
    assert isinstance(report, Report)
    assert isinstance(send, Send)
    assert isinstance(send.message, BindingError)
    assert send.message.status is BindingErrorStatus.UNRECOGNIZED_MESSAGE_TYPE


def test_rfc6275_9_3_3_a_binding_error_ends_there(bench: Bench) -> None:
    error = BindingError(status=BindingErrorStatus.UNRECOGNIZED_MESSAGE_TYPE, home_address=HOME)
    bench.deliver(error, Envelope(source=LTE, destination=AGENT))
    assert [type(action) for action in bench.actions] == [Report]


@pytest.mark.requirement("S2-03")
def test_equal_bids_of_two_nodes_do_not_meet(bench: Bench) -> None:
    bench.send(bid(1, LTE))
    bench.send(bid(1, WIFI), home=OTHER_HOME, sequence=1)
    bench.send(bid(1), lifetime_s=0)
    assert bench.bound() == {}
    assert bench.bound(OTHER_HOME) == {1: WIFI}
