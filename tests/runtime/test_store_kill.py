"""A writer that is killed at a hundred random instants loses nothing it acknowledged."""

import subprocess
import sys
from pathlib import Path

from mcoa.runtime.store import Store

PROGRAM = Path(__file__).with_name("killed_writers.py")


def test_no_acknowledged_record_is_missing_after_a_hundred_kills(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), "100", "5648"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("100 kills")
    Store.open(tmp_path).close()  # the lock of a killed writer holds nobody up
