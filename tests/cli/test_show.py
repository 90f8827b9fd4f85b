"""`mcoa show` against a socket that answers like a daemon."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.fake_daemon import FakeDaemon
from mcoa.cli.entry import Settings, mcoa, run

STATUS: dict[str, Any] = {
    "schema": "mcoa.status/1",
    "role": "mobile-node",
    "name": "van",
    "security": "none",
    "uptime_s": 1,
    "bindings": [],
}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MCOA_SOCKET", "NO_COLOR", "MCOA_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mcoa.cli.node_socket.DEFAULT_DIRECTORY", tmp_path)
    return tmp_path


@pytest.fixture
def daemon(directory: Path) -> Iterator[FakeDaemon]:
    path = directory / "van.sock"
    fake = FakeDaemon(path, lambda _request: STATUS)
    yield fake
    fake.stop()


@pytest.mark.parametrize("arguments", [[], ["show"], ["show", "--node", "van"]])
def test_the_node_is_found_and_shown(
    arguments: list[str], daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert "mobile node van" in out
    assert "SECURITY: NONE" in out
    assert daemon.requests == [{"command": "status"}]


def test_json_is_the_object_as_the_daemon_gave_it(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS
    assert daemon.requests


@pytest.mark.usefixtures("daemon")
def test_a_socket_can_be_named(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mcoa.cli.node_socket.DEFAULT_DIRECTORY", directory / "elsewhere")
    assert run(["show", "--socket", str(directory / "van.sock")]) == 0
    monkeypatch.setenv("MCOA_SOCKET", str(directory / "van.sock"))
    assert run([]) == 0
    assert capsys.readouterr().out.count("mobile node van") == 2


@pytest.mark.usefixtures("daemon")
def test_into_a_pipe_there_are_no_colours(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "\x1b" not in capfd.readouterr().out


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("variable", ["1", ""])
def test_no_color_is_honoured_on_a_terminal(variable: str) -> None:
    result = CliRunner(env={"NO_COLOR": variable}).invoke(
        mcoa, [], color=True, obj=Settings(), standalone_mode=False
    )
    assert result.exit_code == 0
    assert ("\x1b" in result.output) is not bool(variable)


@pytest.mark.usefixtures("daemon")
def test_of_several_nodes_one_must_be_chosen(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(directory / "agent.sock"))
        assert run([]) == 0  # that one is dead
        other.listen()
        assert run([]) == 2
    assert "agent, van" in capsys.readouterr().err


def test_without_a_daemon_the_exit_code_is_3(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([]) == 3
    assert run(["show", "--node", "van"]) == 3
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(directory / "van.sock"))
    assert run([]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("hint: ") == 3


def test_node_and_socket_exclude_each_other(directory: Path) -> None:
    assert run(["show", "--node", "van", "--socket", str(directory / "van.sock")]) == 2


def test_a_socket_of_another_user_is_a_lack_of_permission(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_socket: socket.socket, _path: str) -> None:
        raise PermissionError(13, "Permission denied")

    path = directory / "van.sock"
    path.touch()
    monkeypatch.setattr("os.access", lambda *_arguments, **_options: False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert run(["show", "--socket", str(path)]) == 4
    assert "hint: " in capsys.readouterr().err
