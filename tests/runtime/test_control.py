"""The control socket: one answer a request, whatever the other clients do."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from mcoa.runtime.control import Command, ControlServer
from mcoa.runtime.control_client import LONGEST_REQUEST, request, running_sockets
from mcoa.runtime.errors import CommandError, ExitCode, NoPermissionError, NotRunningError
from mcoa.runtime.log import EventLog


def quiet_log(stream: StringIO | None = None) -> EventLog:
    return EventLog(stream or StringIO(), monotonic=lambda: 0.0, wall_clock=lambda: 0.0)


def echo(message: dict[str, Any]) -> dict[str, Any]:
    return {"heard": message}


def serving(
    path: Path,
    scenario: Callable[[], None],
    *,
    log: EventLog | None = None,
    patience_s: float = 30.0,
    **commands: Command,
) -> None:
    """Run a server on this thread's loop while `scenario` runs on another thread."""

    async def run() -> None:
        commands.setdefault("echo", echo)
        server = ControlServer(path, commands, log or quiet_log(), patience_s=patience_s)
        await server.start()
        try:
            await asyncio.to_thread(scenario)
        finally:
            await server.close()

    asyncio.run(run())


def raw(path: Path, octets: bytes) -> list[Any]:
    """Send octets as they are, then return all answers until the server hangs up."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(octets)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    return [json.loads(line) for line in answer.splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "van.sock"


def test_a_request_gets_its_answer(path: Path) -> None:
    def scenario() -> None:
        message = {"command": "echo", "text": "ümlaut\n"}
        assert request(path, message) == {"heard": message}

    serving(path, scenario)


def test_the_socket_is_for_its_user_alone_and_goes_with_the_daemon(path: Path) -> None:
    def scenario() -> None:
        assert path.stat().st_mode & 0o777 == 0o600
        assert running_sockets(path.parent) == [path]

    serving(path, scenario)
    assert not path.exists()
    assert running_sockets(path.parent) == []
    assert running_sockets(path.parent / "nowhere") == []


def test_several_requests_on_one_connection_are_answered_in_order(path: Path) -> None:
    def scenario() -> None:
        lines = [json.dumps({"command": "echo", "n": n}).encode() + b"\n" for n in range(50)]
        assert [answer["heard"]["n"] for answer in raw(path, b"".join(lines))] == [*range(50)]

    serving(path, scenario)


@pytest.mark.parametrize(
    "line", [b"rubbish", b"[1]", b"{", b"\xff\xfe", b"[" * 5000, b"null", b'"status"']
)
def test_what_is_no_request_gets_an_error_and_the_connection_lives(
    path: Path, line: bytes
) -> None:
    def scenario() -> None:
        error, answer = raw(path, line + b'\n{"command": "echo"}\n')
        assert "JSON object" in error["error"]
        assert answer == {"heard": {"command": "echo"}}

    serving(path, scenario)


@pytest.mark.parametrize("command", ["nonsense", None, 7, ["echo"]])
def test_an_unknown_command_is_told_the_known_ones(path: Path, command: object) -> None:
    def scenario() -> None:
        with pytest.raises(CommandError, match="unknown command") as caught:
            request(path, {"command": command})
        assert caught.value.hint == "known: echo, status"

    serving(path, scenario, status=echo)


def test_a_request_without_end_is_cut_off(path: Path) -> None:
    def scenario() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            with pytest.raises(ConnectionError):
                client.sendall(bytes(100 * LONGEST_REQUEST))
        assert request(path, {"command": "echo"})

    serving(path, scenario)


def test_a_client_that_does_not_read_holds_nobody_up(path: Path) -> None:
    def scenario() -> None:
        with socket.socket(socket.AF_UNIX) as sluggard:
            sluggard.settimeout(5)
            sluggard.connect(str(path))
            sluggard.sendall(b'{"command": "large"}\n' * 100)
            assert request(path, {"command": "echo"}, timeout_s=2)

    serving(path, scenario, large=lambda _: {"text": "x" * 1_000_000})


def test_a_silent_client_is_dropped_in_time(path: Path) -> None:
    def scenario() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            assert client.recv(1) == b""

    serving(path, scenario, patience_s=0.05)


def test_more_clients_than_the_server_takes_are_dropped_at_once(path: Path) -> None:
    def scenario() -> None:
        clients = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        try:
            dropped = 0
            for client in clients:
                client.settimeout(5)
                client.connect(str(path))
                try:
                    client.sendall(b'{"command": "echo"}\n')
                    dropped += not client.recv(1)
                except ConnectionError:
                    dropped += 1
            assert dropped == 4
        finally:
            for client in clients:
                client.close()
        for _ in range(100):
            with suppress(CommandError):  # the server has not yet seen that the others left
                request(path, {"command": "echo"})
                break
        else:
            pytest.fail("the places of clients that left are not given free")

    serving(path, scenario)


def test_a_fault_in_a_command_is_logged_and_the_daemon_lives(path: Path) -> None:
    stream = StringIO()

    def fail(_: dict[str, Any]) -> dict[str, Any]:
        raise ZeroDivisionError("a fault")

    def scenario() -> None:
        with pytest.raises(CommandError, match="its log says more"):
            request(path, {"command": "fail"})
        assert request(path, {"command": "echo"})

    serving(path, scenario, log=quiet_log(stream), fail=fail)
    assert "control-request-failed" in stream.getvalue()
    assert "a fault" in stream.getvalue()


def test_a_refusal_of_a_command_reaches_the_client_with_its_hint(path: Path) -> None:
    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise CommandError("there is no link lte", "links: wifi")

    def scenario() -> None:
        with pytest.raises(CommandError, match="no link lte") as caught:
            request(path, {"command": "refuse"})
        assert caught.value.hint == "links: wifi"

    serving(path, scenario, refuse=refuse)


def test_an_answer_that_is_too_long_is_an_error_not_a_flood(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcoa.runtime.control.LONGEST_ANSWER", 100)

    def scenario() -> None:
        with pytest.raises(CommandError, match="octets"):
            request(path, {"command": "large"})

    serving(path, scenario, large=lambda _: {"text": "x" * 1000})


def test_the_socket_of_a_dead_daemon_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    serving(path, lambda: None)


def test_the_socket_of_a_live_daemon_is_left_alone(path: Path) -> None:
    def scenario() -> None:
        with pytest.raises(CommandError, match="another daemon"):
            serving(path, lambda: None)
        assert request(path, {"command": "echo"})

    serving(path, scenario)


def test_a_live_socket_without_a_lock_is_left_alone_too(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()
        with pytest.raises(CommandError, match="another daemon"):
            serving(path, lambda: None)


def test_a_file_in_the_way_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("important")
    with pytest.raises(CommandError, match="in the way"):
        serving(path, lambda: None)
    assert path.read_text() == "important"


def test_no_daemon_is_exit_code_3(path: Path) -> None:
    with pytest.raises(NotRunningError) as caught:
        request(path, {"command": "status"})
    assert caught.value.exit_code == ExitCode.NOT_RUNNING
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NotRunningError):
        request(path, {"command": "status"})


def test_a_socket_of_another_user_is_exit_code_4(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(socket.socket):
        def connect(self, _: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", Refusing)
    with pytest.raises(NoPermissionError) as caught:
        request(path, {"command": "status"})
    assert caught.value.exit_code == ExitCode.NO_PERMISSION


@pytest.mark.parametrize("answer", [b"rubbish\n", b"", b"[1]\n", b"\xff\n"])
def test_what_does_not_speak_json_is_an_error_in_one_sentence(
    tmp_path: Path, answer: bytes
) -> None:
    path = tmp_path / "stranger.sock"
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()

        def serve() -> None:
            connection, _ = stranger.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(CommandError, match="does not speak"):
            request(path, {"command": "status"})
        thread.join()


def test_a_daemon_that_hangs_does_not_hang_the_client(tmp_path: Path) -> None:
    path = tmp_path / "hung.sock"
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(path))
        hung.listen()
        with pytest.raises(CommandError, match="does not answer"):
            request(path, {"command": "status"}, timeout_s=0.05)
