"""The correspondent: what it answers to tests and updates (RFC 6275 §9, RFC 5648 §6)."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from engine.bench_of_correspondent import (
    ASK,
    HOME,
    LTE,
    OVERWRITE,
    PEER,
    SAT,
    WIFI,
    Bench,
    bid,
    mark,
)
from mcoa.engine.actions import BindingsChanged, Envelope, Send
from mcoa.engine.policy import CorrespondentPolicy, MultipleCareOf
from mcoa.wire.messages import (
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTestInit,
    UnknownMessage,
    emit_message,
)
from mcoa.wire.options import (
    AlternateCareOfAddress,
    BindingAuthorizationData,
    MalformedBindingIdentifier,
)
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.registry import UpdateFlag


def test_a_test_is_answered_to_where_it_came_from_with_its_cookie() -> None:
    bench = Bench()
    bench.deliver(HomeTestInit(cookie=b"12345678"), Envelope(source=HOME, destination=PEER))
    (send,) = bench.sent()
    assert send.envelope == Envelope(source=PEER, destination=HOME)
    assert send.message.cookie == b"12345678"
    assert not len(bench.node.cache)


def test_tokens_depend_on_address_kind_and_nonce() -> None:
    bench = Bench()
    tokens = {
        bench.home_test(HOME).token,
        bench.home_test(LTE).token,
        bench.care_of_test(LTE).token,
        bench.care_of_test(WIFI).token,
    }
    assert len(tokens) == 4
    first = bench.care_of_test(LTE)
    assert bench.care_of_test(LTE) == first
    bench.advance(31)
    second = bench.care_of_test(LTE)
    assert second.nonce_index != first.nonce_index
    assert second.token != first.token


def test_a_test_with_a_home_address_option_gets_silence() -> None:
    bench = Bench()
    for message in (HomeTestInit(cookie=bytes(8)), CareOfTestInit(cookie=bytes(8))):
        bench.deliver(message, Envelope(source=LTE, destination=PEER, home_address=HOME))
        assert bench.sent() == []


@pytest.mark.parametrize("source", ["fe80::1", "ff02::1", "::", "::1", str(PEER)])
def test_a_test_from_nowhere_gets_silence(source: str) -> None:
    bench = Bench()
    for message in (HomeTestInit(cookie=bytes(8)), CareOfTestInit(cookie=bytes(8))):
        bench.deliver(message, Envelope(source=IPv6Address(source), destination=PEER))
        assert bench.sent() == []


def test_a_care_of_test_reflects_one_binding_identifier() -> None:
    test = Bench().care_of_test(LTE, bid(1), bid(2))
    assert [(i.bid, i.status) for i in test.identifiers] == [(1, Status.ACCEPTED)]
    ignoring = Bench(policy=CorrespondentPolicy(multiple_care_of=MultipleCareOf.IGNORE))
    assert ignoring.care_of_test(LTE, bid(1)).identifiers == ()
    prohibiting = Bench(policy=CorrespondentPolicy(multiple_care_of=MultipleCareOf.PROHIBIT))
    (only,) = prohibiting.care_of_test(LTE, bid(1)).identifiers
    assert only.status is Status.MCOA_PROHIBITED


def test_an_update_with_proof_is_bound_and_answered_with_proof() -> None:
    bench = Bench()
    answer = bench.send(bid(1, LTE))
    assert answer is not None
    assert (answer.status, answer.lifetime_s) == (Status.ACCEPTED, 420)
    assert bench.bound() == {1: LTE}
    (send,) = bench.sent()
    assert (send.envelope.destination, send.envelope.routing_header_home_address) == (LTE, HOME)
    header = emit_message(answer, PEER.packed, HOME.packed)
    data = answer.options[-1]
    assert isinstance(data, BindingAuthorizationData)
    assert data.authenticator == mark(bench.key, LTE, header)
    assert BindingsChanged(home_address=HOME, own_address=PEER) in bench.actions


@pytest.mark.requirement("S6.2-19")
def test_each_bid_has_a_binding_of_its_own_until_one_overwrites() -> None:
    bench = Bench()
    for number, address in enumerate((LTE, WIFI, SAT), start=1):
        bench.send(bid(number, address), care_of=address)
    assert bench.bound() == {1: LTE, 2: WIFI, 3: SAT}
    bench.send(bid(4, SAT), care_of=SAT, flags=OVERWRITE)
    assert bench.bound() == {4: SAT}


@pytest.mark.requirement("S6.2-24", "S6.2-25")
def test_without_the_flag_a_success_is_not_answered() -> None:
    bench = Bench()
    assert bench.send(bid(1, LTE), flags=UpdateFlag(0)) is None
    assert bench.bound() == {1: LTE}


@pytest.mark.requirement("S3-10", "S6.2-08", "S6.2-27")
def test_rfc5648_6_2_several_identifiers_are_refused_as_a_whole() -> None:
    bench = Bench()
    bench.send(bid(1, LTE))
    answer = bench.send(bid(1, LTE), bid(2, WIFI))
    assert answer is not None
    assert answer.status is Status.MCOA_BULK_REGISTRATION_PROHIBITED
    assert [(i.bid, i.status) for i in answer.identifiers] == [(1, 0), (2, 0)]
    assert bench.bound() == {1: LTE}
    answer = bench.send(bid(1), bid(2), lifetime_s=0)
    assert answer is not None
    assert answer.status is Status.MCOA_BULK_REGISTRATION_PROHIBITED
    assert bench.bound() == {1: LTE}


@pytest.mark.requirement("S4.3-17", "S6.2-27")
def test_rfc5648_4_3_an_ipv4_care_of_address_is_malformed_here() -> None:
    bench = Bench()
    answer = bench.send(bid(1, IPv4Address("192.0.2.1")), care_of=LTE)
    assert answer is not None
    assert answer.status is Status.MCOA_MALFORMED
    assert [i.status for i in answer.identifiers] == [Status.ACCEPTED]
    assert bench.bound() == {}


@pytest.mark.requirement("S6.2-05")
@pytest.mark.parametrize("data", [bytes(6), b"\0\1" + bytes(9), b"\0\1\0\0" + bytes(15)])
def test_an_option_of_another_length_is_malformed(data: bytes) -> None:
    bench = Bench()
    answer = bench.send(MalformedBindingIdentifier(data=data), care_of=LTE)
    assert answer is not None
    assert answer.status is Status.MCOA_MALFORMED
    assert bench.bound() == {}


@pytest.mark.requirement("S6.2-06")
@pytest.mark.parametrize("address", ["fe80::1", "ff0e::1", "::1"])
def test_an_address_that_cannot_be_reached_is_not_bound(address: str) -> None:
    # Nobody can prove one; the correspondent would have to have given the token itself.
    bench = Bench()
    index = bench.node.nonces.current(bench.now)
    octets = IPv6Address(address).packed
    token = bench.node.nonces.care_of_token(octets, index, bench.now) or b""
    test = CareOfTest(nonce_index=index, cookie=bytes(8), token=token)
    care_of = IPv6Address(address)
    answer = bench.send(bid(1, care_of), care_of=care_of, source=LTE, care_of_test=test)
    assert answer is not None
    assert answer.status is Status.MCOA_MALFORMED
    assert bench.bound() == {}


def test_the_home_address_and_our_own_addresses_are_no_care_of_addresses() -> None:
    bench = Bench()
    bench.own.add(WIFI)
    home = bench.send(bid(1, HOME), care_of=HOME, source=LTE)
    index = bench.node.nonces.current(bench.now)
    token = bench.node.nonces.care_of_token(WIFI.packed, index, bench.now) or b""
    test = CareOfTest(nonce_index=index, cookie=bytes(8), token=token)
    ours = bench.send(bid(1, WIFI), care_of=WIFI, source=LTE, care_of_test=test)
    for answer in (home, ours):
        assert answer is not None
        assert answer.status is Status.INVALID_CARE_OF_ADDRESS
    assert bench.bound() == {}


@pytest.mark.requirement("S6.2-17", "S6.2-18")
def test_without_an_address_a_known_bid_is_refreshed_and_an_unknown_one_refused() -> None:
    bench = Bench()
    bench.send(bid(1, LTE), lifetime_s=100)
    bench.advance(50)
    bench.send(bid(1), lifetime_s=100)
    (binding,) = bench.node.bindings(PEER, HOME)
    assert binding.expires_at_s == bench.now + 100
    answer = bench.send(bid(2), care_of=WIFI)
    assert answer is not None
    assert answer.status is Status.MCOA_UNKNOWN_COA
    assert bench.bound() == {1: LTE}


@pytest.mark.requirement("S6.2-09", "S6.2-10", "S6.2-11")
def test_one_bid_is_deregistered_from_any_address_and_o_is_ignored() -> None:
    bench = Bench()
    for number, address in enumerate((LTE, WIFI), start=1):
        bench.send(bid(number, address), care_of=address)
    answer = bench.send(bid(1), lifetime_s=0, source=WIFI, flags=OVERWRITE)
    assert answer is not None
    assert (answer.status, answer.lifetime_s) == (Status.ACCEPTED, 0)
    assert bench.bound() == {2: WIFI}
    header = emit_message(answer, PEER.packed, HOME.packed)
    assert answer.options[-1].authenticator == mark(bench.key, HOME, header)
    answer = bench.send(bid(1), lifetime_s=0, source=WIFI)
    assert answer is not None
    assert answer.status is Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE


@pytest.mark.requirement("S3-12", "S6.2-02", "S6.2-03")
def test_a_plain_update_replaces_or_deletes_all() -> None:
    bench = Bench()
    for number, address in enumerate((LTE, WIFI), start=1):
        bench.send(bid(number, address), care_of=address)
    bench.send(care_of=SAT)
    assert bench.bound() == {None: SAT}
    bench.send(lifetime_s=0)
    assert bench.bound() == {}
    answer = bench.send(lifetime_s=0)
    assert answer is not None
    assert answer.status is Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE


def test_all_is_deleted_from_the_home_link_too() -> None:
    bench = Bench()
    bench.send(bid(1, LTE))
    answer = bench.send(lifetime_s=0, at_home=True)
    assert answer is not None
    assert bench.bound() == {}
    (send,) = bench.sent()
    assert send.envelope.destination == HOME
    assert send.envelope.routing_header_home_address is None


@pytest.mark.requirement("S6.2-20", "S6.2-21")
def test_beside_a_plain_binding_no_bid_is_bound_but_in_its_place() -> None:
    bench = Bench()
    bench.send(care_of=SAT)
    answer = bench.send(bid(1, LTE))
    assert answer is not None
    assert answer.status is Status.MCOA_NON_MCOA_BINDING_EXISTS
    assert bench.bound() == {None: SAT}
    bench.send(bid(1, LTE), flags=OVERWRITE)
    assert bench.bound() == {1: LTE}


def test_an_alternate_care_of_address_is_what_a_plain_update_proves() -> None:
    bench = Bench()
    bench.send(AlternateCareOfAddress(address=WIFI), care_of=WIFI, source=LTE)
    assert bench.bound() == {None: WIFI}


def test_the_h_flag_of_an_option_means_nothing_to_a_correspondent() -> None:
    bench = Bench()
    bench.send(bid(1, LTE, home=True))
    (binding,) = bench.node.bindings(PEER, HOME)
    assert (binding.care_of_address, binding.home) == (LTE, False)


@pytest.mark.parametrize(
    ("multiple", "status", "bound"),
    [
        (MultipleCareOf.PROHIBIT, Status.MCOA_PROHIBITED, {}),
        (MultipleCareOf.IGNORE, Status.ACCEPTED, {None: LTE}),
    ],
)
def test_policy_may_prohibit_or_ignore_identifiers(
    multiple: MultipleCareOf, status: Status, bound: dict[int | None, IPv6Address]
) -> None:
    bench = Bench(policy=CorrespondentPolicy(multiple_care_of=multiple))
    answer = bench.send(bid(1, LTE))
    assert answer is not None
    assert answer.status is status
    assert bench.bound() == bound


def test_a_node_has_as_many_bindings_as_policy_allows() -> None:
    bench = Bench(policy=CorrespondentPolicy(max_bindings_per_node=2))
    for number, address in enumerate((LTE, WIFI), start=1):
        bench.send(bid(number, address), care_of=address)
    answer = bench.send(bid(3, SAT), care_of=SAT)
    assert answer is not None
    assert answer.status is Status.INSUFFICIENT_RESOURCES
    assert bench.bound() == {1: LTE, 2: WIFI}


def test_a_lifetime_is_no_longer_than_return_routability_is_good_for() -> None:
    answer = Bench().send(bid(1, LTE), lifetime_s=4000)
    assert answer is not None
    assert answer.lifetime_s == 420


def test_a_home_registration_is_refused() -> None:
    bench = Bench()
    answer = bench.send(bid(1, LTE), flags=ASK | UpdateFlag.HOME)
    assert answer is not None
    assert answer.status is Status.HOME_REGISTRATION_NOT_SUPPORTED
    assert bench.bound() == {}


@pytest.mark.requirement("S6.2-04")
def test_an_old_sequence_number_is_answered_with_the_last_one() -> None:
    bench = Bench()
    bench.send(bid(1, LTE), sequence=500)
    for old in (500, 499, 33269):
        answer = bench.send(bid(2, WIFI), care_of=WIFI, sequence=old)
        assert answer is not None
        assert answer.status is Status.SEQUENCE_NUMBER_OUT_OF_WINDOW
        assert answer.sequence == 500
        assert isinstance(answer.options[-1], BindingAuthorizationData)
    assert bench.bound() == {1: LTE}


@pytest.mark.parametrize(
    ("age_home", "age_care_of", "status"),
    [
        (True, False, Status.EXPIRED_HOME_NONCE_INDEX),
        (False, True, Status.EXPIRED_CARE_OF_NONCE_INDEX),
        (True, True, Status.EXPIRED_NONCES),
    ],
)
def test_nonces_too_old_are_told_apart_without_proof(
    age_home: bool, age_care_of: bool, status: Status
) -> None:
    bench = Bench()
    home = bench.home_test() if age_home else None
    care_of = bench.care_of_test(LTE) if age_care_of else None
    bench.advance(240)
    answer = bench.send(bid(1, LTE), home_test=home, care_of_test=care_of)
    assert answer is not None
    assert answer.status is status
    assert not any(isinstance(o, BindingAuthorizationData) for o in answer.options)
    assert [i.bid for i in answer.identifiers] == [1]
    assert not len(bench.node.cache)


def test_a_token_lives_for_three_and_a_half_minutes_at_least() -> None:
    bench = Bench()
    bench.home_test()  # makes the nonce
    bench.advance(29.9)
    home, care_of = bench.home_test(), bench.care_of_test(LTE)
    bench.advance(210)
    assert bench.send(bid(1, LTE), home_test=home, care_of_test=care_of) is not None
    assert bench.bound() == {1: LTE}


def test_no_more_than_eight_nonces_are_remembered() -> None:
    bench = Bench()
    for _ in range(100):
        bench.home_test()
        bench.advance(30)
    assert len(bench.node.nonces) == 8


@pytest.mark.requirement("S6.4-01")
def test_a_binding_in_use_is_asked_for_by_its_bid_before_it_ends() -> None:
    bench = Bench()
    bench.send(bid(1, LTE), lifetime_s=100)
    bench.send(bid(2, WIFI), care_of=WIFI, lifetime_s=400)
    bench.advance(97)
    sends = [a for a in bench.actions if isinstance(a, Send)]
    (send,) = [s for s in sends if isinstance(s.message, BindingRefreshRequest)]
    assert [i.bid for i in send.message.identifiers] == [1]
    assert send.envelope == Envelope(source=PEER, destination=HOME)
    bench.advance(5)
    assert bench.bound() == {2: WIFI}
    assert BindingsChanged(home_address=HOME, own_address=PEER) in bench.actions


def test_what_ended_is_forgotten_when_nothing_of_it_could_be_sent_again() -> None:
    bench = Bench()
    bench.send(bid(1, LTE), lifetime_s=8)
    bench.advance(9)
    assert bench.bound() == {}
    assert len(bench.node.cache) == 1
    bench.advance(240)
    assert not len(bench.node.cache)


@pytest.mark.requirement("S6.5-01", "S6.5-02", "S6.5-03")
def test_a_home_address_from_where_it_is_not_bound_is_answered_with_an_error() -> None:
    bench = Bench()
    bench.send(bid(1, LTE))
    assert bench.node.claimed(PEER, LTE, HOME) == []
    (send,) = [a for a in bench.node.claimed(PEER, WIFI, HOME) if isinstance(a, Send)]
    assert isinstance(send.message, BindingError)
    assert (send.envelope.destination, send.message.home_address) == (WIFI, HOME)


def test_a_type_that_nobody_knows_is_answered_with_an_error() -> None:
    bench = Bench()
    bench.deliver(
        UnknownMessage(type=99, data=bytes(2)), Envelope(source=LTE, destination=PEER)
    )
    (send,) = bench.sent()
    assert isinstance(send.message, BindingError)


def test_two_of_our_addresses_have_bindings_of_their_own() -> None:
    bench = Bench()
    bench.send(bid(1, LTE))
    assert bench.node.bindings(WIFI, HOME) == ()


def test_who_holds_back_his_proof_gets_silence() -> None:
    bench = Bench()
    bench.send(bid(1, LTE))
    received = bench.last
    assert received is not None
    update = received.message
    assert isinstance(update, BindingUpdate)
    for keep in ((), update.options[:1], update.options[:2], update.options[:-1]):
        bare = replace(update, sequence=update.sequence + 1, options=keep)
        bench.deliver(bare, received.envelope, emit_message(bare, HOME.packed, PEER.packed))
        assert bench.sent() == []
    assert bench.events() == ["update-without-proof"]
