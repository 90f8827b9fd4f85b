"""The results of `mcoa lab failover` as a picture: a row of bars for each fault."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Final
from xml.sax.saxutils import escape

_SVG: Final = "http://www.w3.org/2000/svg"
_BIN_MS: Final = 10
_LEAST_SHOWN_MS: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 190, 90, 48, 44
_ROW, _BAR, _BIN = 56, 40, 16
_TEXT: Final = 'font-family="sans-serif" font-size="13"'
_INK, _BAR_COLOUR, _GRID = "#333", "#3b76af", "#ddd"


def picture(rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return an SVG picture: how often which silence was seen.

    Args:
        rows: a name and the silences in milliseconds, for each fault; none is empty.
    """
    longest = max((max(gaps) for _, gaps in rows), default=0.0)
    bins = int(max(longest, _LEAST_SHOWN_MS)) // _BIN_MS + 1
    width = _LEFT + bins * _BIN + _RIGHT
    height = _TOP + len(rows) * _ROW + _BOTTOM
    most = max((count for _, gaps in rows for count in _bins(gaps).values()), default=1)
    parts = [
        f'<svg xmlns="{_SVG}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(
            _LEFT,
            24,
            "silence of a 100 packets a second train, less the surviving path's round trip",
        ),
        *_grid(bins, height),
    ]
    for number, (name, gaps) in enumerate(rows):
        parts += _row(name, gaps, _TOP + (number + 1) * _ROW, bins, most)
    return "\n".join((*parts, "</svg>", ""))


def _bins(gaps: Sequence[float]) -> Counter[int]:
    return Counter(int(gap) // _BIN_MS for gap in gaps)


def _grid(bins: int, height: int) -> list[str]:
    bottom = height - _BOTTOM + 4
    parts: list[str] = []
    for place in range(0, bins + 1, 5):
        x = _LEFT + place * _BIN
        parts.append(f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{bottom}" stroke="{_GRID}"/>')
        parts.append(_text(x, bottom + 18, f"{place * _BIN_MS} ms", anchor="middle"))
    return parts


def _row(name: str, gaps: Sequence[float], base: int, bins: int, most: int) -> list[str]:
    right = _LEFT + bins * _BIN
    parts = [
        _text(_LEFT - 10, base - 4, name, anchor="end"),
        _text(right + 8, base - 20, f"median {median(gaps):.0f}"),
        _text(right + 8, base - 4, f"worst {max(gaps):.0f}"),
        f'<line x1="{_LEFT}" y1="{base}" x2="{right}" y2="{base}" stroke="{_INK}"/>',
    ]
    for place, count in sorted(_bins(gaps).items()):
        size = max(2, round(_BAR * count / most))
        parts.append(
            f'<rect x="{_LEFT + place * _BIN + 1}" y="{base - size}" width="{_BIN - 2}"'
            f' height="{size}" fill="{_BAR_COLOUR}"><title>{count} times</title></rect>'
        )
    return parts


def _text(x: int, y: int, text: str, *, anchor: str = "start") -> str:
    return (
        f'<text x="{x}" y="{y}" {_TEXT} fill="{_INK}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )
