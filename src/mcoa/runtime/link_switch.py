"""Links that an operator takes out of use and back, without loss.

What a link still has on its way must not be cut off. So it is taken out in steps: its flows move
at once; when what they sent before has arrived, the agent is told; and when what the agent sent
before that has arrived, the sockets are closed.
"""

import asyncio
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Any, Final

from mcoa.runtime.control import Command
from mcoa.runtime.errors import CommandError
from mcoa.runtime.path_book import PathBook

_ARRIVED_S: Final = 1.0
"""What was sent this long ago has arrived, or is lost: round trips of satellites are 0.6 s."""


class Step(StrEnum):
    """How far a link is on its way out of use; the words are those of the status."""

    DRAINING = "draining"
    LEAVING = "leaving"
    DISABLED = "disabled"


class LinkSwitch:
    """The commands `link-disable` and `link-enable` of the control socket."""

    def __init__(
        self,
        names: Collection[str],
        book: PathBook,
        *,
        settle: Callable[[str], object],
        release: Callable[[str], object],
    ) -> None:
        """Make a switch with all links in use; on a running loop.

        Args:
            names: of all links.
            book: moves their flows.
            settle: registers what a link has now, or nothing while it is withdrawn.
            release: takes no more packets that come in by a link.
        """
        self._names = names
        self._book = book
        self._settle = settle
        self._release = release
        self._loop = asyncio.get_running_loop()
        self.steps: dict[str, Step] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def table(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {"link-disable": self._disable, "link-enable": self._enable}

    def is_withdrawn(self, link: str) -> bool:
        """Tell whether a link is not to be registered."""
        return self.steps.get(link) in {Step.LEAVING, Step.DISABLED}

    def close(self) -> None:
        """Stop the timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _disable(self, request: dict[str, Any]) -> dict[str, Any]:
        link = self._named(request)
        if link in self.steps:
            return self._answer(link)
        others = self._book.in_use() - {link, *self.steps}
        if not others and not request.get("force"):
            raise CommandError(
                f"no other link than {link} carries packets now",
                "with --force the home address is cut off until a link is enabled",
            )
        self.steps[link] = Step.DRAINING
        self._book.drain(link)
        self._later(link, self._leave)
        return self._answer(link)

    def _enable(self, request: dict[str, Any]) -> dict[str, Any]:
        link = self._named(request)
        if self.steps.pop(link, None) is None:
            return self._answer(link)
        timer = self._timers.pop(link, None)
        if timer is not None:
            timer.cancel()
        self._book.refill(link, self._loop.time())
        self._settle(link)
        return self._answer(link)

    def _leave(self, link: str) -> None:
        self.steps[link] = Step.LEAVING
        self._later(link, self._end)
        self._settle(link)

    def _end(self, link: str) -> None:
        self.steps[link] = Step.DISABLED
        self._timers.pop(link, None)
        self._release(link)

    def _later(self, link: str, step: Callable[[str], None]) -> None:
        self._timers[link] = self._loop.call_later(_ARRIVED_S, step, link)

    def _named(self, request: dict[str, Any]) -> str:
        link = request.get("link")
        if not isinstance(link, str) or link not in self._names:
            known = ", ".join(self._names)
            raise CommandError(f"there is no link {link!r:.60}", f"there are: {known}")
        return link

    def _answer(self, link: str) -> dict[str, Any]:
        return {"link": link, "state": str(self.steps.get(link, "enabled"))}
