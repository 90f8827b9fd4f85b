"""An operator takes links out of use and back, and no packet is lost."""

import json
import time
from collections.abc import Iterator

import pytest

from mcoa.lab.flows import FlowTally
from mcoa.lab.meters.launch import start_echo
from mcoa.lab.nodes import NODE
from mcoa.lab.sightings import Flow
from netns.daemon.laboratory import Laboratory, laboratory

pytestmark = pytest.mark.netns

LINKS = ("lte", "wifi", "sat")
TRAINS = range(100, 106)


@pytest.fixture(scope="module", params=["ebpf", "userspace"])
def lab(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    with laboratory(data_plane=request.param) as built:
        yield built


def state_of(lab: Laboratory, name: str) -> str:
    links = lab.status(NODE)["links"]
    return str(next(link["state"] for link in links if link["name"] == name))


def test_nothing_is_lost_when_links_go_and_come_back(lab: Laboratory) -> None:
    trains = [
        start_echo(
            lab.network.namespaces,
            lab.mobile_node,
            str(lab.topology.correspondent),
            identifier=identifier,
            duration_s=14.0,
        )
        for identifier in TRAINS
    ]
    time.sleep(1.0)
    for name in ("lte", "sat"):
        with FlowTally(lab.mobile_node, LINKS) as tally:
            time.sleep(0.3)
            counts = tally.counts()
        # Otherwise it would prove nothing.
        assert any(name in counts.carriers_of(Flow.echo(each), "up") for each in TRAINS)
        done = lab.mcoa("link", "disable", name)
        assert (done.returncode, done.stdout) == (0, f"disabled: {name}\n"), done.stderr
        assert state_of(lab, name) == "disabled"
        lab.until_registered(*(each for each in LINKS if each != name))
        with FlowTally(lab.mobile_node, LINKS) as tally:
            time.sleep(0.3)
            counts = tally.counts()
        for each in TRAINS:
            for way in ("up", "down"):
                assert name not in counts.carriers_of(Flow.echo(each), way)
        done = lab.mcoa("link", "enable", name, "--json")
        assert json.loads(done.stdout)["enabled"] is True
        assert state_of(lab, name) == "up"
    with FlowTally(lab.mobile_node, LINKS) as tally:
        time.sleep(0.5)
        counts = tally.counts()
    carriers = {link for each in TRAINS for link in counts.carriers_of(Flow.echo(each), "up")}
    assert carriers == set(LINKS)  # the last one back has its share again
    assert [train.result().lost for train in trains] == [0] * len(TRAINS)


def test_the_last_link_stays_unless_it_is_forced(lab: Laboratory) -> None:
    for name in ("wifi", "sat"):
        assert lab.mcoa("link", "disable", name).returncode == 0
    refused = lab.mcoa("link", "disable", "lte")
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert state_of(lab, "lte") == "up"
    assert lab.mcoa("link", "disable", "lte", "--force").returncode == 0
    for name in LINKS:
        assert lab.mcoa("link", "enable", name).returncode == 0
    lab.until_registered()


def test_an_unknown_link_is_told_with_those_that_there_are(lab: Laboratory) -> None:
    refused = lab.mcoa("link", "disable", "eth7")
    assert refused.returncode == 1
    assert "lte, wifi, sat" in refused.stderr
