"""What the next Binding Update should say, from what is wanted and what the agent holds.

The mobile node never queues updates. Whenever it may send, it asks here what the agent does
not know yet, so that a retransmission carries today's wishes and not yesterday's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from math import inf
from typing import Final

from mcoa.binding.update_list import Registration

# With as many addresses, an update still is a packet of 1280 octets, the most that every path
# carries. What does not fit follows in the next one.
_MOST_ITEMS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One BID in an update; `care_of_address` None where the agent knows it.

    Attributes:
        home: it binds the home link (RFC 5648 §5.6.3).
        goes_alone: it is of an IPv4 address, and has to come from there (RFC 5648 §8.1).
    """

    bid: int | None
    care_of_address: IPv6Address | None
    home: bool = False
    goes_alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The contents of one update.

    Attributes:
        items: the registrations it speaks of; empty deletes all of them at once.
        deregisters: it has lifetime zero.
        overwrites: it has the O flag: what it does not name is deleted.
    """

    items: tuple[Item, ...]
    deregisters: bool = False
    overwrites: bool = False

    def speaks_of(self, registration: Registration) -> bool:
        """Tell whether the update may change what the agent holds of this BID."""
        if self.overwrites or not self.items:
            return True
        return any(item.bid == registration.bid for item in self.items)

    @property
    def names_home(self) -> bool:
        """True when it binds the home link, among others perhaps."""
        return any(item.home for item in self.items)

    @property
    def binds_abroad_alone(self) -> bool:
        """True when it tells the agent that the home link has been left (RFC 5648 §5.6.5)."""
        says_so = bool(self.items) and not self.deregisters and not self.goes_alone
        return says_so and not self.names_home

    @property
    def goes_alone(self) -> bool:
        """True when it binds an IPv4 address."""
        return any(item.goes_alone for item in self.items)


def next_wish(
    registrations: Iterable[Registration],
    *,
    afresh: bool,
    bulk: bool,
    now: float,
    company_s: float = 0.0,
    left_home: bool = False,
    home_is_proven: bool = True,
    has_more_to_say: bool = False,
) -> Wish | None:
    """Return what to tell the agent, or None when it knows all.

    `afresh` is the state after boot: the agent may hold anything, so the O flag and all
    addresses go out until one update has been acknowledged (RFC 5648 §5.9). The O flag also
    says in one update what would take two: some addresses gone and others new; above all
    when the home link has been left (`left_home`). What is to be refreshed within
    `company_s` anyway comes along, so that refreshes fall together, and the home link always
    does: an update without it would end it (§5.6.5).

    A home link that is not proven yet (`home_is_proven`) waits until nothing else is to be said:
    a router that lies about it must not hold up the others.

    What is not about addresses (`has_more_to_say`) goes with a refresh of all that can be.

    First comes the first address of each link: an agent takes so many bindings and no more,
    and a link with a dozen prefixes must not use up the share of all others. IPv4 addresses
    come last, each in an update of its own: first those that were not tried in vain.
    """
    entries = sorted(registrations, key=lambda e: (e.goes_alone, e.unanswered, e.slot))
    if not home_is_proven:
        abroad = [entry for entry in entries if not entry.home]
        has_more = afresh or left_home or any(entry.is_due(now) for entry in abroad)
        if has_more and any(entry.wanted is not None for entry in abroad):
            entries = abroad
    due = [entry for entry in entries if entry.is_due(now)]
    leftover = [entry for entry in entries if entry.is_leftover(now)]
    speakable = [e for e in entries if e.wanted is not None and now >= e.quiet_until_s]
    together = [e for e in speakable if not e.goes_alone]
    is_bulk = bulk and bool(speakable) and len(together) == len(speakable)
    if afresh or (is_bulk and leftover and (due or left_home)):
        chosen = _some(speakable, bulk=bulk)
        return _registration(chosen, overwrites=True) if chosen else None
    if left_home and together:
        # Any care-of address ends the home binding, if one at a time is all that is taken.
        abroad = [entry for entry in due if not entry.goes_alone]
        return _registration(_some(abroad or together, bulk=bulk))
    if leftover:
        items = tuple(Item(bid=e.bid, care_of_address=None) for e in _some(leftover, bulk=bulk))
        return Wish(items=items, deregisters=True)
    if not due and not (has_more_to_say and speakable):
        return None
    ahead_s = inf if has_more_to_say else company_s
    if due and due[0].goes_alone:
        return _registration(due[:1])
    company = [e for e in speakable if not e.is_due(now) and e.is_due(now, ahead_s=ahead_s)]
    chosen = _some(due + company, bulk=bulk)
    home = [e for e in together if bulk and e.home and e.is_usable and e not in chosen]
    return _registration(_some(home + chosen, bulk=bulk))


def _some(entries: list[Registration], *, bulk: bool) -> list[Registration]:
    """Return as many as an update may speak of; who goes alone comes behind the others."""
    together = [entry for entry in entries if not entry.goes_alone]
    return together[:_MOST_ITEMS] if bulk and together else entries[:1]


def _registration(entries: list[Registration], *, overwrites: bool = False) -> Wish:
    items = []
    for entry in entries:
        is_known = entry.is_usable and not entry.doubtful and not overwrites
        address = None if is_known else entry.wanted
        item = Item(
            bid=entry.bid,
            care_of_address=address,
            home=entry.home,
            goes_alone=entry.goes_alone,
        )
        items.append(item)
    return Wish(items=tuple(items), overwrites=overwrites and entries[0].bid is not None)
