"""Home agents found, and left for others (RFC 6275 §11.4.1, RFC 5648 §5.7)."""

from ipaddress import IPv6Address
from itertools import pairwise

import pytest

from engine.bench_of_discovery import SECOND, THIRD, events, identifier_of, reply, requests
from engine.bench_of_node import AGENT, HOME, LTE, SAT, WIFI, Bench
from mcoa.engine.actions import AgentChanged, BindingsChanged, Send
from mcoa.engine.agent_choice import AVOIDED_S
from mcoa.engine.agent_discovery import DHAAD_RETRIES, PAUSE_S
from mcoa.wire.registry import BindingStatus as Status

ANYCAST = IPv6Address("2001:db8:1::fdff:ffff:ffff:fffe")


@pytest.fixture
def seeker() -> Bench:
    """A node that knows no home agent."""
    return Bench().with_policy(home_agent=None)


@pytest.fixture
def choosy() -> Bench:
    """A node that knows two."""
    return Bench().with_policy(other_home_agents=(SECOND,))


def asked(bench: Bench) -> Send:
    """Bring a link up and return the first request for home agents."""
    bench.link("lte", LTE)
    bench.until_due()
    [request] = requests(bench)
    return request


# Discovery.


def test_rfc6275_11_4_1_without_an_agent_the_anycast_address_is_asked(seeker: Bench) -> None:
    request = asked(seeker)
    envelope = request.envelope
    assert (envelope.source, envelope.destination, envelope.link) == (LTE, ANYCAST, "lte")
    assert envelope.home_address is None
    assert not seeker.updates


def test_the_first_agent_of_the_reply_is_registered_with(seeker: Bench) -> None:
    request = asked(seeker)
    reply(seeker, identifier_of(request), SECOND, THIRD)
    assert AgentChanged(home_agent=SECOND) in seeker.actions
    assert seeker.node.home_agent == SECOND
    seeker.advance(1.0)
    assert seeker.updates[0].envelope.destination == SECOND
    seeker.answer()
    assert seeker.usable() == {1: LTE}
    assert not requests(seeker)


def test_a_reply_to_no_request_of_ours_is_ignored(seeker: Bench) -> None:
    request = asked(seeker)
    reply(seeker, identifier_of(request) ^ 1, SECOND)
    assert events(seeker) == ["discovery-reply-unexpected"]
    reply(seeker, identifier_of(request))
    assert seeker.node.home_agent is None
    reply(seeker, identifier_of(request), IPv6Address("ff02::1"), IPv6Address("::1"))
    assert seeker.node.home_agent is None


def test_requests_come_less_and_less_often_from_each_address_in_turn(seeker: Bench) -> None:
    seeker.link("wifi", WIFI)
    first = asked(seeker)
    times, sources, identifiers = [seeker.now], [first.envelope.source], {identifier_of(first)}
    for _ in range(DHAAD_RETRIES + 1):
        while not requests(seeker) or seeker.now == times[-1]:
            seeker.until_due()
        [request] = requests(seeker)
        times.append(seeker.now)
        sources.append(request.envelope.source)
        identifiers.add(identifier_of(request))
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == pytest.approx([3.0, 6.0, 12.0, 24.0, PAUSE_S])
    assert set(sources) == {LTE, WIFI}
    assert len(identifiers) == len(times)


def test_another_address_ends_the_pause_between_requests(seeker: Bench) -> None:
    asked(seeker)
    seeker.advance(3 + 6 + 12 + 24 + 1.0)
    seeker.link("wifi", WIFI)
    seeker.until_due()
    assert requests(seeker)


def test_without_any_address_nothing_is_asked(seeker: Bench) -> None:
    asked(seeker)
    seeker.link("lte")
    assert seeker.node.next_deadline() is None or not seeker.advance(200.0)
    seeker.link("lte", LTE)
    seeker.until_due()
    assert requests(seeker)


def test_a_seeker_that_ends_asks_no_more(seeker: Bench) -> None:
    asked(seeker)
    seeker.stop()
    assert seeker.node.is_stopped
    assert not any(isinstance(each, Send) for each in seeker.advance(200.0))


# Another agent.


@pytest.mark.requirement("S3-28", "S5.7-06")
def test_a_silent_agent_is_given_up_for_the_next(choosy: Bench) -> None:
    choosy.all_links()
    choosy.advance(1.5 + 3.0 + 5.9)
    assert {each.envelope.destination for each in choosy.updates} == {AGENT}
    choosy.advance(0.2)
    assert choosy.updates[-1].envelope.destination == SECOND
    assert choosy.overwrote
    choosy.answer()
    assert choosy.usable() == {1: LTE, 2: WIFI, 3: SAT}


def test_an_agent_that_goes_silent_later_takes_its_bindings_along(choosy: Bench) -> None:
    choosy.registered()
    choosy.advance(70.0 + 10.0)
    assert choosy.node.home_agent == AGENT
    changes = choosy.advance(10.0)
    assert AgentChanged(home_agent=SECOND) in changes
    assert changes.index(BindingsChanged(home_address=HOME)) < changes.index(
        AgentChanged(home_agent=SECOND)
    )
    assert choosy.usable() == {}


def test_with_one_agent_alone_there_is_nothing_to_change() -> None:
    bench = Bench()
    bench.all_links()
    bench.advance(200.0)
    assert {each.envelope.destination for each in bench.updates} == {AGENT}


def test_when_none_answers_each_is_tried_again(choosy: Bench) -> None:
    choosy.all_links()
    choosy.advance(2 * AVOIDED_S + 60.0)
    order = [each.envelope.destination for each in choosy.updates]
    assert order.count(AGENT) > 4
    assert order.count(SECOND) > 4


def test_when_all_that_was_found_is_silent_others_are_looked_for(seeker: Bench) -> None:
    reply(seeker, identifier_of(asked(seeker)), SECOND)
    actions = seeker.advance(12.0)
    assert AgentChanged(home_agent=None) in actions
    assert any(isinstance(each, Send) and each.message.TYPE == 144 for each in actions)


def test_what_failed_and_is_found_again_is_tried_again_but_not_at_once(seeker: Bench) -> None:
    reply(seeker, identifier_of(asked(seeker)), SECOND, THIRD)
    seeker.advance(30.0)
    assert seeker.node.home_agent is None
    number = len(seeker.updates)
    seeker.until_due()
    reply(seeker, identifier_of(requests(seeker)[0]), SECOND, THIRD)
    seeker.advance(1.0)
    assert seeker.updates[-1].envelope.destination == SECOND
    assert len(seeker.updates) == number + 1


@pytest.mark.requirement("S3-28", "S5.7-06")
@pytest.mark.parametrize("has_bound", [False, True])
def test_rfc5648_5_7_an_agent_without_bids_is_left_for_one_with(
    choosy: Bench, *, has_bound: bool
) -> None:
    choosy.all_links()
    if has_bound:
        choosy.answer(options={})
        assert choosy.updates[-1].envelope.destination == AGENT
        assert choosy.update().lifetime_s == 0  # one agent alone defends the address
        choosy.answer()
    else:
        choosy.answer(Status.MCOA_PROHIBITED)
    assert choosy.updates[-1].envelope.destination == SECOND
    assert choosy.said() == {1: LTE, 2: WIFI, 3: SAT}


@pytest.mark.parametrize(
    "status",
    [
        Status.ADMINISTRATIVELY_PROHIBITED,
        Status.INSUFFICIENT_RESOURCES,
        Status.HOME_REGISTRATION_NOT_SUPPORTED,
        Status.NOT_HOME_SUBNET,
    ],
)
def test_an_agent_that_does_not_serve_us_is_left_for_another(
    choosy: Bench, status: Status
) -> None:
    choosy.all_links()
    choosy.answer(status)
    assert choosy.updates[-1].envelope.destination == SECOND
    choosy.answer(status)
    number = len(choosy.updates)
    choosy.advance(5.0)
    assert len(choosy.updates) == number  # neither does: it is asked again in a while


def test_one_that_refuses_a_single_binding_is_kept(choosy: Bench) -> None:
    choosy.all_links()
    options = {1: Status.ACCEPTED, 2: Status.INSUFFICIENT_RESOURCES, 3: Status.ACCEPTED}
    choosy.answer(Status.MCOA_NOTCOMPLETE, options=options)
    choosy.advance(5.0)
    assert choosy.node.home_agent == AGENT
    assert choosy.usable() == {1: LTE, 3: SAT}


def test_a_seeker_that_is_refused_everywhere_does_not_ask_like_mad(seeker: Bench) -> None:
    reply(seeker, identifier_of(asked(seeker)), SECOND)
    seeker.advance(1.0)
    seeker.answer(Status.ADMINISTRATIVELY_PROHIBITED)
    actions = seeker.advance(5.0)
    assert not [each for each in actions if isinstance(each, Send)]


@pytest.mark.requirement("S5.7-05")
def test_where_no_agent_knows_bids_one_binding_has_to_do(choosy: Bench) -> None:
    choosy.all_links()
    choosy.answer(Status.MCOA_PROHIBITED)
    choosy.answer(Status.MCOA_PROHIBITED)
    choosy.advance(1.0)
    assert choosy.node.home_agent == SECOND
    assert choosy.said() == {}
    choosy.answer()
    assert list(choosy.usable().values()) == [LTE]
