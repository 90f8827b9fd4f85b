"""The mobile node (RFC 6275 §11, RFC 5648 §5): its links, its home link, and its home agent.

What is to be registered follows from where it is attached; telling the agent is the
registrar's. Here it is decided which agent that is, and when another one takes its place.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address
from random import Random

from mcoa.binding.timers import TimerTable
from mcoa.binding.update_list import UpdateList
from mcoa.engine.actions import (
    Action,
    AgentChanged,
    Announce,
    BindingsChanged,
    Envelope,
    Received,
    Report,
    Send,
)
from mcoa.engine.agent_choice import AgentChoice, News
from mcoa.engine.agent_discovery import AgentDiscovery
from mcoa.engine.attachments import Attachments
from mcoa.engine.binding_errors import unrecognized_message
from mcoa.engine.correspondence import Surroundings
from mcoa.engine.flow_wishes import FlowWishes
from mcoa.engine.policy import AtHome, MobileNodePolicy
from mcoa.engine.prefix_discovery import PrefixDiscovery
from mcoa.engine.registrar import MAX_BINDACK_TIMEOUT_S, Registrar
from mcoa.engine.returning_home import Presence
from mcoa.engine.revocation import revoke
from mcoa.engine.routability_test import Way
from mcoa.engine.route_optimization import RouteOptimization
from mcoa.engine.silence import ask_anew
from mcoa.engine.updates import Outstanding
from mcoa.engine.usable_paths import UsablePath, presence, usable_paths
from mcoa.engine.ways import to_agent
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
)
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    CareOfTest,
    HomeAgentSwitch,
    HomeTest,
)
from mcoa.wire.options import BindingIdentifier

Instruction = MobilePrefixAdvertisement | HomeAgentSwitch | BindingRevocationIndication
"""What only our agent may say, and only protected (RFC 5142 §4, RFC 5846 §5)."""


class _Timer(Enum):
    DISCOVERY = "home agents are to be asked for"
    PREFIXES = "the home link's prefixes are to be asked for"


class _Step(Enum):
    """What is to follow upon news from the registrar."""

    LEAVE = "the agent in use is to forget us"
    CHANGE = "it is another agent's turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the runtime acts upon."""

    paths: tuple[UsablePath, ...]
    presence: Presence
    direct: Mapping[bytes, frozenset[bytes]]


class MobileNode:
    """Keeps the home agent's bindings equal to the care-of addresses that the links have."""

    def __init__(self, policy: MobileNodePolicy, *, rng: Random) -> None:
        self.policy = policy
        self.is_stopping = False
        self._attached = Attachments(policy, unknown_round_trip_s=MAX_BINDACK_TIMEOUT_S)
        self._home = self._attached.home
        self._agents = AgentChoice(policy)
        self._discovery = AgentDiscovery(policy.home_network, rng)
        self._prefixes = PrefixDiscovery(policy.home_address, rng)
        self._registrar = Registrar(
            policy, self._attached, self._agents.current, rng=rng, told=self._told
        )
        self.optimization = RouteOptimization(policy, rng)
        self._step: _Step | None = None
        self._timers: TimerTable[_Timer] = TimerTable()

    # What the runtime tells and asks.

    def links_changed(
        self, link: str, addresses: tuple[IPv6Address, ...], now: float
    ) -> list[Action]:
        """Take note of the care-of addresses that a link has now; none when it is down.

        While it is the home link it has none.
        """
        before = self._seen()
        if not self._attached.change_link(link, addresses):
            return []
        self._discovery.hurry(now)
        return self._finish(before, self._registrar.links_changed(now), now)

    def home_link_changed(
        self, link: str | None, link_layer_address: bytes, now: float
    ) -> list[Action]:
        """Take note of which link is the home link now, and of our address on it; None away.

        What care-of addresses a link has when it is the home link no more is to be told anew.
        """
        before = self._seen()
        if not self._attached.change_home(link, link_layer_address):
            return []
        for entry in self.update_list:
            if entry.home and entry.link == link:  # we are found elsewhere on it
                entry.refresh_at_s = now
        self._registrar.settle_home(now)
        self._registrar.wish_for_links()
        report = Report(
            event="home-link-left" if link is None else "home-link-found",
            home_address=self.policy.home_address,
            detail=link or "",
        )
        actions = [report, *self._registrar.after_event(now)]
        return self._finish(before, actions, now)

    def links_avoided(self, links: Collection[str], now: float) -> list[Action]:
        """Take note of the links that packets do not use now, though they are registered."""
        before = self._seen()
        ask_anew(self.update_list, set(links) - set(self.flows.avoided), now)
        self.flows.avoided = links
        return self._finish(before, self._registrar.after_event(now), now)

    def receive(self, received: Received, now: float) -> list[Action]:
        """Take in one message."""
        message, envelope = received.message, received.envelope
        before = self._seen()
        actions: list[Action]
        match message:
            case HomeTest() if not self._came_home(envelope):
                actions = [Report(event="home-test-from-elsewhere")]
            case HomeTest() | CareOfTest():
                actions = self.optimization.receive(received, now)
            case BindingAcknowledgement() | BindingRefreshRequest() | BindingError() if (
                envelope.source in self.optimization
            ):
                actions = self.optimization.receive(received, now)
            case BindingAcknowledgement():
                actions = self._registrar.acknowledged(message, envelope, now)
            case BindingRefreshRequest():
                actions = self._registrar.refresh_requested(message, envelope, now)
            case BindingError():
                actions = self._registrar.error(message, envelope, now)
            case HomeAgentAddressDiscoveryReply():
                actions = self._discovered(message, now)
            case (
                MobilePrefixAdvertisement() | HomeAgentSwitch() | BindingRevocationIndication()
            ):
                actions = self._instructed(message, envelope, now)
            case HomeAgentAddressDiscoveryRequest() | MobilePrefixSolicitation():
                actions = [Report(event="message-not-for-a-mobile-node")]
            case _:
                actions = unrecognized_message(envelope.destination, envelope)
        return self._finish(before, actions, now)

    def next_deadline(self) -> float | None:
        """Return when handle_timer() is due, or None."""
        times = [self._registrar.next_deadline(), self._timers.next_deadline()]
        if not self._registrar.is_returning:
            times.append(self.optimization.next_deadline())
        return min((each for each in times if each is not None), default=None)

    def handle_timer(self, now: float) -> list[Action]:
        """Retransmit, refresh, expire and ask, whatever is due."""
        before = self._seen()
        actions = self._registrar.handle_timer(now)
        if not self._registrar.is_returning:
            actions += self.optimization.handle_timer(now)
        for timer in list(self._timers.expire(now)):
            match timer:
                case _Timer.DISCOVERY:
                    actions += self._discovery.request(self._attached.sources(), now)
                case _Timer.PREFIXES:
                    actions += self._solicit_prefixes(now)
        return self._finish(before, actions, now)

    def stop(self, now: float) -> list[Action]:
        """De-register everything (RFC 5648 §5.4); `is_stopped` tells when that is done."""
        before = self._seen()
        self.is_stopping = True
        for entry in self.update_list:
            entry.want(None)
        actions = self.optimization.leave(now)
        return self._finish(before, [*actions, *self._registrar.leave(now)], now)

    @property
    def is_stopped(self) -> bool:
        """True when the agent holds nothing of this node, as far as the node knows."""
        return self.is_stopping and self._registrar.is_empty

    @property
    def update_list(self) -> UpdateList:
        """The binding update list of the home agent in use."""
        return self._registrar.update_list

    @property
    def flows(self) -> FlowWishes:
        """What the home agent in use is told of flows."""
        return self._registrar.flows

    @property
    def uses_bids(self) -> bool:
        """Whether each care-of address has a binding of its own."""
        return self._registrar.uses_bids

    @property
    def agent_knows_bids(self) -> bool | None:
        """Whether the agent takes several care-of addresses; None before it has shown either."""
        return self._registrar.knows_bids

    @property
    def uses_bulk(self) -> bool:
        """Whether an update may speak of several."""
        return self._registrar.uses_bulk

    @property
    def outstanding(self) -> Outstanding | None:
        """The update that waits for its acknowledgement."""
        return self._registrar.outstanding

    @property
    def home_agent(self) -> IPv6Address | None:
        """The home agent in use; None while one is looked for."""
        return self._agents.current

    @property
    def home_link(self) -> str | None:
        """The link that is the home link now; None away from home."""
        return self._home.name

    @property
    def presence(self) -> Presence:
        """What we may do on the home link now (RFC 5648 §5.6.3, §5.6.4)."""
        return presence(self.update_list, self._home, self._attached.use_of_home)

    def paths(self) -> tuple[UsablePath, ...]:
        """Return what packets may use now."""
        use = self._attached.use_of_home
        return usable_paths(self.update_list, self._home, use, self.policy.home_address)

    def round_trip_s(self, care_of_address: IPv6Address) -> float | None:
        """Return how long the last update from this address took to be answered."""
        return self._attached.round_trip_s.get(care_of_address)

    # Correspondents (RFC 6275 §11.6, §11.7.2).

    def correspondent_used(self, correspondent: IPv6Address, now: float) -> list[Action]:
        """Take note of a packet to or from a node that may be talked to directly."""
        if self.is_stopping or correspondent == self._agents.current:
            return []
        if self._registrar.is_returning:
            return []  # they are told after the agent
        before = self._seen()
        return self._finish(before, self.optimization.used(correspondent, now), now)

    def correspondent_suspected(self, correspondent: IPv6Address, now: float) -> list[Action]:
        """Take note of a tunnelled packet of a node that should have sent it directly."""
        before = self._seen()
        return self._finish(before, self.optimization.suspected(correspondent, now), now)

    def option_unknown_to(self, correspondent: IPv6Address, now: float) -> list[Action]:
        """Take in an ICMPv6 error of a node that does not know our Home Address option."""
        before = self._seen()
        return self._finish(before, self.optimization.refused(correspondent, now), now)

    def test_unknown_to(
        self, correspondent: IPv6Address, cookie: bytes, now: float
    ) -> list[Action]:
        """Take in an ICMPv6 error about one of our tests, which had this cookie."""
        before = self._seen()
        actions = self.optimization.unknown_to(correspondent, cookie, now)
        return self._finish(before, actions, now)

    def visited_paths(self) -> tuple[UsablePath, ...]:
        """Return what packets to correspondents alone may use now, while we are at home."""
        if self._attached.use_of_home is not AtHome.HOME or not self.policy.optimizes_at_home:
            return ()
        return tuple(
            UsablePath(bid=number, link=link, care_of_address=address)
            for number, (address, link) in enumerate(self._attached.sources(), start=1)
        )

    def _came_home(self, envelope: Envelope) -> bool:
        """Tell whether a message came by way of the home address (RFC 6275 §11.6.2)."""
        return envelope.tunnelled or self._home.name is not None

    def _surroundings(self) -> Surroundings:
        """Return what may be bound at correspondents, and how home tests travel."""
        paths = self.paths()
        offered: dict[str, tuple[IPv6Address, ...]] = {}
        for each in self.visited_paths() or paths:
            if not each.home and each.care_of_address.ipv4_mapped is None:
                offered[each.link] = (*offered.get(each.link, ()), each.care_of_address)
        ways = tuple(Way(link=each.link, tunnelled=not each.home) for each in paths)
        return Surroundings(offered=offered, ways=ways)

    # Which home agent (RFC 6275 §11.4.1, RFC 5648 §5.7).

    def _told(self, news: News, now: float) -> bool:
        """Hear of the agent in use; True when another one is to take its place."""
        agents = self._agents
        match news:
            case News.PREFIXES_CHANGED:
                self._prefixes.necessary(now)
                return False
            case News.LEFT:
                self._step = None if self.is_stopping else _Step.CHANGE
                return not self.is_stopping
            case News.SILENT | News.REFUSES:
                agents.avoid(now)
            case News.WITHOUT_IDENTIFIERS | News.BOUND_ONE_ADDRESS:
                agents.lacks_identifiers()
        # Who refuses would be found again, and refuse again, as fast as packets travel.
        may_look = news is not News.REFUSES and agents.must_discover(now)
        changes = agents.better(now) is not None or may_look
        if self.is_stopping or not changes:
            return False
        # What an agent has bound is undone first: one alone can defend a home address.
        self._step = _Step.LEAVE if news is News.BOUND_ONE_ADDRESS else _Step.CHANGE
        return True

    def _follow(self, now: float) -> list[Action]:
        """Take the step that news asked for."""
        step, self._step = self._step, None
        match step:
            case None:
                return []
            case _Step.LEAVE:
                return self._registrar.leave(now)
            case _Step.CHANGE:
                return self._change_agent(self._agents.best(now), now)

    def _change_agent(self, agent: IPv6Address | None, now: float) -> list[Action]:
        """Begin anew with another agent, or with none as long as none is known."""
        self._agents.current = agent
        self._discovery.end()
        self._prefixes.end()
        self._registrar.begin_anew(agent, now)
        report = Report(
            event="home-agent-changed",
            home_address=self.policy.home_address,
            detail="looking for one" if agent is None else str(agent),
        )
        return [AgentChanged(home_agent=agent), report, *self._registrar.update(now)]

    def _discovered(self, reply: HomeAgentAddressDiscoveryReply, now: float) -> list[Action]:
        if not self._discovery.answered(reply):
            return [Report(event="discovery-reply-unexpected")]
        self._agents.learn(reply.addresses)
        report = Report(
            event="home-agents-discovered",
            home_address=self.policy.home_address,
            detail=" ".join(map(str, reply.addresses)),
        )
        # Who is found once more deserves another try: there is nobody better.
        return [report, *self._change_agent(self._agents.best_known(now), now)]

    def _solicit_prefixes(self, now: float) -> list[Action]:
        paths, agent = self.paths(), self._agents.current
        if not paths or agent is None:
            self._prefixes.end()
            return []
        return [self._prefixes.solicit(agent, paths[0].care_of_address, paths[0].link, now)]

    # What the agent tells us to do.

    def _instructed(self, message: Instruction, envelope: Envelope, now: float) -> list[Action]:
        if not self._registrar.is_from_agent(envelope):
            return [Report(event="instruction-from-stranger")]
        if not self.policy.accepts_unprotected:
            return [Report(event="instruction-unprotected")]
        match message:
            case MobilePrefixAdvertisement():
                return self._prefixes.answered(message, now)
            case HomeAgentSwitch():
                return self._switch(message, now)
            case BindingRevocationIndication():
                return self._revoked(message, envelope, now)

    def _switch(self, message: HomeAgentSwitch, now: float) -> list[Action]:
        """De-register, which says that we heard, and go where the agent sends us (RFC 5142)."""
        if self.is_stopping or self._registrar.is_ending:
            return []
        self._agents.avoid(now)
        self._agents.prefer(message.addresses)
        self._agents.may_discover |= not message.addresses
        report = Report(event="home-agent-switch", home_address=self.policy.home_address)
        return [report, *self._registrar.leave(now)]

    def _revoked(
        self, message: BindingRevocationIndication, envelope: Envelope, now: float
    ) -> list[Action]:
        """Give bindings up, and say so (RFC 5846 §9)."""
        status = revoke(self.update_list, message)
        more = self._registrar.revoked(now)
        home_address = self.policy.home_address
        named = tuple(i for i in message.identifiers if isinstance(i, BindingIdentifier))
        answer = BindingRevocationAcknowledgement(
            sequence=message.sequence,
            status=status,
            flags=message.flags,
            options=tuple(BindingIdentifier(bid=each.bid) for each in named),
        )
        own = envelope.destination if envelope.udp is None else envelope.udp.address
        back = to_agent(envelope.source, home_address, own, self._attached.link_of(own))
        names = " ".join(str(each.bid) for each in self.update_list if each.revoked)
        report = Report(event="bindings-revoked", home_address=home_address, detail=names)
        return [report, Send(message=answer, envelope=back), *more]

    # The end of every event.

    def _finish(self, before: _Seen, actions: list[Action], now: float) -> list[Action]:
        """Take the steps that follow, and put the data plane first: packets move before signalling."""
        actions = [*actions, *self._follow(now)]
        if not self.is_stopping and not self._registrar.is_returning:
            actions += self.optimization.surround(self._surroundings(), now)
        self._look_for_agent(now)
        self._arm(_Timer.DISCOVERY, self._discovery.due_s)
        self._arm(_Timer.PREFIXES, self._prefixes.due_s)
        after = self._seen()
        if after == before:
            return actions
        home_address = self.policy.home_address
        changes: list[Action] = [BindingsChanged(home_address=home_address)]
        if after.presence is Presence.DEFENDED is not before.presence:
            changes.append(Announce(home_address=home_address))
        return [*changes, *actions]

    def _look_for_agent(self, now: float) -> None:
        """Have home agents asked for as long as there is none, and something to tell it."""
        has_reason = self._registrar.has_something_to_say and not self.is_stopping
        if self._agents.current is None and has_reason and self._attached.sources():
            self._discovery.begin(now)
        else:
            self._discovery.end()

    def _arm(self, timer: _Timer, due_s: float | None) -> None:
        if due_s is None:
            self._timers.stop(timer)
        else:
            self._timers.set(timer, due_s)

    def _seen(self) -> _Seen:
        direct = self.optimization.direct()
        return _Seen(paths=self.paths(), presence=self.presence, direct=direct)
