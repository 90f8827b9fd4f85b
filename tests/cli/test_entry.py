"""The command as a whole: exit codes, words for errors, and what is imported."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from mcoa import __version__
from mcoa.cli import entry
from mcoa.cli.entry import run
from mcoa.runtime.errors import CommandError, NoPermissionError, NotRunningError
from mcoa.runtime.samples import sample


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MCOA_DEBUG", "MCOA_SOCKET", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def break_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let `mcoa show` raise."""

    @click.command
    def show() -> None:
        raise error

    monkeypatch.setattr(entry.LazyGroup, "get_command", lambda *_: show)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"mcoa {__version__}\n"


def test_help_lists_every_command_without_importing_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry.LazyGroup, "get_command", lambda *_: pytest.fail("imported"))
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for name in ("show", "run", "check", "init", "cleanup", "decode", "demo", "bench"):
        assert f"\n  {name} " in out


@pytest.mark.parametrize("name", ["show", "run", "check", "init", "cleanup"])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: mcoa {name}")


@pytest.mark.parametrize(
    "arguments", [["shwo"], ["--nonsense"], ["check"], ["init", "router"], ["show", "--x"]]
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage: mcoa" in captured.err


def test_a_misspelt_command_is_shown_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["shwo"]) == 2
    assert "Did you mean show?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("it broke", "mend it"), 1),
        (NotRunningError("it broke", "mend it"), 3),
        (NoPermissionError("it broke", "mend it"), 4),
    ],
)
def test_a_foreseen_error_is_a_sentence_a_hint_and_its_exit_code(
    error: CommandError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    break_with(monkeypatch, error)
    assert run(["show"]) == code
    assert capsys.readouterr().err == "mcoa: it broke\n  hint: mend it\n"


def test_a_refusal_of_the_system_is_exit_code_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_with(monkeypatch, PermissionError(1, "Operation not permitted", "/run/mcoa"))
    assert run(["show"]) == 4
    said = "mcoa: Operation not permitted (/run/mcoa)\n  hint: run it as root\n"
    assert capsys.readouterr().err == said


def test_an_unforeseen_error_is_one_line_and_says_how_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_with(monkeypatch, ZeroDivisionError("division\nby zero"))
    assert run(["show"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "mcoa: unforeseen ZeroDivisionError: division by zero"
    assert "MCOA_DEBUG=1" in second


@pytest.mark.parametrize("by_variable", [True, False])
def test_debug_lets_the_traceback_through(
    by_variable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_with(monkeypatch, ZeroDivisionError("division by zero"))
    if by_variable:
        monkeypatch.setenv("MCOA_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(["show"] if by_variable else ["--debug", "show"])


def test_ctrl_c_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_with(monkeypatch, KeyboardInterrupt())
    assert run(["show"]) == 130
    assert capsys.readouterr().err.strip() == ""


def test_a_command_may_return_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command
    def show() -> int:
        return 1

    monkeypatch.setattr(entry.LazyGroup, "get_command", lambda *_: show)
    assert run(["show"]) == 1


@pytest.mark.parametrize("role", ["home-agent", "mobile-node"])
def test_init_prints_a_file_that_check_takes(
    role: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", role]) == 0
    path = tmp_path / "van.toml"
    path.write_text(capsys.readouterr().out)
    assert run(["check", str(path)]) == 0
    captured = capsys.readouterr()
    assert f"{role.replace('-', ' ')} van" in captured.out
    assert "security is none" in captured.err


def test_check_tells_all_problems_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "van.toml"
    path.write_text(sample("mobile-node").replace("bid = 1", "bid = 0").replace("40", "-1"))
    for command in ("check", "run", "cleanup"):
        assert run([command, str(path)]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("    hint: ") == 2
        assert captured.err.endswith("mcoa: 2 problems; nothing was changed\n")


def test_cleanup_without_leftovers_has_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "van.toml"
    path.write_text(f'runtime_directory = "{tmp_path}/run"\n' + sample("mobile-node"))
    assert run(["cleanup", str(path)]) == 0
    assert capsys.readouterr().out == "nothing to clean up\n"


def modules_after(*arguments: str) -> set[str]:
    """Return what a process has imported when the command line is done."""
    program = (
        "import sys\n"
        "from mcoa.cli.entry import run\n"
        f"code = run({list(arguments)!r})\n"
        "print('\\n'.join(sys.modules), file=sys.stdout)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(result.stdout.split())


@pytest.mark.parametrize("arguments", [["show", "--node", "nowhere"], ["init", "home-agent"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    imported = {name.partition(".")[0] for name in modules_after(*arguments)}
    assert "click" in imported
    heavy = {"pydantic", "pyroute2", "rich", "asyncio", "ssl", "tomllib", "unittest", "logging"}
    assert imported.isdisjoint(heavy)


def test_check_does_without_the_network_and_the_event_loop() -> None:
    imported = {name.partition(".")[0] for name in modules_after("check", "/nowhere.toml")}
    assert "pydantic" in imported
    assert imported.isdisjoint({"pyroute2", "rich", "asyncio"})
