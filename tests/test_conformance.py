import ast
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from conformance import ROOT, ConformanceRecorder, Requirement, as_object, as_page, read_table
from conformance import rows_of as rows

TESTS = ROOT / "tests"
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "fact"}
ROLES = {"any", "MN", "HA", "CN", "MR"}


def requirement(name: str, *, not_applicable: str = "") -> Requirement:
    return Requirement(
        id=name,
        section="6.2",
        role="HA",
        level="MUST",
        requirement="It is so.",
        note="",
        not_applicable=not_applicable,
    )


def named_requirements(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the arguments of all `requirement` marks."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="requirement"), args=arguments):
                yield from arguments
            case _:
                pass


def test_every_requirement_that_a_test_names_is_in_the_table() -> None:
    known = {entry.id for entry in read_table()}
    unknown = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for argument in named_requirements(ast.parse(path.read_text(encoding="utf-8"))):
            name = argument.value if isinstance(argument, ast.Constant) else None
            if name not in known:
                unknown.append(f"{path.relative_to(ROOT)}:{argument.lineno}: {name!r}")
    assert not unknown


def test_the_table_is_complete_and_each_row_well_formed() -> None:
    table = read_table()
    assert len(table) == len({entry.id for entry in table}) == 276
    for entry in table:
        assert entry.id.startswith(f"S{entry.section}-")
        assert entry.role in ROLES
        assert entry.level in LEVELS
        assert entry.requirement.endswith(".")


@pytest.mark.parametrize(
    ("outcomes", "reason", "result"),
    [
        ({}, "", "missing"),
        ({}, "it obliges nobody", "not applicable"),
        ({"t::a": "skipped"}, "", "missing"),
        ({"t::a": "passed", "t::b": "skipped"}, "", "passed"),
        ({"t::a": "passed", "t::b": "failed"}, "", "failed"),
    ],
)
def test_a_requirement_is_as_good_as_its_worst_test_that_ran(
    outcomes: dict[str, str], reason: str, result: str
) -> None:
    (row,) = rows([requirement("S6.2-01", not_applicable=reason)], {"S6.2-01": outcomes})
    assert row.result == result


def test_the_object_counts_each_requirement_once() -> None:
    table = [
        requirement("S6.2-01"),
        requirement("S6.2-02"),
        requirement("S6.2-03"),
        requirement("S6.2-04", not_applicable="it obliges nobody"),
    ]
    outcomes = {"S6.2-01": {"t::a": "passed"}, "S6.2-02": {"t::a": "failed"}}
    found = as_object(rows(table, outcomes))
    found.pop("rows")
    assert found == {
        "total": 4,
        "passed": 1,
        "failed": 1,
        "not_applicable": 1,
        "missing": ["S6.2-03"],
    }


def test_the_page_links_tests_and_tells_why_one_is_not_applicable() -> None:
    table = [requirement("S6.2-01"), requirement("S6.2-02", not_applicable="no such thing")]
    outcomes = {"S6.2-01": {"tests/test_x.py::test_y": "failed"}}
    page = as_page(rows(table, outcomes))
    assert "| failed | [test_y](../tests/test_x.py) (failed) |" in page
    assert "| not applicable | no such thing |" in page


def test_the_order_in_which_tests_ran_does_not_show() -> None:
    table = [requirement("S6.2-01")]
    one = {"S6.2-01": {"t::a": "passed", "t::b": "passed"}}
    other = {"S6.2-01": {"t::b": "passed", "t::a": "passed"}}
    assert as_page(rows(table, one)) == as_page(rows(table, other))


def report(test: str, when: str, outcome: str) -> pytest.TestReport:
    return pytest.TestReport(test, ("", 0, ""), {}, outcome, None, when)  # type: ignore[arg-type]


class Session:
    """As much of a session as the recorder looks at."""

    def __init__(self, *items: "Item") -> None:
        self.items = items


class Item:
    def __init__(self, nodeid: str, *names: str) -> None:
        self.nodeid = nodeid
        self._names = names

    def iter_markers(self, name: str) -> Iterator[SimpleNamespace]:
        assert name == "requirement"
        yield SimpleNamespace(args=self._names)


def recorded(tmp_path: Path, *reports: pytest.TestReport, exitstatus: int = 0) -> Path:
    recorder = ConformanceRecorder(page=tmp_path / "page.md", where=tmp_path / "object.json")
    session = Session(
        Item("t.py::test_a[1]", "S2-01"), Item("t.py::test_a[2]", "S2-01"), Item("t.py::test_b")
    )
    recorder.pytest_collection_finish(session)  # type: ignore[arg-type]
    for entry in reports:
        recorder.pytest_runtest_logreport(entry)
    recorder.pytest_sessionfinish(exitstatus)
    return tmp_path / "object.json"


def test_one_failed_parameter_fails_the_test_whatever_follows(tmp_path: Path) -> None:
    path = recorded(
        tmp_path,
        report("t.py::test_a[1]", "setup", "passed"),
        report("t.py::test_a[1]", "call", "failed"),
        report("t.py::test_a[2]", "call", "passed"),
        report("t.py::test_b", "call", "passed"),
    )
    row = json.loads(path.read_text(encoding="utf-8"))["rows"][0]
    assert (row["id"], row["result"]) == ("S2-01", "failed")
    assert row["tests"] == [{"test": "t.py::test_a", "outcome": "failed"}]


def test_an_error_while_clearing_up_fails_the_test(tmp_path: Path) -> None:
    path = recorded(
        tmp_path,
        report("t.py::test_a[1]", "call", "passed"),
        report("t.py::test_a[1]", "teardown", "failed"),
    )
    assert json.loads(path.read_text(encoding="utf-8"))["rows"][0]["result"] == "failed"


def test_a_run_that_was_cut_short_writes_nothing(tmp_path: Path) -> None:
    path = recorded(tmp_path, exitstatus=pytest.ExitCode.INTERRUPTED)
    assert not path.exists()
