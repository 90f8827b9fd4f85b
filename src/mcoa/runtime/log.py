"""The log: events with fixed names and fields, one a line.

What a remote can trigger goes through `remote`, which lets few lines of each event pass and
says later how many it held back; otherwise a flood of packets would be a flood of lines.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from ipaddress import IPv6Address
from typing import TextIO

from mcoa.engine.addresses import as_written

_EVENT = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_PLAIN = re.compile(r"[!#-<>-~]+")  # printable ASCII without space, quote and equals sign


class Level(IntEnum):
    """How much an operator should care."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(slots=True, kw_only=True)
class _Bucket:
    """The lines that one event may still write; `refilled_s` is monotonic seconds."""

    tokens: float
    refilled_s: float
    suppressed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How many lines of one remote-triggered event pass: `burst` at once, then `per_second`."""

    burst: int = 20
    per_second: float = 0.2


class EventLog:
    """Writes events to a stream, as text or as one JSON object a line.

    Field values may come from the network: they are quoted, so that none can forge a line.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        monotonic: Callable[[], float],
        wall_clock: Callable[[], float],
        as_json: bool = False,
        level: Level = Level.INFO,
        limit: RateLimit | None = None,
    ) -> None:
        self._stream = stream
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._as_json = as_json
        self._level = level
        self._limit = limit or RateLimit()
        self._buckets: dict[str, _Bucket] = {}

    def debug(self, event: str, **fields: object) -> None:
        """Write what helps to find a fault in the program."""
        self._write(Level.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Write what is part of normal life."""
        self._write(Level.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write what an operator should look at."""
        self._write(Level.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write what keeps the node from doing its work."""
        self._write(Level.ERROR, event, fields)

    def remote(self, event: str, *, level: Level = Level.WARNING, **fields: object) -> None:
        """Write what a packet from the network has triggered, unless there is too much of it.

        The line after a silence carries `suppressed`, the number of lines held back.
        """
        if level < self._level:
            return
        bucket = self._refilled(event)
        if bucket.tokens < 1:
            bucket.suppressed += 1
            return
        bucket.tokens -= 1
        if bucket.suppressed:
            fields["suppressed"], bucket.suppressed = bucket.suppressed, 0
        self._write(level, event, fields)

    def flush(self) -> None:
        """Say what is still held back, as far as the limit allows; to be called now and then."""
        for event, bucket in self._buckets.items():
            if bucket.suppressed and self._refilled(event).tokens >= 1:
                bucket.tokens -= 1
                self._tell_suppressed(event, bucket)

    def close(self) -> None:
        """Say all that is still held back; to be called at the end."""
        for event, bucket in self._buckets.items():
            if bucket.suppressed:
                self._tell_suppressed(event, bucket)

    def _tell_suppressed(self, event: str, bucket: _Bucket) -> None:
        suppressed, bucket.suppressed = bucket.suppressed, 0
        self._write(Level.WARNING, event, {"suppressed": suppressed})

    def _refilled(self, event: str) -> _Bucket:
        now = self._monotonic()
        bucket = self._buckets.get(event)
        if bucket is None:
            bucket = _Bucket(tokens=self._limit.burst, refilled_s=now)
            self._buckets[event] = bucket
        grown = bucket.tokens + (now - bucket.refilled_s) * self._limit.per_second
        bucket.tokens, bucket.refilled_s = min(grown, self._limit.burst), now
        return bucket

    def _write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        if level < self._level:
            return
        if not _EVENT.fullmatch(event):
            raise ValueError(f"{event!r} is not the name of an event, such as binding-expired")
        moment = datetime.fromtimestamp(self._wall_clock(), UTC)
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        present = {
            name: as_written(value) if isinstance(value, IPv6Address) else value
            for name, value in fields.items()
            if value is not None
        }
        line = _json_line if self._as_json else _text_line
        try:
            self._stream.write(line(time, level.name.lower(), event, present))
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads the log any more; that is no reason to stop forwarding packets.
            return


def _text_line(time: str, level: str, event: str, fields: dict[str, object]) -> str:
    pairs = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
    return f"{time} {level} {event}{pairs}\n"


def _json_line(time: str, level: str, event: str, fields: dict[str, object]) -> str:
    return (
        json.dumps({"time": time, "level": level, "event": event} | fields, default=str) + "\n"
    )


def _quoted(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case _:
            text = str(value)
            return text if _PLAIN.fullmatch(text) else json.dumps(text)
