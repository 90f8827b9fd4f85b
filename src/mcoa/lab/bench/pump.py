"""Pumps octets and small packets through a network, and counts what arrives.

`serve PORT` stands at the correspondent. `up`, `down` and `flood` run elsewhere, each for one
round, and print one number: octets a second for one TCP connection in that direction, or packets
a second of 64 octets of UDP. Counting begins when a connection has found its speed.
"""

import ctypes
import json
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from typing import Final, Self

_CHUNK: Final = 1 << 20
_UP, _DOWN, _COUNT, _END = b"u", b"d", b"c", b"e"
_WARM_UP_S: Final = 0.2
_PAYLOAD: Final = bytes(64)
_BATCH: Final = 64
_SETTLING_S: Final = 0.1  # what is on its way when the flood ends
_COUNTED: Final = ("Udp6InDatagrams", "Udp6InErrors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a round is: the source is one of this host's addresses, empty for any."""

    host: str
    port: int
    duration_s: float
    source: str = ""

    def to_json(self) -> str:
        """Return the order as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` made; TypeError or ValueError if it is something else."""
        return cls(**json.loads(text))


def serve(port: int) -> None:
    """Answer rounds until killed; prints "ready" when it does."""
    sink = socket.socket(
        socket.AF_INET6, socket.SOCK_DGRAM
    )  # counted by the kernel, never read
    sink.bind(("::", port))
    with socket.create_server(("::", port), family=socket.AF_INET6) as listening:
        print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
        while True:
            opened, _ = listening.accept()
            Thread(target=_answer, args=(opened,), daemon=True).start()


def _answer(opened: socket.socket) -> None:
    with opened:
        kind = opened.recv(1)
        if kind == _UP:
            opened.sendall(str(_drain(opened)).encode())
        elif kind == _DOWN:
            _fill(opened, None)
        elif kind == _COUNT:
            opened.sendall(str(_datagrams()).encode())


def up(order: Order) -> float:
    """Return the octets a second that arrive at the server."""
    with _connect(order) as opened:
        opened.sendall(_UP)
        _fill(opened, order.duration_s + _WARM_UP_S)
        opened.shutdown(socket.SHUT_WR)
        return float(opened.recv(64))


def down(order: Order) -> float:
    """Return the octets a second that arrive here."""
    with _connect(order) as opened:
        opened.sendall(_DOWN)
        return _drain(opened, order.duration_s + _WARM_UP_S)


def flood(order: Order) -> float:
    """Return the datagrams a second that arrive at the server, of as many as can be sent."""
    before = _count(order)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as opened:
        if order.source:
            opened.bind((order.source, 0))
        opened.connect((order.host, order.port))
        taken_s = _flood(opened, order.duration_s)
    time.sleep(_SETTLING_S)
    return (_count(order) - before) / taken_s


def _connect(order: Order) -> socket.socket:
    source = (order.source, 0) if order.source else None
    return socket.create_connection((order.host, order.port), 5.0, source)


def _fill(opened: socket.socket, duration_s: float | None) -> None:
    chunk = memoryview(bytes(_CHUNK))
    end_s = None if duration_s is None else time.monotonic() + duration_s
    try:
        while end_s is None or time.monotonic() < end_s:
            opened.send(chunk)
    except OSError:
        pass  # the other end has what it wanted


def _drain(opened: socket.socket, duration_s: float = 60.0) -> float:
    """Return the octets a second after the first moments, until the end of either."""
    buffer = bytearray(_CHUNK)
    begun_s = now = time.monotonic()
    counted, since_s = 0, begun_s
    while now < begun_s + duration_s and (
        length := opened.recv_into(buffer, _CHUNK, socket.MSG_TRUNC)
    ):
        now = time.monotonic()
        if now < begun_s + _WARM_UP_S:
            counted, since_s = 0, now
        else:
            counted += length
    return counted / max(now - since_s, 1e-9)


def _count(order: Order) -> int:
    with _connect(order) as opened:
        opened.sendall(_COUNT)
        return int(opened.recv(64))


def _datagrams() -> int:
    lines = Path("/proc/thread-self/net/snmp6").read_text("ascii").splitlines()
    pairs = dict(line.split() for line in lines)
    return sum(int(pairs[name]) for name in _COUNTED)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _anonymous_ = ("header",)
    _fields_ = (("header", _Header), ("sent", ctypes.c_uint32))


def _flood(opened: socket.socket, duration_s: float) -> float:
    """Send for so long, many with each call; return how long it was."""
    library = ctypes.CDLL(None, use_errno=True)
    vector = _Vector(_PAYLOAD, len(_PAYLOAD))
    messages = (_Message * _BATCH)()
    for message in messages:
        message.vectors, message.count = ctypes.pointer(vector), 1
    begun_s = time.monotonic()
    while (now := time.monotonic()) < begun_s + duration_s:
        library.sendmmsg(opened.fileno(), messages, _BATCH, 0)
    return now - begun_s


_ROUNDS: Final = {"up": up, "down": down, "flood": flood}


def main(arguments: list[str]) -> None:
    """Do as told by the command line."""
    command, what = arguments
    if command == "serve":
        serve(int(what))
    print(_ROUNDS[command](Order.from_json(what)))  # noqa: T201 - its result


if __name__ == "__main__":
    main(sys.argv[1:])
