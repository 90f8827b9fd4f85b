"""Durations, rates and sizes for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.runtime.quantities import parse_duration, parse_rate
from mcoa.runtime.units import human_duration, human_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("90s", 90),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("2 min", 120),
        (" 10 s ", 10),
        ("1d", 86400),
        ("0s", 0),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("5", "has no unit"),
        ("5m 3", "has no unit"),
        ("5 fortnights", "not a unit of time"),
        ("5M", "has no unit"),
        ("", "not a duration"),
        ("m", "not a duration"),
        ("-5m", "not a duration"),
        ("5m!", "not a duration"),
        ("9" * 400 + "s", "not a duration"),
    ],
)
def test_what_is_no_duration_is_told_why(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.042, "42ms"),
        (59.9, "59s"),
        (252, "4m 12s"),
        (300, "5m"),
        (3600, "1h"),
        (3661, "1h 1m"),
        (90061, "1d 1h"),
        (86401, "1d"),
        (-5, "-5s"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@given(seconds=st.integers(1, 10_000_000))
def test_a_told_duration_reads_back_to_within_its_smaller_unit(seconds: int) -> None:
    read = parse_duration(human_duration(seconds))
    unit = 3600 if seconds >= 86400 else 60 if seconds >= 3600 else 1
    assert 0 <= seconds - read < unit


@given(text=st.text(max_size=12))
def test_any_text_is_a_duration_and_a_rate_or_an_error(text: str) -> None:
    for parse in (parse_duration, parse_rate):
        try:
            assert parse(text) >= 0
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("text", "rate"), [("40 Mbit/s", 40), ("300kbit/s", 0.3), ("1 Gbit/s", 1000)]
)
def test_a_rate_is_megabits_a_second(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["40", "40 MB/s", "fast", "-1 Mbit/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (1536, "1.5 KiB"),
        (1_572_864, "1.5 MiB"),
        (5 << 40, "5.0 TiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_a_size_is_told_in_binary_units(octets: int, text: str) -> None:
    assert human_size(octets) == text
