"""Registration with one home agent (RFC 6275 §11.7, RFC 5648 §5): what it holds, made what is wanted.

One update is outstanding at a time, because all bindings share one sequence number and links of
different delay would reorder them. That never holds anything up: any event sends a new update at
once, with a new number and all that the agent may not know; whatever an unanswered update spoke
of counts as doubtful until one is acknowledged.
"""

from collections.abc import Callable
from enum import Enum
from ipaddress import IPv6Address
from math import inf
from random import Random

from mcoa.binding.sequence import is_newer, successor
from mcoa.binding.timers import TimerTable
from mcoa.binding.update_list import UpdateList
from mcoa.engine import answers, offers
from mcoa.engine.actions import Action, Announce, Envelope, Report, Send
from mcoa.engine.agent_choice import News
from mcoa.engine.attachments import Attachments
from mcoa.engine.flow_wishes import PRIORITY, SAYS_NOTHING, FlowWishes
from mcoa.engine.pace import Pace
from mcoa.engine.policy import AtHome, MobileNodePolicy
from mcoa.engine.returning_home import MOST_DRAINING_S
from mcoa.engine.silence import puts_off
from mcoa.engine.updates import Outstanding, make_update
from mcoa.engine.wish import Wish, next_wish
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
)
from mcoa.wire.registry import BindingErrorStatus, BindingStatus

INITIAL_BINDACK_TIMEOUT_S = 1.0  # RFC 6275 §12
MAX_BINDACK_TIMEOUT_S = 32.0  # RFC 6275 §12

# Of the lifetime: what would be refreshed within this share comes along with the rest.
_COMPANY = 0.4

_BOTH_PROHIBITED = BindingStatus.MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED
_ASK_FOR_PREFIXES = BindingStatus.ACCEPTED_PREFIX_DISCOVERY_NECESSARY

# One copy may be lost; when two were not answered, somebody should know.
_SILENT_ATTEMPTS = 2

# Then it is another agent's turn, if there is another one.
_ATTEMPTS_AN_AGENT = 3

# Then it is IPv4's turn, where there is IPv4, and IPv6's again later.
_ATTEMPTS_A_FAMILY = 3

_HOME_QUIET_S = 20.0


class _Timer(Enum):
    GATHER = "the first links had time to come up"
    PACE = "an update was held back"
    DRAIN = "what was under way over visited links has arrived"
    RETRANSMIT = "the outstanding update is unanswered"
    UPKEEP = "a binding is to be refreshed, retried or has expired"


class Registrar:
    """Tells the home agent in use what it does not know yet.

    Args:
        policy: the mobile node's.
        attached: where it is attached.
        agent: the home agent in use; None while one is looked for.
        rng: draws the first sequence number, and spreads refreshes.
        told: told of news; where it returns True, the registrar does nothing more about it,
            for begin_anew() or leave() will follow.

    Attributes:
        outstanding: the update that waits for its acknowledgement.
        flows: what the agent is told of them.
    """

    def __init__(
        self,
        policy: MobileNodePolicy,
        attached: Attachments,
        agent: IPv6Address | None,
        *,
        rng: Random,
        told: Callable[[News, float], bool],
    ) -> None:
        self.update_list = UpdateList(link.bid for link in policy.links if link.bid)
        self.agent = agent
        self.uses_bids = policy.multiple_care_of
        self.uses_bulk = policy.bulk
        self.outstanding: Outstanding | None = None
        self.flows = FlowWishes(policy.flows)
        self._policy = policy
        self._attached = attached
        attached.reach(agent)
        self._home = attached.home
        self._rng = rng
        self._told = told
        self._sequence = rng.randrange(0x10000)
        self._afresh = True
        self._has_used_bids = False
        self._is_ending = False
        self._gather_until_s: float | None = None
        self._pace = Pace()
        self._timers: TimerTable[_Timer] = TimerTable()

    @property
    def has_something_to_say(self) -> bool:
        """True when an agent, if there were one, would be sent an update."""
        return any(entry.wanted is not None for entry in self.update_list)

    @property
    def knows_bids(self) -> bool | None:
        """Whether the agent takes Binding Identifiers; None before it has shown either."""
        return (self._has_used_bids or None) if self.uses_bids else False

    @property
    def is_returning(self) -> bool:
        """True while the agent has yet to confirm that we use the home link alone.

        Until then it may tunnel what correspondents answer to a former care-of address (RFC 6275
        §11.5.5). One that stays silent is not waited for.
        """
        if self._attached.use_of_home is not AtHome.HOME or self.agent is None:
            return False
        if self.outstanding is not None:
            return self.outstanding.attempt <= _SILENT_ATTEMPTS
        return not self._home.has_returned

    @property
    def is_empty(self) -> bool:
        """True when the agent holds nothing of this node, as far as the node knows."""
        return not any(e.held is not None or e.doubtful for e in self.update_list)

    @property
    def is_ending(self) -> bool:
        """True since leave(), until begin_anew()."""
        return self._is_ending

    def next_deadline(self) -> float | None:
        """Return when handle_timer() is due, or None."""
        return self._timers.next_deadline()

    def handle_timer(self, now: float) -> list[Action]:
        """Retransmit, refresh and expire (RFC 6275 §11.8, §11.7.1)."""
        actions: list[Action] = []
        for timer in list(self._timers.expire(now)):
            match timer:
                case _Timer.GATHER | _Timer.PACE | _Timer.DRAIN:
                    actions += self.after_event(now)
                case _Timer.RETRANSMIT:
                    actions += self._retransmit(now)
                case _Timer.UPKEEP:
                    self._expire(now)
                    # An update under way is answered or retransmitted first; both look
                    # again at what is due.
                    actions += [] if self.outstanding else self.update(now)
        return actions

    def leave(self, now: float) -> list[Action]:
        """De-register everything in one update (RFC 5648 §5.4), until that is acknowledged."""
        self._is_ending = True
        return self.update(now)

    def begin_anew(self, agent: IPv6Address | None, now: float) -> None:
        """Take another agent, of which nothing is known, and which knows nothing."""
        self.agent, self.outstanding = agent, None
        self._attached.reach(agent)
        self._is_ending, self._afresh = False, True
        if self.uses_bids is not self._policy.multiple_care_of:
            self.update_list.clear()
        for entry in self.update_list:
            entry.begin_anew()
        self.flows.begin_anew()
        self.uses_bids, self.uses_bulk = self._policy.multiple_care_of, self._policy.bulk
        self._home.is_alone = self._home.is_unheard = self._home.was_left = False
        self._has_used_bids = False
        self.settle_home(now)
        self.wish_for_links()
        self._timers.stop(_Timer.RETRANSMIT)

    def revoked(self, now: float) -> list[Action]:
        """Take note that registrations have been given up on the agent's word."""
        self._arm_upkeep(now)
        return self.update(now) if self._is_ending else []

    def links_changed(self, now: float) -> list[Action]:
        """Say what follows from what the links offer now."""
        if self._home.is_unheard and self._attached.has_visited_links:
            self._home.is_unheard = False  # what answers there tells what the agent is
            self.settle_home(now)
        self.wish_for_links()
        return self.after_event(now)

    def wish_for_links(self) -> None:
        """Want what the links offer now."""
        if self._is_ending:
            return
        links, offered = self._policy.links, self._attached.offers()
        if self.uses_bids:
            home_address = self._policy.home_address
            offers.wish_for_each(self.update_list, links, offered, home_address)
        else:
            offers.wish_for_one(self.update_list, links, offered)

    def settle_home(self, now: float) -> None:
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

    def after_event(self, now: float) -> list[Action]:
        """Send what an event made necessary, superseding what is outstanding."""
        return [] if self._gathers(now) else self.update(now)

    def _gathers(self, now: float) -> bool:
        """Tell whether the first update still waits for other links."""
        if self._gather_until_s is None:
            self._gather_until_s = now + self._policy.gather_s
            self._timers.set(_Timer.GATHER, self._gather_until_s)
        if self._attached.is_complete():
            self._gather_until_s = now
            self._timers.stop(_Timer.GATHER)
        return now < self._gather_until_s

    def update(self, now: float, attempt: int = 0) -> list[Action]:
        """Send one update about all that the agent does not know, if there is anything.

        Whatever is the reason for it: an agent that never answers as it should is one too,
        and would else get updates as fast as it answers.
        """
        wish = self._next_wish(now)
        source = None if wish is None else self._source_of(wish, attempt)
        if wish is not None and source is not None and self.agent is not None:
            if self._pace.allows(now):
                self._home.has_returned = self._attached.use_of_home is AtHome.HOME
                return [self._next_update(wish, self.agent, source, attempt, now)]
            self._timers.set(_Timer.PACE, self._pace.next_s(now))
        else:
            self._timers.stop(_Timer.RETRANSMIT)
            self._timers.stop(_Timer.PACE)
            self.outstanding = None
            if self._is_ending and self.is_empty:
                self._told(News.LEFT, now)
        self._arm_upkeep(now)
        return []

    def _next_update(
        self, wish: Wish, agent: IPv6Address, source: IPv6Address, attempt: int, now: float
    ) -> Send:
        """Make an update with the next sequence number, and wait for its answer alone."""
        for entry in self.update_list:
            ends_home = entry.home and wish.binds_abroad_alone
            if ends_home and source != self._policy.home_address:
                entry.doubtful, entry.status = True, None  # the agent defends again
            if wish.speaks_of(entry):
                entry.doubtful = True
        self._sequence = successor(self._sequence)
        flows = SAYS_NOTHING
        if self.uses_bids and (wish.items or not wish.deregisters):
            named = () if wish.deregisters else [item.bid for item in wish.items]
            flows = self.flows.say(list(self.update_list), named, now)
        first_s = self._policy.first_timeout_s if self._afresh else INITIAL_BINDACK_TIMEOUT_S
        self.outstanding = Outstanding(
            sequence=self._sequence,
            wish=wish,
            agent=agent,
            source=source,
            sent_at_s=now,
            lifetime_s=0 if wish.deregisters else self._policy.lifetime_s,
            timeout_s=min(first_s * 2**attempt, MAX_BINDACK_TIMEOUT_S),
            attempt=attempt,
            flows=flows,
        )
        self._timers.stop(_Timer.PACE)
        self._timers.set(_Timer.RETRANSMIT, now + self.outstanding.timeout_s)
        self._arm_upkeep(now)
        return make_update(
            self.outstanding,
            self._policy,
            link=self._attached.link_of(source),
            link_layer_address=self._home.link_layer_address,
            flows=self.flows.options(flows),
            priority=PRIORITY if self.flows.is_wanted else 0,
        )

    def _next_wish(self, now: float) -> Wish | None:
        everything_goes = Wish(items=(), deregisters=True)
        if self._is_ending:
            return None if self.is_empty else everything_goes
        if self._attached.use_of_home is AtHome.HOME:
            is_drained = now >= self._home.drained_at_s
            return everything_goes if self._afresh and is_drained else None
        return next_wish(
            self.update_list,
            afresh=self._afresh,
            bulk=self.uses_bulk,
            now=now,
            company_s=_COMPANY * self._policy.lifetime_s,
            left_home=self._home.was_left,
            home_is_proven=self._home_is_proven(),
            has_more_to_say=self.uses_bids and self.flows.is_due(self.update_list, now),
        )

    def _retransmit(self, now: float) -> list[Action]:
        # Over another link than before: the first may be dead without anybody's notice.
        attempt = 0 if self.outstanding is None else self.outstanding.attempt + 1
        if self.outstanding and puts_off(self.update_list, self.outstanding.wish, now):
            attempt = 0
        if self._is_ending and attempt == _SILENT_ATTEMPTS and self._told(News.LEFT, now):
            return []
        if attempt >= _ATTEMPTS_AN_AGENT and self._told(News.SILENT, now):
            return []
        if attempt and attempt % _ATTEMPTS_A_FAMILY == 0:
            self._turn_family()
        actions: list[Action] = []
        if attempt == _SILENT_ATTEMPTS and self._is_unproven_home():
            actions, attempt = self._doubt_home(now), 0
        actions += self.update(now, min(attempt, 63))
        if attempt == _SILENT_ATTEMPTS and actions:
            return [Report(event="home-agent-silent"), *actions]
        return actions

    def _turn_family(self) -> None:
        """Try the other family of addresses, if not one update was answered."""
        is_heard = any(entry.is_usable for entry in self.update_list)
        if not is_heard and not self._is_ending and self._attached.turn_family():
            self.wish_for_links()

    def _is_unproven_home(self) -> bool:
        """Tell whether the update under way binds a home link over which nothing came yet."""
        names_home = self.outstanding is not None and self.outstanding.wish.names_home
        return names_home and not self._home_is_proven()

    def _home_is_proven(self) -> bool:
        return all(entry.is_usable for entry in self.update_list if entry.home)

    def _doubt_home(self, now: float) -> list[Action]:
        """Do without the home link for a while: the agent does not seem to be there.

        Any router can advertise the home prefix. Were the home link bound by an update from
        another one, traffic would go where nobody takes it. Without any other link it is used as
        if the agent took no visited ones: a plain agent answers a node that returns only when
        that has answered its solicitation (RFC 6275 §11.5.5), which one with a home binding
        must not (RFC 5648 §5.6.3).
        """
        home_address = self._policy.home_address
        if not self._attached.has_visited_links and not self._has_used_bids:
            self._home.is_unheard = True
            self._settle_anew(now)
            return [Report(event="home-agent-silent-at-home", home_address=home_address)]
        for entry in self.update_list:
            if entry.home:
                entry.quiet_until_s = now + _HOME_QUIET_S
        self._home.was_left = True
        return [Report(event="home-agent-not-at-home", home_address=home_address)]

    def _source_of(self, wish: Wish, attempt: int) -> IPv6Address | None:
        entry = None
        if len(wish.items) == 1 and not wish.deregisters:
            entry = self.update_list.get(wish.items[0].bid)
        own = None if entry is None else entry.wanted
        if wish.names_home and not self._home_is_proven():
            return self._policy.home_address  # what answers there is the home link
        return self._attached.source_of(wish, own, attempt)

    # Receiving.

    def acknowledged(
        self, message: BindingAcknowledgement, envelope: Envelope, now: float
    ) -> list[Action]:
        """Take in an acknowledgement (RFC 6275 §11.7.3, RFC 5648 §5.7)."""
        if not self.is_from_agent(envelope):
            return [Report(event="acknowledgement-from-stranger")]
        if message.status is BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW:
            return self._resynchronise(message.sequence, now)
        outstanding = self.outstanding
        if outstanding is None or message.sequence != outstanding.sequence:
            return [Report(event="acknowledgement-unexpected")]
        if answers.is_of_another_update(outstanding.wish, message):
            return [Report(event="acknowledgement-of-another-update")]
        self.outstanding = None
        self._timers.stop(_Timer.RETRANSMIT)
        self._attached.round_trip_s[outstanding.source] = now - outstanding.sent_at_s
        if self._is_ending and self._told(News.LEFT, now):
            return []
        return self._answered(outstanding, message, now)

    def _answered(
        self, outstanding: Outstanding, message: BindingAcknowledgement, now: float
    ) -> list[Action]:
        reading = answers.read(outstanding.wish, message, lifetime_s=outstanding.lifetime_s)
        if reading.peer_lacks is answers.Lack.IDENTIFIERS:
            has_bound = reading.peer_made_plain_binding
            news = News.BOUND_ONE_ADDRESS if has_bound else News.WITHOUT_IDENTIFIERS
            if self._told(news, now):
                return []
        holds_nothing = all(entry.held is None for entry in self.update_list)
        if holds_nothing and reading.refuses_node and self._told(News.REFUSES, now):
            return []
        reports = self._apply(reading, outstanding, now)
        if self.uses_bids and any(not each.is_rejection for each in reading.answers.values()):
            reports += self.flows.answered(outstanding.flows, message, now)
        if self._is_ending and self.is_empty:
            self._arm_upkeep(now)
            return reports
        if reading.unanswered:
            # Not refused, not confirmed: asking again at once could go on for ever.
            self._timers.set(_Timer.RETRANSMIT, now + outstanding.timeout_s)
            self._arm_upkeep(now)
            return reports
        return [*reports, *self.update(now)]

    def _apply(
        self, reading: answers.Reading, outstanding: Outstanding, now: float
    ) -> list[Action]:
        """Bring the update list and what is known of the agent up to date."""
        reports: list[Action] = []
        wish = outstanding.wish
        is_accepted = any(not status.is_rejection for status in reading.answers.values())
        self._has_used_bids |= self.uses_bids and is_accepted and None not in reading.answers
        if _ASK_FOR_PREFIXES in reading.answers.values():
            self._told(News.PREFIXES_CHANGED, now)
        if reading.peer_lacks is not None:
            reports += self._fall_back(reading, outstanding, now)
        elif reading.overwrite_next:
            self._afresh = True
        elif is_accepted:
            self._afresh &= wish.overwrites and reading.unanswered
            self._home.was_left &= not wish.binds_abroad_alone
        elif self._home.has_returned and reading.deletes_unnamed:
            self._afresh = False
            reports.append(Announce(home_address=self._policy.home_address))
        refresh_s = answers.refresh_after_s(reading, self._rng)
        for entry in list(self.update_list):
            answer = reading.answers.get(entry.bid)
            if answer is not None:
                entry.translated = reading.keepalive_s is not None
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
        self._settle_anew(now)
        home_address = self._policy.home_address
        return [Report(event="home-and-foreign-refused", home_address=home_address)]

    def _settle_anew(self, now: float) -> None:
        self.settle_home(now)
        self.wish_for_links()

    def _fall_back(
        self, reading: answers.Reading, outstanding: Outstanding, now: float
    ) -> list[Action]:
        """Do without what the agent has not (RFC 5648 §5.7)."""
        home_address = self._policy.home_address
        if reading.peer_lacks is answers.Lack.BULK:
            # What the update spoke of stays doubtful, and so goes out again singly.
            self.uses_bulk = False
            return [Report(event="agent-refuses-bulk", home_address=home_address)]
        self.uses_bids = False
        self.update_list.clear()
        self._afresh = not reading.peer_made_plain_binding
        self.settle_home(now)
        self.wish_for_links()
        plain, link = self.update_list.get(None), self._attached.link_of(outstanding.source)
        is_abroad = self._attached.use_of_home is not AtHome.HOME and link is not None
        if reading.peer_made_plain_binding and plain is not None and is_abroad:
            # The agent has bound the address that the update came from: keep it.
            plain.want(outstanding.source)
            plain.link = link or ""
        return [Report(event="agent-knows-no-bid", home_address=home_address)]

    def _resynchronise(self, last_accepted: int, now: float) -> list[Action]:
        """Adopt the agent's sequence number, unless an overtaken copy was refused.

        If the agent would take the outstanding update, or has taken just that one, the
        refusal answers an older update that arrived late: nothing is wrong.
        """
        outstanding = self.outstanding
        if outstanding is None or last_accepted == outstanding.sequence:
            return []
        if is_newer(outstanding.sequence, last_accepted):
            return []
        self._sequence = last_accepted
        return self.update(now, outstanding.attempt)

    def refresh_requested(
        self, message: BindingRefreshRequest, envelope: Envelope, now: float
    ) -> list[Action]:
        """Refresh what the agent asks for, or all (RFC 5648 §5.8)."""
        if envelope.source != self.agent:
            return [Report(event="refresh-request-from-stranger")]
        named = {identifier.bid for identifier in message.identifiers}
        for entry in self.update_list:
            if entry.held is not None and (not named or entry.bid in named):
                entry.refresh_at_s = now
        return [] if self.outstanding else self.after_event(now)

    def error(self, message: BindingError, envelope: Envelope, now: float) -> list[Action]:
        """Take in a Binding Error (RFC 6275 §11.3.6)."""
        if envelope.source != self.agent:
            return [Report(event="error-from-stranger")]
        if message.status is not BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS:
            return [Report(event="agent-lacks-message-type")]
        if not self._afresh:
            self._afresh = True
            for entry in self.update_list:
                entry.forget()
            self.flows.begin_anew()  # it may be another version of itself
            report = Report(event="agent-forgot-us", home_address=self._policy.home_address)
            return [report, *self.after_event(now)]
        return []

    def is_from_agent(self, envelope: Envelope) -> bool:
        """Tell whether a message is from the agent in use, and for our home address."""
        home_address = self._policy.home_address
        if envelope.source != self.agent:
            return False
        return home_address in (envelope.routing_header_home_address, envelope.destination)

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
