"""Two back ends at the two ends of a tunnel, over wires that carry what is not finished yet."""

import pytest

from mcoa.lab.bench.forwarding_network import OURS, ForwardingNetwork
from mcoa.lab.namespaces import Namespaces

pytestmark = pytest.mark.netns


@pytest.mark.parametrize("ipv4", [False, True])
@pytest.mark.parametrize(("agents", "nodes"), [("ebpf", "userspace"), ("userspace", "ebpf")])
def test_tcp_passes_both_ways(agents: str, nodes: str, *, ipv4: bool) -> None:
    # The fast path sends packets of many segments, which no wire of this network splits.
    with Namespaces() as namespaces:
        network = ForwardingNetwork(namespaces, "0")
        network.start_daemons(nodes, agents, ipv4=ipv4)
        for direction in ("up", "down"):
            assert network.measure(direction, OURS, 0.3) > 1_000_000
