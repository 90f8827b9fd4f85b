"""Places of keys and values, judged by the standard parser."""

import tomllib
from contextlib import suppress
from datetime import UTC, date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.runtime.toml_positions import Path, find_places

BARE = st.text("abcXYZ019_-", min_size=1, max_size=6)
ANY_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12
)


def basic(text: str) -> str:
    """Return a text as a basic string, with every escape where it has one."""
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\x08": "\\b", "\x0c": "\\f"}
    return '"' + "".join(short.get(c) or plain_or_escaped(c) for c in text) + '"'


def plain_or_escaped(letter: str) -> str:
    if letter.isprintable():
        return letter
    number = ord(letter)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08X}"


@st.composite
def written_keys(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["bare", "basic", "literal"]))
    if kind == "bare":
        return draw(BARE)
    if kind == "basic":
        return basic(draw(ANY_TEXT))
    return "'" + draw(st.text('ab .=[]#"\\{}', max_size=6)) + "'"


@st.composite
def written_texts(draw: st.DrawFn) -> str:
    quote = draw(st.sampled_from(["basic", "literal", "long basic", "long literal"]))
    if quote == "basic":
        return basic(draw(ANY_TEXT))
    if quote == "literal":
        return "'" + draw(st.text('ab ,=[]#"\\{}\t', max_size=8)) + "'"
    body = draw(st.text("ab ,=[]#{}\n", max_size=10))
    body += (
        draw(st.sampled_from(["", "\\\\", '\\"', "\\\n   x"])) if quote == "long basic" else ""
    )
    tail = draw(st.sampled_from(["", "q", "qq"]))
    mark = '"' if quote == "long basic" else "'"
    return mark * 3 + body + tail.replace("q", mark) + mark * 3


SCALARS = st.one_of(
    written_texts(),
    st.integers(-(1 << 40), 1 << 40).map(str),
    st.sampled_from(["0xBeef", "1_000", "+7", "-0.5e3", "inf", "-nan", "true", "false"]),
    st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat(" ")),
    st.dates().map(date.isoformat),
    st.times().map(time.isoformat),
)
GAPS = st.sampled_from(["", " ", "\n", " # a , comment ] } \"'\n", "\t\n\n  "])
BLANKS = st.sampled_from(["", " ", "\t ", "  "])


@st.composite
def arrays(draw: st.DrawFn, elements: st.SearchStrategy[str]) -> str:
    items = draw(st.lists(elements, max_size=4))
    parts = [draw(GAPS) + item + draw(GAPS) for item in items]
    comma = "," if items and draw(st.booleans()) else ""
    return "[" + ",".join(parts) + comma + draw(GAPS) + "]"


@st.composite
def inline_tables(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    pairs = draw(st.lists(st.tuples(BARE, values), max_size=3, unique_by=lambda pair: pair[0]))
    texts = [f"{draw(BLANKS)}{key}{draw(BLANKS)}={draw(BLANKS)}{text} " for key, text in pairs]
    return "{" + ",".join(texts) + "}"


# What may stand in an inline table must fit on one line, but for long strings and arrays.
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(arrays(inner), inline_tables(inner)), max_leaves=6
)


@st.composite
def pairs(draw: st.DrawFn) -> str:
    dot = draw(BLANKS) + "." + draw(BLANKS)
    key = dot.join(draw(st.lists(written_keys(), min_size=1, max_size=3)))
    comment = draw(st.sampled_from(["", " # why = [not]"]))
    return f"{draw(BLANKS)}{key}{draw(BLANKS)}={draw(BLANKS)}{draw(VALUES)}{comment}\n"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Write lines and keep those that the standard parser takes with the earlier ones."""
    text = ""
    for _ in range(draw(st.integers(0, 6))):
        keys = " . ".join(draw(st.lists(BARE, min_size=1, max_size=3)))
        header = draw(st.sampled_from([f"[{keys}]\n", f" [[ {keys} ]] # several\n", "", "\n"]))
        for addition in [header, *draw(st.lists(pairs(), max_size=3))]:
            try:
                tomllib.loads(text + addition)
            except tomllib.TOMLDecodeError:
                continue
            text += addition
    return text


def paths(value: object, path: Path = ()) -> dict[Path, object]:
    """Return every path of a parsed document with its value."""
    found: dict[Path, object] = {path: value} if path else {}
    match value:
        case dict():
            for key, inner in value.items():
                found |= paths(inner, (*path, key))
        case list():
            for index, inner in enumerate(value):
                found |= paths(inner, (*path, index))
    return found


@given(text=documents())
def test_every_value_is_where_the_place_says(text: str) -> None:
    places = find_places(text)
    expected = paths(tomllib.loads(text))
    assert places.keys() == expected.keys()
    for path, value in expected.items():
        place = places[path]
        if place.key is not None:
            key = text[place.key.start : place.key.end]
            named = path[-1] if isinstance(path[-1], str) else path[-2]
            assert list(tomllib.loads(f"{key} = 1")) == [named]
        if not isinstance(value, dict) and not is_array_of_tables(text, place.value.start):
            written = text[place.value.start : place.value.end]
            assert repr(tomllib.loads(f"value = {written}")["value"]) == repr(value)


def is_array_of_tables(text: str, start: int) -> bool:
    line = text[text.rfind("\n", 0, start) + 1 :].lstrip()
    return line.startswith("[") and "=" not in line.partition("\n")[0]


def place_of(text: str, *path: str | int) -> tuple[str | None, str]:
    place = find_places(text)[path]
    key = None if place.key is None else text[place.key.start : place.key.end]
    return key, text[place.value.start : place.value.end]


def test_a_value_ends_before_its_comment() -> None:
    assert place_of('a = "x # y"  # comment\n', "a") == ("a", '"x # y"')
    assert place_of("a = 1979-05-27 07:32:00 # comment", "a") == ("a", "1979-05-27 07:32:00")


def test_tables_of_an_array_are_told_apart() -> None:
    text = "[[link]]\nbid = 1\n[[link]]\nbid = 2\n[link.more]\nx = 3\n"
    assert place_of(text, "link", 0, "bid") == ("bid", "1")
    assert place_of(text, "link", 1, "bid") == ("bid", "2")
    assert place_of(text, "link", 1, "more", "x") == ("x", "3")
    assert place_of(text, "link", 1) == ("link", "[[link]]")


def test_quoted_keys_are_read_as_the_parser_reads_them() -> None:
    text = '"a\\\\u0041\\u0042".\'c"d\' = 1\n'
    assert place_of(text, "a\\u0041B", 'c"d') == ("'c\"d'", "1")


@pytest.mark.parametrize(
    "text",
    ["a = [1 2]", "a = [", "a", "[a", "= 1", 'a = "x', "a = {b 1}", "a = [}", "a = {b = 1]"],
)
def test_what_the_parser_would_refuse_does_not_hang_the_scanner(text: str) -> None:
    with suppress(ValueError):
        find_places(text)


@given(text=st.text("a=[]{}\",'.#\n 1", max_size=30))
def test_any_text_ends_the_scanner(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        try:
            find_places(text)
        except ValueError:
            return
    else:
        find_places(text)
