"""What a home agent tells its mobile node to do (RFC 5142, RFC 5846, RFC 6275 §11.4.2)."""

from ipaddress import IPv4Address, IPv6Address
from random import Random

import pytest

from engine.bench_of_discovery import SECOND, THIRD, events, identifier_of, reply, requests
from engine.bench_of_node import AGENT, HOME, LTE, SAT, WIFI, Bench
from mcoa.engine.actions import BindingsChanged, Send
from mcoa.runtime.signalling import emit_signalling
from mcoa.wire.icmpv6_mobility import (
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
from mcoa.wire.options_ipv4 import Ipv4HomeAddress
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.registry import RevocationFlag, RevocationStatus, RevocationTrigger

STRANGER = IPv6Address("2001:db8:bad::1")
NECESSARY = Status.ACCEPTED_PREFIX_DISCOVERY_NECESSARY


@pytest.fixture
def obedient() -> Bench:
    """A node with three bindings that believes what is not protected."""
    return Bench().with_policy(accepts_unprotected=True).registered()


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


REFUSED = {
    "proxy binding": (RevocationFlag.PROXY_BINDING, 1, (), 135),
    "all of a peer": (RevocationFlag.GLOBAL, 128, (), 130),
    "all of a peer for one node's sake": (RevocationFlag.GLOBAL, 1, (), 130),
    "unknown trigger": (RevocationFlag(0), 77, (), 133),
    "IPv4 alone without saying which": (
        RevocationFlag.IPV4_HOME_ADDRESS_BINDING_ONLY,
        1,
        (),
        129,
    ),
    "IPv4 alone, of which there is none": (
        RevocationFlag.IPV4_HOME_ADDRESS_BINDING_ONLY,
        1,
        (Ipv4HomeAddress(address=IPv4Address("192.0.2.1"), prefix_length=32),),
        128,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rfc5846_9_1_what_is_not_for_a_mobile_node_is_refused_with_its_flags(
    obedient: Bench, case: str
) -> None:
    flags, trigger, options, status = REFUSED[case]
    message = BindingRevocationIndication(
        sequence=7, trigger=RevocationTrigger(trigger), flags=flags, options=options
    )
    obedient.deliver(message, LTE)
    answer = answer_of(obedient)
    assert (answer.status, answer.flags) == (status, flags)
    assert obedient.usable() == {1: LTE, 2: WIFI, 3: SAT}


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
