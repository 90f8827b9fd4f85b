"""Either end is killed while the mobile node is at home, and abroad at the same time."""

import time

import pytest

from mcoa.lab.home_lan import HOME_DEVICE, NEIGHBOUR
from mcoa.lab.nodes import AGENT, NODE
from mcoa.lab.scenarios.stage import HomeTopology, set_stage
from mcoa.lab.topology import CORRESPONDENT, HOME_AGENT

pytestmark = pytest.mark.netns

LONGEST_SILENCE_S = 3.0  # an interpreter starts, on a busy machine; 0.35 s where there is time


@pytest.mark.parametrize("which", HomeTopology)
def test_bindings_of_home_and_visited_links_survive_kills(which: HomeTopology) -> None:
    with set_stage(which) as stage:
        stage.nodes.start_agent()
        stage.nodes.start_node()
        stage.until_registered(*stage.foreign_links)
        stage.network.attach_home(attached=True)
        stage.until_registered(*stage.foreign_links, HOME_DEVICE)
        trains = [
            stage.echo(CORRESPONDENT, identifier=60 + number, duration_s=8.0)
            for number in range(4)
        ]
        time.sleep(1.0)
        killed_s = time.monotonic()
        stage.nodes.kill(AGENT)
        stage.nodes.start_agent()
        stage.until(lambda: bool(stage.status(AGENT)), "the agent answering")
        assert len(stage.held()) == 3
        assert stage.has_home_binding()
        is_defended = which is HomeTopology.ONLY_ROUTER
        assert stage.has_proxy() is not is_defended
        stage.nodes.kill(NODE)
        stage.nodes.start_node()
        stage.until_registered(*stage.foreign_links, HOME_DEVICE)
        assert stage.has_home_address() is is_defended
        for train in trains:
            assert train.result().longest_silence(killed_s) < LONGEST_SILENCE_S
        near = stage.echo(NEIGHBOUR, identifier=70, duration_s=0.5)
        assert near.result().lost == 0
        owner = stage.node_mac.hex(":") if is_defended else stage.mac_of(HOME_AGENT, "eth0")
        assert stage.mac_known_to(NEIGHBOUR, "eth0") == owner
