"""The network namespaces, processes and files of one laboratory run, and their sure removal.

Everything a run makes carries the run's name or lies in the run's directory, and the
directory is locked for as long as the run lives: what a killed run left behind is so known
as such, and the next run removes it.
"""

import atexit
import ctypes
import fcntl
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self, TypeVar

RUNS = Path("/run/mcoa-lab")
NAMES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
STOP_TIMEOUT_S = 3.0

ResultT = TypeVar("ResultT")


class LabError(Exception):
    """The laboratory could not be built, or one of its programs failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """One network namespace; `name` is short ("mn"), `full_name` is what ip(8) shows."""

    name: str
    full_name: str

    @property
    def path(self) -> Path:
        """The file that keeps the namespace."""
        return NAMES / self.full_name

    def ip(self, *lines: str) -> None:
        """Configure the namespace by lines for `ip -batch`, all in one process."""
        _batch(["ip", "-n", self.full_name, "-batch", "-"], lines)

    def tc(self, *lines: str) -> None:
        """Configure queues by lines for `tc -batch`, all in one process."""
        _batch(["tc", "-n", self.full_name, "-batch", "-"], lines)

    def sysctl(self, **values: int) -> None:
        """Set values below net.ipv6; names with "__" for the dots between them."""

        def write() -> None:
            for name, value in values.items():
                path = Path("/proc/sys/net/ipv6", *name.split("__"))
                path.write_text(f"{value}\n", "ascii")

        self.call(write)

    def call(self, function: Callable[[], ResultT]) -> ResultT:
        """Return what `function` returns inside the namespace; its sockets stay there.

        It runs in a thread of its own, because a thread can enter a namespace alone.
        """
        results: list[ResultT] = []
        errors: list[BaseException] = []

        def enter_and_run() -> None:
            try:
                enter(self.path)
                results.append(function())
            except BaseException as error:  # noqa: BLE001 handed on to the caller's thread
                errors.append(error)

        thread = threading.Thread(target=enter_and_run)
        thread.start()
        thread.join()
        for error in errors:
            raise error
        return results[0]

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs `arguments` in the namespace.

        The program takes the place of all helpers, so its process is the one started, and
        it is killed when the thread that started it ends.
        """
        enter_there = ["nsenter", f"--net={self.path}"]
        die_together = ["setpriv", "--pdeathsig", "KILL", "--"]
        # The parent may have died before the kernel was told to watch it.
        unless_orphaned = ["sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())]
        return [*enter_there, *die_together, *unless_orphaned, *arguments]


class Namespaces:
    """The namespaces, processes and files of one run; leaving the context removes them all."""

    def __init__(self, runs: Path = RUNS) -> None:
        self._runs = runs
        self._namespaces: dict[str, Namespace] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock: int | None = None
        self.directory = runs

    def __enter__(self) -> Self:
        NAMES.mkdir(exist_ok=True)
        self._runs.mkdir(exist_ok=True)
        with _locked(self._runs):
            remove_stale_runs(self._runs)
            self.directory = self._runs / f"mcoa-lab-{secrets.token_hex(2)}"
            self.directory.mkdir(mode=0o700)
            self._lock = os.open(self.directory, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        atexit.register(self.close)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, name: str) -> Namespace:
        """Make a namespace with its loopback up."""
        namespace = Namespace(name=name, full_name=f"{self.directory.name}-{name}")
        run("ip", "netns", "add", namespace.full_name)
        self._namespaces[name] = namespace
        namespace.ip("link set lo up")
        return namespace

    def __getitem__(self, name: str) -> Namespace:
        return self._namespaces[name]

    def names(self) -> tuple[tuple[str, str], ...]:
        """Return short and full name of every namespace."""
        return tuple((name, each.full_name) for name, each in self._namespaces.items())

    def start(
        self,
        namespace: Namespace,
        arguments: Sequence[str],
        *,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program in `namespace`; it dies with this run.

        It gets a session of its own: Ctrl-C reaches the laboratory, which then stops its
        programs in order.
        """
        process = subprocess.Popen(
            namespace.command(*arguments),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            env=environment(),
        )
        self._processes.append(process)
        return process

    def stop(self, *processes: subprocess.Popen[bytes]) -> None:
        """End programs of this run, by force those that do not end in good time."""
        stop(*processes)
        self._processes = [each for each in self._processes if each not in processes]

    def close(self) -> None:
        """Remove all programs, namespaces and files; a second call does nothing.

        Programs are not asked: what they would take back goes with their namespace.
        """
        if self._lock is None:
            return
        with _undisturbed():
            kill(*self._processes)
            # Who was interrupted while making a namespace has not noted it: the name tells.
            for entry in NAMES.glob(f"{self.directory.name}-*"):
                _remove_namespace(entry.name)
            shutil.rmtree(self.directory, ignore_errors=True)
            os.close(self._lock)
            self._lock = None
            self._processes.clear()
            self._namespaces.clear()
        atexit.unregister(self.close)


def enter(path: Path) -> None:
    """Move the calling thread into the network namespace kept by `path`; OSError if not."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(path))
    finally:
        os.close(descriptor)


def environment() -> dict[str, str]:
    """Return the environment for programs, which finds ip(8) also for those who are not root."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}


def run(*arguments: str, text: str = "") -> str:
    """Run a program to its end and return what it printed; LabError if it failed."""
    done = subprocess.run(
        arguments,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(),
    )
    if done.returncode != 0:
        raise LabError(f"{' '.join(arguments)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def stop(*processes: subprocess.Popen[bytes]) -> None:
    """End `processes`: ask first, and kill those that are still there after three seconds."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
    kill(*processes)


def kill(*processes: subprocess.Popen[bytes]) -> None:
    """End `processes` with their children and at once; each leads its own process group."""
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    for process in processes:
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def remove_stale_runs(runs: Path = RUNS) -> list[str]:
    """Remove what dead runs left: processes, namespaces, files; returns their names."""
    pattern = re.compile(r"(mcoa-lab-[0-9a-f]{4})-[\w-]+")
    found = {match[1] for entry in NAMES.iterdir() if (match := pattern.fullmatch(entry.name))}
    found |= {entry.name for entry in runs.glob("mcoa-lab-*")}
    stale = sorted(name for name in found if not _is_alive(runs / name))
    for name in stale:
        for entry in list(NAMES.glob(f"{name}-*")):
            _kill_inhabitants(entry.name)
            _remove_namespace(entry.name)
        shutil.rmtree(runs / name, ignore_errors=True)
    return stale


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that contexts are left and clean up."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {
        number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _batch(command: list[str], lines: Sequence[str]) -> None:
    run(*command, text="".join(f"{line}\n" for line in lines))


def _is_alive(directory: Path) -> bool:
    # The kernel drops the lock with the process that held it, whatever ended it.
    try:
        with _locked(directory, fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False


def _kill_inhabitants(full_name: str) -> None:
    with suppress(LabError):
        for word in run("ip", "netns", "pids", full_name).split():
            with suppress(ProcessLookupError):
                os.kill(int(word), signal.SIGKILL)


def _remove_namespace(full_name: str) -> None:
    with suppress(LabError):
        run("ip", "netns", "delete", full_name)


@contextmanager
def _locked(directory: Path, flags: int = 0) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _undisturbed() -> Iterator[None]:
    # An impatient second Ctrl-C must not leave half of a network behind.
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
