"""What the meters found, and the figures drawn from it. Times are monotonic seconds."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Self

Gap = tuple[float, float]  # start, length


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoResult:
    """One echo train: when each request left, and when its answer came (None: never)."""

    sent_s: tuple[float, ...]
    received_s: tuple[float | None, ...]

    def to_json(self) -> str:
        """Return the result as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` made."""
        fields = json.loads(text)
        return cls(
            sent_s=tuple(fields["sent_s"]),
            received_s=tuple(fields["received_s"]),
        )

    @property
    def lost(self) -> int:
        """The number of requests without an answer."""
        return sum(received is None for received in self.received_s)

    def lost_since(self, start_s: float) -> int:
        """Return how many answers are missing to requests on the way at `start_s` or later."""
        in_flight_s = 1.0
        return sum(
            received is None and sent > start_s - in_flight_s
            for sent, received in zip(self.sent_s, self.received_s, strict=True)
        )

    def lost_between(self, start_s: float, end_s: float) -> int:
        """Return how many answers are missing to requests sent in an interval."""
        return sum(
            received is None and start_s <= sent < end_s
            for sent, received in zip(self.sent_s, self.received_s, strict=True)
        )

    def longest_silence(self, start_s: float = 0.0) -> float:
        """Return the longest time without an answer that ended after `start_s`, in seconds.

        A silence that lasts to the end of the train is one, too.
        """
        arrivals = sorted(each for each in self.received_s if each is not None)
        bounds = [self.sent_s[0], *arrivals]
        if self.sent_s[-1] > bounds[-1]:
            bounds.append(self.sent_s[-1])
        first = max(1, bisect_right(bounds, start_s))
        pairs = zip(bounds[first - 1 :], bounds[first:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=0.0)

    def round_trip(self, start_s: float, end_s: float) -> float | None:
        """Return the median round trip in seconds of the requests sent in an interval."""
        trips = [
            received - sent
            for sent, received in zip(self.sent_s, self.received_s, strict=True)
            if received is not None and start_s <= sent < end_s
        ]
        return median(trips) if trips else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowResult:
    """One TCP connection as its receiver saw it.

    `marks` are (time, octets so far), ten a second and one at the end; `gaps` are the times
    of 20 ms and more without a chunk; `error` is how the connection died, None if it lived.
    """

    port: int
    octets: int
    marks: tuple[Gap, ...]
    gaps: tuple[Gap, ...]
    error: str | None = None

    def longest_gap(self, start_s: float = 0.0) -> float:
        """Return the longest gap that ended after `start_s`, in seconds."""
        return max(
            (length for start, length in self.gaps if start + length > start_s), default=0.0
        )

    def octets_between(self, start_s: float, end_s: float) -> float:
        """Return the octets received in an interval."""
        return octets_at(self.marks, end_s) - octets_at(self.marks, start_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResult:
    """A set of TCP connections that ran side by side."""

    flows: tuple[FlowResult, ...]

    def to_json(self) -> str:
        """Return the result as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` made."""
        return cls(flows=tuple(flow_from_json(fields) for fields in json.loads(text)["flows"]))

    @property
    def survived(self) -> bool:
        """Whether every connection was there to the end."""
        return all(flow.error is None for flow in self.flows)

    def goodput(self, start_s: float, end_s: float) -> float:
        """Return the octets of payload a second in an interval, of all flows, in Mbit/s."""
        octets = sum(flow.octets_between(start_s, end_s) for flow in self.flows)
        return octets * 8 / (end_s - start_s) / 1e6


def flow_from_json(fields: dict[str, object]) -> FlowResult:
    """Read one connection's result; ValueError if it is none."""
    match fields:
        case {
            "port": int(port),
            "octets": int(octets),
            "marks": list(marks),
            "gaps": list(gaps),
            "error": (str() | None) as error,
        }:
            return FlowResult(
                port=port,
                octets=octets,
                marks=tuple((time, number) for time, number in marks),
                gaps=tuple((start, length) for start, length in gaps),
                error=error,
            )
        case _:
            raise ValueError(f"not a flow's result: {fields}")


def octets_at(marks: Sequence[Gap], time_s: float) -> float:
    """Return the octets received by `time_s`, between two marks by a straight line."""
    after = bisect_right(marks, time_s, key=lambda mark: mark[0])
    if after == 0:
        return 0.0
    start, octets = marks[after - 1]
    if after == len(marks):
        return octets
    end, later_octets = marks[after]
    return octets + (later_octets - octets) * (time_s - start) / (end - start)
