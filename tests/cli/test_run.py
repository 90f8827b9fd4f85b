"""`mcoa run` and `mcoa cleanup` up to the door of what they start."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mcoa.cli.entry import run
from mcoa.runtime.config import MobileNodeConfiguration
from mcoa.runtime.errors import NoPermissionError
from mcoa.runtime.log import EventLog
from mcoa.runtime.samples import sample
from mcoa.runtime.undo import JournalHeldError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "van.toml"
    path.write_text(f'runtime_directory = "{tmp_path}"\n' + sample("mobile-node"))
    return path


class FakeDaemon(ModuleType):
    """Stands in for the daemon: keeps how it was called."""

    def __init__(self, outcome: int | Exception) -> None:
        super().__init__("mcoa.runtime.daemon")
        self.calls: list[tuple[Any, bool]] = []
        self.outcome = outcome

    def run(self, configuration: object, *, dry_run: bool, log: EventLog) -> int:
        self.calls.append((configuration, dry_run))
        log.info("daemon-started", security="none")
        log.debug("detail")
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def install(monkeypatch: pytest.MonkeyPatch, outcome: int | Exception = 0) -> FakeDaemon:
    daemon = FakeDaemon(outcome)
    monkeypatch.setitem(sys.modules, "mcoa.runtime.daemon", daemon)
    return daemon


@pytest.mark.parametrize("dry_run", [True, False])
def test_run_hands_the_configuration_to_the_daemon(
    dry_run: bool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = install(monkeypatch)
    assert run(["run", str(file), *(["--dry-run"] if dry_run else [])]) == 0
    ((configuration, was_dry),) = daemon.calls
    assert isinstance(configuration, MobileNodeConfiguration)
    assert was_dry is dry_run


@pytest.mark.parametrize(("outcome", "code"), [(1, 1), (NoPermissionError("no rights"), 4)])
def test_run_ends_as_the_daemon_ends(
    outcome: int | Exception, code: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, outcome)
    assert run(["run", str(file)]) == code


def test_the_log_goes_to_standard_error_as_asked(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch)
    run(["run", str(file)])
    assert capsys.readouterr().err.endswith("info daemon-started security=none\n")
    run(["run", str(file), "--log-json", "-v"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert '"event": "daemon-started"' in captured.err
    assert '"event": "detail"' in captured.err


def clean_up_with(
    monkeypatch: pytest.MonkeyPatch, file: Path, outcome: tuple[str, ...] | Exception
) -> int:
    def take_back(path: Path, _: object) -> tuple[str, ...]:
        assert path == file.with_name("van.undo")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    class Closing:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    file.with_name("van.undo").touch()
    monkeypatch.setattr("mcoa.cli.cleanup.take_back", take_back)
    monkeypatch.setattr("mcoa.cli.cleanup.Netlink", Closing)
    return run(["cleanup", str(file)])


def test_cleanup_takes_back_what_the_journal_names(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clean_up_with(monkeypatch, file, ()) == 0
    assert capsys.readouterr().out == "cleaned up\n"


def test_cleanup_that_is_not_complete_fails_and_says_what_stayed(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clean_up_with(monkeypatch, file, ("a rule: busy",)) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "mcoa: could not take back a rule: busy\n"


def test_cleanup_leaves_a_living_daemon_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clean_up_with(monkeypatch, file, JournalHeldError(None)) == 1
    assert "stop it first" in capsys.readouterr().err
