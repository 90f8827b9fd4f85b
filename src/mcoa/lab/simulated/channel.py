"""One way over a link: what becomes of a packet, and when it arrives."""

from dataclasses import dataclass
from math import inf
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How a link treats packets, each way for itself.

    Attributes:
        jitter_s: on top of `delay_s`; it reorders packets.
        queue_s: how long a packet may wait for those before it; one that would have to wait
            longer is lost.
    """

    delay_s: float = 0.02
    jitter_s: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    rate_mbit_s: float = inf
    queue_s: float = inf


class Channel:
    """A queue, a transmitter of some rate, and the way to the other end."""

    __slots__ = ("_free_at_s", "_rng", "quality")

    def __init__(self, quality: Quality, rng: Random) -> None:
        self.quality = quality
        self._rng = rng
        self._free_at_s = 0.0

    def arrivals(self, octets: int, now: float) -> list[float]:
        """Put a packet in, and return when its copies arrive; none if it is lost."""
        quality, rng = self.quality, self._rng
        start_s = max(now, self._free_at_s)
        if start_s - now > quality.queue_s:
            return []
        self._free_at_s = start_s + 8e-6 * octets / quality.rate_mbit_s
        copies = 2 if rng.random() < quality.duplication else 1
        return [
            self._free_at_s + quality.delay_s + rng.uniform(0.0, quality.jitter_s)
            for _ in range(copies)
            if rng.random() >= quality.loss
        ]

    def clear(self, now: float) -> None:
        """Empty the queue."""
        self._free_at_s = now
