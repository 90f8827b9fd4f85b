"""Joins things that can be read to the event loop."""

import asyncio
from collections.abc import Callable, Iterable
from operator import length_hint
from typing import Protocol, TypeVar

from mcoa.runtime.guard import guarded

ItemT = TypeVar("ItemT")


class Source(Protocol[ItemT]):
    """Something that yields items as they come; receive() never waits."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        ...

    def receive(self) -> list[ItemT]:
        """Return what has come, not more than a wake-up's worth; OSError when it is dead."""
        ...


def deliver(
    source: Source[ItemT],
    take: Callable[[Iterable[ItemT]], None],
    lost: Callable[[OSError], None],
) -> Callable[[], None]:
    """Hand on what comes from `source`, in batches, on the running event loop.

    Args:
        source: stays with the caller, who closes it after stopping the delivery.
        take: given each batch, to be gone through once; and what is left of it after a fault.
        lost: told when the source is dead (its device was removed); nothing comes after.

    Returns:
        A function that stops the delivery; a second call does nothing.
    """
    loop = asyncio.get_running_loop()
    descriptor = source.fileno()
    is_stopped = False

    def stop() -> None:
        nonlocal is_stopped
        # The number may be another file's by the second call.
        if not is_stopped:
            is_stopped = True
            loop.remove_reader(descriptor)

    def readable() -> None:
        try:
            items = source.receive()
        except OSError as error:
            # A dead descriptor stays readable for ever.
            stop()
            lost(error)
            return
        rest, left = iter(items), len(items) + 1
        # After a fault, on with the item behind the one that had it.
        while 0 < (remaining := length_hint(rest)) < left:
            left = remaining
            with guarded():
                take(rest)
                return

    loop.add_reader(descriptor, readable)
    return stop
