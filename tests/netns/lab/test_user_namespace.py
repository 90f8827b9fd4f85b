"""The laboratory stands inside an unprivileged user namespace as well."""

import json
import subprocess
import sys

import pytest

from mcoa.lab.ground import (
    INTO_USER_NAMESPACE,
    WITH_PRIVATE_RUN,
    Ground,
    GroundKind,
    find_ground,
    must_enter_user_namespace,
)
from mcoa.lab.namespaces import environment

pytestmark = pytest.mark.netns

PROGRAM = """
import json
from mcoa.lab.ground import find_ground, must_enter_user_namespace
from mcoa.lab.meters.launch import start_echo
from mcoa.lab.namespaces import Namespaces
from mcoa.lab.topology import Network, Topology

ground = find_ground()
with Namespaces() as namespaces:
    network = Network(namespaces, Topology())
    address = network.wait_for_care_of_addresses()["lte"]
    network["mn"].ip("tuntap add mip0 mode tun")
    train = start_echo(namespaces, network["cn"], str(address), identifier=1, duration_s=0.3)
    print(json.dumps([ground.kind.name, must_enter_user_namespace(ground), train.result().lost]))
"""


def test_a_network_is_built_without_privileges() -> None:
    command = [*INTO_USER_NAMESPACE, "sh", "-c", WITH_PRIVATE_RUN, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["USER", False, 0]


def test_root_stands_on_namespaces_of_its_own() -> None:
    ground = find_ground()
    assert ground == Ground(kind=GroundKind.ROOT)
    assert not must_enter_user_namespace(ground)
    assert ground.sentence() == "ground: network namespaces of root"
