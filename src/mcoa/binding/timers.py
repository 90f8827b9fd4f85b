"""Deadlines, so that an engine needs one timer from its runtime.

Two containers for two needs. `TimerTable` is exact and small: the few timers of a mobile
node. `SecondBuckets` is coarse and large: the expiry of a million bindings that are nearly
always refreshed before it comes.
"""

from collections.abc import Hashable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from math import ceil
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)

_STALE_ENTRIES_KEPT = 64
_AT_ONCE = 1000


class TimerTable(Generic[KeyT]):
    """At most one deadline for each key; times are monotonic seconds."""

    __slots__ = ("_deadlines", "_heap", "_serial")

    def __init__(self) -> None:
        self._deadlines: dict[KeyT, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, KeyT]] = []
        self._serial = 0

    def __contains__(self, key: KeyT) -> bool:
        return key in self._deadlines

    def set(self, key: KeyT, deadline_s: float) -> None:
        """Arm `key`, replacing its earlier deadline."""
        self._serial += 1
        self._deadlines[key] = (deadline_s, self._serial)
        heappush(self._heap, (deadline_s, self._serial, key))
        if len(self._heap) > 2 * len(self._deadlines) + _STALE_ENTRIES_KEPT:
            self._rebuild()

    def stop(self, key: KeyT) -> None:
        """Disarm `key`; harmless when it is not armed."""
        self._deadlines.pop(key, None)

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, or None when nothing is armed."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def expire(self, now: float) -> Iterator[KeyT]:
        """Yield and disarm each key whose deadline is `now` or earlier, earliest first."""
        while True:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > now:
                return
            key = heappop(self._heap)[2]
            del self._deadlines[key]
            yield key

    def _drop_stale(self) -> None:
        # set() and stop() leave the old heap entry behind: deleting from the middle
        # of a heap is linear, skipping a stale entry at its head is not.
        heap, deadlines = self._heap, self._deadlines
        while heap and deadlines.get(heap[0][2], (0.0, 0))[1] != heap[0][1]:
            heappop(heap)

    def _rebuild(self) -> None:
        # Keys that are re-armed far ahead of time never surface at the head: without
        # this, stale entries would pile up for as long as the process lives.
        self._heap = [(at, serial, key) for key, (at, serial) in self._deadlines.items()]
        heapify(self._heap)


class SecondBuckets(Generic[KeyT]):
    """Keys to look at again, a bucket a second; whoever is woken re-arms himself if early.

    Which bucket counts for a key is for the caller to remember, so that a refresh, which only
    moves an expiry away, costs nothing here. A key that was added anew, for an earlier time,
    leaves its old place behind; see replace().
    """

    __slots__ = ("_buckets", "_count", "_seconds")

    def __init__(self) -> None:
        self._buckets: dict[int, list[KeyT]] = {}
        self._seconds: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        """Return the number of places, those left behind among them."""
        return self._count

    def add(self, key: KeyT, deadline_s: float) -> int:
        """Wake `key` at the end of the second of `deadline_s`; return that second."""
        second = ceil(deadline_s)
        self._count += 1
        bucket = self._buckets.get(second)
        if bucket is None:
            self._buckets[second] = [key]
            heappush(self._seconds, second)
        else:
            bucket.append(key)
        return second

    def replace(self, keys: Iterable[tuple[int, KeyT]]) -> None:
        """Forget all places but these; not to be called while due() is being read."""
        self._buckets.clear()
        self._seconds.clear()
        self._count = 0
        for second, key in keys:
            self.add(key, second)

    def next_deadline(self) -> float | None:
        """Return the earliest second with a key in it."""
        return float(self._seconds[0]) if self._seconds else None

    def due(self, now: float, *, most: int = _AT_ONCE) -> Iterator[tuple[int, KeyT]]:
        """Yield and forget keys of the seconds up to `now`, with their second.

        Never more than `most`: what remains stays due, so that packets are served between.
        """
        while self._seconds and self._seconds[0] <= now:
            second = self._seconds[0]
            bucket = self._buckets[second]
            while bucket:
                if not most:
                    return
                most -= 1
                self._count -= 1
                yield second, bucket.pop()
            heappop(self._seconds)
            del self._buckets[second]
