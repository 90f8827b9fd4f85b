"""Starts the meters in their namespaces and collects what they print."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Generic, TypeVar

from mcoa.lab.meters.results import EchoResult, StreamResult
from mcoa.lab.meters.stream import Order
from mcoa.lab.namespaces import LabError, Namespace, Namespaces

COLLECT_TIMEOUT_S = 30.0

ResultT = TypeVar("ResultT")


class Meter(Generic[ResultT]):
    """A running meter; its result is there when it has ended."""

    def __init__(
        self, process: subprocess.Popen[bytes], parse: Callable[[bytes], ResultT]
    ) -> None:
        self._process, self._parse = process, parse
        self._has_begun = False

    def wait_for_begin(self) -> None:
        """Wait until the meter begins: on a slow machine its interpreter takes seconds to start."""
        output = self._process.stdout
        if self._has_begun or output is None:
            return
        # No octet more than the line: what follows is communicate()'s.
        while os.read(output.fileno(), 1) not in {b"\n", b""}:
            pass
        self._has_begun = True

    def finish(self) -> None:
        """Have the meter end now, whatever time it was given."""
        self.wait_for_begin()
        self._process.terminate()

    def result(self) -> ResultT:
        """Wait for the end and return the result; LabError if the meter failed."""
        self.wait_for_begin()
        try:
            output, errors = self._process.communicate(timeout=COLLECT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise LabError("a meter did not end") from None
        if self._process.returncode != 0:
            last = errors.decode().strip().rpartition("\n")[2]
            raise LabError(f"a meter failed: {last or self._process.returncode}")
        return self._parse(output)


def start_stream_server(namespaces: Namespaces, namespace: Namespace, port: int) -> None:
    """Start the server that stream meters talk to, and wait until it listens."""
    server = namespaces.start(
        namespace,
        [sys.executable, "-m", "mcoa.lab.meters.stream", "serve", str(port)],
        stdout=subprocess.PIPE,
    )
    if server.stdout is None or server.stdout.readline() != b"ready\n":
        raise LabError("the stream server did not start")


def start_stream(
    namespaces: Namespaces, namespace: Namespace, order: Order
) -> Meter[StreamResult]:
    """Start TCP connections from `namespace` as ordered."""
    arguments = ["mcoa.lab.meters.stream", "run", order.to_json()]
    return Meter(_start(namespaces, namespace, arguments), StreamResult.from_json)


def start_echo(
    namespaces: Namespaces,
    namespace: Namespace,
    destination: str,
    *,
    identifier: int,
    duration_s: float,
    interval_s: float = 0.01,
) -> Meter[EchoResult]:
    """Start a train of echo requests from `namespace`."""
    numbers = [str(identifier), str(interval_s), str(duration_s)]
    arguments = ["mcoa.lab.meters.echo", destination, *numbers]
    return Meter(_start(namespaces, namespace, arguments), EchoResult.from_json)


def _start(
    namespaces: Namespaces, namespace: Namespace, arguments: list[str]
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", *arguments]
    return namespaces.start(namespace, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
