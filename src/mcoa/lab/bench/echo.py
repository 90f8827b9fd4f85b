"""The yardsticks: a bare loop that reads packets from a device and writes one answer to each."""

import os
import shutil
import subprocess
import time
from importlib.resources import as_file, files
from pathlib import Path

from mcoa.lab.namespaces import LabError

_LARGEST_PACKET = 2048  # the device's MTU is 1500
_COMPILERS = ("cc", "gcc", "clang")


def python_echo(descriptor: int, count: int, answer: bytes) -> float:
    """Answer `count` packets that wait in a device; return the seconds that took.

    The answer is as the device takes it, with the header that all its packets have.
    """
    read, write = os.read, os.write
    begun_s = time.perf_counter()
    for _ in range(count):
        read(descriptor, _LARGEST_PACKET)
        write(descriptor, answer)
    return time.perf_counter() - begun_s


def c_echo(program: Path, descriptor: int, count: int, answer: bytes) -> float:
    """Have the program of compile_c_echo() do the same.

    Raises:
        LabError: it failed.
    """
    done = subprocess.run(
        [str(program), str(descriptor), str(count), answer.hex()],
        pass_fds=(descriptor,),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"the echo in C ended with {done.returncode}")
    return int(done.stdout) / 1e9


def compile_c_echo(directory: Path) -> Path | None:
    """Return the echo in C, compiled into `directory`; None without a compiler that works."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        return None
    program = directory / "answers"
    with as_file(files("mcoa.lab.bench") / "answers.c") as source:
        command = [compiler, "-O2", "-o", str(program), str(source)]
        done = subprocess.run(command, capture_output=True, check=False)
    return program if done.returncode == 0 else None
