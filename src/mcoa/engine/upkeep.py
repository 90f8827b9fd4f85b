"""When the bindings of a home address are to be looked at, and asked for (RFC 6275 §9.5.5)."""

from mcoa.binding.cache import CacheEntry
from mcoa.wire.messages import BindingRefreshRequest
from mcoa.wire.options import BindingIdentifier


def due_s(entry: CacheEntry, longest_lead_s: float) -> float:
    """Return when something about an entry falls due: its end, or to ask for a refresh before."""
    if not entry.bindings:
        return entry.forget_at_s or 0.0
    expiry_s = min(binding.expires_at_s for binding in entry.bindings)
    return expiry_s if entry.refresh_requested else expiry_s - lead_s(entry, longest_lead_s)


def lead_s(entry: CacheEntry, longest_lead_s: float) -> float:
    """Return how long before its end a binding is asked for.

    Late enough that a mobile node which refreshes by itself is never asked.
    """
    return min(longest_lead_s, 0.05 * entry.lifetime_s)


def refresh_request(
    entry: CacheEntry, longest_lead_s: float, now: float
) -> BindingRefreshRequest:
    """Ask for the bindings that run out first, by their BIDs (RFC 5648 §6.4)."""
    horizon_s = now + lead_s(entry, longest_lead_s)
    options = tuple(
        BindingIdentifier(bid=binding.bid)
        for binding in entry.bindings
        if binding.bid is not None and binding.expires_at_s <= horizon_s
    )
    return BindingRefreshRequest(options=options)
