"""The agent's interface on the home link comes and goes, and the agent serves on."""

import time
from pathlib import Path

import pytest

from mcoa.lab.mishaps import plug_in, unplug
from mcoa.lab.nodes import AGENT
from mcoa.lab.topology import CORE, CORRESPONDENT, HOME_AGENT
from netns.daemon.laboratory import Laboratory, answers, frozen, until

pytestmark = pytest.mark.netns


def is_served(lab: Laboratory, identifier: int) -> bool:
    home_address = lab.topology.home_address
    return answers(lab.network[CORRESPONDENT], home_address, identifier=identifier)


def set_up(lab: Laboratory) -> None:
    """Do what the network's administrator does when the agent's interface comes back."""
    home = lab.topology.home_prefix
    lab.home_agent.ip(
        f"address add {home[2]}/64 dev eth0 nodad",
        f"route replace default via {home[0xFFFF]}",
    )


def test_a_carrier_that_was_away_changes_nothing(lab: Laboratory) -> None:
    core, home = lab.network[CORE], lab.topology.home_prefix
    core.ip("link set home down")
    assert not answers(
        lab.network[CORRESPONDENT], lab.topology.home_address, identifier=1, within_s=0.3
    )
    core.ip("link set home up", f"address replace {home[0xFFFF]}/64 dev home nodad")
    assert is_served(lab, 2)
    assert lab.cache()


def test_an_interface_that_was_switched_off_attracts_again(lab: Laboratory) -> None:
    """The kernel forgets proxies with the switch."""
    lab.home_agent.ip("link set eth0 down")
    time.sleep(0.1)
    lab.home_agent.ip("link set eth0 up")
    set_up(lab)
    assert is_served(lab, 3)


def test_an_interface_that_was_unplugged_attracts_again(lab: Laboratory) -> None:
    unplug(lab.network, "eth0", node=HOME_AGENT)
    until(lambda: lab.status(AGENT)["links"][0]["state"] == "missing", "a missing link")
    plug_in(lab.network, "eth0", node=HOME_AGENT)
    set_up(lab)
    assert is_served(lab, 4)


def test_what_befell_the_interface_while_the_agent_was_busy_is_seen(lab: Laboratory) -> None:
    with frozen(lab, AGENT):
        unplug(lab.network, "eth0", node=HOME_AGENT)
        plug_in(lab.network, "eth0", node=HOME_AGENT)
        set_up(lab)
        lab.home_agent.ip("link set eth0 txqueuelen 900")
        unplug(lab.network, "eth0", node=HOME_AGENT)
    until(lambda: lab.status(AGENT)["links"][0]["state"] == "missing", "a missing link")
    with frozen(lab, AGENT):
        plug_in(lab.network, "eth0", node=HOME_AGENT)
        set_up(lab)
    assert is_served(lab, 5)
    assert "internal-fault" not in lab.nodes.log(AGENT).read_text("utf-8")


def test_every_message_was_well_formed(lab: Laboratory, tmp_path: Path) -> None:
    lab.until_registered()
    assert lab.wire.judge(tmp_path)["Binding Update"]
