"""Files that keep what was written to them: whole writes, synced, replaced in one step."""

import os
from pathlib import Path

_SYNC_EVERY = 1 << 18  # octets; a sync of everything at the end would be a long pause


def write_all(descriptor: int, octets: bytes) -> None:
    """Write all of `octets`; a write may take fewer than it is given."""
    view = memoryview(octets)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beside(path: Path) -> Path:
    """Return where the new version of a file is written."""
    return path.with_name(path.name + ".new")


class Replacement:
    """A new version of a file, written beside it and put in its place at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = beside(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._beside, flags, 0o600)
        self._unsynced = 0
        self.size = 0

    def write(self, octets: bytes) -> None:
        """Append octets."""
        write_all(self._descriptor, octets)
        self.size += len(octets)
        self._unsynced += len(octets)
        if self._unsynced >= _SYNC_EVERY:
            os.fdatasync(self._descriptor)
            self._unsynced = 0

    def put_in_place(self) -> int:
        """Replace the file; return the open descriptor of the new one.

        The octets are durable then, the name only after sync_directory().
        """
        os.fsync(self._descriptor)
        self._beside.rename(self._path)
        return self._descriptor

    def abandon(self) -> None:
        """Leave the file as it was."""
        os.close(self._descriptor)
        self._beside.unlink(missing_ok=True)
