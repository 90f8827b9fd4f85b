"""Rewrites a binding log without what later records have replaced, in small steps.

A log of a million bindings takes seconds to rewrite, in which no update would be answered.
So each commit does a piece of the work: first the newest record of each key is found, then
these records are copied, then what was committed meanwhile.
"""

from collections.abc import Generator, Iterator
from mmap import ACCESS_READ, mmap
from zlib import crc32

from mcoa.runtime.store_file import Replacement
from mcoa.runtime.store_format import (
    HEADER_LENGTH,
    Frame,
    emit_frame,
    emit_header,
    parse_frames,
)

_WRITE_AT = 1 << 16  # octets


class Compaction:
    """One rewriting of the log; every method but `abandon` may raise OSError.

    Attributes:
        seed: where the CRC of each frame of the new log begins.
    """

    def __init__(
        self,
        replacement: Replacement,
        *,
        descriptor: int,
        size: int,
        seed: int,
        new_salt: bytes,
    ) -> None:
        self.seed = crc32(new_salt)
        self._replacement = replacement
        self._descriptor = descriptor
        self._size = size
        self._old_seed = seed
        self._buffer = bytearray(emit_header(new_salt))
        self._work = self._rewrite(size)

    def advance(self, octets: int, size: int) -> bool:
        """Work through about so many octets of the old log, which has grown to `size`.

        Returns True when the new log holds all of it.
        """
        self._size = size
        for worked in self._work:
            octets -= worked
            if octets <= 0:
                return False
        return True

    def finish(self) -> tuple[int, int]:
        """Put the new log in place; return its descriptor and size."""
        self._write()
        return self._replacement.put_in_place(), self._replacement.size

    def abandon(self) -> None:
        """Leave the old log in place."""
        self._work.close()
        self._replacement.abandon()

    def _rewrite(self, size: int) -> Generator[int, None, None]:
        newest: dict[bytes, int] = {}
        for frame in self._old_frames(HEADER_LENGTH, size):
            newest[frame.key] = frame.offset
            yield frame.end - frame.offset
        for frame in self._old_frames(HEADER_LENGTH, size):
            if frame.record and newest[frame.key] == frame.offset:
                self._copy(frame)
            yield frame.end - frame.offset
        while size < self._size:
            begin, size = size, self._size
            for frame in self._old_frames(begin, size):
                self._copy(frame)
                yield frame.end - frame.offset

    def _old_frames(self, begin: int, end: int) -> Iterator[Frame]:
        with mmap(self._descriptor, end, access=ACCESS_READ) as old:
            for part in parse_frames(old, begin, end, self._old_seed):
                if isinstance(part, Frame):
                    yield part

    def _copy(self, frame: Frame) -> None:
        self._buffer += emit_frame(frame.key, frame.record, self.seed)
        if len(self._buffer) >= _WRITE_AT:
            self._write()

    def _write(self) -> None:
        self._replacement.write(bytes(self._buffer))
        self._buffer.clear()
