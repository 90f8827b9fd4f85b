"""The mobile node's side of one correspondent, against one that says anything."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, IPv6Network
from random import Random

import pytest

from engine.bench_of_correspondent import HOME, LTE, PEER, WIFI, key_of, mark
from mcoa.engine.actions import Action, Envelope, Received, Report, Send
from mcoa.engine.correspondence import Correspondence, Surroundings
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.patience import IDLE_S
from mcoa.engine.policy import LinkPolicy, MobileNodePolicy
from mcoa.engine.routability_test import Way
from mcoa.engine.route_optimization import RouteOptimization
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
    emit_message,
)
from mcoa.wire.options import (
    AlternateCareOfAddress,
    BindingAuthorizationData,
    BindingIdentifier,
)
from mcoa.wire.registry import AcknowledgementFlag, BindingErrorStatus
from mcoa.wire.registry import BindingStatus as Status

POLICY = MobileNodePolicy(
    home_address=HOME,
    home_agent=IPv6Address("2001:db8:1::1"),
    links=(LinkPolicy(name="lte", bid=1), LinkPolicy(name="wifi", bid=2)),
)
BOTH = Surroundings(
    offered={"lte": (LTE,), "wifi": (WIFI,)},
    ways=(Way(link="lte", tunnelled=True), Way(link="wifi", tunnelled=True)),
)
HOME_TOKEN, TOKENS = b"hometokn", {LTE: b"lteltelt", WIFI: b"wifiwifi"}


@dataclass
class Bench:
    """A correspondence, and all that it sent."""

    now: float = 100.0
    sent: list[Send] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = Correspondence(PEER, POLICY, rng=Random(2), now=self.now)
        self.known.surround(BOTH)
        self.take(self.known.step(self.now))

    def take(self, actions: list[Action]) -> None:
        self.sent += [each for each in actions if isinstance(each, Send)]
        self.reports += [each.event for each in actions if isinstance(each, Report)]

    def last(self, kind: type, source: IPv6Address | None = None) -> Send:
        return next(
            each
            for each in reversed(self.sent)
            if isinstance(each.message, kind) and source in (None, each.envelope.source)
        )

    def tested(self, *addresses: IPv6Address) -> "Bench":
        """Answer the tests of the home address and of these."""
        cookie = self.last(HomeTestInit).message.cookie
        home = HomeTest(nonce_index=3, cookie=cookie, token=HOME_TOKEN)
        self.take(self.known.home_tested(home, self.now))
        for address in addresses:
            cookie = self.last(CareOfTestInit, address).message.cookie
            test = CareOfTest(nonce_index=4, cookie=cookie, token=TOKENS[address])
            self.take(self.known.care_of_tested(test, address, self.now))
        return self

    def acknowledge(
        self,
        status: Status = Status.ACCEPTED,
        *,
        sequence: int | None = None,
        key: bytes | None = None,
        signed: bool = True,
        destination: IPv6Address | None = None,
    ) -> None:
        """Answer the last update as its receiver would, or not quite."""
        send = self.last(BindingUpdate)
        update, source = send.message, send.envelope.source
        deletes = not update.lifetime_s
        key = key or key_of(HOME_TOKEN, b"" if deletes else TOKENS[source])
        options: tuple[object, ...] = tuple(i.echo() for i in update.identifiers)
        message = BindingAcknowledgement(
            status=status,
            flags=AcknowledgementFlag(0),
            sequence=update.sequence if sequence is None else sequence,
            lifetime_s=update.lifetime_s if not status.is_rejection else 0,
            options=(*options, BindingAuthorizationData(authenticator=bytes(12))),
        )
        header = emit_message(message, PEER.packed, HOME.packed)
        octets = mark(key, HOME if deletes else source, header)
        data = BindingAuthorizationData(authenticator=octets)
        message = replace(message, options=(*options, data) if signed else options)
        received = Received(
            message=message,
            envelope=Envelope(
                source=PEER,
                destination=destination or source,
                routing_header_home_address=HOME,
            ),
            header=emit_message(message, PEER.packed, HOME.packed),
        )
        self.take(self.known.acknowledged(message, received, self.now))

    def updates(self) -> list[BindingUpdate]:
        return [s.message for s in self.sent if isinstance(s.message, BindingUpdate)]

    def run(self, seconds: float) -> None:
        """Let time pass, with packets all the while."""
        end = self.now + seconds
        while (due_s := self.known.next_deadline()) <= end:
            self.now = self.known.patience.used_at_s = max(self.now, due_s)
            self.take(self.known.step(self.now))
        self.now = self.known.patience.used_at_s = end

    @property
    def direct(self) -> frozenset[bytes]:
        return self.known.direct


@pytest.fixture
def bound() -> Bench:
    """Both addresses are bound."""
    bench = Bench().tested(LTE, WIFI)
    bench.acknowledge()
    bench.acknowledge()
    assert bench.direct == {LTE.packed, WIFI.packed}
    return bench


@pytest.mark.requirement("S5.2-05")
def test_nothing_is_sent_before_both_tokens_are_there() -> None:
    bench = Bench()
    assert bench.tested().updates() == []
    bench.tested(WIFI)
    assert [i.bid for u in bench.updates() for i in u.identifiers] == [2]


def test_an_answer_with_another_cookie_is_no_answer() -> None:
    bench = Bench()
    stranger = HomeTest(nonce_index=3, cookie=b"guessing", token=HOME_TOKEN)
    bench.take(bench.known.home_tested(stranger, bench.now))
    test = CareOfTest(nonce_index=3, cookie=b"guessing", token=HOME_TOKEN)
    bench.take(bench.known.care_of_tested(test, LTE, bench.now))
    cookie = bench.last(CareOfTestInit, LTE).message.cookie
    swapped = CareOfTest(nonce_index=3, cookie=cookie, token=HOME_TOKEN)
    bench.take(bench.known.care_of_tested(swapped, WIFI, bench.now))
    assert bench.reports == ["test-unexpected"] * 3
    assert bench.updates() == []


def test_a_second_answer_is_not_listened_to() -> None:
    bench = Bench().tested(LTE)
    cookie = bench.last(HomeTestInit).message.cookie
    again = HomeTest(nonce_index=9, cookie=cookie, token=b"anything")
    bench.take(bench.known.home_tested(again, bench.now))
    assert bench.reports == ["test-unexpected"]


def test_each_copy_of_a_test_has_another_cookie_and_the_pauses_grow() -> None:
    bench = Bench()
    bench.run(6.9)
    cookies = [s.message.cookie for s in bench.sent if isinstance(s.message, HomeTestInit)]
    assert len(cookies) == len(set(cookies)) == 3
    links = [s.envelope.link for s in bench.sent if isinstance(s.message, HomeTestInit)]
    assert set(links) == {"lte", "wifi"}
    bench.run(0.2)
    assert bench.reports == ["correspondent-silent"]
    assert bench.known.state == "tunnelled"


def test_an_acknowledgement_without_proof_changes_nothing() -> None:
    bench = Bench().tested(LTE, WIFI)
    for wrong in ({"signed": False}, {"key": bytes(20)}, {"destination": WIFI}):
        bench.acknowledge(**wrong)
        bench.acknowledge(Status.ADMINISTRATIVELY_PROHIBITED, **wrong)
    assert bench.direct == frozenset()
    assert set(bench.reports) == {"acknowledgement-without-proof", "acknowledgement-unexpected"}
    bench.acknowledge()
    assert bench.direct == {LTE.packed}


@pytest.mark.parametrize(
    ("status", "kinds"),
    [
        (Status.EXPIRED_HOME_NONCE_INDEX, {HomeTestInit}),
        (Status.EXPIRED_CARE_OF_NONCE_INDEX, {CareOfTestInit}),
        (Status.EXPIRED_NONCES, {HomeTestInit, CareOfTestInit}),
    ],
)
def test_what_is_too_old_is_tested_again(status: Status, kinds: set[type]) -> None:
    bench = Bench().tested(LTE)
    bench.acknowledge(status, signed=False, sequence=77)
    before = len(bench.sent)
    bench.acknowledge(status, signed=False)
    bench.run(1.5)
    again = {type(s.message) for s in bench.sent[before:] if s.envelope.source in (HOME, LTE)}
    assert again == kinds
    assert bench.reports == ["acknowledgement-unexpected"]


def test_a_sequence_number_is_adopted_only_with_proof() -> None:
    bench = Bench().tested(LTE)
    sequence = bench.updates()[-1].sequence
    newer = (sequence + 500) % 65536
    bench.acknowledge(Status.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=newer, signed=False)
    assert len(bench.updates()) == 1
    bench.acknowledge(Status.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=newer)
    assert bench.updates()[-1].sequence == (newer + 1) % 65536
    assert bench.updates()[-1].flags == bench.updates()[0].flags


@pytest.mark.requirement("S5.2-06")
def test_an_address_that_went_is_deleted_from_another_with_the_home_token(bound: Bench) -> None:
    around = Surroundings(offered={"wifi": (WIFI,)}, ways=BOTH.ways[1:])
    bound.known.surround(around)
    bound.now += 5
    bound.take(bound.known.step(bound.now, supersede=True))
    send = bound.last(BindingUpdate)
    assert (send.message.lifetime_s, send.envelope.source) == (0, WIFI)
    # It is proven for the home address (RFC 6275 §6.1.7), and says so.
    assert AlternateCareOfAddress(address=HOME) in send.message.options
    assert bound.direct == {WIFI.packed}
    bound.acknowledge()
    assert not bound.known.update_list.get(1).doubtful
    # It comes back: its token is tested anew, the home token still does.
    bound.now += 5
    bound.known.surround(BOTH)
    bound.take(bound.known.step(bound.now, supersede=True))
    homes = sum(isinstance(s.message, HomeTestInit) for s in bound.sent)
    assert homes == 1


def test_who_says_that_we_are_forgotten_is_believed_once_a_second(bound: Bench) -> None:
    for _ in range(50):
        bound.take(bound.known.forgotten(bound.now))
    assert bound.direct == frozenset()
    assert bound.reports == ["correspondent-forgot-us"]


def test_what_it_said_of_packets_under_way_does_not_undo_what_is_bound_anew(
    bound: Bench,
) -> None:
    bound.take(bound.known.forgotten(bound.now))
    bound.now += 0.1
    bound.take(bound.known.step(bound.now))
    bound.tested(LTE)
    bound.acknowledge()
    assert bound.direct == {LTE.packed}
    bound.take(bound.known.forgotten(bound.now))
    assert bound.direct == {LTE.packed}
    bound.now += 1.0
    bound.take(bound.known.forgotten(bound.now))
    assert bound.direct == frozenset()


def test_an_old_number_about_an_overtaken_copy_changes_nothing() -> None:
    bench = Bench().tested(LTE)
    sequence = bench.updates()[-1].sequence
    for last in (sequence, sequence - 1):
        bench.acknowledge(Status.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=last % 65536)
    assert len(bench.updates()) == 1


def test_a_suspicion_is_looked_into_with_what_is_bound_in_use(bound: Bench) -> None:
    before = len(bound.sent)
    for _ in range(5):
        bound.take(bound.known.suspected(bound.now))
        bound.now += 0.5
    kinds = [type(each.message) for each in bound.sent[before:]]
    assert kinds.count(HomeTestInit) <= 2
    assert BindingUpdate in kinds
    assert bound.direct == {LTE.packed, WIFI.packed}
    bound.run(30.0)  # no answer comes any more
    assert bound.direct == frozenset()


def test_tokens_that_are_too_old_prove_nothing(bound: Bench) -> None:
    bound.now += 210.0
    bound.known.surround(Surroundings(offered={"wifi": (WIFI,)}, ways=BOTH.ways[1:]))
    before = len(bound.updates())
    bound.take(bound.known.step(bound.now, supersede=True))
    assert len(bound.updates()) == before


def test_a_home_test_that_came_another_way_is_not_looked_at() -> None:
    node = MobileNode(replace(POLICY, optimized=(IPv6Network("::/0"),)), rng=Random(1))
    test = HomeTest(nonce_index=1, cookie=bytes(8), token=HOME_TOKEN)
    for tunnelled, event in (
        (False, "home-test-from-elsewhere"),
        (True, "message-from-stranger"),
    ):
        envelope = Envelope(source=PEER, destination=HOME, tunnelled=tunnelled)
        actions = node.receive(Received(message=test, envelope=envelope), 0.0)
        assert Report(event=event) in actions


def test_a_node_that_knows_no_test_says_so_with_our_cookie(bound: Bench) -> None:
    bound.take(bound.known.does_not_know(b"guessing", bound.now))
    assert bound.direct
    bound.take(bound.known.forgotten(bound.now))
    bound.now += 1.1
    bound.take(bound.known.step(bound.now))
    cookie = bound.last(HomeTestInit).message.cookie
    bound.take(bound.known.does_not_know(cookie, bound.now))
    assert bound.known.state == "tunnelled"


def test_a_silent_correspondent_is_left_for_longer_and_longer() -> None:
    bench = Bench()
    bench.run(3600.0)
    homes = [s for s in bench.sent if isinstance(s.message, HomeTestInit)]
    assert 9 <= len(homes) <= 50


def test_an_update_without_answer_does_not_hold_up_the_other_address() -> None:
    bench = Bench().tested(LTE, WIFI)
    bench.run(1.1)  # the answer about lte does not come
    bench.acknowledge()
    assert bench.direct == {WIFI.packed}


def test_a_binding_error_of_a_stranger_or_about_another_is_nothing() -> None:
    optimization = RouteOptimization(replace(POLICY, optimized=(), not_optimized=()), Random(1))
    assert optimization.used(PEER, 0.0) == []
    assert PEER not in optimization
    error = BindingError(
        status=BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS, home_address=HOME
    )
    envelope = Envelope(source=PEER, destination=LTE)
    (report,) = optimization.receive(Received(message=error, envelope=envelope), 0.0)
    assert report == Report(event="message-from-stranger")


def test_idle_correspondents_are_not_refreshed_but_their_dead_links_are_deleted(
    bound: Bench,
) -> None:
    bound.now += IDLE_S + 1
    bound.take(bound.known.step(bound.now))
    before = len(bound.sent)
    bound.known.surround(Surroundings(offered={"wifi": (WIFI,)}, ways=BOTH.ways[1:]))
    bound.take(bound.known.step(bound.now, supersede=True))
    (only,) = bound.sent[before:]
    assert isinstance(only.message, BindingUpdate)
    assert only.message.lifetime_s == 0
    assert [i for i in only.message.identifiers if isinstance(i, BindingIdentifier)]


def test_the_longer_prefix_decides_who_is_talked_to_directly() -> None:
    policy = replace(
        POLICY,
        optimized=(IPv6Network("::/0"), IPv6Network("2001:db8:9:1::/64")),
        not_optimized=(IPv6Network("2001:db8:9::/48"),),
    )
    assert policy.optimizes(IPv6Address("2001:db8:77::1"))
    assert not policy.optimizes(PEER)
    assert policy.optimizes(IPv6Address("2001:db8:9:1::1"))
    assert not policy.optimizes(HOME)
    assert not policy.optimizes(IPv6Address("ff02::1"))


def test_correspondents_are_served_side_by_side_and_in_bounds() -> None:
    optimization = RouteOptimization(
        replace(POLICY, optimized=(IPv6Network("::/0"),)), Random(1)
    )
    optimization.surround(BOTH, 0.0)
    peers = [IPv6Address(int(PEER) + n) for n in range(2000)]
    sent = [each for peer in peers for each in optimization.used(peer, 1.0)]
    assert len(list(optimization)) == 1024
    inits = [s for s in sent if isinstance(s, Send) and isinstance(s.message, HomeTestInit)]
    assert {s.envelope.destination for s in inits} == set(peers[:1024])
    assert len({s.message.cookie for s in inits}) == 1024
    while (due_s := optimization.next_deadline()) is not None and due_s < 5000.0:
        optimization.handle_timer(due_s)
    assert list(optimization) == []
