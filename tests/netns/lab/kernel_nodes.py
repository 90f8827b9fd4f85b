"""Stands in for both daemons: the home address moves by kernel routes, over all live links."""

import time

from mcoa.lab.namespaces import run
from mcoa.lab.topology import CORE, MOBILE_NODE, Network


def advertised_gateway(network: Network, link: str) -> str:
    """Return the router's link-local address.

    Its hardware address is known from the advertisement. The kernel could not ask for it:
    it sends no solicitation from an optimistic address.
    """
    name = network[MOBILE_NODE].full_name
    words = run("ip", "-n", name, "-6", "route", "show", "proto", "ra", "dev", link).split()
    return words[words.index("via") + 1]


class KernelNodes:
    """Spreads flows by multipath routes; a change is seen when somebody asks."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._is_plain = False
        self._routed: tuple[str, ...] = ()
        topology, node = network.topology, network[MOBILE_NODE]
        for name in (CORE, MOBILE_NODE):
            network[name].sysctl(fib_multipath_hash_policy=1)
        node.ip(f"address add {topology.home_address}/128 dev lo")
        care_of = network.wait_for_care_of_addresses()
        self._gateways = {
            link.name: advertised_gateway(network, link.name) for link in topology.links
        }
        for link in topology.links:
            network[link.router].ip(
                f"route add {topology.home_address} via {care_of[link.name]}"
            )

    def start_agent(self) -> None:
        """Need no agent."""

    def start_node(self, *, multiple_care_of: bool = True) -> None:
        self._is_plain = not multiple_care_of
        self.registered()

    def stop_node(self) -> None:
        self._routed = ()

    def bindings(self) -> dict[str, str]:
        return dict.fromkeys(self.registered(), "registered")

    def registered(self) -> tuple[str, ...]:
        network = self._network
        names = [link.name for link in network.topology.links if network.has_carrier(link.name)]
        wanted = tuple(names[:1] if self._is_plain else names)
        if wanted != self._routed:
            self._route(wanted)
        return wanted

    def _wait_for_gateways(self, names: tuple[str, ...]) -> None:
        """Wait until the kernel knows the gateways, which after a cut it hears of anew."""
        where = ("ip", "-n", self._network[MOBILE_NODE].full_name, "-6", "neigh", "show")
        end = time.monotonic() + 5
        for name in names:
            gateway = (self._gateways[name], "dev", name)
            while "lladdr" not in run(*where, *gateway) and time.monotonic() < end:
                time.sleep(0.02)

    def _route(self, names: tuple[str, ...]) -> None:
        self._wait_for_gateways(names)
        topology = self._network.topology
        links = [topology.link(name) for name in names]
        down = [f"nexthop via {self._transit(link.bid)} weight 1" for link in links]
        up = [
            f"nexthop via {self._gateways[link.name]} dev {link.name} weight 1"
            for link in links
        ]
        self._network[CORE].ip(f"route replace {topology.home_address} {' '.join(down)}")
        self._network[MOBILE_NODE].ip(
            f"route replace default metric 1 src {topology.home_address} {' '.join(up)}"
        )
        self._routed = names

    @staticmethod
    def _transit(bid: int) -> str:
        return f"2001:db8:ff:{bid:x}::2"
