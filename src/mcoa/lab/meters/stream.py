"""TCP connections between two namespaces, as bulk transfers or as small messages.

A server answers at the correspondent (`serve PORT`). A client (`run ORDER`) opens the
connections, tells the server by one line what each is to carry, and prints one StreamResult;
whatever the direction, it is the receiving end that counts.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Self

from mcoa.lab.meters.end import End
from mcoa.lab.meters.results import FlowResult, StreamResult, flow_from_json

SO_MAX_PACING_RATE = 47
CHUNK_OCTETS = 256 * 1024
CHUNKS_A_TURN = 4
LINE_OCTETS = 65536
GAP_FLOOR_S = 0.020  # shorter silences are not kept
MARK_INTERVAL_S = 0.1
TURN_S = 0.001  # the pause between turns gathers packets and so saves the scarce CPU
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a client is to do; `message_octets` 0 means a bulk stream.

    `first_port` is the client's local port of the first connection, the others follow;
    `pacing_mbit_s` 0 means as fast as it goes.
    """

    host: str
    port: int
    first_port: int
    flows: int
    duration_s: float
    upward: bool = False
    message_octets: int = 0
    interval_s: float = 0.01
    pacing_mbit_s: float = 0.0

    def to_json(self) -> str:
        """Return the order as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` made; TypeError or ValueError if it is something else."""
        return cls(**json.loads(text))


class Sender:
    """The sending end of one connection."""

    def __init__(self, opened: socket.socket, order: Order) -> None:
        self.socket, self._order = opened, order
        self._chunk = memoryview(bytes(order.message_octets or CHUNK_OCTETS))
        self._rest = self._chunk[:0]
        self._due = time.monotonic()
        self.error: str | None = None
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if order.pacing_mbit_s:
            octets_a_second = int(order.pacing_mbit_s * 1e6 / 8)
            opened.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, octets_a_second)

    @property
    def is_bulk(self) -> bool:
        """Whether it sends whenever there is room."""
        return self._order.message_octets == 0

    def turn(self, now: float) -> None:
        """Send what is due and fits."""
        try:
            self._send(now)
        except BlockingIOError:
            return
        except OSError as error:
            self.error = str(error)

    def _send(self, now: float) -> None:
        for _ in range(CHUNKS_A_TURN):
            if not self._rest:
                if not self.is_bulk and now < self._due:
                    return
                self._rest, self._due = self._chunk, self._due + self._order.interval_s
            self._rest = self._rest[self.socket.send(self._rest) :]


class Receiver:
    """The receiving end of one connection, with its record."""

    def __init__(self, opened: socket.socket, port: int) -> None:
        self.socket, self._port = opened, port
        self._octets = 0
        self._last_s = time.monotonic()
        self._marks: list[tuple[float, float]] = [(self._last_s, 0)]
        self._gaps: list[tuple[float, float]] = []
        self.is_finished = False
        self.error: str | None = None

    def turn(self, now: float, buffer: bytearray) -> None:
        """Take in what has come."""
        try:
            for _ in range(CHUNKS_A_TURN):
                count = self.socket.recv_into(buffer)
                if count == 0:
                    self.is_finished = True
                    return
                self._took(count, now)
        except BlockingIOError:
            return
        except OSError as error:
            self.error = str(error)

    def result(self) -> FlowResult:
        """Return the record up to now; a silence that still goes on is part of it."""
        now = time.monotonic()
        self._note_gap(now)
        self._marks.append((now, self._octets))
        return FlowResult(
            port=self._port,
            octets=self._octets,
            marks=tuple(self._marks),
            gaps=tuple(self._gaps),
            error=self.error,
        )

    def _took(self, count: int, now: float) -> None:
        self._note_gap(now)
        self._octets += count
        self._last_s = now
        if now >= self._marks[-1][0] + MARK_INTERVAL_S:
            self._marks.append((now, self._octets))

    def _note_gap(self, now: float) -> None:
        if now - self._last_s >= GAP_FLOOR_S:
            self._gaps.append((self._last_s, now - self._last_s))


class Server:
    """Sends or receives on each connection as its client's first line says."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("::", port), family=socket.AF_INET6, backlog=64)
        self._listener.setblocking(False)
        self._greeted: list[socket.socket] = []
        self._senders: list[Sender] = []
        self._receivers: list[Receiver] = []
        self._buffer = bytearray(CHUNK_OCTETS)

    def run(self) -> None:
        """Serve for ever."""
        while True:
            self._wait()
            now = time.monotonic()
            with suppress(BlockingIOError):
                opened, _ = self._listener.accept()
                opened.setblocking(False)
                self._greeted.append(opened)
            for opened in list(self._greeted):
                self._greet(opened)
            for sender in list(self._senders):
                self._serve_sender(sender, now)
            for receiver in list(self._receivers):
                self._serve_receiver(receiver, now)
            time.sleep(TURN_S)

    def _wait(self) -> None:
        readers = [self._listener, *self._greeted, *(each.socket for each in self._receivers)]
        writers = [each.socket for each in self._senders if each.is_bulk]
        has_messages = len(writers) < len(self._senders)
        select.select(readers, writers, [], 2 * TURN_S if has_messages else 0.1)

    def _greet(self, opened: socket.socket) -> None:
        try:
            line = opened.recv(LINE_OCTETS, socket.MSG_PEEK)
            if line and b"\n" not in line:
                return
            opened.recv(line.index(b"\n") + 1)
            order = Order.from_json(line[: line.index(b"\n")])
        except BlockingIOError:
            return
        except (OSError, ValueError, TypeError):
            opened.close()
        else:
            if order.upward:
                self._receivers.append(Receiver(opened, opened.getpeername()[1]))
            else:
                self._senders.append(Sender(opened, order))
        self._greeted.remove(opened)

    def _serve_sender(self, sender: Sender, now: float) -> None:
        sender.turn(now)
        if sender.error is not None or _is_closed(sender.socket):
            sender.socket.close()
            self._senders.remove(sender)

    def _serve_receiver(self, receiver: Receiver, now: float) -> None:
        receiver.turn(now, self._buffer)
        if receiver.is_finished:
            with suppress(OSError):
                receiver.socket.setblocking(True)
                receiver.socket.sendall(json.dumps(asdict(receiver.result())).encode() + b"\n")
        if receiver.is_finished or receiver.error is not None:
            receiver.socket.close()
            self._receivers.remove(receiver)


def run_client(order: Order) -> StreamResult:
    """Carry out `order`, and say when it begins; OSError if a connection cannot be made."""
    end = End(order.duration_s)
    sockets = _connect(order)
    print("ready", flush=True)  # noqa: T201 whoever started it waits for this line
    if order.upward:
        return StreamResult(flows=tuple(_run_upward(sockets, order, end)))
    return StreamResult(flows=tuple(_run_downward(sockets, order, end)))


def _connect(order: Order) -> list[socket.socket]:
    opened = []
    for port in range(order.first_port, order.first_port + order.flows):
        each = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("::", port))
        each.setblocking(False)
        with suppress(BlockingIOError):
            each.connect((order.host, order.port))
        opened.append(each)
    for each in opened:
        if not select.select([], [each], [], CONNECT_TIMEOUT_S)[1]:
            raise TimeoutError(f"no connection to {order.host} port {order.port}")
        if error := each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, f"no connection to {order.host} port {order.port}")
        each.send(order.to_json().encode() + b"\n")
    return opened


def _run_downward(sockets: Sequence[socket.socket], order: Order, end: End) -> list[FlowResult]:
    receivers = [
        Receiver(each, order.first_port + number) for number, each in enumerate(sockets)
    ]
    buffer = bytearray(CHUNK_OCTETS)
    while not end.has_come(now := time.monotonic()):
        for receiver in receivers:
            if receiver.error is None:
                receiver.turn(now, buffer)
            if receiver.is_finished:
                receiver.error = "closed by the peer"
        alive = [each.socket for each in receivers if each.error is None]
        select.select(alive, [], [], min(end.left_s(now), 0.1))
        time.sleep(TURN_S)
    results = [each.result() for each in receivers]
    for each in sockets:
        each.close()
    return results


def _run_upward(sockets: Sequence[socket.socket], order: Order, end: End) -> list[FlowResult]:
    senders = [Sender(each, order) for each in sockets]
    while not end.has_come(now := time.monotonic()):
        for sender in senders:
            if sender.error is None:
                sender.turn(now)
        writers = [each.socket for each in senders if each.is_bulk and each.error is None]
        select.select([], writers, [], min(end.left_s(now), 2 * TURN_S))
        time.sleep(TURN_S)
    return [
        _peer_result(sender, order.first_port + number) for number, sender in enumerate(senders)
    ]


def _peer_result(sender: Sender, port: int) -> FlowResult:
    """Ask the other end what it received, by closing this one."""
    dead = FlowResult(port=port, octets=0, marks=(), gaps=(), error=sender.error)
    try:
        sender.socket.settimeout(CONNECT_TIMEOUT_S)
        sender.socket.shutdown(socket.SHUT_WR)
        with sender.socket.makefile("rb") as file:
            return replace(flow_from_json(json.loads(file.readline())), port=port)
    except (OSError, ValueError) as error:
        return replace(dead, error=sender.error or str(error) or type(error).__name__)
    finally:
        sender.socket.close()


def _is_closed(opened: socket.socket) -> bool:
    try:
        return opened.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def main(arguments: Sequence[str]) -> None:
    """Run as `serve PORT` or `run ORDER`."""
    match arguments:
        case ["serve", port]:
            server = Server(int(port))
            print("ready", flush=True)  # noqa: T201 whoever started it waits for this line
            server.run()
        case ["run", order]:
            print(run_client(Order.from_json(order)).to_json())  # noqa: T201 the result
        case _:
            raise SystemExit(f"usage: stream serve PORT | run ORDER, not {arguments}")


if __name__ == "__main__":
    main(sys.argv[1:])
