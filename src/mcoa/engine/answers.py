"""What a Binding Acknowledgement says to the mobile node that asked (RFC 5648 §5.7)."""

from dataclasses import dataclass, field, replace
from enum import Enum
from ipaddress import IPv6Address
from random import Random
from typing import Protocol

from mcoa.binding.update_list import Registration
from mcoa.engine.actions import Report
from mcoa.engine.wish import Item, Wish
from mcoa.wire.messages import BindingAcknowledgement
from mcoa.wire.options import BindingIdentifier, BindingRefreshAdvice
from mcoa.wire.options_ipv4 import NatDetection
from mcoa.wire.registry import BindingStatus

FIRST_QUIET_S = 10.0
MAX_QUIET_S = 600.0
_DOUBLINGS = 6  # lead from the first to the last
_SHORTEST_KEEPALIVE_S = 10  # no NAT forgets so soon

# Only a peer that knows RFC 5648 says one of these, whatever options it sends along.
_PROOF_OF_MCOA = frozenset(
    {
        BindingStatus.MCOA_NOTCOMPLETE,
        BindingStatus.MCOA_RETURNHOME_WO_NDP,
        BindingStatus.MCOA_MALFORMED,
        BindingStatus.MCOA_NON_MCOA_BINDING_EXISTS,
        BindingStatus.MCOA_PROHIBITED,
        BindingStatus.MCOA_UNKNOWN_COA,
        BindingStatus.MCOA_BULK_REGISTRATION_PROHIBITED,
        BindingStatus.MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED,
    }
)

# What no other update to the same agent would change.
_NOT_SERVED = frozenset(
    {
        BindingStatus.ADMINISTRATIVELY_PROHIBITED,
        BindingStatus.INSUFFICIENT_RESOURCES,
        BindingStatus.HOME_REGISTRATION_NOT_SUPPORTED,
        BindingStatus.NOT_HOME_SUBNET,
    }
)

# For a de-registration these mean that there is nothing left to delete.
_GONE_ALREADY = frozenset(
    {BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE, BindingStatus.MCOA_UNKNOWN_COA}
)


class Lack(Enum):
    """What a peer turns out to be without."""

    IDENTIFIERS = "it knows no Binding Identifier, or may not use it"
    BULK = "it takes one Binding Identifier an update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An acknowledgement, read against the update that it answers.

    Attributes:
        answers: the status that counts for each BID; None stands for the plain binding.
        unanswered: a BID of the update is in no option, though others are.
        deletes_unnamed: what the update did not name is gone from the agent.
        peer_made_plain_binding: a peer without BIDs bound the update's source address.
        overwrite_next: the agent wants the O flag (status 165).
        keepalive_s: how long the NAT before an IPv4 address may hear nothing; None without.
    """

    status: BindingStatus
    lifetime_s: int
    answers: dict[int | None, BindingStatus] = field(default_factory=dict)
    unanswered: bool = False
    deletes_unnamed: bool = False
    peer_lacks: Lack | None = None
    peer_made_plain_binding: bool = False
    overwrite_next: bool = False
    advice_s: int | None = None
    keepalive_s: int | None = None

    @property
    def refuses_node(self) -> bool:
        """True when the agent serves this mobile node with nothing at all."""
        return self.status in _NOT_SERVED


class SentUpdate(Protocol):
    """What must be known of an update to apply its answer."""

    @property
    def wish(self) -> Wish:
        """What it said."""
        ...

    @property
    def source(self) -> IPv6Address:
        """Where it was sent from."""
        ...

    @property
    def sent_at_s(self) -> float:
        """When; a binding lives from then on, not from the answer."""
        ...


def is_of_another_update(wish: Wish, message: BindingAcknowledgement) -> bool:
    """Tell whether an answer names what was not asked, and so answers something else.

    A node that was restarted may meet the answers to what it said in its former life, and has
    just taken over the sequence number of that from the agent.
    """
    asked = {item.bid for item in wish.items}
    named = (each for each in message.identifiers if isinstance(each, BindingIdentifier))
    return bool(asked) and any(each.bid not in asked for each in named)


def read(wish: Wish, message: BindingAcknowledgement, *, lifetime_s: int) -> Reading:
    """Read the answer to `wish`, in which `lifetime_s` was asked for."""
    reading = _read(wish, message, lifetime_s)
    return replace(reading, keepalive_s=_keepalive_s(message)) if wish.goes_alone else reading


def _read(wish: Wish, message: BindingAcknowledgement, lifetime_s: int) -> Reading:
    status = message.status
    granted_s = min(message.lifetime_s, lifetime_s)
    accepted = not status.is_rejection
    names = [item.bid for item in wish.items]
    if not names:  # all was to be deleted
        gone = accepted or status in _GONE_ALREADY
        return Reading(status=status, lifetime_s=0, deletes_unnamed=gone, unanswered=not gone)
    if names == [None]:
        return Reading(
            status=status,
            lifetime_s=granted_s,
            answers={None: status},
            deletes_unnamed=accepted,
            advice_s=_advice_s(message),
        )
    said = {
        identifier.bid: identifier.status or status
        for identifier in message.identifiers
        if isinstance(identifier, BindingIdentifier)
    }
    if not said and status not in _PROOF_OF_MCOA:
        made = accepted and not wish.deregisters
        return Reading(
            status=status,
            lifetime_s=granted_s,
            answers={None: status} if made else {},
            peer_lacks=Lack.IDENTIFIERS,
            peer_made_plain_binding=made,
        )
    return _read_identifiers(wish, message, said, granted_s)


def _read_identifiers(
    wish: Wish,
    message: BindingAcknowledgement,
    said: dict[int, BindingStatus],
    granted_s: int,
) -> Reading:
    status = message.status
    names = {item.bid for item in wish.items if item.bid is not None}
    answers: dict[int | None, BindingStatus] = {b: said[b] for b in names if b in said}
    if not said and status.is_rejection:
        answers = dict.fromkeys(names, status)
    verdicts = set(answers.values())
    if BindingStatus.MCOA_PROHIBITED in verdicts:
        return Reading(status=status, lifetime_s=0, peer_lacks=Lack.IDENTIFIERS)
    if BindingStatus.MCOA_BULK_REGISTRATION_PROHIBITED in verdicts and len(names) > 1:
        return Reading(status=status, lifetime_s=0, peer_lacks=Lack.BULK)
    if BindingStatus.MCOA_NON_MCOA_BINDING_EXISTS in verdicts and not wish.overwrites:
        return Reading(status=status, lifetime_s=0, overwrite_next=True)
    return Reading(
        status=status,
        lifetime_s=granted_s,
        answers=answers,
        unanswered=len(answers) < len(names),
        deletes_unnamed=wish.overwrites and any(not s.is_rejection for s in verdicts),
        advice_s=_advice_s(message),
    )


def _advice_s(message: BindingAcknowledgement) -> int | None:
    for option in message.options:
        if isinstance(option, BindingRefreshAdvice) and option.interval_s:
            return option.interval_s
    return None


def _keepalive_s(message: BindingAcknowledgement) -> int | None:
    """Return what the agent says of a NAT (RFC 5555 §3.2.2)."""
    for option in message.options:
        if isinstance(option, NatDetection) and option.refresh_time_s != option.NO_KEEPALIVE:
            return max(option.refresh_time_s or option.USUAL_S, _SHORTEST_KEEPALIVE_S)
    return None


def refresh_after_s(reading: Reading, rng: Random) -> float:
    """Return how long after sending the bindings of an answer are to be refreshed.

    One draw for all of them keeps them in one update; the spread keeps apart the mobile
    nodes that registered together, after an outage of their agent say.
    """
    latest_s = reading.lifetime_s * 0.85
    if reading.advice_s is not None:
        latest_s = min(latest_s, reading.advice_s)
    if reading.keepalive_s is not None:
        latest_s = min(latest_s, reading.keepalive_s)
    return latest_s * rng.uniform(0.85, 1.0)


def apply(
    entry: Registration,
    status: BindingStatus,
    sent: SentUpdate,
    lifetime_s: int,
    refresh_s: float,
    now: float,
) -> list[Report]:
    """Bring one registration up to date with its answer; return what is worth telling."""
    item = _item(sent, entry.bid)
    entry.status = status
    if sent.wish.deregisters and (not status.is_rejection or status in _GONE_ALREADY):
        entry.forget()
        return []
    if status.is_rejection:
        return _refuse(entry, status, item, now)
    if not lifetime_s:
        entry.forget()
        return _leave_alone(entry, f"{status.phrase}, for no time at all", now)
    if item.care_of_address is not None:
        entry.held = item.care_of_address
    entry.doubtful = False
    entry.refusals, entry.quiet_until_s = 0, 0.0
    entry.unanswered = 0
    entry.expires_at_s = sent.sent_at_s + lifetime_s
    entry.refresh_at_s = sent.sent_at_s + refresh_s
    return []


def _item(sent: SentUpdate, bid: int | None) -> Item:
    """Return what the update said of a BID; a plain binding is of the update's source."""
    for item in sent.wish.items:
        if bid is not None and item.bid == bid:
            return item
    return Item(bid=None, care_of_address=sent.source)


def _refuse(entry: Registration, status: BindingStatus, item: Item, now: float) -> list[Report]:
    """Decide when to ask again for a refused binding."""
    entry.doubtful = False
    if status is BindingStatus.MCOA_UNKNOWN_COA and item.care_of_address is None:
        entry.held = None  # the agent lost it: it gets the address at once
        return []
    if status is not BindingStatus.MCOA_MALFORMED:
        return _leave_alone(entry, status.phrase, now)
    # Corruption on the way deserves one more try with everything spelled out; an error of
    # our own making would only repeat itself, and is tried as seldom as anything.
    entry.held = None
    entry.refusals += 1
    entry.quiet_until_s = now if entry.refusals == 1 else now + MAX_QUIET_S
    return [_refused(entry, status.phrase)]


def _leave_alone(entry: Registration, why: str, now: float) -> list[Report]:
    """Ask for a binding again in a while, longer after each refusal in a row."""
    entry.doubtful = False
    doublings = min(entry.refusals, _DOUBLINGS)
    entry.refusals += 1
    entry.quiet_until_s = now + min(FIRST_QUIET_S * 2**doublings, MAX_QUIET_S)
    return [_refused(entry, why)]


def _refused(entry: Registration, why: str) -> Report:
    return Report(event="registration-refused", detail=f"BID {entry.bid}: {why}")
