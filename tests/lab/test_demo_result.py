"""The figures and claims of the demonstration follow from what was measured."""

from dataclasses import replace

import pytest

from mcoa.lab.demo_result import CutResult, DemoResult

CUT = CutResult(
    link="lte",
    gap_ms=52.0,
    lost=5,
    surviving_rtt_ms=41.0,
    tcp_gap_ms=150.0,
    message_gap_ms=60.0,
    tcp_survived=True,
    moved_to="wifi",
)
GOOD = DemoResult(
    ground="somewhere",
    links=3,
    bindings_registered=3,
    singles_mbit_s=(("lte", 36.0), ("wifi", 18.0), ("sat", 26.0)),
    aggregate_mbit_s=78.0,
    cuts=(CUT, replace(CUT, gap_ms=80.0), replace(CUT, gap_ms=40.0, tcp_gap_ms=None)),
    plain_cuts=(replace(CUT, gap_ms=900.0, lost=90),),
    recovered=True,
)


def test_a_good_run_holds_and_reports_medians() -> None:
    result = GOOD.to_object()
    assert GOOD.holds
    assert result["cut"] == {
        "gap_ms": 52.0,
        "tcp_gap_ms": 150.0,
        "lost": 5,
        "surviving_rtt_ms": 41.0,
    }
    assert result["plain_mobile_ipv6"] == {"gap_ms": 900.0, "lost": 90}
    assert result["best_single_mbit_s"] == 36.0


@pytest.mark.parametrize(
    "worse",
    [
        replace(GOOD, bindings_registered=2),
        replace(GOOD, aggregate_mbit_s=71.9),
        replace(GOOD, cuts=(replace(CUT, tcp_survived=False), CUT, CUT)),
        replace(GOOD, cuts=(replace(CUT, gap_ms=91.1),)),
        replace(GOOD, cuts=(replace(CUT, surviving_rtt_ms=None),)),
        replace(GOOD, cuts=(replace(CUT, tcp_gap_ms=1000.0),)),
        replace(GOOD, cuts=(replace(CUT, tcp_gap_ms=None),)),
        replace(GOOD, cuts=()),
        replace(GOOD, singles_mbit_s=(), aggregate_mbit_s=0.0),
        replace(GOOD, recovered=False),
    ],
)
def test_one_false_claim_is_enough_to_fail(worse: DemoResult) -> None:
    assert not worse.holds
    assert worse.to_object()["holds"] is False
