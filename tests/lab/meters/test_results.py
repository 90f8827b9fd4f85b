"""Silences, losses and rates drawn from what meters recorded."""

import pytest

from mcoa.lab.meters.results import EchoResult, FlowResult, StreamResult

TRAIN = EchoResult(
    sent_s=(10.00, 10.01, 10.02, 10.03, 10.04, 10.05),
    received_s=(10.02, 10.03, None, None, 10.10, 10.11),
)
FLOW = FlowResult(
    port=40000,
    octets=3000,
    marks=((1.0, 0), (2.0, 1000), (3.0, 3000)),
    gaps=((1.2, 0.03), (2.1, 0.5)),
)


def test_the_longest_silence_is_that_between_answers() -> None:
    assert TRAIN.longest_silence() == pytest.approx(0.07)
    assert TRAIN.lost == 2


def test_only_a_silence_that_ends_after_the_cut_counts() -> None:
    assert TRAIN.longest_silence(10.05) == pytest.approx(0.07)
    assert TRAIN.longest_silence(10.105) == pytest.approx(0.01)
    assert TRAIN.longest_silence(11.0) == 0.0


def test_a_silence_to_the_end_counts() -> None:
    silent = EchoResult(sent_s=(1.0, 2.0, 3.0), received_s=(1.1, None, None))
    assert silent.longest_silence(2.0) == pytest.approx(1.9)


def test_a_train_without_answers_is_all_silence() -> None:
    silent = EchoResult(sent_s=(1.0, 2.0), received_s=(None, None))
    assert silent.longest_silence() == 1.0
    assert silent.round_trip(0.0, 9.0) is None


def test_the_round_trip_is_the_median_of_an_interval() -> None:
    assert TRAIN.round_trip(10.0, 10.02) == pytest.approx(0.02)
    assert TRAIN.round_trip(10.04, 11.0) == pytest.approx(0.06)


def test_octets_between_two_marks_lie_on_a_line() -> None:
    assert FLOW.octets_between(1.0, 3.0) == 3000
    assert FLOW.octets_between(2.0, 2.5) == pytest.approx(1000)
    assert FLOW.octets_between(0.0, 9.0) == 3000
    assert StreamResult(flows=(FLOW, FLOW)).goodput(2.0, 3.0) == pytest.approx(0.032)


def test_a_gap_before_the_cut_does_not_count() -> None:
    assert FLOW.longest_gap() == 0.5
    assert FLOW.longest_gap(2.55) == 0.5
    assert FLOW.longest_gap(2.61) == 0.0


def test_results_survive_their_way_through_json() -> None:
    streams = StreamResult(flows=(FLOW,))
    assert StreamResult.from_json(streams.to_json()) == streams
    assert EchoResult.from_json(TRAIN.to_json()) == TRAIN
