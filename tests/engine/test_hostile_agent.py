"""A mobile node whose agent answers anything at all: it stays calm, and recovers.

Security is "none", so whoever answers may say what he likes. What he may not do is make the
node send without end, make it fail, or keep it from a sane agent that answers later.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from ipaddress import IPv6Address
from itertools import count
from random import Random

import pytest

from engine.bench_of_agent import POLICY as AGENT_POLICY
from engine.bench_of_node import AGENT, HOME, LINKS, LTE, POLICY, SAT, WIFI, Bench
from mcoa.engine.actions import Action, Discovery, Envelope, Received, Send
from mcoa.engine.answers import MAX_QUIET_S
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.mobile_node import MobileNode
from mcoa.wire.icmpv6_mobility import MobilePrefixSolicitation
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    Message,
    emit_message,
)
from mcoa.wire.options import (
    BindingIdentifier,
    BindingRefreshAdvice,
    MalformedBindingIdentifier,
    UnknownOption,
)
from mcoa.wire.registry import BindingErrorStatus
from mcoa.wire.registry import BindingStatus as Status

STATUSES = (0, 0, 0, 1, 4, 128, 129, 130, 131, 133, 134, 135, 164, 165, 166, 167, 168, 169, 200)
ROUND_TRIP_S = 0.002


@pytest.fixture
def registered() -> Bench:
    return Bench().registered()


def sent_in(bench: Bench, seconds: float, **answer: object) -> int:
    """Let every update be answered at once, the same way; return how many there were."""
    before, end = len(bench.updates), bench.now + seconds
    while bench.now < end and len(bench.updates) - before < 10 * seconds:
        answered = len(bench.updates)
        bench.answer(**answer)
        if len(bench.updates) == answered:
            bench.until_due()
    return len(bench.updates) - before


def test_an_agent_that_grants_no_time_is_left_alone_for_a_while(registered: Bench) -> None:
    registered.link("lte", IPv6Address("2001:db8:a::99"))
    assert sent_in(registered, 60.0, lifetime_s=0) < 10
    assert 1 not in registered.usable()


@pytest.mark.requirement("S4.1-06")
def test_rfc6275_12_an_agent_that_always_wants_another_number_is_no_storm(
    registered: Bench,
) -> None:
    registered.link("lte")
    sent = 0
    while registered.now < 20.0:
        wanted = (registered.update().sequence + 100) % 0x10000
        registered.answer(Status.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=wanted)
        registered.advance(0.01)
        sent = len(registered.updates)
    assert sent < 20 * 3 + 8


def test_a_binding_that_is_refused_for_a_month_is_still_asked_for() -> None:
    bench = Bench()
    bench.link("lte", LTE)
    bench.advance(0.2)
    for _ in range(30 * 24 * 6):
        bench.answer(Status.ADMINISTRATIVELY_PROHIBITED)
        bench.updates.clear()
        assert bench.until_due() < MAX_QUIET_S + 1.0
        assert bench.said() == {1: LTE}


def test_after_164_a_sane_agent_gets_another_chance(registered: Bench) -> None:
    registered.link("lte", LTE, SAT)
    registered.answer(Status.MCOA_MALFORMED)
    registered.answer(Status.MCOA_MALFORMED)
    assert sent_in(registered, MAX_QUIET_S + 100.0) < 20
    assert registered.usable() == {1: LTE, 2: WIFI, 3: SAT, 4: SAT}


@dataclass
class Nightmare:
    """A node, its agent, and somebody between them who says what he likes until `calm`."""

    seed: int
    now: float = 0.0
    calm: bool = False
    sent: list[float] = field(default_factory=list)
    queue: list[tuple[float, int, Message, IPv6Address]] = field(default_factory=list)
    number: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.node = MobileNode(POLICY, rng=Random(self.seed))
        self.agent = HomeAgent(AGENT_POLICY)

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                if isinstance(action.message, MobilePrefixSolicitation):
                    continue  # the agent said that it was necessary
                assert isinstance(action.message, BindingUpdate)
                emit_message(action.message, HOME, AGENT)
                self.sent.append(self.now)
                self._arrive(action)

    def _arrive(self, send: Send) -> None:
        """Bring an update to the agent, or to its nightmare, or to both."""
        update = send.message
        assert isinstance(update, BindingUpdate)
        if self.calm or self.rng.random() < 0.4:
            received = Received(message=send.message, envelope=send.envelope)
            for action in self.agent.receive(received, self.now):
                if isinstance(action, Send) and (self.calm or self.rng.random() < 0.3):
                    assert not isinstance(action.message, Discovery)
                    self._answer(action.message, send.envelope.source)
        if not self.calm:
            for _ in range(self.rng.choice((0, 1, 1, 1, 2))):
                self._answer(self._rubbish(update), send.envelope.source)

    def _answer(self, message: Message, to: IPv6Address) -> None:
        late_s = 0.0 if self.calm else self.rng.choice((0.0, 0.0, 0.05, 3.0))
        at_s = self.now + ROUND_TRIP_S + late_s
        heappush(self.queue, (at_s, next(self.number), message, to))

    def _rubbish(self, update: BindingUpdate) -> Message:
        rng = self.rng
        match rng.randrange(12):
            case 0:
                return BindingError(
                    status=BindingErrorStatus(rng.choice((1, 2, 3))), home_address=HOME
                )
            case 1:
                return BindingRefreshRequest(options=self._options(update))
        return BindingAcknowledgement(
            status=Status(rng.choice(STATUSES)),
            sequence=rng.choice((update.sequence,) * 9 + (rng.randrange(0x10000),)),
            lifetime_s=rng.choice((0, 4, 8, update.lifetime_s, 100, 262140)),
            options=self._options(update),
        )

    def _options(self, update: BindingUpdate) -> tuple[object, ...]:
        rng = self.rng
        named = [identifier.bid for identifier in update.identifiers] + [1, 2, 3, 9]
        options: list[object] = [
            BindingIdentifier(bid=bid, status=Status(rng.choice(STATUSES)))
            for bid in named
            if rng.random() < 0.7
        ]
        options += rng.choices(
            (
                BindingRefreshAdvice(interval_s=0),
                BindingRefreshAdvice(interval_s=4),
                MalformedBindingIdentifier(data=b"\0\1"),
                UnknownOption(type=99, data=b""),
            ),
            k=rng.randrange(3),
        )
        rng.shuffle(options)
        return tuple(options) if rng.random() < 0.9 else ()

    def set_link(self, name: str, *addresses: IPv6Address) -> None:
        self.perform(self.node.links_changed(name, addresses, self.now))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            timers = (self.node.next_deadline(), self.agent.next_deadline())
            due = [each for each in timers if each is not None]
            due += [self.queue[0][0]] if self.queue else []
            if not due or min(due) > end:
                break
            self.now = max(self.now, min(due))
            self.agent.handle_timer(self.now)
            self.perform(self.node.handle_timer(self.now))
            while self.queue and self.queue[0][0] <= self.now:
                _, _, message, to = heappop(self.queue)
                envelope = Envelope(
                    source=AGENT, destination=to, routing_header_home_address=HOME
                )
                received = Received(message=message, envelope=envelope)
                self.perform(self.node.receive(received, self.now))
        self.now = end

    def assert_agreement(self) -> None:
        node = {path.bid: path.care_of_address for path in self.node.paths()}
        agent = {b.bid: b.care_of_address for b in self.agent.bindings(HOME)}
        assert node == agent, f"seed {self.seed}"
        wanted = set(LINKS.values())
        if self.node.uses_bids:
            assert set(node.values()) == wanted, f"seed {self.seed}"
        else:
            assert len(node) == 1, f"seed {self.seed}"

    def assert_calm(self) -> None:
        """No minute saw many more than RFC 6275's MAX_UPDATE_RATE allows."""
        for first, after in zip(self.sent, self.sent[200:], strict=False):
            assert after - first > 60.0, f"seed {self.seed}"


@pytest.mark.parametrize("seed", range(1, 101))
def test_a_node_survives_an_agent_that_says_anything(seed: int) -> None:
    world = Nightmare(seed)
    for name, address in LINKS.items():
        world.set_link(name, address)
    for _ in range(12):
        world.run(world.rng.uniform(0.0, 30.0))
        name = world.rng.choice(list(LINKS))
        world.set_link(name, *world.rng.choice(((), (LINKS[name],), (LINKS[name], SAT))))
    for name, address in LINKS.items():
        world.set_link(name, address)
    world.assert_calm()
    world.calm, world.sent = True, []
    world.run(MAX_QUIET_S + 2 * POLICY.lifetime_s)
    world.assert_agreement()
    assert len(world.sent) < 60
