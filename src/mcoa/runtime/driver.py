"""Runs one engine on the event loop: keeps its timer, hands on its actions."""

import asyncio
from collections.abc import Callable

from mcoa.engine.actions import Action, Engine

Perform = Callable[[list[Action]], None]

_AFTER_FAULT_S = 1.0


class Driver:
    """Calls an engine when it is due.

    Args:
        perform: does what the engine asks, in its order.
    """

    def __init__(self, engine: Engine, perform: Perform) -> None:
        self._engine = engine
        self._perform = perform
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None

    @property
    def now(self) -> float:
        """Monotonic seconds, the engine's time."""
        return self._loop.time()

    def run(self, actions: list[Action]) -> None:
        """Perform `actions`, then re-arm the timer: they may have moved the deadline.

        A fault in an action, which is for the loop to report, stops no clock.
        """
        try:
            if actions:
                self._perform(actions)
        finally:
            self._arm()

    def close(self) -> None:
        """Stop the timer; the engine keeps its state."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._deadline = None

    def _arm(self) -> None:
        deadline = self._engine.next_deadline()
        if deadline == self._deadline:
            return
        self.close()
        if deadline is not None:
            self._deadline = deadline
            self._timer = self._loop.call_at(deadline, self._expired, deadline)

    def _expired(self, deadline: float) -> None:
        # A loop may fire a little early: its clock has a resolution. Were the engine told
        # a time before its own deadline, it would do nothing and be called again at once.
        self._timer = self._deadline = None
        try:
            actions = self._engine.handle_timer(max(deadline, self.now))
        except Exception:
            self._timer = self._loop.call_later(_AFTER_FAULT_S, self._expired, deadline)
            raise
        self.run(actions)
