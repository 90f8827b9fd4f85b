"""A control socket that answers as a test wants."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class FakeDaemon:
    """Answers every request, and keeps the requests."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.requests: list[dict[str, Any]] = []
        self._path = path
        self._answer = answer
        self._is_stopping = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as lines:
                line = lines.readline()
                if self._is_stopping:
                    return
                if not line:
                    continue  # somebody looked whether we live
                self.requests.append(json.loads(line))
                answer = self._answer(self.requests[-1])
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def stop(self) -> None:
        """End the thread, and close everything."""
        self._is_stopping = True
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self._path))
        self._thread.join()
        self._listener.close()
