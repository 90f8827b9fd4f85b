"""A relay between pairs of interfaces that delays frames, and loses them when told to.

It stands in for the air: each span joins a mobile node's interface with an access router's,
with a constant delay each way. Run as a program it reads commands on its standard input, a
line each (`NAME loss 0.1`, `NAME blackhole`, `NAME clear`, `report`), and ends with it.
"""

import ctypes
import errno
import json
import os
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
SOCKET_BUFFER_OCTETS = 4 << 20

SLOTS = 2048  # a power of two; 30 ms of 40 Mbit/s are 107 full frames or 2000 bare TCP ACKs
SLOT_OCTETS = 9216  # jumbo frames are tried as well
BATCH = 64
IDLE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Two interfaces joined by the relay; `loss` is a probability each way."""

    name: str
    near: str
    far: str
    delay_s: float
    loss: float = 0.0
    seed: int = 0

    def argument(self) -> str:
        """Return the span as one word of the relay's command line."""
        fields = (self.name, self.near, self.far, self.delay_s, self.loss, self.seed)
        return ":".join(str(field) for field in fields)

    @classmethod
    def from_argument(cls, word: str) -> "Span":
        """Read one word of the command line; ValueError if it is not a span."""
        name, near, far, delay_s, loss, seed = word.split(":")
        return cls(
            name=name,
            near=near,
            far=far,
            delay_s=float(delay_s),
            loss=float(loss),
            seed=int(seed),
        )


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _MessageHeader(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_uint64),
        ("name_length", ctypes.c_uint64),
        ("iov", ctypes.c_uint64),
        ("iov_length", ctypes.c_uint64),
        ("control", ctypes.c_uint64),
        ("control_length", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
        ("octets", ctypes.c_uint64),  # 32 bits and padding; the padding stays zero
    )


class FrameRing:
    """Frames in the order of their arrival, received into place and sent from there.

    One mmsghdr a slot serves recvmmsg and sendmmsg alike, so that a frame costs no Python
    object and a batch costs one call each way.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._buffer = ctypes.create_string_buffer(SLOTS * SLOT_OCTETS)
        self._iovecs = (_Iovec * SLOTS)()
        self._headers = (_MessageHeader * SLOTS)()
        base, iov = ctypes.addressof(self._buffer), ctypes.addressof(self._iovecs)
        for slot in range(SLOTS):
            self._iovecs[slot].base = base + slot * SLOT_OCTETS
            self._iovecs[slot].length = SLOT_OCTETS
            self._headers[slot].iov = iov + slot * ctypes.sizeof(_Iovec)
            self._headers[slot].iov_length = 1
        self._first = ctypes.addressof(self._headers)
        self._head = self._tail = 0

    def receive(self, descriptor: int) -> tuple[int, int]:
        """Take in up to a batch of waiting frames; returns their first slot and number.

        OSError when there is none (EAGAIN), when the ring is full (ENOSPC), or as the
        kernel has it.
        """
        start = self._head % SLOTS
        room = min(BATCH, SLOTS - start, SLOTS - (self._head - self._tail))
        if room == 0:
            raise OSError(errno.ENOSPC, "the delay line is full")
        count = self._call(self._libc.recvmmsg, descriptor, start, room)
        for slot in range(start, start + count):
            self._iovecs[slot].length = self._headers[slot].octets
        self._head += count
        return start, count

    def send(self, descriptor: int, start: int, count: int) -> int:
        """Send frames, oldest first; returns how many the kernel took. They stay held."""
        sent, position, end = 0, start, start + count
        while position < end:
            try:
                taken = self._call(self._libc.sendmmsg, descriptor, position, end - position)
            except OSError:  # queue full or interface down: this one frame is lost
                taken = 0
                position += 1
            sent += taken
            position += taken
        return sent

    def release(self, start: int, count: int) -> None:
        """Give the oldest slots back to `receive`."""
        for slot in range(start, start + count):
            self._iovecs[slot].length = SLOT_OCTETS
        self._tail += count

    def _call(
        self, function: "ctypes._NamedFuncPointer", descriptor: int, slot: int, count: int
    ) -> int:
        header = ctypes.c_void_p(self._first + slot * ctypes.sizeof(_MessageHeader))
        done: int = function(descriptor, header, count, socket.MSG_DONTWAIT, None)
        if done < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return done


_WAYS = ("up", "down")
"""From the near end to the far one, and back."""


class Direction:
    """One way over a span: what arrives at `source` leaves at `sink` after the delay."""

    def __init__(
        self, source: socket.socket, sink: socket.socket, delay_s: float, rng: Random
    ) -> None:
        self.source, self._sink = source.fileno(), sink.fileno()
        self._delay_s, self._rng = delay_s, rng
        self._ring = FrameRing()
        self._waiting: deque[tuple[float, int, int]] = deque()
        self.loss = 0.0
        self.forwarded = self.lost = self.dropped = 0

    def take(self, now: float) -> None:
        """Receive what waits; each frame leaves a delay after `now`."""
        due = now + self._delay_s
        try:
            while True:
                start, count = self._ring.receive(self.source)
                self._waiting.append((due, start, count))
        except OSError:  # nothing more, or the interface just went down
            return

    def give(self, now: float) -> None:
        """Send what is due."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            _, start, count = waiting.popleft()
            for first, length in self._spared(start, count):
                sent = self._ring.send(self._sink, first, length)
                self.forwarded += sent
                self.dropped += length - sent
            self._ring.release(start, count)

    def next_due(self) -> float | None:
        """Return when the next frame leaves."""
        return self._waiting[0][0] if self._waiting else None

    def _spared(self, start: int, count: int) -> list[tuple[int, int]]:
        if self.loss == 0.0:
            return [(start, count)]
        spared = [
            (slot, 1) for slot in range(start, start + count) if self._rng.random() >= self.loss
        ]
        self.lost += count - len(spared)
        return spared


class Relay:
    """All spans of a laboratory in one process."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._sockets: list[socket.socket] = []
        self._directions: dict[str, tuple[Direction, Direction]] = {}
        for span in spans:
            near, far = packet_socket(span.near), packet_socket(span.far)
            self._sockets += [near, far]
            self._directions[span.name] = (
                Direction(near, far, span.delay_s, Random(span.seed)),
                Direction(far, near, span.delay_s, Random(span.seed + 1)),
            )
            self.set_loss(span.name, span.loss)

    def set_loss(self, name: str, loss: float, way: str = "") -> None:
        """Lose this share of the frames of a span, "up", "down" or both; 1 is a blackhole."""
        for each, direction in zip(_WAYS, self._directions[name], strict=True):
            if way in {"", each}:
                direction.loss = loss

    def report(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return by span and direction how many frames were forwarded, lost and dropped."""
        return {
            name: {
                way: {"forwarded": each.forwarded, "lost": each.lost, "dropped": each.dropped}
                for way, each in zip(_WAYS, directions, strict=True)
            }
            for name, directions in self._directions.items()
        }

    def run(self, commands: int) -> None:
        """Relay until `commands`, a descriptor, reaches its end."""
        every = [each for pair in self._directions.values() for each in pair]
        by_descriptor = {each.source: each for each in every}
        while True:
            due = min((t for each in every if (t := each.next_due()) is not None), default=None)
            timeout = IDLE_S if due is None else max(0.0, due - time.monotonic())
            # select takes microseconds where poll and epoll round up to milliseconds
            ready, _, _ = select.select([*by_descriptor, commands], [], [], timeout)
            now = time.monotonic()
            for descriptor in ready:
                if descriptor != commands:
                    by_descriptor[descriptor].take(now)
                elif not self._obey(os.read(commands, 4096).decode()):
                    return
            now = time.monotonic()
            for each in every:
                each.give(now)

    def _obey(self, text: str) -> bool:
        for line in text.splitlines():
            match line.split():
                case ["report"]:
                    print(json.dumps(self.report()), flush=True)  # noqa: T201 its answer
                case [name, "loss", share]:
                    self.set_loss(name, float(share))
                case [name, "loss", share, way]:
                    self.set_loss(name, float(share), way)
                case [name, "blackhole"]:
                    self.set_loss(name, 1.0)
                case [name, "clear"]:
                    self.set_loss(name, 0.0)
                case words:
                    raise ValueError(f"not a command of the relay: {words}")
        return bool(text)


def packet_socket(interface: str) -> socket.socket:
    """Open a packet socket that hears all that arrives at `interface`, and only that."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    for forced, plain in (
        (SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        try:
            opened.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER_OCTETS)
        except PermissionError:  # in a user namespace the system's limit holds
            opened.setsockopt(socket.SOL_SOCKET, plain, SOCKET_BUFFER_OCTETS)
    opened.setblocking(False)
    opened.bind((interface, ETH_P_ALL))
    return opened


def main(arguments: Sequence[str]) -> None:
    """Run the relay; each argument is a span."""
    relay = Relay([Span.from_argument(word) for word in arguments])
    print("ready", flush=True)  # noqa: T201 whoever started it waits for this line
    relay.run(sys.stdin.fileno())


if __name__ == "__main__":
    main(sys.argv[1:])
