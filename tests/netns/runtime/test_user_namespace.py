"""All of this works without privileges, inside a user namespace."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcoa.lab.ground import INTO_USER_NAMESPACE, WITH_PRIVATE_RUN
from mcoa.lab.namespaces import environment

pytestmark = pytest.mark.netns

HERE = Path(__file__).parent
MODULES = (
    "test_mip0.py",
    "test_sockets.py",
    "test_capture.py",
    "test_steering.py",
    "test_home_link.py",
    "test_undo_in_kernel.py",
)
NESTED = "MCOA_TEST_NESTED"


@pytest.mark.slow
@pytest.mark.skipif(NESTED in os.environ, reason="this is the inner run")
def test_the_same_claims_hold_without_privileges(tmp_path: Path) -> None:
    tests = [str(HERE / module) for module in MODULES]
    inner = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        [*INTO_USER_NAMESPACE, "sh", "-c", WITH_PRIVATE_RUN, "sh", *inner],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=HERE.parents[2],
        env=environment() | {NESTED: "1", "PYTEST_DEBUG_TEMPROOT": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout
