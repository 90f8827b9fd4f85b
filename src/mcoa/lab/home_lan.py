"""The home link as a place to come home to: figure 3 of the specification, (a) and (b).

A switch (`lan`) joins the home agent, a second one, an ordinary neighbour (`nb`), and the
mobile node, which is unplugged at first. In (b) the core is another router on it, and the
default router; in (a) the home agent is the only router, and has a wire of its own to the
core.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from mcoa.lab.namespaces import Namespaces
from mcoa.lab.wires import wire

LAN, NEIGHBOUR, SECOND_AGENT = "lan", "nb", "ha2"
HOME_PORT = "mn"
"""The switch's port for the mobile node."""

HOME_DEVICE = "home"
"""The mobile node's interface there."""

_CORE, _AGENT, _NODE = "core", "ha", "mn"
_TRANSIT = IPv6Network("2001:db8:fe::/64")


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeLan:
    """Which of the two home links it is.

    Attributes:
        has_other_router: (b) of figure 3.
        has_second_agent: another home agent is on it.
        mac: of the mobile node's interface.
    """

    has_other_router: bool
    has_second_agent: bool = False
    mac: bytes = bytes.fromhex("020000000064")

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that it adds to the laboratory."""
        second = (SECOND_AGENT,) if self.has_second_agent else ()
        return (LAN, NEIGHBOUR, *second)


def neighbour_address(prefix: IPv6Network) -> IPv6Address:
    """Return the address of the ordinary neighbour."""
    return prefix[0x50]


def build_home_lan(
    namespaces: Namespaces, lan: HomeLan, prefix: IPv6Network, indexes: Iterator[int]
) -> None:
    """Make the switch and plug in who belongs there, but for the mobile node."""
    switch = namespaces[LAN]
    switch.sysctl(conf__all__disable_ipv6=1, conf__default__disable_ipv6=1)
    switch.ip(
        "link add br0 type bridge forward_delay 0 mcast_snooping 0",
        "link set br0 up",
    )
    hosts = {_AGENT: 2, NEIGHBOUR: 0x50}
    if lan.has_second_agent:
        hosts[SECOND_AGENT] = 3
        namespaces[SECOND_AGENT].sysctl(conf__all__forwarding=1, conf__default__forwarding=1)
    for name, number in hosts.items():
        namespaces[name].sysctl(conf__all__accept_dad=0, conf__default__accept_dad=0)
        wire(switch, name, namespaces[name], "eth0", indexes)
        namespaces[name].ip(f"address add {prefix[number]}/64 dev eth0 nodad")
    wire(switch, HOME_PORT, namespaces[_NODE], HOME_DEVICE, indexes)
    namespaces[_NODE].ip(f"link set {HOME_DEVICE} address {lan.mac.hex(':')}")
    switch.ip(f"link set {HOME_PORT} down")
    router = _join_core(namespaces, lan, prefix, indexes)
    for name in hosts:
        if prefix[hosts[name]] != router:
            namespaces[name].sysctl(conf__eth0__accept_ra=0)
            namespaces[name].ip(f"route replace default via {router} dev eth0")
    ports = [*hosts, HOME_PORT, *(["r"] if lan.has_other_router else [])]
    switch.ip(*[f"link set {port} master br0" for port in ports])


def _join_core(
    namespaces: Namespaces, lan: HomeLan, prefix: IPv6Network, indexes: Iterator[int]
) -> IPv6Address:
    """Join the link to the core; returns the address of the link's default router."""
    core, agent = namespaces[_CORE], namespaces[_AGENT]
    if lan.has_other_router:
        wire(namespaces[LAN], "r", core, "home", indexes)
        core.ip(f"address add {prefix[0xFFFF]}/64 dev home nodad")
        return prefix[0xFFFF]
    wire(core, "home", agent, "wan", indexes)
    core.ip(
        f"address add {_TRANSIT[1]}/64 dev home nodad", f"route add {prefix} via {_TRANSIT[2]}"
    )
    agent.ip(
        f"address add {_TRANSIT[2]}/64 dev wan nodad", f"route add default via {_TRANSIT[1]}"
    )
    return prefix[2]


def start_home_router(namespaces: Namespaces, prefix: IPv6Network) -> None:
    """Have the core advertise the home prefix, as the default router of (b)."""
    namespaces.start(
        namespaces[_CORE],
        [sys.executable, "-m", "mcoa.lab.router", "home", str(prefix)],
    )
