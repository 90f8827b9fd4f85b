"""Rules of a home agent about the interface by which packets come to it."""

from collections.abc import Iterator
from ipaddress import IPv6Network

import pytest

from mcoa.lab.namespaces import Namespace, run
from mcoa.lab.nodes import AGENT, NODE, agent_configuration, node_configuration
from mcoa.lab.topology import CORRESPONDENT, HOME_AGENT
from netns.daemon.laboratory import Laboratory, laboratory, until

pytestmark = pytest.mark.netns

PORT = 9001
OFFICE = IPv6Network("2001:db8:0ff1::/64")
RULES = """
[[rule]]
name = "office"
interface = "lan"
use = [3]

[[rule]]
name = "others"
use = [1]
"""


@pytest.fixture(scope="module", params=["ebpf", "userspace"])
def lab(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    with laboratory(data_plane=request.param, started=False) as built:
        directory = built.network.namespaces.directory
        built.network.namespaces.add("office")
        built.nodes.start(AGENT, agent_file(built))
        built.nodes.start(NODE, node_configuration(built.topology, directory))
        built.until_registered()
        yield built


def agent_file(lab: Laboratory) -> str:
    return agent_configuration(lab.topology, lab.network.namespaces.directory) + RULES


def build_office(lab: Laboratory) -> Namespace:
    """Join a neighbour of the agent's to it, who sends by its interface `lan`."""
    agent, office = lab.network[HOME_AGENT], lab.network["office"]
    agent.ip(
        f"link add lan type veth peer name eth0 netns {office.full_name}",
        "link set lan up",
        f"address add {OFFICE[1]}/64 dev lan nodad",
    )
    office.ip(
        "link set eth0 up",
        f"address add {OFFICE[2]}/64 dev eth0 nodad",
        f"route add default via {OFFICE[1]}",
    )
    return office


def carriers(lab: Laboratory, source: Namespace, port: int) -> set[str]:
    """Return the links that a train from a host goes down by."""
    links, _ = lab.carriers_down(source, port)
    return links


def check(lab: Laboratory, office: Namespace, port: int) -> None:
    """Flows from the office go down over the third link, others over the first."""
    until(lambda: carriers(lab, office, port) == {"sat"}, "down over sat")
    assert carriers(lab, lab.network[CORRESPONDENT], port + 100) == {"lte"}


@pytest.mark.requirement("S3-16")
def test_flows_go_by_the_interface_they_came_from_also_when_it_comes_and_goes(
    lab: Laboratory,
) -> None:
    agent = lab.network[HOME_AGENT]
    assert carriers(lab, lab.network[CORRESPONDENT], PORT) == {"lte"}
    for port in (PORT + 1, PORT + 2):
        office = build_office(lab)
        check(lab, office, port)
        agent.ip("link delete lan")
    office = build_office(lab)
    lab.nodes.kill(AGENT)
    lab.nodes.start(AGENT, agent_file(lab))
    lab.until_registered()
    check(lab, office, PORT + 3)
    lab.nodes.kill(AGENT)
    lab.nodes.start_agent()  # and no rule names the interface any more
    lab.until_registered()
    until(lambda: carriers(lab, office, PORT + 4) != set(), "down over any link")
    lab.nodes.stop(AGENT)
    assert "mip0" not in run("ip", "-n", agent.full_name, "link")
