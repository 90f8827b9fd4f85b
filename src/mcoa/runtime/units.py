"""Durations, rates and sizes as people write and read them."""

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


def human_duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as "4m 12s"; "350ms" below a second."""
    sign, whole = "-" if seconds < 0 else "", int(abs(seconds))
    if whole == 0:
        thousandths = int(abs(seconds) * 1000)
        return f"{sign}{thousandths}ms" if thousandths else "0s"
    amounts = (whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60)
    first = next(place for place, amount in enumerate(amounts) if amount)
    two = list(zip(amounts, "dhms", strict=True))[first : first + 2]
    return sign + " ".join(f"{amount}{unit}" for amount, unit in two if amount)


def human_size(octets: int) -> str:
    """Return an amount of data such as "812 B" or "1.5 MiB"."""
    amount, unit = float(octets), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(amount) < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{octets} B" if unit == "B" else f"{amount:.1f} {unit}"
