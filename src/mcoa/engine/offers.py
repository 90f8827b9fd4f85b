"""What the links offer, as wishes: which care-of address is to be bound under which BID."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address

from mcoa.binding.update_list import Registration, UpdateList
from mcoa.engine.policy import LinkPolicy

Offers = Mapping[str, tuple[IPv6Address, ...]]


def wish_for_each(
    update_list: UpdateList,
    links: Iterable[LinkPolicy],
    offers: Offers,
    home_address: IPv6Address,
) -> None:
    """Want a binding for each care-of address of each link (RFC 5648 §5.1).

    The home link offers the home address (§5.6.3).
    """
    for link in links:
        _fill_slots(update_list, link, offers.get(link.name, ()), home_address)


def _fill_slots(
    update_list: UpdateList,
    link: LinkPolicy,
    addresses: tuple[IPv6Address, ...],
    home_address: IPv6Address,
) -> None:
    """Give each address of a link a slot; one that stays keeps its slot, and so its BID."""
    slots = update_list.slots(link.name)
    new = [a for a in addresses if all(slot.wanted != a for slot in slots)]
    for slot in slots:
        if slot.wanted not in addresses:
            address = new.pop(0) if new else None
            slot.want(address, home=address == home_address)
    for number, address in enumerate(new, start=len(slots)):
        bid = link.bid if number == 0 and link.bid else update_list.unused_bid()
        entry = Registration(bid=bid, link=link.name, slot=number)
        update_list.add(entry).want(address, home=address == home_address)


def wish_for_one(update_list: UpdateList, links: Iterable[LinkPolicy], offers: Offers) -> None:
    """Want one plain binding: the bound address while it lasts, else the most preferred."""
    entry = update_list.get(None)
    if entry is None:
        entry = update_list.add(Registration(bid=None, link=""))
    candidates = [
        (link.name, address) for link in links for address in offers.get(link.name, ())
    ]
    if entry.wanted is not None and (entry.link, entry.wanted) in candidates:
        return
    if candidates:
        entry.link = candidates[0][0]
    entry.want(candidates[0][1] if candidates else None)
