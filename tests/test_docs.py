"""The documents keep their word: commands, links, files and configurations that they name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import click
import pytest

from mcoa.cli.entry import LazyGroup, mcoa
from mcoa.runtime.config import parse

ROOT = Path(__file__).parents[1]
GENERATED = {ROOT / "docs" / "conformance.md"}
DOCUMENTS = tuple(
    path
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    if path not in GENERATED
)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FILE = re.compile(r"[a-z_]+(?:/[a-z_0-9]+)*/[a-z_0-9]+\.py")
AFTER_COMMAND = frozenset({"|", ">", ">>", "<", "&&", ";", "&", "#"})
COMMAND_WORDS = frozenset({"sudo", "&&"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A command line in a document."""

    document: Path
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}: {' '.join(self.words)}"


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def fenced(document: Path, language: str) -> Iterator[str]:
    return (block for name, block in FENCE.findall(text_of(document)) if name == language)


def lines_with_commands(document: Path) -> Iterator[str]:
    """Yield what a reader may type: lines of shell blocks, and words set as code."""
    for block in fenced(document, "sh"):
        yield from block.splitlines()
    yield from INLINE.findall(FENCE.sub("", text_of(document)))


def shown(program: str) -> list[Shown]:
    found = []
    for document in DOCUMENTS:
        for line in lines_with_commands(document):
            words = line.split("#")[0].split()
            for place, word in enumerate(words):
                starts = place == 0 or words[place - 1] in COMMAND_WORDS
                if starts and Path(word).name == program:
                    rest = takewhile(lambda w: w not in AFTER_COMMAND, words[place + 1 :])
                    found.append(Shown(document, tuple(rest)))
    return found


def slug(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def is_placeholder(word: str) -> bool:
    return word.isupper() or word == "..." or "|" in word


def command_of(words: tuple[str, ...]) -> tuple[click.Command, tuple[str, ...]]:
    """Return the command that words name, and what is left of them."""
    if not words or words[0].startswith("-"):
        return mcoa, words
    context = click.Context(mcoa, info_name="mcoa")
    command = mcoa.get_command(context, words[0])
    assert command is not None, f"there is no command {words[0]}"
    rest = words[1:]
    while isinstance(command, click.Group) and rest and rest[0][0] not in "-[":
        if is_placeholder(rest[0]):
            break
        inner = command.get_command(context, rest[0])
        assert inner is not None, f"there is no command {' '.join(words)}"
        command, rest = inner, rest[1:]
    return command, rest


def problem_with(words: tuple[str, ...]) -> str | None:
    """Return what is wrong with the words after `mcoa`; nothing is run."""
    command, rest = command_of(words)
    known = {opt for p in command.params if isinstance(p, click.Option) for opt in p.opts}
    known |= {"--help", "-h", "--version"}
    for word in rest:
        if word.startswith("-") and word != "-" and word not in known:
            return f"no option {word}"
    if any(is_placeholder(word) for word in rest):
        return None
    if isinstance(command, LazyGroup) or not rest:
        return None
    try:
        command.make_context(command.name, list(rest)).close()
    except click.ClickException as error:
        # Whether a file of an example is here does not matter.
        return None if "No such file" in error.message else error.format_message()
    except click.exceptions.Exit:
        return None
    return None


def test_there_are_documents_and_commands_in_them() -> None:
    assert len(DOCUMENTS) >= 10
    assert len(shown("mcoa")) >= 10


@pytest.mark.parametrize("command", shown("mcoa"), ids=str)
def test_a_command_that_is_shown_exists_with_its_options(command: Shown) -> None:
    assert problem_with(command.words) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("show --colour", "no option --colour"),
        ("init home", "'home' is not one of"),
        ("check", None),
        ("run FILE --dry-run", None),
        ("decode -", None),
    ],
)
def test_the_check_of_commands_finds_faults(line: str, says: str | None) -> None:
    found = problem_with(tuple(line.split()))
    assert (found is None) if says is None else (found is not None and says in found)


@pytest.mark.parametrize("command", shown("make"), ids=str)
def test_a_make_target_that_is_shown_exists(command: Shown) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    wanted = {word for word in command.words if "=" not in word}
    assert wanted <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    dead = []
    for target in LINK.findall(FENCE.sub("", text_of(document))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        if not there.exists() or (
            anchor and anchor not in map(slug, HEADING.findall(text_of(there)))
        ):
            dead.append(target)
    assert not dead


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_files_that_are_named_exist(document: Path) -> None:
    named = (word for word in INLINE.findall(text_of(document)) if FILE.fullmatch(word))
    places = (ROOT / "src" / "mcoa", ROOT)
    missing = [name for name in named if not any((place / name).exists() for place in places)]
    assert not missing


def examples() -> Iterator[tuple[str, str]]:
    """Yield configurations; rules alone go to the end of the file that was shown before."""
    for document in DOCUMENTS:
        whole = ""
        for number, block in enumerate(fenced(document, "toml"), 1):
            is_whole = "role =" in block
            whole = block if is_whole else whole
            text = block if is_whole else f"{whole}\n{block}"
            yield f"{document.relative_to(ROOT)}-{number}", text


@pytest.mark.parametrize(("name", "text"), list(examples()), ids=lambda value: value[:60])
def test_configuration_examples_are_valid(name: str, text: str) -> None:
    parse(text, file=name, default_name="example")
