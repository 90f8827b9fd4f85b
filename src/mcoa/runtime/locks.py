"""Files that let one process at a time do something."""

import os
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path


def lock_file(path: Path) -> int | None:
    """Return the descriptor of a lock that ends with the process; None when another holds it.

    The file is never removed: a lock on a removed name would exclude nobody.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
