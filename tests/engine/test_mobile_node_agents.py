"""Home agents found, changed and obeyed (RFC 6275 §11.4, RFC 5648 §5.7, RFC 5142, RFC 5846)."""

from ipaddress import IPv6Address
from itertools import pairwise
from random import Random

import pytest

from engine.bench_of_node import AGENT, HOME, LTE, SAT, WIFI, Bench
from mcoa.engine.actions import AgentChanged, BindingsChanged, Report, Send
from mcoa.engine.agent_choice import AVOIDED_S
from mcoa.engine.agent_discovery import DHAAD_RETRIES, PAUSE_S
from mcoa.runtime.signalling import emit_signalling
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
)
from mcoa.wire.messages import (
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    HomeAgentSwitch,
)
from mcoa.wire.neighbor_discovery import INFINITE, PrefixInformation
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.registry import RevocationFlag, RevocationStatus

SECOND, THIRD = IPv6Address("2001:db8:1::2"), IPv6Address("2001:db8:1::3")
ANYCAST = IPv6Address("2001:db8:1::fdff:ffff:ffff:fffe")
STRANGER = IPv6Address("2001:db8:bad::1")
NECESSARY = Status.ACCEPTED_PREFIX_DISCOVERY_NECESSARY


@pytest.fixture
def seeker() -> Bench:
    """A node that knows no home agent."""
    return Bench().with_policy(home_agent=None)


@pytest.fixture
def choosy() -> Bench:
    """A node that knows two."""
    return Bench().with_policy(other_home_agents=(SECOND,))


@pytest.fixture
def obedient() -> Bench:
    """A node with three bindings that believes what is not protected."""
    return Bench().with_policy(accepts_unprotected=True).registered()


def requests(bench: Bench) -> list[Send]:
    found = [each for each in bench.sent() if each.message.TYPE == 144]
    assert all(isinstance(each.message, HomeAgentAddressDiscoveryRequest) for each in found)
    return found


def identifier_of(request: Send) -> int:
    assert isinstance(request.message, HomeAgentAddressDiscoveryRequest)
    return request.message.identifier


def reply(bench: Bench, identifier: int, *addresses: IPv6Address) -> None:
    message = HomeAgentAddressDiscoveryReply(identifier=identifier, addresses=addresses)
    bench.deliver(message, LTE, source=SECOND, home_address=None)


def events(bench: Bench) -> list[str]:
    return [action.event for action in bench.actions if isinstance(action, Report)]


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


# What the agent says unasked.


def switch(bench: Bench, *agents: IPv6Address, source: IPv6Address = AGENT) -> None:
    message = HomeAgentSwitch(addresses=agents)
    bench.deliver(message, HOME, source=source, home_address=None)


def test_rfc5142_4_a_switch_is_answered_by_deregistration_and_followed(obedient: Bench) -> None:
    switch(obedient, SECOND, THIRD)
    assert obedient.updates[-1].envelope.destination == AGENT
    assert obedient.update().lifetime_s == 0
    obedient.answer()
    assert obedient.node.home_agent == SECOND
    assert obedient.updates[-1].envelope.destination == SECOND
    assert obedient.overwrote


def test_an_agent_that_sends_away_and_dies_is_left_all_the_same(obedient: Bench) -> None:
    switch(obedient, SECOND)
    obedient.advance(5.0)
    assert obedient.node.home_agent == SECOND


def test_a_switch_that_is_repeated_changes_nothing_more(obedient: Bench) -> None:
    switch(obedient, SECOND)
    number = len(obedient.updates)
    switch(obedient, SECOND)
    assert len(obedient.updates) == number


def test_rfc5142_without_addresses_others_are_looked_for(obedient: Bench) -> None:
    switch(obedient)
    obedient.answer()
    assert obedient.node.home_agent is None
    obedient.until_due()
    assert requests(obedient)


def revocation(*bids: int, flags: RevocationFlag | None = None) -> BindingRevocationIndication:
    return BindingRevocationIndication(
        sequence=7,
        flags=RevocationFlag(0) if flags is None else flags,
        options=tuple(BindingIdentifier(bid=each) for each in bids),
    )


def answer_of(bench: Bench) -> BindingRevocationAcknowledgement:
    [send] = bench.sent()
    assert isinstance(send.message, BindingRevocationAcknowledgement)
    assert send.envelope.home_address == HOME
    assert send.message.sequence == 7
    return send.message


def test_rfc5846_9_revoked_bindings_are_given_up_and_that_is_said(obedient: Bench) -> None:
    obedient.deliver(revocation(1, 3), WIFI)
    answer = answer_of(obedient)
    assert answer.status is RevocationStatus.SUCCESS
    assert [each.bid for each in answer.identifiers] == [1, 3]
    assert obedient.usable() == {2: WIFI}
    assert obedient.actions[0] == BindingsChanged(home_address=HOME)
    [send] = obedient.sent()
    assert (send.envelope.source, send.envelope.link) == (WIFI, "wifi")


def test_what_was_revoked_stays_so_until_its_link_has_another_address(obedient: Bench) -> None:
    obedient.deliver(revocation(1), WIFI)
    number = len(obedient.updates)
    for _ in range(4):
        obedient.advance(70.0)
        if len(obedient.updates) > number:
            assert 1 not in obedient.said()
            obedient.answer()
            number = len(obedient.updates)
    assert next(each.state for each in obedient.node.update_list) == "revoked"
    obedient.link("lte", IPv6Address("2001:db8:a::2"))
    assert 1 in obedient.said()


def test_without_bids_all_is_revoked(obedient: Bench) -> None:
    obedient.deliver(revocation(), LTE)
    assert answer_of(obedient).status is RevocationStatus.SUCCESS
    assert obedient.usable() == {}


def test_what_is_not_bound_cannot_be_revoked(obedient: Bench) -> None:
    obedient.deliver(revocation(9), LTE)
    assert answer_of(obedient).status is RevocationStatus.BINDING_DOES_NOT_EXIST
    obedient.deliver(revocation(2, 9), LTE)
    assert answer_of(obedient).status is RevocationStatus.PARTIAL_SUCCESS
    assert obedient.usable() == {1: LTE, 3: SAT}
    obedient.deliver(revocation(1, flags=RevocationFlag.IPV4_HOME_ADDRESS_BINDING_ONLY), LTE)
    assert answer_of(obedient).status is RevocationStatus.BINDING_DOES_NOT_EXIST
    assert obedient.usable() == {1: LTE, 3: SAT}


@pytest.mark.parametrize("message", [HomeAgentSwitch(addresses=(SECOND,)), revocation()])
def test_nothing_unprotected_and_no_stranger_is_obeyed(
    message: HomeAgentSwitch | BindingRevocationIndication,
) -> None:
    bench = Bench().registered()
    bench.deliver(message, LTE)
    assert events(bench) == ["instruction-unprotected"]
    bench = Bench().with_policy(accepts_unprotected=True).registered()
    bench.deliver(message, LTE, source=STRANGER)
    assert events(bench) == ["instruction-from-stranger"]
    assert bench.usable() == {1: LTE, 2: WIFI, 3: SAT}
    assert bench.node.home_agent == AGENT


# Prefixes.


def advertisement(identifier: int, preferred_s: int, valid_s: int) -> MobilePrefixAdvertisement:
    option = PrefixInformation(
        prefix=AGENT,
        router_address=True,
        valid_lifetime_s=valid_s,
        preferred_lifetime_s=preferred_s,
    )
    return MobilePrefixAdvertisement(identifier=identifier, options=(option,))


def solicitation(bench: Bench) -> Send:
    """Register with an agent that says status 1, and return what is asked then."""
    bench.all_links()
    bench.answer(NECESSARY)
    bench.until_due()
    [send] = bench.sent()
    assert isinstance(send.message, MobilePrefixSolicitation)
    return send


def test_rfc6275_11_4_2_status_1_has_the_prefixes_asked_for() -> None:
    bench = Bench().with_policy(accepts_unprotected=True)
    send = solicitation(bench)
    envelope = send.envelope
    assert (envelope.source, envelope.home_address, envelope.destination) == (LTE, HOME, AGENT)
    assert isinstance(send.message, MobilePrefixSolicitation)
    bench.deliver(advertisement(send.message.identifier, 0, 7200), LTE)
    assert events(bench) == ["home-prefix-is-deprecated"]
    bench.advance(40.0)
    assert not [each for each in bench.sent() if each.message.TYPE == 146]


@pytest.mark.parametrize(
    ("lifetimes", "event"),
    [((0, 0), "home-prefix-is-gone"), ((INFINITE, INFINITE), "home-prefixes-told")],
)
def test_lifetimes_of_the_home_prefix_are_told(lifetimes: tuple[int, int], event: str) -> None:
    bench = Bench().with_policy(accepts_unprotected=True)
    send = solicitation(bench)
    assert isinstance(send.message, MobilePrefixSolicitation)
    bench.deliver(advertisement(send.message.identifier, *lifetimes), LTE)
    assert events(bench) == [event]


def test_an_unanswered_solicitation_is_repeated_with_the_same_number() -> None:
    bench = Bench()
    send = solicitation(bench)
    first_s = bench.now
    bench.advance(2.9)
    assert not bench.advance(0.0)
    bench.advance(0.2)
    [again] = bench.sent()
    assert again.message == send.message
    assert bench.now == pytest.approx(first_s + 3.1)


def test_an_advertisement_that_was_not_asked_for_is_not_believed() -> None:
    bench = Bench().with_policy(accepts_unprotected=True).registered()
    bench.deliver(advertisement(1, 0, 0), LTE)
    assert events(bench) == ["prefix-advertisement-unexpected"]
    send = solicitation(Bench())
    assert isinstance(send.message, MobilePrefixSolicitation)
    bench = Bench()
    solicitation(bench)
    bench.deliver(advertisement(send.message.identifier, 0, 0), LTE)
    assert events(bench) == ["instruction-unprotected"]


# All of it at once, from an agent that is out of its mind.


def shout(bench: Bench, rng: Random) -> None:
    """Tell the node something that an agent may tell, without rhyme or reason."""
    agents = [AGENT, SECOND, THIRD, IPv6Address("ff02::1"), HOME, LTE]
    source = bench.node.home_agent or AGENT
    match rng.randrange(6):
        case 0:
            chosen = tuple(rng.sample(agents, rng.randrange(len(agents))))
            bench.deliver(HomeAgentSwitch(addresses=chosen), HOME, source=source)
        case 1:
            bids = rng.sample([1, 2, 3, 9], rng.randrange(4))
            bench.deliver(revocation(*bids), rng.choice([LTE, WIFI, SAT, HOME]), source=source)
        case 2:
            reply(bench, rng.randrange(0x10000), *rng.sample(agents, 3))
        case 3:
            bench.deliver(advertisement(rng.randrange(0x10000), 0, 0), LTE, source=source)
        case 4:
            if bench.updates:
                bench.answer(rng.choice([Status.ACCEPTED, NECESSARY, Status.MCOA_PROHIBITED]))
        case _:
            if bench.updates:
                bench.answer(options={})


def wanted(bench: Bench) -> int:
    """An agent that knows no BID, as it says, gets one binding until there is another one."""
    return 3 if bench.node.uses_bids else 1


@pytest.mark.parametrize("seed", range(60))
def test_a_node_survives_orders_without_sense_and_recovers(seed: int) -> None:
    rng = Random(seed)
    given = rng.choice([None, AGENT])
    bench = Bench().with_policy(
        home_agent=given, other_home_agents=(SECOND,), accepts_unprotected=True
    )
    bench.all_links()
    sent = 0
    for _ in range(150):
        shout(bench, rng)
        actions = [*bench.actions, *bench.advance(rng.choice([0.0, 0.1, 3.0]))]
        for action in actions:
            if isinstance(action, Send):
                emit_signalling(action)
                sent += 1
    assert sent < 6 * bench.now + 500  # it may be told to answer, but chatters not by itself
    for number, name in enumerate(("lte", "wifi", "sat")):
        bench.link(name, IPv6Address(f"2001:db8:{number + 10:x}::77"))
    for _ in range(400):
        if bench.node.home_agent is None and requests(bench):
            reply(bench, identifier_of(requests(bench)[0]), THIRD)
        elif bench.node.outstanding is not None:
            bench.answer()
        elif len(bench.usable()) == wanted(bench):
            break
        else:
            bench.until_due()
    assert len(bench.usable()) == wanted(bench), (seed, bench.node.home_agent)
    assert bench.node.home_agent != HOME
