"""How far a benchmark is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """A part of the benchmark begins."""

    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """Rounds of this part are done."""

    done: int
    total: int
