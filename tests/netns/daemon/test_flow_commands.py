"""An operator looks at flows, and moves one while it runs."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mcoa.lab.flows import FlowTally
from mcoa.lab.nodes import NODE
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORRESPONDENT
from netns.daemon.laboratory import Laboratory, Udp, laboratory, until

pytestmark = pytest.mark.netns

LINKS = ("lte", "wifi", "sat")
PORT = 9100


@pytest.fixture(scope="module", params=["ebpf", "userspace"])
def lab(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    with laboratory(data_plane=request.param) as built:
        yield built


def listed(lab: Laboratory) -> list[dict[str, Any]]:
    done = lab.mcoa("flow", "list", "--json")
    assert done.returncode == 0, done.stderr
    flows: list[dict[str, Any]] = json.loads(done.stdout)["flows"]
    return [each for each in flows if each["far_port"] == PORT]


class Call:
    """Datagrams both ways, each answered."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab
        self._near, self._far = Udp(lab.mobile_node), Udp(lab.network[CORRESPONDENT], PORT)
        self.sent = self.answered = 0
        self.flow = Flow.udp(PORT, self._near.port)
        self.own_port = self._near.port

    def run(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._near.send(b"hello", self._lab.topology.correspondent, PORT)
            self.sent += 1
            time.sleep(0.005)
            self.take()

    def take(self) -> None:
        for payload, host, port in self._far.received():
            self._far.send(payload, host, port)
        self.answered += len(self._near.received())

    def carriers(self) -> set[str]:
        """Return the links that carry it, both ways, when it has come to rest."""
        self.run(0.3)
        with FlowTally(self._lab.mobile_node, LINKS) as tally:
            self.run(0.3)
            counts = tally.counts()
        return counts.carriers_of(self.flow, "up") | counts.carriers_of(self.flow, "down")

    def close(self) -> None:
        self._near.close()
        self._far.close()


@pytest.fixture
def call(lab: Laboratory) -> Iterator[Call]:
    made = Call(lab)
    yield made
    made.close()


@pytest.mark.requirement("S3-16", "S3-19")
def test_a_flow_moves_while_it_runs_and_nothing_is_lost(lab: Laboratory, call: Call) -> None:
    call.run(0.3)
    [line] = listed(lab)
    assert line["own_port"] == call.own_port
    assert line["protocol"] == "udp"
    assert line["far_address"] == str(lab.topology.correspondent)
    for link in ("sat", "lte", "wifi", "sat"):
        done = lab.mcoa("flow", "move", line["flow"], link)
        assert (done.returncode, done.stdout) == (0, f"{line['flow']} is on {link}\n")
        assert call.carriers() == {link}
        [now] = listed(lab)
        assert (now["link"], now["rule"]) == (link, "by hand")
    lab.network.cut("sat")
    lab.until_registered("lte", "wifi")
    assert len(call.carriers()) == 1
    lab.network.restore("sat")
    lab.until_registered()
    assert call.carriers() == {"sat"}
    done = lab.mcoa("flow", "move", line["flow"], "auto")
    assert done.returncode == 0, done.stderr
    call.run(0.2)
    [now] = listed(lab)
    assert now["rule"] is None


def test_a_move_costs_no_packet(lab: Laboratory, call: Call) -> None:
    call.run(0.3)
    [line] = [each for each in listed(lab) if each["own_port"] == call.own_port]
    for link in LINKS:
        # From within the loop: what is under way must not be cut off.
        command = ["-m", "mcoa", "flow", "move", line["flow"], link]
        socket = ["--socket", str(lab.nodes.socket(NODE))]
        moving = subprocess.Popen(
            [sys.executable, *command, *socket], stdout=subprocess.DEVNULL
        )
        call.run(1.0)
        assert moving.wait() == 0
    end_s = time.monotonic() + 1.0
    while time.monotonic() < end_s:
        call.take()
        time.sleep(0.005)
    assert call.answered == call.sent


def test_what_cannot_be_is_said(lab: Laboratory, call: Call) -> None:
    done = lab.mcoa("flow", "move", "0123456789", "lte")
    assert done.returncode == 1
    assert "there is no flow" in done.stderr
    call.run(0.2)
    [line] = [each for each in listed(lab) if each["own_port"] == call.own_port]
    done = lab.mcoa("flow", "move", line["flow"], "moon")
    assert done.returncode == 1
    assert "there are: lte, wifi, sat, auto" in done.stderr
    lab.network.cut("wifi")
    lab.until_registered("lte", "sat")
    done = lab.mcoa("flow", "move", line["flow"], "wifi")
    assert done.returncode == 1
    assert "wifi carries nothing now" in done.stderr
    lab.network.restore("wifi")
    lab.until_registered()


def test_the_list_is_a_table_and_knows_rest(lab: Laboratory, call: Call) -> None:
    until(lambda: listed(lab) == [], "no flow that was moved by hand")
    call.run(0.2)
    done = lab.mcoa("flow", "list")
    assert done.stdout.splitlines()[0].split() == (
        ["FLOW", "PROTOCOL", "FAR", "END", "PORT", "OWN", "PORT", "LINK", "IDLE"]
    )
    until(lambda: listed(lab) == [], "no flow with packets")
    done = lab.mcoa("flow", "list")
    assert done.stdout == "no flows\n"
    done = lab.mcoa("flow", "list", "--all")
    assert str(PORT) in done.stdout
