"""The demonstration as a user runs it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mcoa.lab.demo import QUICK, Demonstration, Plan
from mcoa.lab.demo_events import Finished
from mcoa.lab.ground import Ground, GroundKind
from mcoa.lab.namespaces import Namespaces, remove_stale_runs
from mcoa.lab.topology import Network, Topology

from .kernel_nodes import KernelNodes

pytestmark = [pytest.mark.netns, pytest.mark.slow]


def test_three_links_one_address(tmp_path: Path) -> None:
    file = tmp_path / "demo.pcapng"
    remove_stale_runs()
    done = subprocess.run(
        [sys.executable, "-m", "mcoa", "demo", "--quick", "--json", "--capture", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert done.stderr.splitlines()[0] == "ground: network namespaces of root"
    assert result["holds"], done.stderr
    assert done.returncode == 0
    assert result["bindings_registered"] == 3
    assert result["tcp_survived"] is True
    assert result["recovered"] is True
    assert result["aggregate_mbit_s"] > result["best_single_mbit_s"]
    assert result["cut"].keys() == {"gap_ms", "tcp_gap_ms", "lost", "surviving_rtt_ms"}
    assert result["plain_mobile_ipv6"].keys() == {"gap_ms", "lost"}
    assert remove_stale_runs() == []  # it left nothing behind
    if shutil.which("tshark") is not None:
        assert malformed(file) == []


def malformed(file: Path) -> list[str]:
    done = subprocess.run(
        ["tshark", "-r", str(file), "-Y", "_ws.malformed"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_steps_work_without_any_daemon() -> None:
    """With kernel routes in the place of Mobile IPv6 all but the speed of a cut is there."""
    plan = Plan(
        cuts=1,
        plain_cuts=0,
        warm_up_s=QUICK.warm_up_s,
        single_s=1.0,
        aggregate_s=1.0,
        after_cut_s=2.0,
        calm_s=0.0,
    )
    with Namespaces() as namespaces:
        network = Network(namespaces, Topology())
        ground = Ground(kind=GroundKind.ROOT)
        events = list(Demonstration(network, KernelNodes(network), plan, ground).run())
    match events[-1]:
        case Finished(result=result):
            assert result.tcp_survived
            assert result.recovered
            assert result.aggregate_mbit_s > result.best_single_mbit_s > 25
            assert 50 < result.cuts[0].gap_ms < 1500
        case other:
            pytest.fail(f"the last event is {other}")
