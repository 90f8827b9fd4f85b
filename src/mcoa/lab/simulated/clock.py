"""Virtual time: what is to happen when; nothing ever waits."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

Act = Callable[[], object]


class Clock:
    """An agenda in the order of time; what is due together happens as it was entered.

    Attributes:
        now: seconds since the beginning.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._serial = count()
        self._agenda: list[tuple[float, int, Act]] = []

    def at(self, time_s: float, act: Act) -> None:
        """Do something at a time; at once, but after all else, if that has passed."""
        heappush(self._agenda, (max(time_s, self.now), next(self._serial), act))

    def after(self, delay_s: float, act: Act) -> None:
        """Do something later."""
        self.at(self.now + delay_s, act)

    def run_until(self, end_s: float) -> None:
        """Advance from event to event up to a time."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= end_s:
            self.now, _, act = heappop(agenda)
            act()
        self.now = max(self.now, end_s)
