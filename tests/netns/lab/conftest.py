"""The laboratory of figure 1, built once for the tests that leave it as it was."""

from collections.abc import Iterator

import pytest

from mcoa.lab.meters.launch import start_stream_server
from mcoa.lab.namespaces import Namespaces, run
from mcoa.lab.topology import CORRESPONDENT, MOBILE_NODE, Network, Topology

from .kernel_nodes import advertised_gateway

STREAM_PORT = 5201


def rule6(network: Network, words: str) -> None:
    """Change the rules of the mobile node; a batch of ip(8) cannot say `-6`."""
    run("ip", "-n", network[MOBILE_NODE].full_name, "-6", "rule", *words.split())


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Figure 1 with care-of addresses, and for each a way back over its own link."""
    with Namespaces() as namespaces:
        built = Network(namespaces, Topology())
        addresses = built.wait_for_care_of_addresses()
        for link in built.topology.links:
            table = 100 + link.bid
            gateway = advertised_gateway(built, link.name)
            built[MOBILE_NODE].ip(
                f"route add default via {gateway} dev {link.name} table {table}"
            )
            rule6(built, f"add from {addresses[link.name]} table {table}")
        start_stream_server(namespaces, built[CORRESPONDENT], STREAM_PORT)
        yield built
