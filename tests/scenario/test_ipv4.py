"""A mobile node and its agent over IPv4: networks that lose, NATs that forget, links that change.

Both engines are the real ones. Once it is calm, the agent holds each address that a link has, at
the end that the NAT before it gives now; and the node knows which ones these are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from random import Random

import pytest

from engine.bench_of_agent import POLICY as AGENT_POLICY
from engine.bench_of_node import HOME
from engine.bench_of_node import POLICY as NODE_POLICY
from mcoa.engine.actions import Action, Discovery, Envelope, Received, Send, UdpEnd
from mcoa.engine.addresses import ipv4_mapped
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.mobile_node import MobileNode
from mcoa.wire.messages import BindingUpdate, emit_message, parse_message

LINKS = ("lte", "wifi", "sat")
ONE_WAY_S = 0.02
SILENCE_S = 0.3  # until probes say that nothing comes through

Addresses = tuple[IPv6Address, ...]


@dataclass
class Nat:
    """Gives an address another one and a port, and forgets that now and then.

    Attributes:
        is_there: False for a link that has addresses of its own.
    """

    public: IPv4Address
    is_there: bool = True
    ports: Iterator[int] = field(default_factory=lambda: count(40_000))
    port: int = 0

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.port = next(self.ports)

    def outside(self, own: IPv6Address) -> UdpEnd:
        if not self.is_there:
            return UdpEnd(address=own, port=4191)
        return UdpEnd(address=ipv4_mapped(self.public), port=self.port)


class World:
    """Time, two engines, and what is between them."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = 0.0
        self.loss = 0.3
        # Nothing is refreshed within the times of this test but for a reason.
        policy = replace(NODE_POLICY, home_agent_by_ipv4=True, lifetime_s=600)
        self.node = MobileNode(policy, rng=self.rng)
        self.agent = HomeAgent(replace(AGENT_POLICY, ipv4=True))
        self.nats = {
            link: Nat(IPv4Address(f"198.51.100.{number}"), is_there=link != "sat")
            for number, link in enumerate(LINKS, 1)
        }
        self.addresses: dict[str, Addresses] = dict.fromkeys(LINKS, ())
        self.queue: list[tuple[float, int, bool, Send]] = []
        self.order = count()
        self.sent: list[float] = []
        self._silent: frozenset[str] = frozenset()

    def set_link(self, link: str, *addresses: IPv6Address) -> None:
        self.addresses[link] = addresses
        self.perform(self.node.links_changed(link, addresses, self.now))

    def shake(self) -> None:
        """Let something happen."""
        rng, link = self.rng, self.rng.choice(LINKS)
        number = LINKS.index(link) + 10
        match rng.randrange(5):
            case 0:
                self.set_link(link)
            case 1:
                own = IPv4Address(f"10.{number}.0.{rng.randrange(1, 5)}")
                self.set_link(link, ipv4_mapped(own))
            case 2:
                self.set_link(link, IPv6Address(f"2001:db8:{number}::{rng.randrange(1, 5)}"))
            case _:
                self.nats[link].forget()

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            timers = (self.node.next_deadline(), self.agent.next_deadline())
            due = [each for each in timers if each is not None]
            due += [self.queue[0][0]] if self.queue else []
            self.now = max(self.now, min([*due, end, self.now + SILENCE_S]))
            self._probe()
            self.agent.handle_timer(self.now)
            self.perform(self.node.handle_timer(self.now))
            while self.queue and self.queue[0][0] <= self.now:
                _, _, is_up, send = heappop(self.queue)
                (self._at_agent if is_up else self._at_node)(send)

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                assert isinstance(action.message, BindingUpdate)
                self.sent.append(self.now)
                self._send(action, up=True)

    def _send(self, send: Send, *, up: bool) -> None:
        if self.rng.random() >= self.loss:
            late_s = self.rng.choice((0.0, 0.0, 0.5)) if self.loss else 0.0
            at_s = self.now + ONE_WAY_S + late_s
            heappush(self.queue, (at_s, next(self.order), up, send))

    def _at_agent(self, send: Send) -> None:
        envelope = send.envelope
        if envelope.udp is not None:
            assert envelope.link is not None
            outside = self.nats[envelope.link].outside(envelope.udp.address)
            envelope = replace(envelope, link=None, udp=outside)
        for action in self.agent.receive(_received(send, envelope), self.now):
            if isinstance(action, Send):
                self._send(action, up=False)

    def _at_node(self, send: Send) -> None:
        envelope = send.envelope
        if envelope.udp is not None:
            own = self._inside(envelope.udp)
            if own is None:
                return  # the NAT has forgotten it, or the link is gone
            envelope = replace(envelope, udp=UdpEnd(address=own), tunnelled=True)
        self.perform(self.node.receive(_received(send, envelope), self.now))

    def _inside(self, end: UdpEnd) -> IPv6Address | None:
        for link, addresses in self.addresses.items():
            for own in addresses:
                if own.ipv4_mapped is not None and self.nats[link].outside(own) == end:
                    return own
        return None

    def _probe(self) -> None:
        """Tell the node of links over which the agent cannot reach it."""
        held = {each.bid: each for each in self.agent.bindings(HOME)}
        silent = set()
        for path in self.node.paths():
            binding = held.get(path.bid)
            if binding is None or (binding.care_of_address, binding.port) != self.end_of(
                path.link, path.care_of_address
            ):
                silent.add(path.link)
        if silent != self._silent:
            self._silent = frozenset(silent)
            self.perform(self.node.links_avoided(self._silent, self.now))

    def end_of(self, link: str, own: IPv6Address) -> tuple[IPv6Address, int]:
        if own.ipv4_mapped is None:
            return own, 0
        end = self.nats[link].outside(own)
        return end.address, end.port


def _received(send: Send, envelope: Envelope) -> Received:
    """Return a message as it is after a way through octets."""
    assert not isinstance(send.message, Discovery)
    source, destination = envelope.source, envelope.destination
    message = parse_message(
        emit_message(send.message, source, destination), source, destination
    )
    return Received(message=message, envelope=envelope)


@pytest.mark.requirement("S8.1-01", "S8.1-03", "S8.1-08", "S8.1-10")
@pytest.mark.parametrize("seed", range(40))
def test_once_it_is_calm_both_know_where_everything_is(seed: int) -> None:
    world = World(seed)
    for _ in range(60):
        world.shake()
        world.run(world.rng.choice((0.0, 0.1, 1.0, 10.0)))
    world.loss = 0.0
    world.set_link("lte", ipv4_mapped(IPv4Address("10.10.0.9")))
    world.run(1.0)
    world.nats["lte"].forget()
    world.run(75.0)  # the longest wait for a next copy is 32 s, and may come twice
    expected = {
        (world.end_of(link, own), own)
        for link, addresses in world.addresses.items()
        for own in addresses
    }
    bindings = {each.bid: each for each in world.agent.bindings(HOME)}
    usable = {each.bid: each.care_of_address for each in world.node.paths()}
    found = {((b.care_of_address, b.port), usable.get(bid)) for bid, b in bindings.items()}
    assert found == expected
    assert len(usable) == len(expected)
    a_minute = [sum(begin <= each < begin + 60 for each in world.sent) for begin in world.sent]
    assert max(a_minute) <= 3 * 60
