"""What every reader of captures gives: frames, and damage where it could not read on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

# The largest snapshot length of libpcap; whoever claims more is not telling the truth.
LONGEST_FRAME: Final = 262144


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One captured frame.

    Attributes:
        number: of the packet in its file, from 1.
        link_type: of the registry of tcpdump.org; None where the file does not say.
        data: as much of the frame as was captured.
    """

    number: int
    link_type: int | None
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A place in a file that makes no sense.

    Attributes:
        number: of the packet that would have come next.
        offset: octets from the start of the file, or of the line in a text.
    """

    number: int
    offset: int
    reason: str


Captured = Frame | Damage
Frames = Iterator[Captured]


class Source:
    """Reads a stream front to back, and knows how far it came; streams need not seek."""

    def __init__(self, stream: BinaryIO, seen: bytes = b"") -> None:
        self._stream = stream
        self._seen = seen
        self.offset = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` octets, or as many as the stream still has."""
        parts = [self._seen[:count]]
        self._seen = self._seen[count:]
        wanted = count - len(parts[0])
        while wanted and (part := self._stream.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        data = b"".join(parts)
        self.offset += len(data)
        return data

    def line(self, limit: int) -> bytes:
        """Return the next line with its end, or the next `limit` octets of a longer one."""
        if b"\n" in self._seen:
            end = self._seen.index(b"\n") + 1
            line, self._seen = self._seen[:end], self._seen[end:]
        else:
            line, self._seen = self._seen + self._stream.readline(limit), b""
        self.offset += len(line)
        return line
