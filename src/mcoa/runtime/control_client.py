"""Asks a running daemon; light to import, because every `mcoa show` does it.

One JSON object a line goes out, one comes back. An answer with `error` means that the
daemon refused.
"""

import json
import socket
from pathlib import Path
from typing import Any

from mcoa.runtime.errors import CommandError, NoPermissionError, NotRunningError

LONGEST_REQUEST = 1 << 16  # octets of a line
LONGEST_ANSWER = 1 << 24
DEFAULT_DIRECTORY = Path("/run/mcoa")


def request(path: Path, message: dict[str, Any], *, timeout_s: float = 5.0) -> dict[str, Any]:
    """Send one request to the control socket at `path` and return the answer.

    Raises:
        NotRunningError: nothing answers there.
        NoPermissionError: this user may not ask.
        CommandError: the daemon refused, was silent for `timeout_s`, or spoke rubbish.
    """
    hint = "start it with `mcoa run FILE`"
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(json.dumps(message).encode() + b"\n")
            line = _line(connection)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise NotRunningError(f"no mcoa daemon is running at {path}", hint) from None
    except PermissionError:
        hint = "ask as the user that runs it, usually root"
        raise NoPermissionError(f"{path} may not be opened by this user", hint) from None
    except TimeoutError:
        raise CommandError(f"the daemon at {path} does not answer") from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None
    return _answer(path, line)


def running_sockets(directory: Path) -> list[Path]:
    """Return the control sockets of a directory behind which a daemon lives, by name.

    Raises:
        NoPermissionError: this user may not look.
    """
    try:
        paths = sorted(path for path in directory.glob("*.sock") if path.is_socket())
    except PermissionError:
        raise NoPermissionError(f"{directory} may not be read by this user") from None
    return [path for path in paths if _is_served(path)]


def _is_served(path: Path) -> bool:
    """Tell whether a process listens; one that we may not ask counts."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _line(connection: socket.socket) -> bytes:
    octets = bytearray()
    while part := connection.recv(1 << 16):
        octets += part
        if part.endswith(b"\n") or len(octets) > LONGEST_ANSWER:
            break
    return bytes(octets)


def _answer(path: Path, line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise CommandError(f"what answers at {path} does not speak as mcoa does")
    if "error" in answer:
        raise CommandError(str(answer["error"]), str(answer.get("hint", "")))
    return answer
