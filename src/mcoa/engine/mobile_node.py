"""The mobile node (RFC 6275 §11, RFC 5648 §5): one binding for each care-of address.

The node has one update outstanding at a time, because all its bindings share one sequence
number and links of different delay would reorder them. That never holds it up: any event
sends a new update at once, with a new number and all that the agent may not know; whatever
an unanswered update spoke of counts as doubtful until one is acknowledged.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address
from math import inf
from random import Random

from mcoa.binding.sequence import is_newer, successor
from mcoa.binding.timers import TimerTable
from mcoa.binding.update_list import UpdateList
from mcoa.engine import answers, offers
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
from mcoa.engine.agent_choice import AgentChoice
from mcoa.engine.agent_discovery import PAUSE_S, AgentDiscovery
from mcoa.engine.attachments import Attachments
from mcoa.engine.pace import Pace
from mcoa.engine.policy import AtHome, MobileNodePolicy
from mcoa.engine.prefix_discovery import PrefixDiscovery
from mcoa.engine.returning_home import MOST_DRAINING_S, Presence
from mcoa.engine.revocation import revoke
from mcoa.engine.updates import Outstanding, make_update
from mcoa.engine.usable_paths import UsablePath, presence, usable_paths
from mcoa.engine.wish import Wish, next_wish
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    MobilePrefixAdvertisement,
)
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    HomeAgentSwitch,
)
from mcoa.wire.registry import BindingErrorStatus, BindingStatus

INITIAL_BINDACK_TIMEOUT_S = 1.0  # RFC 6275 §12
MAX_BINDACK_TIMEOUT_S = 32.0  # RFC 6275 §12

# Of the lifetime: what would be refreshed within this share comes along with the rest.
_COMPANY = 0.4

_BOTH_PROHIBITED = BindingStatus.MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED

# One copy may be lost; when two were not answered, somebody should know.
_SILENT_ATTEMPTS = 2

# Then it is another agent's turn, if there is another one.
_ATTEMPTS_AN_AGENT = 3


class _Timer(Enum):
    GATHER = "the first links had time to come up"
    PACE = "an update was held back"
    DRAIN = "what was under way over visited links has arrived"
    RETRANSMIT = "the outstanding update is unanswered"
    DISCOVER = "a home agent, or the home link's prefixes, are to be asked for"
    UPKEEP = "a binding is to be refreshed, retried or has expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the runtime acts upon."""

    paths: tuple[UsablePath, ...]
    presence: Presence


class MobileNode:
    """Keeps the home agent's bindings equal to the care-of addresses that the links have."""

    def __init__(self, policy: MobileNodePolicy, *, rng: Random) -> None:
        self.policy = policy
        self.update_list = UpdateList(link.bid for link in policy.links if link.bid)
        self.uses_bids = policy.multiple_care_of
        self.uses_bulk = policy.bulk
        self.is_stopping = False
        self._rng = rng
        self._sequence = rng.randrange(0x10000)
        self._attached = Attachments(policy, unknown_round_trip_s=MAX_BINDACK_TIMEOUT_S)
        self._home = self._attached.home
        self._afresh = True
        self._gather_until_s: float | None = None
        self._outstanding: Outstanding | None = None
        self._agents = AgentChoice(policy)
        self._discovery = AgentDiscovery(policy.home_network, rng)
        self._prefixes = PrefixDiscovery(policy.home_address, rng)
        self._takes_leave = False
        self._pace = Pace()
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
        self._wish_for_links()
        return self._with_changes(before, self._after_event(now))

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
        self._settle_home(now)
        self._wish_for_links()
        report = Report(
            event="home-link-left" if link is None else "home-link-found",
            home_address=self.policy.home_address,
            detail=link or "",
        )
        return [report, *self._with_changes(before, self._after_event(now))]

    def receive(self, received: Received, now: float) -> list[Action]:
        """Take in one message."""
        message, envelope = received.message, received.envelope
        before = self._seen()
        match message:
            case BindingAcknowledgement():
                actions = self._acknowledged(message, envelope, now)
            case BindingRefreshRequest():
                actions = self._refresh_requested(message, envelope, now)
            case BindingError():
                actions = self._error(message, envelope, now)
            case HomeAgentAddressDiscoveryReply():
                actions = self._discovered(message, now)
            case (
                MobilePrefixAdvertisement() | HomeAgentSwitch() | BindingRevocationIndication()
            ):
                actions = self._told_unprotected(message, envelope, now)
            case _:
                actions = [Report(event="message-not-for-a-mobile-node")]
        return self._with_changes(before, actions)

    def next_deadline(self) -> float | None:
        """Return when handle_timer() is due, or None."""
        return self._timers.next_deadline()

    def handle_timer(self, now: float) -> list[Action]:
        """Retransmit, refresh and expire (RFC 6275 §11.8, §11.7.1)."""
        actions: list[Action] = []
        before = self._seen()
        for timer in list(self._timers.expire(now)):
            match timer:
                case _Timer.GATHER | _Timer.PACE | _Timer.DRAIN:
                    actions += self._after_event(now)
                case _Timer.RETRANSMIT:
                    actions += self._retransmit(now)
                case _Timer.DISCOVER:
                    actions += self._discover(now)
                case _Timer.UPKEEP:
                    self._expire(now)
                    # An update under way is answered or retransmitted first; both look
                    # again at what is due.
                    actions += [] if self._outstanding else self._update(now)
        return self._with_changes(before, actions)

    def stop(self, now: float) -> list[Action]:
        """De-register everything (RFC 5648 §5.4); `is_stopped` tells when that is done."""
        before = self._seen()
        self.is_stopping = True
        for entry in self.update_list:
            entry.want(None)
        return self._with_changes(before, self._update(now))

    @property
    def is_stopped(self) -> bool:
        """True when the agent holds nothing of this node, as far as the node knows."""
        return self.is_stopping and not any(
            entry.held is not None or entry.doubtful for entry in self.update_list
        )

    @property
    def outstanding(self) -> Outstanding | None:
        """The update that waits for its acknowledgement."""
        return self._outstanding

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

    def _wish_for_links(self) -> None:
        if self.is_stopping:
            return
        links, offered = self.policy.links, self._attached.offers()
        if self.uses_bids:
            home_address = self.policy.home_address
            offers.wish_for_each(self.update_list, links, offered, home_address)
        else:
            offers.wish_for_one(self.update_list, links, offered)

    def _settle_home(self, now: float) -> None:
        """Draw the consequences of another use of the home link than before."""
        attached, home = self._attached, self._home
        before, use = attached.use_of_home, home.use(several=self.uses_bids)
        attached.use_of_home = use
        if use is before:
            return
        home.has_returned = False
        home.was_left = before is AtHome.BOTH and use is None and self._holds_home()
        self._timers.stop(_Timer.DRAIN)
        if AtHome.HOME in {before, use}:
            self._afresh = True  # all is deleted then, or made anew
        if use is AtHome.HOME:
            held = [each.held for each in self.update_list if each.held is not None]
            longest_s = max((attached.round_trip_s.get(a, 0.0) for a in held), default=0.0)
            home.drained_at_s = now + min(MOST_DRAINING_S, longest_s)
            if now < home.drained_at_s:
                self._timers.set(_Timer.DRAIN, home.drained_at_s)

    def _holds_home(self) -> bool:
        """Tell whether the agent may hold a home binding."""
        return any(e.home and (e.held is not None or e.doubtful) for e in self.update_list)

    # Sending.

    def _after_event(self, now: float) -> list[Action]:
        """Send what an event made necessary, superseding what is outstanding."""
        return [] if self._gathers(now) else self._update(now)

    def _gathers(self, now: float) -> bool:
        """Tell whether the first update still waits for other links."""
        if self._gather_until_s is None:
            self._gather_until_s = now + self.policy.gather_s
            self._timers.set(_Timer.GATHER, self._gather_until_s)
        if self._attached.is_complete():
            self._gather_until_s = now
            self._timers.stop(_Timer.GATHER)
        return now < self._gather_until_s

    def _update(self, now: float, attempt: int = 0) -> list[Action]:
        """Send one update about all that the agent does not know, if there is anything.

        Whatever is the reason for it: an agent that never answers as it should is one too,
        and would else get updates as fast as it answers.
        """
        wish = self._next_wish(now)
        if self._agents.current is None:
            return self._look_for_agent(wish, now)
        source = None if wish is None else self._source_of(wish, attempt)
        if wish is not None and source is not None:
            if self._pace.allows(now):
                self._home.has_returned = self._attached.use_of_home is AtHome.HOME
                agent = self._agents.current
                return [self._next_update(wish, agent, source, attempt, now)]
            self._timers.set(_Timer.PACE, self._pace.next_s(now))
        else:
            self._timers.stop(_Timer.RETRANSMIT)
            self._timers.stop(_Timer.PACE)
            self._outstanding = None
        self._arm_upkeep(now)
        return []

    def _next_update(
        self, wish: Wish, agent: IPv6Address, source: IPv6Address, attempt: int, now: float
    ) -> Send:
        """Make an update with the next sequence number, and wait for its answer alone."""
        for entry in self.update_list:
            ends_home = entry.home and wish.binds_abroad_alone
            if ends_home and source != self.policy.home_address:
                entry.doubtful, entry.status = True, None  # the agent defends again
            if wish.speaks_of(entry):
                entry.doubtful = True
        self._sequence = successor(self._sequence)
        first_s = self.policy.first_timeout_s if self._afresh else INITIAL_BINDACK_TIMEOUT_S
        self._outstanding = Outstanding(
            sequence=self._sequence,
            wish=wish,
            agent=agent,
            source=source,
            sent_at_s=now,
            lifetime_s=0 if wish.deregisters else self.policy.lifetime_s,
            timeout_s=min(first_s * 2**attempt, MAX_BINDACK_TIMEOUT_S),
            attempt=attempt,
        )
        self._timers.stop(_Timer.PACE)
        self._timers.set(_Timer.RETRANSMIT, now + self._outstanding.timeout_s)
        self._arm_upkeep(now)
        return make_update(
            self._outstanding,
            self.policy,
            link=self._attached.link_of(source),
            link_layer_address=self._home.link_layer_address,
        )

    def _next_wish(self, now: float) -> Wish | None:
        everything_goes = Wish(items=(), deregisters=True)
        if self.is_stopping:
            return None if self.is_stopped else everything_goes
        if self._takes_leave:
            return everything_goes
        if self._attached.use_of_home is AtHome.HOME:
            is_drained = now >= self._home.drained_at_s
            return everything_goes if self._afresh and is_drained else None
        return next_wish(
            self.update_list,
            afresh=self._afresh,
            bulk=self.uses_bulk,
            now=now,
            company_s=_COMPANY * self.policy.lifetime_s,
            left_home=self._home.was_left,
        )

    def _retransmit(self, now: float) -> list[Action]:
        # Over another link than before: the first may be dead without anybody's notice.
        attempt = 0 if self._outstanding is None else self._outstanding.attempt + 1
        if self._takes_leave and attempt == _SILENT_ATTEMPTS:
            return self._go_to(self._agents.best(now), now)
        if attempt == _ATTEMPTS_AN_AGENT:
            self._agents.avoid(now)
            if self._agents.may_discover or self._agents.better(now) is not None:
                return self._go_to(self._agents.best(now), now)
        actions = self._update(now, min(attempt, 63))
        if attempt == _SILENT_ATTEMPTS and actions:
            return [Report(event="home-agent-silent"), *actions]
        return actions

    def _source_of(self, wish: Wish, attempt: int) -> IPv6Address | None:
        entry = None
        if len(wish.items) == 1 and not wish.deregisters:
            entry = self.update_list.get(wish.items[0].bid)
        own = None if entry is None else entry.wanted
        return self._attached.source_of(wish, own, attempt)

    # Receiving.

    def _acknowledged(
        self, message: BindingAcknowledgement, envelope: Envelope, now: float
    ) -> list[Action]:
        if not self._is_from_agent(envelope):
            return [Report(event="acknowledgement-from-stranger")]
        if message.status is BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW:
            return self._resynchronise(message.sequence, now)
        outstanding = self._outstanding
        if outstanding is None or message.sequence != outstanding.sequence:
            return [Report(event="acknowledgement-unexpected")]
        self._outstanding = None
        self._timers.stop(_Timer.RETRANSMIT)
        self._attached.round_trip_s[outstanding.source] = now - outstanding.sent_at_s
        if self._takes_leave:
            return self._go_to(self._agents.best(now), now)
        return self._answered(outstanding, message, now)

    def _answered(
        self, outstanding: Outstanding, message: BindingAcknowledgement, now: float
    ) -> list[Action]:
        reading = answers.read(outstanding.wish, message, lifetime_s=outstanding.lifetime_s)
        reports = self._apply(reading, outstanding, now)
        if self.is_stopped:
            self._arm_upkeep(now)
            return reports
        if reading.unanswered:
            # Not refused, not confirmed: asking again at once could go on for ever.
            self._timers.set(_Timer.RETRANSMIT, now + outstanding.timeout_s)
            self._arm_upkeep(now)
            return reports
        return [*reports, *self._update(now)]

    def _apply(
        self, reading: answers.Reading, outstanding: Outstanding, now: float
    ) -> list[Action]:
        """Bring the update list and what is known of the agent up to date."""
        reports: list[Action] = []
        wish = outstanding.wish
        is_accepted = any(not status.is_rejection for status in reading.answers.values())
        if BindingStatus.ACCEPTED_PREFIX_DISCOVERY_NECESSARY in reading.answers.values():
            self._prefixes.necessary(now)
            self._arm_discovery()
        if reading.peer_lacks is not None:
            reports += self._fall_back(reading, outstanding, now)
        elif reading.overwrite_next:
            self._afresh = True
        elif is_accepted:
            self._afresh = False
            self._home.was_left &= not wish.binds_abroad_alone
        elif self._home.has_returned and reading.deletes_unnamed:
            self._afresh = False
            reports.append(Announce(home_address=self.policy.home_address))
        refresh_s = answers.refresh_after_s(reading, self._rng)
        for entry in list(self.update_list):
            answer = reading.answers.get(entry.bid)
            if answer is not None:
                reports += answers.apply(
                    entry, answer, outstanding, reading.lifetime_s, refresh_s, now
                )
            elif reading.deletes_unnamed and wish.speaks_of(entry):
                entry.forget()
        if _BOTH_PROHIBITED in reading.answers.values():
            reports += self._use_home_alone(now)
        return reports

    def _use_home_alone(self, now: float) -> list[Action]:
        """Give the visited links up while we are at home: the agent does not take both."""
        self._home.is_alone = True
        self._settle_home(now)
        self._wish_for_links()
        home_address = self.policy.home_address
        return [Report(event="home-and-foreign-refused", home_address=home_address)]

    def _fall_back(
        self, reading: answers.Reading, outstanding: Outstanding, now: float
    ) -> list[Action]:
        """Do without what the agent has not (RFC 5648 §5.7)."""
        home_address = self.policy.home_address
        if reading.peer_lacks is answers.Lack.BULK:
            # What the update spoke of stays doubtful, and so goes out again singly.
            self.uses_bulk = False
            return [Report(event="agent-refuses-bulk", home_address=home_address)]
        self._agents.lacks_identifiers()
        report = Report(event="agent-knows-no-bid", home_address=home_address)
        if self._agents.better(now) is not None:
            # What it may have bound is undone first: only one agent defends an address.
            self._takes_leave = reading.peer_made_plain_binding
            if not self._takes_leave:
                return [report, *self._go_to(self._agents.best(now), now)]
            return [report]
        self.uses_bids = False
        self.update_list.clear()
        self._afresh = not reading.peer_made_plain_binding
        self._settle_home(now)
        self._wish_for_links()
        plain, link = self.update_list.get(None), self._attached.link_of(outstanding.source)
        is_abroad = self._attached.use_of_home is not AtHome.HOME and link is not None
        if reading.peer_made_plain_binding and plain is not None and is_abroad:
            # The agent has bound the address that the update came from: keep it.
            plain.want(outstanding.source)
            plain.link = link or ""
        return [report]

    def _resynchronise(self, last_accepted: int, now: float) -> list[Action]:
        """Adopt the agent's sequence number, unless an overtaken copy was refused.

        If the agent would take the outstanding update, or has taken just that one, the
        refusal answers an older update that arrived late: nothing is wrong.
        """
        outstanding = self._outstanding
        if outstanding is None or last_accepted == outstanding.sequence:
            return []
        if is_newer(outstanding.sequence, last_accepted):
            return []
        self._sequence = last_accepted
        return self._update(now, outstanding.attempt)

    def _refresh_requested(
        self, message: BindingRefreshRequest, envelope: Envelope, now: float
    ) -> list[Action]:
        """Refresh what the agent asks for, or all (RFC 5648 §5.8)."""
        if envelope.source != self._agents.current:
            return [Report(event="refresh-request-from-stranger")]
        named = {identifier.bid for identifier in message.identifiers}
        for entry in self.update_list:
            if entry.held is not None and (not named or entry.bid in named):
                entry.refresh_at_s = now
        return [] if self._outstanding else self._after_event(now)

    def _error(self, message: BindingError, envelope: Envelope, now: float) -> list[Action]:
        if envelope.source != self._agents.current:
            return [Report(event="error-from-stranger")]
        if message.status is not BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS:
            return [Report(event="agent-lacks-message-type")]
        if not self._afresh:
            self._afresh = True
            for entry in self.update_list:
                entry.forget()
            report = Report(event="agent-forgot-us", home_address=self.policy.home_address)
            return [report, *self._after_event(now)]
        return []

    def _is_from_agent(self, envelope: Envelope) -> bool:
        home_address = self.policy.home_address
        if envelope.source != self._agents.current:
            return False
        return home_address in (envelope.routing_header_home_address, envelope.destination)

    # Home agents (RFC 6275 §11.4, RFC 5142, RFC 5846).

    def _look_for_agent(self, wish: Wish | None, now: float) -> list[Action]:
        """Ask for home agents as long as there is something to tell them."""
        if wish is None:
            self._discovery.end()
        else:
            self._discovery.begin(now)
        return self._discover(now)

    def _discover(self, now: float) -> list[Action]:
        actions: list[Action] = []
        discovery, prefixes, agent = self._discovery, self._prefixes, self._agents.current
        if discovery.due_s is not None and discovery.due_s <= now:
            actions += discovery.request(self._attached.sources(), now)
        if prefixes.due_s is not None and prefixes.due_s <= now:
            paths = self.paths()
            if agent is not None and paths:
                way = paths[0]
                actions.append(prefixes.solicit(agent, way.care_of_address, way.link, now))
            else:
                prefixes.end()
        self._arm_discovery()
        return actions

    def _arm_discovery(self) -> None:
        times = [self._discovery.due_s, self._prefixes.due_s]
        due_s = min((each for each in times if each is not None), default=None)
        if due_s is None:
            self._timers.stop(_Timer.DISCOVER)
        else:
            self._timers.set(_Timer.DISCOVER, due_s)

    def _discovered(self, reply: HomeAgentAddressDiscoveryReply, now: float) -> list[Action]:
        if not self._discovery.answered(reply):
            return [Report(event="discovery-reply-unexpected")]
        self._agents.learn(reply.addresses)
        self._agents.may_discover = False  # until all of these have failed
        names = " ".join(map(str, reply.addresses))
        report = Report(
            event="home-agents-discovered",
            home_address=self.policy.home_address,
            detail=names,
        )
        best = self._agents.best(now)
        self._agents.may_discover = self.policy.home_agent is None
        if best is None:
            self._discovery.begin(now + PAUSE_S)
            self._arm_discovery()
            return [report]
        return [report, *self._go_to(best, now)]

    def _go_to(self, agent: IPv6Address | None, now: float) -> list[Action]:
        """Begin anew with another home agent, or with none as long as none is known."""
        self._takes_leave = False
        self._agents.current = agent
        self._discovery.end()
        self._prefixes.end()
        if self.uses_bids is not self.policy.multiple_care_of:
            self.update_list.clear()
        for entry in self.update_list:
            entry.begin_anew()
        self.uses_bids = self.policy.multiple_care_of
        self.uses_bulk = self.policy.bulk
        self._afresh, self._outstanding = True, None
        self._home.is_alone = self._home.was_left = False
        self._settle_home(now)
        self._wish_for_links()
        report = Report(
            event="home-agent-changed",
            home_address=self.policy.home_address,
            detail="looking for one" if agent is None else str(agent),
        )
        return [AgentChanged(home_agent=agent), report, *self._update(now)]

    def _told_unprotected(
        self,
        message: MobilePrefixAdvertisement | HomeAgentSwitch | BindingRevocationIndication,
        envelope: Envelope,
        now: float,
    ) -> list[Action]:
        """Take in what only our agent may say, and only protected (RFC 5142 §4)."""
        if not self._is_from_agent(envelope):
            return [Report(event="instruction-from-stranger")]
        if not self.policy.accepts_unprotected:
            return [Report(event="instruction-unprotected")]
        match message:
            case MobilePrefixAdvertisement():
                actions = self._prefixes.answered(message, now)
                self._arm_discovery()
                return actions
            case HomeAgentSwitch():
                return self._switch(message, now)
            case BindingRevocationIndication():
                return self._revoked(message, envelope, now)

    def _switch(self, message: HomeAgentSwitch, now: float) -> list[Action]:
        """De-register, which says that we heard, and go where the agent sends us."""
        if self._takes_leave or self.is_stopping:
            return []
        self._agents.avoid(now)
        self._agents.prefer(message.addresses)
        self._agents.may_discover |= not message.addresses
        self._takes_leave = True
        report = Report(event="home-agent-switch", home_address=self.policy.home_address)
        return [report, *self._update(now)]

    def _revoked(
        self, message: BindingRevocationIndication, envelope: Envelope, now: float
    ) -> list[Action]:
        status = revoke(self.update_list, message)
        home_address = self.policy.home_address
        is_at_home = envelope.destination == home_address
        answer = BindingRevocationAcknowledgement(
            sequence=message.sequence, status=status, options=message.options
        )
        back = Envelope(
            source=envelope.destination,
            destination=envelope.source,
            home_address=None if is_at_home else home_address,
            link=self._attached.link_of(envelope.destination),
        )
        names = " ".join(str(each.bid) for each in self.update_list if each.revoked)
        report = Report(event="bindings-revoked", home_address=home_address, detail=names)
        self._arm_upkeep(now)
        return [report, Send(message=answer, envelope=back)]

    # Upkeep.

    def _expire(self, now: float) -> None:
        for entry in self.update_list:
            if entry.expires_at_s <= now:
                entry.forget()

    def _arm_upkeep(self, now: float) -> None:
        times = [
            time
            for entry in self.update_list
            for time in (entry.expires_at_s, entry.refresh_at_s, entry.quiet_until_s)
            if now < time < inf
        ]
        if times:
            self._timers.set(_Timer.UPKEEP, min(times))
        else:
            self._timers.stop(_Timer.UPKEEP)

    def _seen(self) -> _Seen:
        return _Seen(paths=self.paths(), presence=self.presence)

    def _with_changes(self, before: _Seen, actions: list[Action]) -> list[Action]:
        """Put the data plane first: packets move before signalling leaves."""
        after = self._seen()
        if after == before:
            return actions
        home_address = self.policy.home_address
        changes: list[Action] = [BindingsChanged(home_address=home_address)]
        if after.presence is Presence.DEFENDED is not before.presence:
            changes.append(Announce(home_address=home_address))
        return [*changes, *actions]
