"""Measurements that are taken in turn, so that a busy machine wrongs all of them alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Contender = Callable[[], float]
"""Runs one round, and returns what it measured, such as microseconds for one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the rounds of one contender gave; the unit is its owner's."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "Figures":
        """Sum up one number a round."""
        return cls(median=median(rounds), minimum=min(rounds), maximum=max(rounds))

    def to_object(self) -> dict[str, float]:
        """Return what JSON shows of it."""
        return {"median": self.median, "min": self.minimum, "max": self.maximum}


class Contest:
    """Contenders that run in turn, A B A B, after a first round that nobody counts."""

    def __init__(self, contenders: Mapping[str, Contender], rounds: int) -> None:
        self._contenders = contenders
        self._rounds = rounds
        self._measured: dict[str, list[float]] = {name: [] for name in contenders}

    def run(self) -> Iterator[tuple[int, int]]:
        """Run all rounds; yield how many are done, and of how many."""
        for contender in self._contenders.values():
            contender()
        for number in range(self._rounds):
            yield number, self._rounds
            for name, contender in self._contenders.items():
                self._measured[name].append(contender())

    def figures(self, name: str) -> Figures | None:
        """Return what a contender reached; None when it did not take part."""
        rounds = self._measured.get(name)
        return Figures.of(rounds) if rounds else None

    def result(self, name: str) -> Figures:
        """Return what a contender that took part has reached."""
        return Figures.of(self._measured[name])
