"""The control socket of a daemon: one JSON object a line in, one a line out.

A request names its command: {"command": "status"}. The answer is what the command returns,
or {"error": "...", "hint": "..."}. Clients can be slow, silent or rude; none of that stops
the daemon, which answers others meanwhile and drops whoever does not read.
"""

import asyncio
import json
import os
import socket
import stat
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mcoa.runtime.control_client import LONGEST_ANSWER, LONGEST_REQUEST
from mcoa.runtime.errors import CommandError, NoPermissionError
from mcoa.runtime.locks import lock_file
from mcoa.runtime.log import EventLog

Command = Callable[[dict[str, Any]], dict[str, Any]]

_MOST_CLIENTS = 16
_PATIENCE_S = 30.0  # for the next request, and for an answer to be read


class ControlServer:
    """Serves the commands of a daemon on a socket that only its user may open."""

    def __init__(
        self,
        path: Path,
        commands: Mapping[str, Command],
        log: EventLog,
        *,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._path = path
        self._commands = commands
        self._log = log
        self._patience_s = patience_s
        self._lock: int | None = None
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to answer.

        Raises:
            CommandError: another daemon has this socket, or something else is at its path.
            NoPermissionError: this user may not make it.
        """
        try:
            listener = self._listen()
        except PermissionError as error:
            message = f"{self._path} cannot be made: {error.strerror}"
            raise NoPermissionError(message, "run it as root") from None
        except OSError as error:
            raise CommandError(f"{self._path} cannot be made: {error.strerror}") from error
        self._server = await asyncio.start_unix_server(
            self._accept, sock=listener, limit=LONGEST_REQUEST
        )

    async def close(self) -> None:
        """Stop answering, hang up on every client, and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
            self._server = None
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _listen(self) -> socket.socket:
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = lock_file(self._path.with_suffix(".lock"))
        if lock is None:
            raise CommandError(f"another daemon answers at {self._path}")
        try:
            self._remove_stale()
            listener = _private_listener(self._path)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        return listener

    def _remove_stale(self) -> None:
        """Remove the socket of a daemon that died; we hold the lock, so none is starting."""
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise CommandError(f"{self._path} is in the way, and is no socket")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self._path))
            except ConnectionRefusedError:
                self._path.unlink(missing_ok=True)
                return
        raise CommandError(f"another daemon answers at {self._path}")

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= _MOST_CLIENTS:
            writer.transport.abort()
            return
        self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except (TimeoutError, ConnectionError, asyncio.CancelledError):
            pass  # the client was too slow or went away, or the daemon ends
        finally:
            self._clients.discard(task)
            # abort, not close: what a client does not read must not be waited for.
            writer.transport.abort()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(self._patience_s):
                    line = await reader.readline()
            except ValueError:
                writer.write(
                    _line({"error": f"a request has at most {LONGEST_REQUEST} octets"})
                )
                return
            if not line:
                return
            writer.write(self._answer(line))
            async with asyncio.timeout(self._patience_s):
                await writer.drain()

    def _answer(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            return _line({"error": "a request is one JSON object on one line"})
        name = request.get("command")
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is None:
            known = ", ".join(sorted(self._commands))
            return _line({"error": f"unknown command {name!r:.60}", "hint": f"known: {known}"})
        return self._perform(command, request)

    def _perform(self, command: Command, request: dict[str, Any]) -> bytes:
        try:
            answer = _line(command(request))
        except CommandError as error:
            return _line({"error": str(error), "hint": error.hint})
        except Exception as error:  # noqa: BLE001 - a fault in a view must not end the daemon
            self._log.error("control-request-failed", request=request, error=repr(error))
            return _line({"error": "the daemon failed to answer; its log says more"})
        if len(answer) > LONGEST_ANSWER:
            return _line({"error": f"the answer would have {len(answer)} octets"})
        return answer


def _private_listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.bind(str(path))
        # Nobody can connect before listen(), so there is no moment of wider rights.
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"
