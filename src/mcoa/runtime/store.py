"""Durable bindings of a home agent: an append-only log, one write and one sync a batch.

What commit() has returned for is there after a crash of the daemon or of the machine. When
the log outgrows what is alive in it, it is rewritten beside itself, a piece with each
commit, and put in place at once.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EIO
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from zlib import crc32

from mcoa.runtime.errors import CommandError, NoPermissionError
from mcoa.runtime.locks import lock_file
from mcoa.runtime.store_compaction import Compaction
from mcoa.runtime.store_file import (
    Replacement,
    beside,
    sync_directory,
    write_all,
)
from mcoa.runtime.store_format import (
    FRAME_OVERHEAD,
    HEADER_LENGTH,
    SALT_LENGTH,
    VERSION,
    Frame,
    Gap,
    Header,
    emit_frame,
    emit_header,
    parse_frames,
    parse_header,
)

_LOG = "bindings.log"
_STEP = 1 << 15  # octets of rewriting with a commit: below a millisecond
_CHUNK = 4096  # records
_COMPACT_ABOVE = 1 << 20  # octets; a smaller log is not worth the work


class StoreError(CommandError):
    """The state directory cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What opening found wrong; nothing of it concerns an acknowledged batch but `gaps`.

    Attributes:
        torn_octets: cut from the end, where a batch was not written to its end.
        gaps: damage before good records; the damaged log is kept as bindings.log.damaged.
        header_damaged: a copy of the header, or the whole of it, could not be read.
    """

    torn_octets: int = 0
    gaps: tuple[Gap, ...] = ()
    header_damaged: bool = False


class Store:
    """The binding log of one directory; Store.open() makes it."""

    def __init__(self, directory: Path, lock: int, compact_above: int) -> None:
        self._path = directory / _LOG
        self._lock = lock
        self._compact_above = compact_above
        self._compact_at = compact_above
        self._compaction: Compaction | None = None
        self._failed = False
        self._descriptor = -1
        self._size = 0
        self._seed = 0
        self._recovered: dict[bytes, bytes] | None = None
        self.recovery = Recovery()

    @classmethod
    def open(cls, directory: Path, *, compact_above: int = _COMPACT_ABOVE) -> "Store":
        """Open the store of a directory, made if need be, and repair what a crash left.

        Args:
            directory: of this node alone.
            compact_above: octets below which the log is left to grow.

        Raises:
            StoreError: another daemon uses it, it is of a newer version, or the disk fails.
            NoPermissionError: this user may not use it.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = lock_file(directory / "lock")
            if lock is None:
                raise StoreError(f"another daemon keeps its bindings in {directory}")
            store = cls(directory, lock, compact_above)
            try:
                store._recover()
            except BaseException:
                store.close()
                raise
        except PermissionError as error:
            raise NoPermissionError(
                f"{directory}: {error.strerror}", "run it as root"
            ) from None
        except OSError as error:
            raise StoreError(f"{directory}: {error.strerror}") from error
        return store

    def load(self) -> dict[bytes, bytes]:
        """Return the live records by home address."""
        if self._recovered is not None:
            recovered, self._recovered = self._recovered, None
            return recovered
        with mmap(self._descriptor, self._size, access=ACCESS_READ) as log:
            return _live_records(log, self._seed)[0]

    def commit(self, batch: Sequence[tuple[bytes, bytes]]) -> None:
        """Make a batch durable before returning.

        Args:
            batch: (home address, record); an empty record deletes.

        Raises:
            OSError: the disk did not take it, so it must not be acknowledged. Later batches
                may be tried, and fail at once where the disk cannot be trusted.
            ValueError: a key or record of impossible length; nothing was written.
        """
        if not batch:
            return
        if self._failed:
            raise OSError(EIO, f"{self._path} failed before, and cannot be trusted")
        frames = b"".join([emit_frame(key, record, self._seed) for key, record in batch])
        self._append(frames)
        self._recovered = None
        self._compact(4 * len(frames))

    def close(self) -> None:
        """Give the directory free; all that was committed is on disk."""
        self._abandon_compaction()
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def _append(self, frames: bytes) -> None:
        try:
            write_all(self._descriptor, frames)
        except OSError as error:
            self._undo_append()
            message = f"{self._path} cannot grow: {error.strerror}"
            raise OSError(error.errno, message) from error
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            # After a failed sync the kernel may call lost pages clean: a later sync that
            # succeeds would prove nothing.
            self._failed = True
            message = f"{self._path} cannot be synced: {error.strerror}"
            raise OSError(error.errno, message) from error
        self._size += len(frames)

    def _undo_append(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._failed = True

    def _compact(self, octets: int) -> None:
        """Do a piece of a rewriting under way, or begin one when the log has outgrown."""
        try:
            if self._compaction is None:
                if self._size > self._compact_at:
                    self._compaction = self._begin_compaction()
            elif self._compaction.advance(max(_STEP, octets), self._size):
                self._switch(self._compaction)
        except OSError:
            # The batch is safe in the old log; a disk that is full now may have room later.
            self._abandon_compaction()
            self._compact_at = 2 * self._size

    def _begin_compaction(self) -> Compaction:
        salt = os.urandom(SALT_LENGTH)
        return Compaction(
            Replacement(self._path),
            descriptor=self._descriptor,
            size=self._size,
            seed=self._seed,
            new_salt=salt,
        )

    def _switch(self, compaction: Compaction) -> None:
        descriptor, size = compaction.finish()
        self._compaction = None
        self._use(descriptor, size, compaction.seed)

    def _use(self, descriptor: int, size: int, seed: int) -> None:
        """Go on with a log that has just been put in place."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size, self._seed = descriptor, size, seed
        self._compact_at = max(self._compact_above, 2 * size)
        try:
            sync_directory(self._path.parent)
        except OSError:
            # After a crash the name might mean the old log again, without what follows.
            self._failed = True

    def _abandon_compaction(self) -> None:
        if self._compaction is not None:
            self._compaction.abandon()
            self._compaction = None

    def _recover(self) -> None:
        """Open the log, or make one; cut a torn end, and leave damage behind."""
        beside(self._path).unlink(missing_ok=True)
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags)
        except FileNotFoundError:
            self._rewrite({})
            with suppress(OSError):  # a parent that may not be read
                sync_directory(self._path.parent.absolute().parent)
            self._recovered = {}
            return
        size = os.fstat(self._descriptor).st_size
        header = parse_header(os.pread(self._descriptor, HEADER_LENGTH, 0))
        if header is None:
            self.recovery = Recovery(header_damaged=True)
            self._set_damaged_aside()
            self._rewrite({})
            self._recovered = {}
            return
        if header.version != VERSION:
            raise StoreError(
                f"{self._path} is of version {header.version}; this mcoa knows {VERSION}",
                "run the mcoa that wrote it, or move the file away: nodes register again",
            )
        self._seed = header.seed
        self._recover_records(size, header)

    def _recover_records(self, size: int, header: Header) -> None:
        with mmap(self._descriptor, size, access=ACCESS_READ) as log:
            live, gaps = _live_records(log, self._seed)
        torn = gaps.pop() if gaps and gaps[-1].end == size else Gap(size, size)
        self.recovery = Recovery(
            torn_octets=size - torn.offset, gaps=tuple(gaps), header_damaged=header.damaged
        )
        self._recovered = live
        self._size = torn.offset
        if gaps or header.damaged:
            self._set_damaged_aside()
            self._rewrite(live)
        elif self._size > max(self._compact_above, 2 * _size_of(live)):
            self._rewrite(live)
        else:
            os.ftruncate(self._descriptor, self._size)
            os.fsync(self._descriptor)
            self._compact_at = max(self._compact_above, 2 * _size_of(live))

    def _set_damaged_aside(self) -> None:
        """Keep the damaged log under another name for whoever looks into it."""
        damaged = self._path.with_name(self._path.name + ".damaged")
        with suppress(OSError):  # not every file system has hard links
            damaged.unlink(missing_ok=True)
            damaged.hardlink_to(self._path)

    def _rewrite(self, live: dict[bytes, bytes]) -> None:
        """Put a log in place that holds `live` alone, at one go: nothing waits at start."""
        salt = os.urandom(SALT_LENGTH)
        seed = crc32(salt)
        replacement = Replacement(self._path)
        try:
            replacement.write(emit_header(salt))
            records = iter(live.items())
            while chunk := list(islice(records, _CHUNK)):
                frames = [emit_frame(key, record, seed) for key, record in chunk]
                replacement.write(b"".join(frames))
            descriptor = replacement.put_in_place()
        except OSError:
            replacement.abandon()
            raise
        self._use(descriptor, replacement.size, seed)


def _live_records(log: mmap, seed: int) -> tuple[dict[bytes, bytes], list[Gap]]:
    live: dict[bytes, bytes] = {}
    gaps = []
    for part in parse_frames(log, HEADER_LENGTH, len(log), seed):
        match part:
            case Gap():
                gaps.append(part)
            case Frame(record=b""):
                live.pop(part.key, None)
            case Frame():
                live[part.key] = part.record
    return live, gaps


def _size_of(live: dict[bytes, bytes]) -> int:
    frames = sum(map(len, live.values())) + FRAME_OVERHEAD * len(live)
    return HEADER_LENGTH + frames
