"""Starts one daemon again and again, without the second that its imports take.

Run as a program with a configuration file: a line on standard input starts the daemon in a
child, whose number is printed; the next line waits for its end first.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from mcoa.runtime.config import load
from mcoa.runtime.daemon import run
from mcoa.runtime.log import EventLog

PR_SET_PDEATHSIG = 1


def serve(file: Path) -> None:
    """Be the daemon, until it is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    log = EventLog(sys.stderr, monotonic=time.monotonic, wall_clock=time.time)
    run(load(file), dry_run=False, log=log)


def main() -> None:
    file = Path(sys.argv[1])
    child = 0
    for _ in sys.stdin:
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if not child:
            try:
                serve(file)
            finally:
                os._exit(1)
        print(child, flush=True)  # noqa: T201 whoever started it waits for this


if __name__ == "__main__":
    main()
