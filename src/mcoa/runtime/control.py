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
        self._listener: socket.socket | None = None
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
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    async def close(self) -> None:
        """Stop answering, hang up on every client, and remove the socket."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            self._path.unlink(missing_ok=True)
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

    def _accept(self) -> None:
        # Not asyncio's own server: what it has accepted but not yet handed over when the
        # daemon ends, it leaves open.
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # the client left, or there are no descriptors; the next one may do better
        if len(self._clients) >= _MOST_CLIENTS:
            connection.close()
            return
        connection.setblocking(False)
        client = asyncio.get_running_loop().create_task(self._converse(connection))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)
        client.add_done_callback(lambda _: connection.close())

    async def _converse(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        unread = bytearray()
        try:
            while await self._read_line(connection, unread):
                line, _, unread = unread.partition(b"\n")
                async with asyncio.timeout(self._patience_s):
                    await loop.sock_sendall(connection, self._answer(bytes(line)))
        except (TimeoutError, OSError):
            return  # the client was too slow, or went away

    async def _read_line(self, connection: socket.socket, unread: bytearray) -> bool:
        """Read on until `unread` begins with a whole line; False where none will come."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._patience_s):
            while b"\n" not in unread:
                if len(unread) > LONGEST_REQUEST:
                    told = _line({"error": f"a request has at most {LONGEST_REQUEST} octets"})
                    await loop.sock_sendall(connection, told)
                    return False
                part = await loop.sock_recv(connection, LONGEST_REQUEST)
                if not part:
                    return False
                unread += part
        return True

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
        listener.listen(_MOST_CLIENTS)
    except OSError:
        listener.close()
        raise
    return listener


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"
