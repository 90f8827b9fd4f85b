"""Where the keys and values of a TOML text stand, so that an error can point at them.

The standard parser gives no positions. The scanner here only finds places: it takes for
granted that the standard parser has accepted the text, and leaves all meaning to it.
"""

import re
import tomllib
from dataclasses import dataclass

Path = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL_STRING = re.compile(r"'[^']*'")
_LONG_BASIC_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL)
_LONG_LITERAL_STRING = re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL)
_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\n]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of the text, as offsets of characters; `end` is the first one behind it."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value is: the key that names it (None in an array), and its text.

    The text of a table that has a header is the header; a table made by dotted keys alone
    has the first of them.
    """

    key: Span | None
    value: Span


def find_places(text: str) -> dict[Path, Place]:
    """Return the place of each value of a text which the standard parser has accepted.

    Line ends must be single line feeds, as the standard parser makes them.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.places


class _Scanner:
    def __init__(self, text: str) -> None:
        self.places: dict[Path, Place] = {}
        self._text = text
        self._at = 0
        self._table: Path = ()
        self._lengths: dict[Path, int] = {}  # of the arrays of tables

    def document(self) -> None:
        self._skip(_GAP)
        while self._at < len(self._text):
            if self._looking_at("["):
                self._header()
            else:
                self._pair(self._table)
            self._skip(_GAP)

    def _header(self) -> None:
        start = self._at
        is_array = self._looking_at("[[")
        self._at += 2 if is_array else 1
        keys = self._dotted_key()
        self._at += 2 if is_array else 1
        header = Span(start=start, end=self._at)
        path = (*self._inside_arrays(keys[:-1], header), keys[-1][0])
        key = keys[-1][1]
        if is_array:
            self.places.setdefault(path, Place(key=key, value=header))
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path += (self._lengths[path] - 1,)
        self._table = path
        self.places[path] = Place(key=key, value=header)

    def _inside_arrays(self, keys: list[tuple[str, Span]], value: Span) -> Path:
        """Follow the outer keys of a header; an array of tables means its last table."""
        path: Path = ()
        for name, span in keys:
            path += (name,)
            self.places.setdefault(path, Place(key=span, value=value))
            if path in self._lengths:
                path += (self._lengths[path] - 1,)
        return path

    def _pair(self, table: Path) -> None:
        keys = self._dotted_key()
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        path = table + tuple(name for name, _ in keys)
        value = self._value(path)
        for depth, (_, span) in enumerate(keys[:-1], start=len(table) + 1):
            whole = Span(start=keys[0][1].start, end=value.end)
            self.places.setdefault(path[:depth], Place(key=span, value=whole))
        self.places[path] = Place(key=keys[-1][1], value=value)

    def _dotted_key(self) -> list[tuple[str, Span]]:
        keys = []
        while True:
            self._skip(_BLANK)
            start = self._at
            name = self._key()
            keys.append((name, Span(start=start, end=self._at)))
            self._skip(_BLANK)
            if not self._looking_at("."):
                return keys
            self._at += 1

    def _key(self) -> str:
        if self._looking_at('"'):
            quoted = self._take(_BASIC_STRING)
            return str(tomllib.loads(f"key = {quoted}")["key"])  # it knows all the escapes
        if self._looking_at("'"):
            return self._take(_LITERAL_STRING)[1:-1]
        return self._take(_BARE_KEY)

    def _value(self, path: Path) -> Span:
        start = self._at
        match self._text[start : start + 1]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._string()
            case _:
                self._at = start + len(self._take(_SCALAR).rstrip(" \t"))
        return Span(start=start, end=self._at)

    def _string(self) -> None:
        if self._looking_at('"""'):
            self._take(_LONG_BASIC_STRING)
        elif self._looking_at("'''"):
            self._take(_LONG_LITERAL_STRING)
        elif self._looking_at('"'):
            self._take(_BASIC_STRING)
        else:
            self._take(_LITERAL_STRING)

    def _array(self, path: Path) -> None:
        self._at += 1
        self._skip(_GAP)
        index = 0
        while not self._looking_at("]"):
            element = (*path, index)
            self.places[element] = Place(key=None, value=self._value(element))
            index += 1
            self._next_item("]")
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._skip(_GAP)
        while not self._looking_at("}"):
            self._pair(path)
            self._next_item("}")
        self._at += 1

    def _next_item(self, end: str) -> None:
        self._skip(_GAP)
        if self._looking_at(","):
            self._at += 1
            self._skip(_GAP)
        elif not self._looking_at(end):
            raise ValueError(f"not valid TOML at character {self._at}")

    def _looking_at(self, start: str) -> bool:
        return self._text.startswith(start, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"not valid TOML at character {self._at}")
        self._at = found.end()
        return found[0]
