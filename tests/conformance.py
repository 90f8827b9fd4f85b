"""Which requirement of docs/requirements.csv is shown by which test, and did it pass.

A test names what it shows with `@pytest.mark.requirement("S6.2-17", ...)`. A run with
`--conformance` writes the outcome as a page and as JSON; neither has times or dates in it, so
that the same tests with the same outcomes give the same octets.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "requirements.csv"
PAGE = ROOT / "docs" / "conformance.md"
OBJECT = ROOT / "conformance.json"

#: The worst outcome of a test's phases and parameters is the test's; skipped shows nothing.
_GRAVITY = ("skipped", "passed", "failed")
_RESULTS = ("passed", "failed", "missing", "not applicable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One row of the table; `not_applicable` is empty, or why no test can show it."""

    id: str
    section: str
    role: str
    level: str
    requirement: str
    note: str
    not_applicable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A requirement with the outcome of each test that shows it."""

    requirement: Requirement
    tests: Mapping[str, str] = field(default_factory=dict)

    @property
    def result(self) -> str:
        """One of _RESULTS."""
        outcomes = set(self.tests.values())
        if "failed" in outcomes:
            return "failed"
        if "passed" in outcomes:
            return "passed"
        return "not applicable" if self.requirement.not_applicable else "missing"


def read_table(path: Path = TABLE) -> tuple[Requirement, ...]:
    """Read the requirements in their order."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(Requirement(**row) for row in csv.DictReader(file))


def rows_of(
    table: Iterable[Requirement], outcomes: Mapping[str, Mapping[str, str]]
) -> tuple[Row, ...]:
    """Join requirements with the outcomes by requirement and test."""
    return tuple(
        Row(requirement=entry, tests=dict(sorted(outcomes.get(entry.id, {}).items())))
        for entry in table
    )


def as_object(rows: Iterable[Row]) -> dict[str, object]:
    """Return what conformance.json holds."""
    rows = tuple(rows)
    by_result = _by_result(rows)
    return {
        "total": len(rows),
        "passed": len(by_result["passed"]),
        "failed": len(by_result["failed"]),
        "not_applicable": len(by_result["not applicable"]),
        "missing": [row.requirement.id for row in by_result["missing"]],
        "rows": [
            {
                "id": row.requirement.id,
                "section": row.requirement.section,
                "role": row.requirement.role,
                "level": row.requirement.level,
                "requirement": row.requirement.requirement,
                "note": row.requirement.note,
                "not_applicable": row.requirement.not_applicable,
                "result": row.result,
                "tests": [{"test": test, "outcome": o} for test, o in row.tests.items()],
            }
            for row in rows
        ],
    }


def as_page(rows: Iterable[Row]) -> str:
    """Return the page for readers, in Markdown."""
    rows = tuple(rows)
    sections: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        sections[row.requirement.section].append(row)
    lines = [
        "# Conformance to RFC 5648",
        "",
        "`make conformance` writes this page from [requirements.csv](requirements.csv) and the",
        "outcome of the tests; do not edit it. *Missing* means that no test shows the",
        "requirement yet, mostly because the part it is about does not exist yet: see",
        "[what is not supported](not-supported.md). A *fact* defines a word or a value.",
        "",
        *_summary(rows),
    ]
    for section, members in sections.items():
        lines += ["", f"## Section {section}", "", *_section(members)]
    return "\n".join(lines) + "\n"


def _by_result(rows: Iterable[Row]) -> dict[str, list[Row]]:
    by_result: dict[str, list[Row]] = {result: [] for result in _RESULTS}
    for row in rows:
        by_result[row.result].append(row)
    return by_result


def _summary(rows: tuple[Row, ...]) -> list[str]:
    counts = {result: len(members) for result, members in _by_result(rows).items()}
    return [
        "| total | " + " | ".join(counts) + " |",
        "|---" * (len(counts) + 1) + "|",
        f"| {len(rows)} | " + " | ".join(map(str, counts.values())) + " |",
    ]


def _section(rows: Iterable[Row]) -> list[str]:
    lines = ["| id | who | level | requirement | result | shown by |", "|---" * 6 + "|"]
    for row in rows:
        entry = row.requirement
        cells = (
            entry.id,
            entry.role,
            entry.level,
            " ".join(filter(None, (entry.requirement, f"*{entry.note}*" * bool(entry.note)))),
            row.result,
            "<br>".join(_link(*item) for item in row.tests.items()) or entry.not_applicable,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def _link(test: str, outcome: str) -> str:
    path, _, name = test.partition("::")
    doubt = "" if outcome == "passed" else f" ({outcome})"
    return f"[{name}](../{path}){doubt}"


class ConformanceRecorder:
    """A pytest plugin that notes outcomes by requirement, and writes them at the end."""

    def __init__(self, *, page: Path = PAGE, table: Path = TABLE, where: Path = OBJECT) -> None:
        self._page, self._table, self._object = page, table, where
        self._shows: dict[str, tuple[str, ...]] = {}
        self._outcomes: dict[str, dict[str, str]] = defaultdict(dict)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which test shows what."""
        for item in session.items:
            marks = item.iter_markers("requirement")
            self._shows[item.nodeid] = tuple(str(name) for mark in marks for name in mark.args)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a phase of a test ended."""
        if report.when != "call" and report.passed:
            return
        test = report.nodeid.partition("[")[0]
        for name in self._shows.get(report.nodeid, ()):
            outcomes = self._outcomes[name]
            worst = max(outcomes.get(test, "skipped"), report.outcome, key=_GRAVITY.index)
            outcomes[test] = worst

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write page and object, unless the run was cut short."""
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        rows = rows_of(read_table(self._table), self._outcomes)
        self._page.write_text(as_page(rows), encoding="utf-8")
        text = json.dumps(as_object(rows), indent=1, ensure_ascii=False)
        self._object.write_text(text + "\n", encoding="utf-8")
