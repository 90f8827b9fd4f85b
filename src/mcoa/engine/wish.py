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
    """

    bid: int | None
    care_of_address: IPv6Address | None
    home: bool = False


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
        return bool(self.items) and not self.deregisters and not self.names_home


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
    and a link with a dozen prefixes must not use up the share of all others.
    """
    entries = sorted(registrations, key=lambda entry: entry.slot)
    if not home_is_proven:
        abroad = [entry for entry in entries if not entry.home]
        has_more = afresh or left_home or any(entry.is_due(now) for entry in abroad)
        if has_more and any(entry.wanted is not None for entry in abroad):
            entries = abroad
    due = [entry for entry in entries if entry.is_due(now)]
    leftover = [entry for entry in entries if entry.is_leftover(now)]
    speakable = [e for e in entries if e.wanted is not None and now >= e.quiet_until_s]
    if afresh or (bulk and speakable and leftover and (due or left_home)):
        chosen = _some(speakable, bulk=bulk)
        return _registration(chosen, overwrites=True) if chosen else None
    if left_home and speakable:
        # Any care-of address ends the home binding, if one at a time is all that is taken.
        return _registration(_some(due or speakable, bulk=bulk))
    if leftover:
        items = tuple(Item(bid=e.bid, care_of_address=None) for e in _some(leftover, bulk=bulk))
        return Wish(items=items, deregisters=True)
    if not due and not (has_more_to_say and speakable):
        return None
    ahead_s = inf if has_more_to_say else company_s
    company = [e for e in speakable if not e.is_due(now) and e.is_due(now, ahead_s=ahead_s)]
    chosen = _some(due + company, bulk=bulk)
    home = [e for e in speakable if bulk and e.home and e.is_usable and e not in chosen]
    return _registration(_some(home + chosen, bulk=bulk))


def _some(entries: list[Registration], *, bulk: bool) -> list[Registration]:
    return entries[: _MOST_ITEMS if bulk else 1]


def _registration(entries: list[Registration], *, overwrites: bool = False) -> Wish:
    items = []
    for entry in entries:
        is_known = entry.is_usable and not entry.doubtful and not overwrites
        address = None if is_known else entry.wanted
        items.append(Item(bid=entry.bid, care_of_address=address, home=entry.home))
    return Wish(items=tuple(items), overwrites=overwrites and entries[0].bid is not None)
