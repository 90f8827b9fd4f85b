"""The daemons do their work inside an unprivileged user namespace, too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mcoa.lab.ground import INTO_USER_NAMESPACE, WITH_PRIVATE_RUN
from mcoa.lab.namespaces import environment

pytestmark = pytest.mark.netns

TESTS = Path(__file__).parents[2]
PROGRAM = """
import json
from netns.daemon.laboratory import answers, laboratory

with laboratory() as lab:
    topology, correspondent = lab.topology, lab.network["cn"]
    print(json.dumps([
        answers(correspondent, topology.home_address, identifier=1),
        answers(lab.mobile_node, topology.correspondent, identifier=2),
        lab.nodes.stop("node"),
        lab.cache(),
        lab.nodes.stop("agent"),
    ]))
"""


def inside(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a user namespace of its own."""
    return subprocess.run(
        [*INTO_USER_NAMESPACE, "sh", "-c", WITH_PRIVATE_RUN, "sh", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**environment(), "PYTHONPATH": str(TESTS)},
    )


def test_they_register_and_carry_traffic_and_end_in_order() -> None:
    tried = inside("sh", "-c", "exec 3<>/dev/net/tun")
    if tried.returncode != 0:
        pytest.skip(f"no TUN device in a user namespace: {tried.stderr.strip()}")
    done = inside(sys.executable, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, True, 0, {}, 0]
