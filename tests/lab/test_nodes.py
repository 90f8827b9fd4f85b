"""The configuration files of the laboratory are what the daemons accept."""

from pathlib import Path

from mcoa.lab.nodes import agent_configuration, node_configuration
from mcoa.lab.topology import Topology
from mcoa.runtime.config import HomeAgentConfiguration, MobileNodeConfiguration, parse

TOPOLOGY = Topology()
DIRECTORY = Path("/run/lab")


def test_the_agent_serves_the_home_address_of_figure_1() -> None:
    text = agent_configuration(TOPOLOGY, DIRECTORY)
    configuration = parse(text, file="agent.toml", default_name="x")
    assert isinstance(configuration, HomeAgentConfiguration)
    assert configuration.home_agent.address == TOPOLOGY.home_agent
    assert configuration.control_socket == DIRECTORY / "agent.sock"


def test_the_mobile_node_has_a_link_for_each_access_network() -> None:
    for several in (True, False):
        text = node_configuration(TOPOLOGY, DIRECTORY, multiple_care_of=several)
        configuration = parse(text, file="node.toml", default_name="x")
        assert isinstance(configuration, MobileNodeConfiguration)
        assert configuration.mobile_node.multiple_care_of is several
        assert [link.name for link in configuration.links] == ["lte", "wifi", "sat"]
        assert configuration.control_socket == DIRECTORY / "node.sock"
