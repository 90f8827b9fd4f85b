"""Runs one engine in virtual time, as `runtime.driver` does on the event loop."""

from collections.abc import Callable
from functools import partial

from mcoa.engine.actions import Action, Engine
from mcoa.lab.simulated.clock import Clock

Perform = Callable[[list[Action]], None]


class Driver:
    """Calls an engine when it is due.

    Args:
        perform: does what the engine asks, in its order.
    """

    def __init__(self, clock: Clock, engine: Engine, perform: Perform) -> None:
        self._clock, self._engine, self._perform = clock, engine, perform
        self._armed_s: float | None = None
        self._is_closed = False

    def run(self, actions: list[Action]) -> None:
        """Perform `actions`, then arm the timer: they may have moved the deadline."""
        self._perform(actions)
        deadline_s = self._engine.next_deadline()
        if deadline_s is not None and deadline_s != self._armed_s:
            self._armed_s = deadline_s
            self._clock.at(deadline_s, partial(self._expired, deadline_s))

    def close(self) -> None:
        """Call the engine no more."""
        self._is_closed = True

    def _expired(self, deadline_s: float) -> None:
        if self._is_closed or deadline_s != self._armed_s:
            return  # the deadline was moved
        self._armed_s = None
        self.run(self._engine.handle_timer(self._clock.now))
