"""Keeps a flapping link from turning into a storm of updates."""

from collections import deque

_BURST = 6
_PER_SECOND = 3.0  # RFC 6275 §12, MAX_UPDATE_RATE
_ROUNDING = 1e-6  # else the time that next_s() names could turn out to be too early


class Pace:
    """A token bucket: a few events go out at once, a stream of them at the RFC's rate."""

    __slots__ = ("_at_s", "_tokens")

    def __init__(self) -> None:
        self._tokens = float(_BURST)
        self._at_s = 0.0

    def allows(self, now: float) -> bool:
        """Take a token if there is one."""
        self._fill(now)
        if self._tokens < 1.0 - _ROUNDING:
            return False
        self._tokens -= 1.0
        return True

    def next_s(self, now: float) -> float:
        """Return when the next token is there."""
        self._fill(now)
        return now + max(0.0, 1.0 - self._tokens) / _PER_SECOND

    def _fill(self, now: float) -> None:
        passed_s = max(0.0, now - self._at_s)
        self._tokens = min(float(_BURST), self._tokens + passed_s * _PER_SECOND)
        self._at_s = now


class Window:
    """No more than three events in any second (RFC 6275 §12, MAX_UPDATE_RATE)."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=int(_PER_SECOND))

    def allows(self, now: float) -> bool:
        """Take a place if there is one."""
        if now < self.next_s(now):
            return False
        self._times.append(now)
        return True

    def next_s(self, now: float) -> float:
        """Return when the next place is free."""
        if len(self._times) < int(_PER_SECOND):
            return now
        return max(now, self._times[0] + 1.0)
