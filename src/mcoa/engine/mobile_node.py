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
from mcoa.engine.actions import Action, BindingsChanged, Envelope, Received, Report, Send
from mcoa.engine.addresses import is_unicast_routable
from mcoa.engine.pace import Pace
from mcoa.engine.policy import MobileNodePolicy
from mcoa.engine.returning_home import Presence
from mcoa.engine.wish import Wish, next_wish
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
)
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingErrorStatus, BindingStatus, UpdateFlag

INITIAL_BINDACK_TIMEOUT_S = 1.0  # RFC 6275 §12
MAX_BINDACK_TIMEOUT_S = 32.0  # RFC 6275 §12

# Of the lifetime: what would be refreshed within this share comes along with the rest.
_COMPANY = 0.4

# One copy may be lost; when two were not answered, somebody should know.
_SILENT_ATTEMPTS = 2

_HOME_UPDATE = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME


class _Timer(Enum):
    GATHER = "the first links had time to come up"
    PACE = "an update was held back"
    RETRANSMIT = "the outstanding update is unanswered"
    UPKEEP = "a binding is to be refreshed, retried or has expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """The update that waits for its acknowledgement."""

    sequence: int
    wish: Wish
    source: IPv6Address
    sent_at_s: float
    lifetime_s: int
    timeout_s: float
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsablePath:
    """A care-of address from which the home agent takes packets.

    Attributes:
        home: the home link, over which packets travel as they are; the care-of address is
            the home address.
    """

    bid: int | None
    link: str
    care_of_address: IPv6Address
    home: bool = False


class MobileNode:
    """Keeps the home agent's bindings equal to the care-of addresses that the links have."""

    def __init__(self, policy: MobileNodePolicy, *, rng: Random) -> None:
        self.policy = policy
        self.update_list = UpdateList(link.bid for link in policy.links if link.bid)
        self.uses_bids = policy.multiple_care_of
        self.uses_bulk = policy.bulk
        self.is_stopping = False
        self.presence = Presence.AWAY
        self.home_link: str | None = None
        self._rng = rng
        self._sequence = rng.randrange(0x10000)
        self._links: dict[str, tuple[IPv6Address, ...]] = {}
        self._afresh = True
        self._gather_until_s: float | None = None
        self._outstanding: Outstanding | None = None
        self._round_trip_s: dict[IPv6Address, float] = {}
        self._pace = Pace()
        self._timers: TimerTable[_Timer] = TimerTable()

    # What the runtime tells and asks.

    def links_changed(
        self, link: str, addresses: tuple[IPv6Address, ...], now: float
    ) -> list[Action]:
        """Take note of the care-of addresses that a link has now; none when it is down."""
        home = self.policy.home_network
        usable = tuple(a for a in addresses if is_unicast_routable(a) and a not in home)
        if self._links.get(link, ()) == usable:
            return []
        self._links[link] = usable
        self._round_trip_s = {a: s for a, s in self._round_trip_s.items() if self._link_of(a)}
        paths = self.paths()
        self._wish_for_links()
        return self._with_changes(paths, self._after_event(now))

    def home_link_changed(
        self, link: str | None, link_layer_address: bytes, now: float
    ) -> list[Action]:
        """Take note of which link is the home link now, and of our address on it; None away.

        A link that is at home offers no care-of addresses: links_changed() says so first.
        """
        self.home_link = link
        del link_layer_address, now
        return []

    def receive(self, received: Received, now: float) -> list[Action]:
        """Take in one message."""
        message, envelope = received.message, received.envelope
        paths = self.paths()
        match message:
            case BindingAcknowledgement():
                actions = self._acknowledged(message, envelope, now)
            case BindingRefreshRequest():
                actions = self._refresh_requested(message, envelope, now)
            case BindingError():
                actions = self._error(message, envelope, now)
            case _:
                actions = [Report(event="message-not-for-a-mobile-node")]
        return self._with_changes(paths, actions)

    def next_deadline(self) -> float | None:
        """Return when handle_timer() is due, or None."""
        return self._timers.next_deadline()

    def handle_timer(self, now: float) -> list[Action]:
        """Retransmit, refresh and expire (RFC 6275 §11.8, §11.7.1)."""
        actions: list[Action] = []
        paths = self.paths()
        for timer in list(self._timers.expire(now)):
            match timer:
                case _Timer.GATHER | _Timer.PACE:
                    actions += self._after_event(now)
                case _Timer.RETRANSMIT:
                    actions += self._retransmit(now)
                case _Timer.UPKEEP:
                    self._expire(now)
                    # An update under way is answered or retransmitted first; both look
                    # again at what is due.
                    actions += [] if self._outstanding else self._update(now)
        return self._with_changes(paths, actions)

    def stop(self, now: float) -> list[Action]:
        """De-register everything (RFC 5648 §5.4); `is_stopped` tells when that is done."""
        paths = self.paths()
        self.is_stopping = True
        for entry in self.update_list:
            entry.want(None)
        return self._with_changes(paths, self._update(now))

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

    def paths(self) -> tuple[UsablePath, ...]:
        """Return what packets may use now."""
        return tuple(
            UsablePath(bid=entry.bid, link=entry.link, care_of_address=entry.held)
            for entry in self.update_list
            if entry.held is not None and entry.is_usable
        )

    def round_trip_s(self, care_of_address: IPv6Address) -> float | None:
        """Return how long the last update from this address took to be answered."""
        return self._round_trip_s.get(care_of_address)

    def _wish_for_links(self) -> None:
        if self.is_stopping:
            return
        if self.uses_bids:
            offers.wish_for_each(self.update_list, self.policy.links, self._links)
        else:
            offers.wish_for_one(self.update_list, self.policy.links, self._links)

    # Sending.

    def _after_event(self, now: float) -> list[Action]:
        """Send what an event made necessary, superseding what is outstanding."""
        return [] if self._gathers(now) else self._update(now)

    def _gathers(self, now: float) -> bool:
        """Tell whether the first update still waits for other links."""
        if self._gather_until_s is None:
            self._gather_until_s = now + self.policy.gather_s
            self._timers.set(_Timer.GATHER, self._gather_until_s)
        if all(self._links.get(policy.name) for policy in self.policy.links):
            self._gather_until_s = now
            self._timers.stop(_Timer.GATHER)
        return now < self._gather_until_s

    def _update(self, now: float, attempt: int = 0) -> list[Action]:
        """Send one update about all that the agent does not know, if there is anything.

        Whatever is the reason for it: an agent that never answers as it should is one too,
        and would else get updates as fast as it answers.
        """
        wish = self._next_wish(now)
        source = None if wish is None else self._source_of(wish, attempt)
        if wish is not None and source is not None:
            if self._pace.allows(now):
                return [self._next_update(wish, source, attempt, now)]
            self._timers.set(_Timer.PACE, self._pace.next_s(now))
        else:
            self._timers.stop(_Timer.RETRANSMIT)
            self._timers.stop(_Timer.PACE)
            self._outstanding = None
        self._arm_upkeep(now)
        return []

    def _next_update(self, wish: Wish, source: IPv6Address, attempt: int, now: float) -> Send:
        """Make an update with the next sequence number, and wait for its answer alone."""
        for entry in self.update_list:
            if wish.speaks_of(entry):
                entry.doubtful = True
        self._sequence = successor(self._sequence)
        first_s = self.policy.first_timeout_s if self._afresh else INITIAL_BINDACK_TIMEOUT_S
        self._outstanding = Outstanding(
            sequence=self._sequence,
            wish=wish,
            source=source,
            sent_at_s=now,
            lifetime_s=0 if wish.deregisters else self.policy.lifetime_s,
            timeout_s=min(first_s * 2**attempt, MAX_BINDACK_TIMEOUT_S),
            attempt=attempt,
        )
        self._timers.stop(_Timer.PACE)
        self._timers.set(_Timer.RETRANSMIT, now + self._outstanding.timeout_s)
        self._arm_upkeep(now)
        return self._message(self._outstanding)

    def _next_wish(self, now: float) -> Wish | None:
        if not self.is_stopping:
            return next_wish(
                self.update_list,
                afresh=self._afresh,
                bulk=self.uses_bulk,
                now=now,
                company_s=_COMPANY * self.policy.lifetime_s,
            )
        return None if self.is_stopped else Wish(items=(), deregisters=True)

    def _retransmit(self, now: float) -> list[Action]:
        # Over another link than before: the first may be dead without anybody's notice.
        attempt = 0 if self._outstanding is None else self._outstanding.attempt + 1
        actions = self._update(now, min(attempt, 63))
        if attempt == _SILENT_ATTEMPTS and actions:
            return [Report(event="home-agent-silent"), *actions]
        return actions

    def _source_of(self, wish: Wish, attempt: int) -> IPv6Address | None:
        """Choose where to send from: the address concerned, else the quickest, in turns."""
        live = [a for policy in self.policy.links for a in self._links.get(policy.name, ())]
        if not live:
            return None
        if len(wish.items) == 1 and not wish.deregisters:
            bid = wish.items[0].bid
            entry = self.update_list.get(bid)
            own = None if entry is None else entry.wanted
            if own in live and (attempt % 2 == 0 or bid is None):
                return own
        live.sort(key=lambda address: self._round_trip_s.get(address, MAX_BINDACK_TIMEOUT_S))
        return live[attempt % len(live)]

    def _message(self, outstanding: Outstanding) -> Send:
        wish = outstanding.wish
        flags = _HOME_UPDATE | (UpdateFlag.OVERWRITE if wish.overwrites else UpdateFlag(0))
        message = BindingUpdate(
            sequence=outstanding.sequence,
            flags=flags,
            lifetime_s=outstanding.lifetime_s,
            options=tuple(
                BindingIdentifier(bid=item.bid, care_of_address=item.care_of_address)
                for item in wish.items
                if item.bid is not None
            ),
        )
        envelope = Envelope(
            source=outstanding.source,
            destination=self.policy.home_agent,
            home_address=self.policy.home_address,
            link=self._link_of(outstanding.source),
        )
        return Send(message=message, envelope=envelope)

    def _link_of(self, address: IPv6Address) -> str | None:
        for link, addresses in self._links.items():
            if address in addresses:
                return link
        return None

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
        self._round_trip_s[outstanding.source] = now - outstanding.sent_at_s
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
        if reading.peer_lacks is not None:
            reports += self._fall_back(reading, outstanding)
        elif reading.overwrite_next:
            self._afresh = True
        elif any(not status.is_rejection for status in reading.answers.values()):
            self._afresh = False
        wish = outstanding.wish
        refresh_s = answers.refresh_after_s(reading, self._rng)
        for entry in list(self.update_list):
            answer = reading.answers.get(entry.bid)
            if answer is not None:
                reports += answers.apply(
                    entry, answer, outstanding, reading.lifetime_s, refresh_s, now
                )
            elif reading.deletes_unnamed and wish.speaks_of(entry):
                entry.forget()
        return reports

    def _fall_back(self, reading: answers.Reading, outstanding: Outstanding) -> list[Action]:
        """Do without what the agent has not (RFC 5648 §5.7)."""
        home_address = self.policy.home_address
        if reading.peer_lacks is answers.Lack.BULK:
            # What the update spoke of stays doubtful, and so goes out again singly.
            self.uses_bulk = False
            return [Report(event="agent-refuses-bulk", home_address=home_address)]
        self.uses_bids = False
        self.update_list.clear()
        self._wish_for_links()
        plain, link = self.update_list.get(None), self._link_of(outstanding.source)
        if reading.peer_made_plain_binding and plain is not None and link is not None:
            # The agent has bound the address that the update came from: keep it.
            plain.want(outstanding.source)
            plain.link = link
        self._afresh = not reading.peer_made_plain_binding
        return [Report(event="agent-knows-no-bid", home_address=home_address)]

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
        if envelope.source != self.policy.home_agent:
            return [Report(event="refresh-request-from-stranger")]
        named = {identifier.bid for identifier in message.identifiers}
        for entry in self.update_list:
            if entry.held is not None and (not named or entry.bid in named):
                entry.refresh_at_s = now
        return [] if self._outstanding else self._after_event(now)

    def _error(self, message: BindingError, envelope: Envelope, now: float) -> list[Action]:
        if envelope.source != self.policy.home_agent:
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
        if envelope.source != self.policy.home_agent:
            return False
        return home_address in (envelope.routing_header_home_address, envelope.destination)

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

    def _with_changes(
        self, before: tuple[UsablePath, ...], actions: list[Action]
    ) -> list[Action]:
        """Put the data plane first: packets move before signalling leaves."""
        if self.paths() == before:
            return actions
        return [BindingsChanged(home_address=self.policy.home_address), *actions]
