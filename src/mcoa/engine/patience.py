"""How soon a correspondent is asked again, and how often its word is taken (RFC 6275 §11.6.3).

Whoever fails is left alone, for longer each time. Whoever says that we are forgotten is believed,
but not without end; and what only looks so is looked into ever more seldom, as long as in vain.
"""

from math import inf
from typing import Final

IDLE_S: Final = 60.0
"""A correspondent without packets for so long is left to forget us."""

_FIRST_QUIET_S, _LONGEST_QUIET_S = 10.0, 600.0
_FIRST_DOUBT_S, _LONGEST_DOUBT_S = 10.0, 600.0
_FORGOTTEN_EVERY_S: Final = 1.0


class Patience:
    """What is remembered of a correspondent's conduct.

    Attributes:
        used_at_s: when a packet to or from it was last seen.
        quiet_until_s: after a failure, when to try again.
        has_failed: nothing was tried since the last failure.
    """

    def __init__(self, now: float) -> None:
        self.used_at_s = now
        self.quiet_until_s = -inf
        self.has_failed = False
        self._failures = 0
        self._forgotten_at_s = self._doubted_at_s = -inf
        self._doubt_s = _FIRST_DOUBT_S

    def is_awake(self, now: float) -> bool:
        """Tell whether it may be spoken to."""
        return now >= self.quiet_until_s

    def is_used(self, now: float) -> bool:
        """Tell whether it is worth keeping."""
        return now < self.used_at_s + IDLE_S

    def try_again(self, now: float) -> bool:
        """Tell whether it may be spoken to; the last failure is past then."""
        self.has_failed &= not self.is_awake(now)
        return self.is_awake(now)

    def failed(self, now: float) -> None:
        """Leave it alone for a while."""
        quiet_s = _FIRST_QUIET_S * 2 ** min(self._failures, 10)
        self.quiet_until_s = now + min(quiet_s, _LONGEST_QUIET_S)
        self._failures += 1
        self.has_failed = True

    def succeeded(self) -> None:
        """Forget its failures."""
        self._failures = 0

    def believes_forgotten(self, now: float) -> bool:
        """Tell whether to act upon its word that it holds nothing, once a second at most."""
        if now < self._forgotten_at_s + _FORGOTTEN_EVERY_S:
            return False
        self._forgotten_at_s = now
        return True

    def looks_into_doubt(self, now: float) -> bool:
        """Tell whether to look into what may mean nothing."""
        if now < self._doubted_at_s + self._doubt_s:
            return False
        self._doubt_s = min(2 * self._doubt_s, _LONGEST_DOUBT_S)
        self._doubted_at_s = now
        return True

    def was_right(self) -> None:
        """Look into the next doubt soon again: there was something in it."""
        self._doubt_s = _FIRST_DOUBT_S
