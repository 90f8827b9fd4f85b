"""Keeps a fault of the program itself from ending more than the step in which it happens.

What the event loop calls once is reported by the loop when it fails. What has steps, a batch or
a next time would lose those with the fault: there each step is guarded, and timers are set
before the work. Faults go to the loop's exception handler, which logs and counts them.
"""

import asyncio
from collections.abc import Callable
from traceback import extract_tb
from types import TracebackType
from typing import Any

from mcoa.runtime.log import EventLog, Level


class _Guard:
    """Reports what fails inside a with statement, and goes on behind it."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        context = {"message": "a step failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
        return True


_GUARD = _Guard()


def guarded() -> _Guard:
    """Return a context in which a fault is reported to the running loop and ends."""
    return _GUARD


def run_each(*steps: Callable[[], object]) -> None:
    """Run steps that do not depend on each other, all of them whatever fails."""
    for step in steps:
        with _GUARD:
            step()


class Faults:
    """The loop's exception handler.

    Attributes:
        count: of the faults until now.
    """

    def __init__(self, log: EventLog) -> None:
        self.count = 0
        self._log = log

    def handle(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log a fault of the program itself; the next packet may well be served again."""
        self.count += 1
        error = context.get("exception")
        where = ""
        if isinstance(error, BaseException) and error.__traceback__ is not None:
            last = extract_tb(error.__traceback__)[-1]
            where = f"{last.name}, line {last.lineno}"
        self._log.remote(
            "internal-fault",
            level=Level.ERROR,
            what=repr(error or context.get("message")),
            where=where or None,
        )
