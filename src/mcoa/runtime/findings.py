"""Faults of a document by path, and how they become problems by line and column."""

from collections.abc import Iterable
from dataclasses import dataclass

from mcoa.runtime.problems import Problem
from mcoa.runtime.toml_positions import Path, Place, Span, find_places


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong with the value at `path`, or with its key."""

    path: Path
    message: str
    hint: str
    at_key: bool = False


def locate(findings: Iterable[Finding], text: str, file: str) -> tuple[Problem, ...]:
    """Return the problems in the order of the text; what is missing stands at its table."""
    places = find_places(text)
    problems = [_problem(finding, places, text, file) for finding in findings]
    return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column)))


def problem_at(span: Span, text: str, file: str, message: str, hint: str) -> Problem:
    """Return a problem at a span of the text, cut at the end of its first line."""
    begin = text.rfind("\n", 0, span.start) + 1
    source = text[begin:].partition("\n")[0]
    return Problem(
        file=file,
        line=text.count("\n", 0, span.start) + 1,
        column=span.start - begin + 1,
        width=min(span.end - begin, len(source)) - (span.start - begin),
        source="".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in source),
        message=message,
        hint=hint,
    )


def _problem(finding: Finding, places: dict[Path, Place], text: str, file: str) -> Problem:
    for length in range(len(finding.path), 0, -1):
        place = places.get(finding.path[:length])
        if place is not None:
            span = place.key if finding.at_key and place.key else place.value
            return problem_at(span, text, file, finding.message, finding.hint)
    return Problem(file=file, line=1, message=finding.message, hint=finding.hint)
