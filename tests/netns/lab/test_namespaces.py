"""A run leaves nothing behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcoa.lab import namespaces as namespaces_module
from mcoa.lab.namespaces import (
    NAMES,
    RUNS,
    LabError,
    Namespaces,
    remove_stale_runs,
    run,
    terminable,
)

pytestmark = pytest.mark.netns

VICTIM = """
import sys, time
from mcoa.lab.namespaces import Namespaces, terminable
with terminable(), Namespaces() as namespaces:
    node = namespaces.add("node")
    child = namespaces.start(node, ["sleep", "1000"])
    print(namespaces.directory.name, child.pid, flush=True)
    time.sleep(1000)
"""


def start_victim() -> tuple[subprocess.Popen[str], str, int]:
    victim = subprocess.Popen([sys.executable, "-c", VICTIM], stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    with victim.stdout:
        name, child = victim.stdout.readline().split()
    return victim, name, int(child)


def has_ended(pid: int, within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def names_of(run_name: str) -> list[str]:
    return [entry.name for entry in NAMES.glob(f"{run_name}-*")]


def test_leaving_the_context_removes_namespaces_programs_and_files() -> None:
    with Namespaces() as namespaces:
        node = namespaces.add("node")
        child = namespaces.start(node, ["sleep", "1000"])
        directory = namespaces.directory
        assert directory.is_dir()
        assert node.path.exists()
        # The helpers before it are the same process, but enter in their own time.
        while not (inhabitants := run("ip", "netns", "pids", node.full_name).split()):
            assert child.poll() is None
        assert inhabitants == [str(child.pid)]
    assert child.poll() is not None
    assert not node.path.exists()
    assert not directory.exists()


def test_a_program_that_ignores_sigterm_is_killed_with_its_children() -> None:
    with Namespaces() as namespaces:
        node = namespaces.add("node")
        deaf = namespaces.start(
            node, ["sh", "-c", "trap '' TERM; echo; sleep 1000"], stdout=subprocess.PIPE
        )
        assert deaf.stdout is not None
        assert deaf.stdout.readline() == b"\n"
        inhabitants = [int(pid) for pid in run("ip", "netns", "pids", node.full_name).split()]
        namespaces.stop(deaf)
        assert deaf.returncode == -signal.SIGKILL
        assert all(has_ended(pid) for pid in inhabitants)


def test_sigterm_cleans_up() -> None:
    victim, name, child = start_victim()
    victim.terminate()
    assert victim.wait(10) == 128 + signal.SIGTERM
    assert names_of(name) == []
    assert not (RUNS / name).exists()
    assert has_ended(child)


def test_who_is_interrupted_while_making_a_namespace_removes_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made_but_interrupted(*arguments: str, text: str = "") -> str:
        run(*arguments, text=text)
        if "add" in arguments:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(namespaces_module, "run", made_but_interrupted)
    with Namespaces() as namespaces:
        name = namespaces.directory.name
        with pytest.raises(KeyboardInterrupt):
            namespaces.add("node")
    assert names_of(name) == []


def test_programs_die_with_a_killed_run_and_the_next_start_removes_the_rest() -> None:
    victim, name, child = start_victim()
    victim.kill()
    victim.wait(10)
    assert has_ended(child)
    assert names_of(name) == [f"{name}-node"]
    with Namespaces():
        assert names_of(name) == []
        assert not (RUNS / name).exists()


def test_a_living_run_is_left_alone() -> None:
    with Namespaces() as first:
        node = first.add("node")
        with Namespaces() as second:
            assert second.directory != first.directory
            assert node.path.exists()
        assert remove_stale_runs() == []
        assert node.path.exists()


def test_an_error_inside_the_namespace_comes_out() -> None:
    with Namespaces() as namespaces:
        node = namespaces.add("node")
        with pytest.raises(FileNotFoundError):
            node.sysctl(conf__nothing__forwarding=1)
        with pytest.raises(LabError, match="nothing"):
            node.ip("link set nothing up")


def end_oneself() -> None:
    with terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)


def test_terminable_restores_the_handlers() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        end_oneself()
    assert left.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
