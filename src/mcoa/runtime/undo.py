"""The journal of what a node has set in its kernel, by which all of it can be taken back.

Every entry is in the file before the thing it names is done. A write survives the death of
the process, and what was set does not survive the machine's: so nothing is synced to disk,
and a journal of an earlier boot is void. What carries our mark is entered by kind and place
("our routes through mip0"); what replaces something of others, such as a sysctl, one by one.
"""

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from mcoa.runtime.errors import CommandError
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.sysctl import read_setting, write_setting
from mcoa.runtime.undo_entries import Entry, Setting, emit_entry, parse_entry, take_back

_LOCK_PATIENCE_S = 2.0


_ENDED = ("Z", "X")  # states of proc(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose journal it is: a process, in a network namespace, since a boot.

    Attributes:
        started: clock ticks since boot; tells a process from a later one of its number.
        namespace: inode of the network namespace.
    """

    pid: int
    started: int
    boot: str
    namespace: int

    @classmethod
    def this_process(cls) -> Self:
        """Return the calling process, in the namespace of the calling thread."""
        return cls(
            pid=os.getpid(),
            started=_start_time(os.getpid()),
            boot=Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
            namespace=Path("/proc/thread-self/ns/net").stat().st_ino,
        )

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self.started != 0 and _start_time(self.pid) == self.started


class JournalHeldError(CommandError):
    """The daemon that keeps this journal lives: what it has set is in use."""

    def __init__(self, owner: Owner | None) -> None:
        number = "" if owner is None else f" (process {owner.pid})"
        super().__init__(f"this node's daemon is running{number}", "stop it first")


class ForeignJournalError(CommandError):
    """The journal tells of another network namespace, where alone it can be undone."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was written in another network namespace",
            "run this where the daemon ran, or remove the file if that namespace is gone",
        )


class Journal:
    """What one node has set; kept by one process at a time."""

    def __init__(self, path: Path, descriptor: int, entries: list[Entry]) -> None:
        self._path = path
        self._descriptor = descriptor
        self._entries = entries

    @classmethod
    def open(cls, path: Path) -> Self:
        """Begin a journal, or take over that of a process that died, with its entries.

        So the values of before the first start remain known over crashes. Entries of an
        earlier boot, or of a namespace other than ours, name nothing that is there.

        Raises:
            JournalHeldError: another process keeps it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(path, os.O_CREAT)
        this = Owner.this_process()
        owner, entries = _read(path)
        if owner is not None and owner.is_alive and owner != this:
            os.close(descriptor)
            raise JournalHeldError(owner)
        if owner is None or (owner.boot, owner.namespace) != (this.boot, this.namespace):
            os.ftruncate(descriptor, 0)
            entries = []
        journal = cls(path, descriptor, entries)
        journal._write({"kind": "Owner", **asdict(this)})
        return journal

    def fileno(self) -> int:
        """Return the descriptor that keeps others out for as long as it is open."""
        return self._descriptor

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What has been entered, oldest first."""
        return tuple(self._entries)

    def record(self, entry: Entry) -> None:
        """Enter what is about to be set; what is entered already stays as it is."""
        if entry not in self._entries:
            self._write(emit_entry(entry))
            self._entries.append(entry)

    def change_setting(self, path: str, value: str) -> bool:
        """Set a sysctl below net/ipv6, such as "conf/eth0/proxy_ndp".

        What it was before the first change stays known. False when there is no such
        setting; OSError when it is refused.
        """
        now = read_setting(path)
        if now is None or now == value:
            return now is not None
        settings = (entry for entry in self._entries if isinstance(entry, Setting))
        before = next((entry.before for entry in settings if entry.path == path), now)
        self.record(Setting(path=path, before=before, after=value))
        return write_setting(path, value)

    def undo(self, netlink: Netlink) -> tuple[str, ...]:
        """Take everything back, newest first, and end the journal.

        Returns:
            What could not be taken back, in sentences; then the journal stays for later.
        """
        troubles: list[str] = []
        for entry in reversed(self._entries):
            try:
                take_back(entry, netlink)
            except OSError as error:
                troubles.append(f"{entry}: {error.strerror or error}")
        if not troubles:
            self._path.unlink(missing_ok=True)
        self.close()
        return tuple(troubles)

    def close(self) -> None:
        """Let go of the journal with all that it names in place, for a later start."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, record: dict[str, str | int]) -> None:
        os.write(self._descriptor, json.dumps(record).encode() + b"\n")


def cleanup(path: Path, netlink: Netlink) -> tuple[str, ...]:
    """Take back what a dead daemon left; without a journal there is nothing to do.

    Returns:
        What could not be taken back, in sentences.

    Raises:
        JournalHeldError: the daemon lives.
        ForeignJournalError: it ran in another network namespace.
    """
    if not path.exists():
        return ()
    owner, _ = _read(path)
    this = Owner.this_process()
    if owner is not None and owner.boot == this.boot and owner.namespace != this.namespace:
        if owner.is_alive:
            raise JournalHeldError(owner)
        raise ForeignJournalError(path)
    return Journal.open(path).undo(netlink)


def _read(path: Path) -> tuple[Owner | None, list[Entry]]:
    """Return the last owner and all entries; a line that a crash cut off is passed over."""
    owner: Owner | None = None
    entries: list[Entry] = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        with suppress(json.JSONDecodeError):
            record = json.loads(line)
            owner = _parse_owner(record) or owner
            if (entry := parse_entry(record)) is not None:
                entries.append(entry)
    return owner, entries


def _parse_owner(record: object) -> Owner | None:
    match record:
        case {
            "kind": "Owner",
            "pid": int(pid),
            "started": int(started),
            "boot": str(boot),
            "namespace": int(namespace),
        }:
            return Owner(pid=pid, started=started, boot=boot, namespace=namespace)
        case _:
            return None


def _open_locked(path: Path, flags: int) -> int:
    """Open the journal for this process alone; the kernel frees the lock of a dead one."""
    patience_ends = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last keeper may have removed the file between our two calls.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            owner, _ = _read(path)
            # A program that the dead one had begun may still be at it.
            if time.monotonic() > patience_ends or (owner is not None and owner.is_alive):
                os.close(descriptor)
                raise JournalHeldError(owner) from None
            time.sleep(_LOCK_PATIENCE_S / 100)
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _start_time(pid: int) -> int:
    """Return when a process began, in clock ticks since boot; 0 when there is none.

    One that has ended, and that its parent has not taken note of, is none.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The program's name, in parentheses, may hold spaces and parentheses itself.
    state, *rest = status.rpartition(")")[2].split()
    return 0 if state in _ENDED else int(rest[18])
