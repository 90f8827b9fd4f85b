"""When a meter ends."""

import signal
import time


class End:
    """The end of a meter: after its time, or as soon as SIGTERM says so.

    Whoever started it seldom knows how long a slow machine takes for what is to be measured.
    """

    def __init__(self, duration_s: float) -> None:
        self._at_s = time.monotonic() + duration_s
        signal.signal(signal.SIGTERM, lambda _number, _frame: self._come())

    def has_come(self, now: float) -> bool:
        """Return True once the meter is to end."""
        return now >= self._at_s

    def left_s(self, now: float) -> float:
        """Return how long there is until then, as far as is known."""
        return max(0.0, self._at_s - now)

    def _come(self) -> None:
        self._at_s = time.monotonic()
