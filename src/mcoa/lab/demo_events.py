"""What the demonstration says while it runs, as values that any view can draw."""

from dataclasses import dataclass

from mcoa.lab.demo_result import DemoResult
from mcoa.lab.ground import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundFound:
    """The first event: on which ground the demonstration runs."""

    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The network stands; pairs of a node's name and its namespace as ip(8) knows it."""

    namespaces: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegan:
    """A step begins; the one before it is over."""

    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding of the running step, in one sentence."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReading:
    """What a link does now; `binding` is its state in the update list, "" if unknown."""

    name: str
    rate_mbit_s: int
    rtt_ms: float
    has_carrier: bool
    care_of_address: str
    binding: str
    up_mbit_s: float
    down_mbit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The state of all links, several times a second; `elapsed_s` since the beginning."""

    elapsed_s: float
    links: tuple[LinkReading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The last event."""

    result: DemoResult


Event = GroundFound | Built | StepBegan | Found | Reading | Finished
