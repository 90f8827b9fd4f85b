"""What the demonstration found, what it claims, and both as one JSON object."""

from dataclasses import dataclass
from statistics import median

SCHEMA = "mcoa.demo/1"
MOST_GAP_MS = 50.0  # over the round trip of a path that survives
MOST_TCP_GAP_MS = 1000.0
LEAST_SHARE = 0.9  # of the sum of the single-link goodputs

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutResult:
    """One link cut without notice; times in milliseconds.

    Attributes:
        link: the one that was cut, and that carried the measured flows, as counted on it.
        gap_ms: longest silence of the echo train, less its interval.
        lost: echoes without an answer.
        surviving_rtt_ms: round trip over the path that the train went on by; None if it did
            not go on.
        tcp_gap_ms: longest time without a chunk of any transfer that ran over the link; None
            if none did.
        message_gap_ms: the same of the connections that carry small messages.
        tcp_survived: whether all connections lived to the end.
        moved_to: the link that carried the train afterwards.
        recovered_s: from the carrier's return to the registration of all links.
    """

    link: str
    gap_ms: float
    lost: int
    surviving_rtt_ms: float | None
    tcp_gap_ms: float | None
    message_gap_ms: float | None
    tcp_survived: bool
    moved_to: str | None
    recovered_s: float | None = None

    def sentence(self) -> str:
        """Return the result for people."""
        words = [f"{self.link} cut: echo silent for {self.gap_ms:.0f} ms, {self.lost} lost"]
        if self.moved_to is not None and self.surviving_rtt_ms is not None:
            words.append(f"went on over {self.moved_to} ({self.surviving_rtt_ms:.0f} ms)")
        if self.tcp_gap_ms is not None:
            words.append(f"TCP transfer {self.tcp_gap_ms:.0f} ms")
        if self.message_gap_ms is not None:
            words.append(f"TCP messages {self.message_gap_ms:.0f} ms")
        if not self.tcp_survived:
            words.append("TCP connections were lost")
        return "; ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence about the result, and whether it is true."""

    sentence: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """Everything that the demonstration measured; `singles_mbit_s` is by link."""

    ground: str
    links: int
    bindings_registered: int
    singles_mbit_s: tuple[tuple[str, float], ...]
    aggregate_mbit_s: float
    cuts: tuple[CutResult, ...]
    plain_cuts: tuple[CutResult, ...]
    recovered: bool
    capture: str | None = None

    @property
    def best_single_mbit_s(self) -> float:
        """The goodput of the best link alone."""
        return max((rate for _, rate in self.singles_mbit_s), default=0.0)

    @property
    def sum_of_singles_mbit_s(self) -> float:
        """What all links together could carry."""
        return sum(rate for _, rate in self.singles_mbit_s)

    @property
    def tcp_survived(self) -> bool:
        """Whether every TCP connection survived every cut."""
        return bool(self.cuts) and all(cut.tcp_survived for cut in self.cuts)

    @property
    def gap_ms(self) -> float | None:
        """Median over the cuts of the echo train's gap."""
        return middle([cut.gap_ms for cut in self.cuts])

    @property
    def surviving_rtt_ms(self) -> float | None:
        """Median over the cuts of the surviving path's round trip."""
        return middle([cut.surviving_rtt_ms for cut in self.cuts])

    @property
    def tcp_gap_ms(self) -> float | None:
        """Median over the cuts of the longest gap of a TCP transfer."""
        return middle([cut.tcp_gap_ms for cut in self.cuts])

    def claims(self) -> tuple[Claim, ...]:
        """Return what the demonstration is to show, and whether it did."""
        gap_ms, rtt_ms, tcp_gap_ms = self.gap_ms, self.surviving_rtt_ms, self.tcp_gap_ms
        return (
            Claim(
                sentence=f"all {self.links} care-of addresses are registered",
                holds=self.bindings_registered == self.links,
            ),
            Claim(
                sentence=f"8 flows over {self.links} links carry at least {LEAST_SHARE} of the"
                " sum of the single links",
                holds=self.aggregate_mbit_s >= LEAST_SHARE * self.sum_of_singles_mbit_s > 0,
            ),
            Claim(sentence="TCP survives every cut", holds=self.tcp_survived),
            Claim(
                sentence=f"the echo train's gap is below {MOST_GAP_MS:.0f} ms plus the"
                " surviving path's round trip",
                holds=gap_ms is not None
                and rtt_ms is not None
                and gap_ms < MOST_GAP_MS + rtt_ms,
            ),
            Claim(
                sentence="the gap of a TCP transfer is below 1 s",
                holds=tcp_gap_ms is not None and tcp_gap_ms < MOST_TCP_GAP_MS,
            ),
            Claim(sentence="a link that comes back is used again", holds=self.recovered),
        )

    @property
    def holds(self) -> bool:
        """Whether every claim is true."""
        return all(claim.holds for claim in self.claims())

    def to_object(self) -> dict[str, JsonValue]:
        """Return the result as `--json` prints it; medians where there were several cuts."""
        return {
            "schema": SCHEMA,
            "ground": self.ground,
            "holds": self.holds,
            "bindings_registered": self.bindings_registered,
            "aggregate_mbit_s": _rounded(self.aggregate_mbit_s),
            "best_single_mbit_s": _rounded(self.best_single_mbit_s),
            "single_mbit_s": {name: _rounded(rate) for name, rate in self.singles_mbit_s},
            "tcp_survived": self.tcp_survived,
            "cut": {
                "gap_ms": _rounded(self.gap_ms),
                "tcp_gap_ms": _rounded(self.tcp_gap_ms),
                "lost": _rounded(middle([cut.lost for cut in self.cuts])),
                "surviving_rtt_ms": _rounded(self.surviving_rtt_ms),
            },
            "plain_mobile_ipv6": {
                "gap_ms": _rounded(middle([cut.gap_ms for cut in self.plain_cuts])),
                "lost": _rounded(middle([cut.lost for cut in self.plain_cuts])),
            },
            "recovered": self.recovered,
            "cuts": [_cut_object(cut) for cut in self.cuts],
            "plain_cuts": [_cut_object(cut) for cut in self.plain_cuts],
            "capture": self.capture,
        }


def middle(values: list[float | None] | list[float] | list[int]) -> float | None:
    """Return the median of the values that are there; None without any."""
    present = [value for value in values if value is not None]
    return median(present) if present else None


def _cut_object(cut: CutResult) -> dict[str, JsonValue]:
    return {
        "link": cut.link,
        "moved_to": cut.moved_to,
        "gap_ms": _rounded(cut.gap_ms),
        "lost": cut.lost,
        "surviving_rtt_ms": _rounded(cut.surviving_rtt_ms),
        "tcp_gap_ms": _rounded(cut.tcp_gap_ms),
        "message_gap_ms": _rounded(cut.message_gap_ms),
        "tcp_survived": cut.tcp_survived,
        "recovered_s": _rounded(cut.recovered_s),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
