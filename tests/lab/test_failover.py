"""What `mcoa lab failover` claims, and its picture."""

import xml.etree.ElementTree as ET

from mcoa.lab.demo_result import CutResult
from mcoa.lab.scenarios.failover import FAULTS, Outcome, Series
from mcoa.lab.scenarios.failover_picture import picture


def outcome(gap_ms: float, *, lost: int = 1, copies_lost: int = 0, tcp: bool = True) -> Outcome:
    cut = CutResult(
        link="lte",
        gap_ms=gap_ms + 20.0,
        lost=lost,
        surviving_rtt_ms=20.0,
        tcp_gap_ms=None,
        message_gap_ms=None,
        tcp_survived=tcp,
        moved_to="wifi",
    )
    return Outcome(cut=cut, copies_lost=copies_lost)


def holds(fault: str, *outcomes: Outcome) -> list[bool]:
    [wanted] = [each for each in FAULTS if each.name == fault]
    return [claim.holds for claim in Series(fault=wanted, outcomes=outcomes).claims()]


def test_a_series_is_judged_by_median_and_worst() -> None:
    good = [outcome(gap) for gap in (150.0, 199.0, 299.0)]
    assert holds("silent blackhole", *good) == [True] * 4
    assert holds("silent blackhole", *good, outcome(301.0)) == [False, False, True, True]
    assert holds("carrier cut", *map(outcome, (10.0, 31.0, 35.0))) == [False, True, True]


def test_lost_copies_and_connections_count() -> None:
    assert holds("flapping", outcome(9.0, copies_lost=1)) == [False, True]
    assert holds("flapping", outcome(9.0, tcp=False)) == [True, False]


def test_a_planned_end_loses_nothing() -> None:
    assert holds("link disable", outcome(0.0, lost=0)) == [True, True, True]
    assert holds("link disable", outcome(0.0, lost=1)) == [False, True, True]


def test_a_picture_has_a_bar_for_each_silence() -> None:
    drawn = ET.fromstring(picture([("a < b", [1.0, 2.0, 95.0]), ("other", [410.0])]))  # noqa: S314
    kinds = [each.tag.rpartition("}")[2] for each in drawn.iter()]
    assert kinds.count("title") == 3
    texts = [each.text for each in drawn.iter() if each.tag.endswith("text")]
    assert "a < b" in texts
    assert "median 2" in texts
    assert "worst 410" in texts
