"""What a changed cache entry asks of the home link and the data plane (RFC 5648 §5.6.2)."""

from mcoa.binding.cache import Binding, CacheEntry
from mcoa.engine.actions import Action, BindingsChanged, Intercept, Interception
from mcoa.engine.addresses import link_local_of


def interception(bindings: tuple[Binding, ...]) -> Interception:
    """Return how the packets for a home address with these bindings are got."""
    if not bindings:
        return Interception.NONE
    if any(binding.home and binding.defended for binding in bindings):
        return Interception.ROUTING
    return Interception.PROXY


def interception_of_link_local(entry: CacheEntry) -> Interception:
    """Return how the link-local address of a mobile node is defended (RFC 6275 §10.4.1).

    Packets to it are not tunnelled, so there is nothing to route (§10.4.2).
    """
    is_absent = interception(entry.bindings) is Interception.PROXY
    return Interception.PROXY if entry.link_local and is_absent else Interception.NONE


class Before:
    """An entry as it is before a change."""

    __slots__ = ("interception", "of_link_local", "seen_by_data")

    def __init__(self, entry: CacheEntry) -> None:
        self.interception = interception(entry.bindings)
        self.of_link_local = interception_of_link_local(entry)
        self.seen_by_data = _seen_by_data(entry)


def consequences(entry: CacheEntry, before: Before) -> list[Action]:
    """Return what has to be done about a changed entry, packets first."""
    actions: list[Action] = []
    if _seen_by_data(entry) != before.seen_by_data:
        actions.append(BindingsChanged(home_address=entry.home_address))
    by = interception(entry.bindings)
    if by is not before.interception:
        actions.append(Intercept(home_address=entry.home_address, by=by))
    by = interception_of_link_local(entry)
    if by is not before.of_link_local:
        actions.append(Intercept(home_address=link_local_of(entry.home_address), by=by))
    return actions


def _seen_by_data(entry: CacheEntry) -> tuple[object, ...]:
    # Without bindings: packets under way may still be for a mobile node that just came home.
    is_delivered = not entry.bindings or any(binding.home for binding in entry.bindings)
    link_layer_address = entry.link_layer_address if is_delivered else b""
    paths = ((b.bid, b.care_of_address, b.port, b.priority) for b in entry.bindings)
    return (link_layer_address, entry.flows, *paths)
