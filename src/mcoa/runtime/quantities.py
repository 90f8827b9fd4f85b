"""Durations and rates as people write them."""

import re
from math import isfinite

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_MBIT = {"kbit/s": 0.001, "mbit/s": 1.0, "gbit/s": 1000.0}
_NUMBER = r"\d+(?:\.\d+)?"
_DURATION_PART = re.compile(rf"\s*({_NUMBER})\s*([a-z]*)\s*")
_RATE = re.compile(rf"({_NUMBER})\s*([kmg]bit/s)", re.IGNORECASE)

DURATION_HINT = 'write a number with its unit (ms, s, m, h, d), such as "5m", "90s" or "1h 30m"'
RATE_HINT = 'write megabits a second, such as 40 or 7.5, or a rate such as "300 kbit/s"'


def parse_duration(text: str) -> float:
    """Return the seconds of a text such as "5m", "90s" or "1h 30m".

    Raises:
        ValueError: with a sentence that says what is wrong with the text.
    """
    seconds, at = 0.0, 0
    while at < len(text) or at == 0:
        part = _DURATION_PART.match(text, at)
        if part is None:
            raise ValueError(f'"{text}" is not a duration')
        number, unit = part.groups()
        if not unit:
            raise ValueError(f'"{text}" has no unit')
        if unit not in _SECONDS:
            raise ValueError(f'"{unit}" is not a unit of time')
        seconds += float(number) * _SECONDS[unit]
        at = part.end()
    if not isfinite(seconds):
        raise ValueError(f'"{text}" is not a duration')
    return seconds


def parse_rate(text: str) -> float:
    """Return the megabits a second of a text such as "40 Mbit/s".

    Raises:
        ValueError: with a sentence that says what is wrong with the text.
    """
    rate = _RATE.fullmatch(text.strip())
    if rate is None:
        raise ValueError(f'"{text}" is not a rate')
    return float(rate[1]) * _MBIT[rate[2].lower()]
