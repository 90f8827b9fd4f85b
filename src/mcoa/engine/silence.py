"""What silence means for IPv4 addresses, for which nothing can speak over another link.

An update about one has to come from itself (RFC 5648 §8.1), so a dead link is a matter of its own
and must not hold up the others; and a NAT may have forgotten the address.
"""

from collections.abc import Collection
from typing import Final

from mcoa.binding.update_list import UpdateList
from mcoa.engine.wish import Wish

_FIRST_S: Final = 1.0
_DOUBLINGS: Final = 5  # to 32 s, the longest wait for an answer (RFC 6275 §12)


def puts_off(update_list: UpdateList, wish: Wish, now: float) -> bool:
    """Let the IPv4 address of an unanswered update wait, if others are answered.

    False, and nothing changed, for another update, and where the agent itself may be silent.
    """
    entry = update_list.get(wish.items[0].bid) if wish.goes_alone else None
    if entry is None or not any(e.is_usable for e in update_list if e is not entry):
        return False
    entry.quiet_until_s = now + _FIRST_S * 2 ** min(entry.unanswered, _DOUBLINGS)
    entry.unanswered += 1
    return True


def ask_anew(update_list: UpdateList, links: Collection[str], now: float) -> None:
    """Have the IPv4 addresses of silent links registered anew, by what a NAT makes of them now."""
    for entry in update_list:
        if entry.goes_alone and entry.link in links and entry.is_usable:
            entry.refresh_at_s = now
