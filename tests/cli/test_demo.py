"""`mcoa demo` where no namespaces can be made, and on a ground that is asked for."""

import json
from pathlib import Path

import pytest

from mcoa.cli import demo as command
from mcoa.cli.entry import run
from mcoa.lab import ground
from mcoa.lab.demo_result import DemoResult

KEYS = {
    "aggregate_mbit_s",
    "best_single_mbit_s",
    "bindings_registered",
    "cut",
    "ground",
    "holds",
    "plain_mobile_ipv6",
    "recovered",
    "tcp_survived",
}


@pytest.fixture
def nothing_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "_probe", lambda _: "open: No such file or directory")


@pytest.mark.usefixtures("nothing_is_allowed")
def test_without_rights_the_simulation_shows_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "demo.pcapng"
    assert run(["demo", "--quick", "--json", "--keep", "--capture", str(file)]) == 0
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert lines[0] == "ground: simulation in virtual time (open: No such file or directory)"
    result = json.loads(captured.out)
    assert result.keys() >= KEYS
    assert result["holds"] is True
    assert result["bindings_registered"] == 3
    assert result["cut"].keys() == {"gap_ms", "tcp_gap_ms", "lost", "surviving_rtt_ms"}
    assert file.stat().st_size > 0


@pytest.mark.usefixtures("nothing_is_allowed")
@pytest.mark.parametrize("name", ["root", "user"])
def test_a_ground_that_this_machine_refuses_is_not_replaced(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", "--ground", name]) == 1
    assert capsys.readouterr().err.startswith("mcoa: network namespaces of ")


def test_the_ground_is_the_one_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def note(events: object, *_: object, **__: object) -> DemoResult:
        seen.append(events.gi_code.co_name)  # type: ignore[attr-defined]
        return DemoResult(
            ground="",
            links=3,
            bindings_registered=0,
            singles_mbit_s=(),
            aggregate_mbit_s=0.0,
            cuts=(),
            plain_cuts=(),
            recovered=False,
        )

    monkeypatch.setattr(command, "_run", note)
    assert run(["demo", "--ground", "simulation"]) == 1  # no claim holds
    assert seen == ["simulate"]
    assert capsys.readouterr().out == ""


def test_the_help_names_the_grounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--help"]) == 0
    assert "--ground root|user|simulation" in capsys.readouterr().out
    assert run(["demo", "--ground", "moon"]) == 2
