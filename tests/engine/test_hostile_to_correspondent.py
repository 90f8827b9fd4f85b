"""Whoever does not have both tokens changes nothing, and costs next to nothing (RFC 6275 §15)."""

import tracemalloc
from dataclasses import replace
from ipaddress import IPv6Address
from random import Random

import pytest

from engine.bench_of_correspondent import HOME, LTE, OTHER_HOME, PEER, WIFI, Bench, bid
from mcoa.engine.actions import Envelope, Received
from mcoa.engine.policy import CorrespondentPolicy
from mcoa.runtime.signalling import SignallingError, parse_signalling
from mcoa.wire.checksum import upper_layer_checksum
from mcoa.wire.messages import BindingUpdate, CareOfTestInit, HomeTest, emit_message
from mcoa.wire.options import BindingAuthorizationData, NonceIndices
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.signalling import emit_signalling

THIEF = IPv6Address("2001:db8:bad::1")


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.send(bid(1, LTE))
    return made


def untouched(bench: Bench) -> bool:
    return bench.bound() == {1: LTE} and bench.bound(OTHER_HOME) == {}


def send_again(bench: Bench, received: Received, **changes: object) -> None:
    """Send a recorded update with other contents, signed as it was."""
    update = received.message
    assert isinstance(update, BindingUpdate)
    changed = replace(update, **{"sequence": update.sequence + 1, **changes})
    header = emit_message(changed, HOME.packed, PEER.packed)
    bench.deliver(changed, received.envelope, header)


def test_a_recorded_update_does_nothing_twice(bench: Bench) -> None:
    received = bench.last
    assert received is not None
    bench.send(bid(1), lifetime_s=0)
    for _ in range(3):
        bench.deliver(received.message, received.envelope, received.header)
        answer = bench.acknowledgement()
        assert answer is not None
        assert answer.status is Status.SEQUENCE_NUMBER_OUT_OF_WINDOW
        assert bench.bound() == {}
        bench.advance(70)  # the third copy comes after the nonces' end
    bench.advance(40)
    bench.deliver(received.message, received.envelope, received.header)
    answer = bench.acknowledgement()
    assert answer is not None
    assert answer.status is Status.EXPIRED_NONCES
    assert bench.bound() == {}


def test_a_recorded_deletion_does_not_delete_what_came_after(bench: Bench) -> None:
    bench.send(bid(1), lifetime_s=0)
    deletion = bench.last
    assert deletion is not None
    bench.send(bid(1, LTE))
    bench.deliver(deletion.message, deletion.envelope, deletion.header)
    assert untouched(bench)


def test_another_care_of_address_under_the_same_mark_is_not_bound(bench: Bench) -> None:
    received = bench.last
    assert received is not None
    update = received.message
    assert isinstance(update, BindingUpdate)
    send_again(bench, received, options=(bid(1, THIEF), *update.options[1:]))
    assert bench.sent() == []
    assert untouched(bench)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_no_field_is_left_uncovered(bench: Bench, index: int) -> None:
    received = bench.last
    assert received is not None
    changes: list[dict[str, object]] = [{"lifetime_s": 0}, {"lifetime_s": 40}, {}]
    send_again(bench, received, **changes[index])
    assert bench.acknowledgement() is None or index == 0
    assert untouched(bench)


def test_any_octet_changed_makes_it_another_mans_update(bench: Bench) -> None:
    bench.send(bid(2, WIFI), care_of=WIFI)
    received = bench.last
    assert received is not None
    assert isinstance(received.message, BindingUpdate)
    packet = emit_signalling(received.message, WIFI, PEER, home_address=HOME)
    rng = Random(3)
    before = bench.bound()
    header = 64  # of the packet: both headers before the Mobility Header
    for _ in range(3000):
        changed = bytearray(packet)
        changed[rng.randrange(header + 6, len(packet))] ^= 1 << rng.randrange(8)
        checksum = _sum_for(bytes(changed), header)
        changed[header + 4 : header + 6] = checksum
        try:
            forged = parse_signalling(bytes(changed))
        except SignallingError:
            continue
        bench.deliver(forged.message, forged.envelope, forged.header)
        assert bench.bound() == before


def _sum_for(packet: bytes, header: int) -> bytes:
    octets = packet[header : header + 4] + bytes(2) + packet[header + 6 :]
    return upper_layer_checksum(octets, HOME.packed, PEER.packed, 135).to_bytes(2)


def test_tokens_of_another_home_address_prove_nothing(bench: Bench) -> None:
    theirs = bench.home_test(OTHER_HOME)
    assert bench.send(bid(1, THIEF), care_of=THIEF, home_test=theirs) is None
    assert untouched(bench)


def test_a_care_of_token_of_another_address_proves_nothing(bench: Bench) -> None:
    theirs = bench.care_of_test(WIFI)
    assert bench.send(bid(1, THIEF), care_of=THIEF, care_of_test=theirs) is None
    assert untouched(bench)


def test_a_home_token_is_no_care_of_token(bench: Bench) -> None:
    home = bench.home_test(THIEF)
    care_of = bench.care_of_test(THIEF)
    swapped = replace(care_of, token=home.token)
    assert bench.send(bid(1, THIEF), care_of=THIEF, care_of_test=swapped) is None
    assert untouched(bench)


def test_a_wrong_index_makes_other_tokens_or_none(bench: Bench) -> None:
    good = bench.care_of_test(THIEF)
    bench.advance(31)
    newer = bench.care_of_test(THIEF)
    wrong = replace(good, nonce_index=newer.nonce_index)
    assert bench.send(bid(1, THIEF), care_of=THIEF, care_of_test=wrong) is None
    unknown = replace(good, nonce_index=(newer.nonce_index + 9) % 65536)
    answer = bench.send(bid(1, THIEF), care_of=THIEF, care_of_test=unknown)
    assert answer is not None
    assert answer.status is Status.EXPIRED_CARE_OF_NONCE_INDEX
    assert untouched(bench)


def test_an_old_nonce_is_no_more_good(bench: Bench) -> None:
    home, care_of = bench.home_test(), bench.care_of_test(WIFI)
    bench.advance(241)
    answer = bench.send(bid(2, WIFI), care_of=WIFI, home_test=home, care_of_test=care_of)
    assert answer is not None
    assert answer.status is Status.EXPIRED_NONCES
    assert untouched(bench)


def test_a_mark_cut_short_is_none(bench: Bench) -> None:
    received = bench.last
    assert received is not None
    assert isinstance(received.message, BindingUpdate)
    packet = emit_signalling(received.message, LTE, PEER, home_address=HOME)
    for length in range(12):
        header = bytearray(packet[64:])
        header[-13] = length
        header[4:6] = bytes(2)
        patched = packet[:64] + bytes(header)
        patched = patched[:68] + _sum_for(patched, 64) + patched[70:]
        with pytest.raises(SignallingError, match=r"Authorization|option|octets"):
            parse_signalling(patched)
    assert untouched(bench)


def test_a_mark_that_is_not_the_last_option_counts_for_nothing(bench: Bench) -> None:
    received = bench.last
    assert received is not None
    update = received.message
    assert isinstance(update, BindingUpdate)
    data = update.options[-1]
    assert isinstance(data, BindingAuthorizationData)
    indices = next(each for each in update.options if isinstance(each, NonceIndices))
    moved = replace(update, options=(data, indices, bid(1, THIEF)), sequence=900)
    bench.deliver(moved, received.envelope, received.header)
    assert bench.sent() == []
    assert untouched(bench)


@pytest.mark.parametrize("home", [OTHER_HOME, IPv6Address("fe80::7"), IPv6Address("::1")])
def test_no_home_address_is_ours_or_cannot_be_reached(bench: Bench, home: IPv6Address) -> None:
    """Even where the token is right, which nobody could have got."""
    bench.own.add(OTHER_HOME)
    nonces = bench.node.nonces
    index = nonces.current(bench.now)
    token = nonces.home_token(home.packed, index, bench.now) or b""
    test = HomeTest(nonce_index=index, cookie=bytes(8), token=token)
    assert bench.send(bid(1, LTE), home=home, home_test=test) is None
    assert bench.bound(home) == {}
    assert bench.events() == ["update-refused"]


def test_an_update_that_was_refused_has_spent_its_number(bench: Bench) -> None:
    bench.send(bid(1, LTE), bid(2, WIFI), sequence=50)
    answer = bench.send(bid(2, WIFI), care_of=WIFI, sequence=49)
    assert answer is not None
    assert answer.status is Status.SEQUENCE_NUMBER_OUT_OF_WINDOW
    assert untouched(bench)


def test_a_million_tests_leave_nothing_behind() -> None:
    bench = Bench()
    envelope = Envelope(source=LTE, destination=PEER)
    init = CareOfTestInit(cookie=bytes(8))
    sources = [IPv6Address(int(LTE) + n) for n in range(1000)]
    received = [
        Received(message=init, envelope=replace(envelope, source=source)) for source in sources
    ]
    receive = bench.node.receive
    receive(received[0], bench.now)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for round_ in range(20):
        for each in received:
            receive(each, bench.now + round_)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for round_ in range(980):
        for each in received:
            receive(each, bench.now + 20 + 0.01 * round_)
    assert after - before < 10_000
    assert peak - before < 100_000
    assert not len(bench.node.cache)
    assert len(bench.node.nonces) <= 8


def test_a_flood_of_home_addresses_displaces_itself() -> None:
    bench = Bench(policy=CorrespondentPolicy(max_home_addresses=50))
    bench.send(bid(1, LTE))
    events: set[str] = set()
    for number in range(200):
        home = IPv6Address(f"2001:db8:bad::{number + 1:x}")
        bench.send(bid(1, THIEF), care_of=THIEF, home=home)
        events.update(bench.events())
        assert len(bench.node.cache) <= 50
    assert bench.bound() == {1: LTE}
    assert "binding-displaced" in events


def test_what_was_displaced_does_not_come_back_from_a_recording() -> None:
    bench = Bench(policy=CorrespondentPolicy(max_home_addresses=1))
    bench.send(bid(1, LTE))
    received = bench.last
    assert received is not None
    neighbour = IPv6Address(int(HOME) + 1)
    bench.send(bid(1, WIFI), care_of=WIFI, home=neighbour)
    assert bench.bound() == {}
    bench.deliver(received.message, received.envelope, received.header)
    answer = bench.acknowledgement()
    assert answer is not None
    assert answer.status is Status.EXPIRED_HOME_NONCE_INDEX
    assert bench.bound() == {}
    # With a nonce made since, its owner is welcome.
    bench.advance(31)
    bench.send(bid(1, LTE))
    assert bench.bound() == {1: LTE}
