"""Figure 1 of the specification as a network of namespaces.

A mobile node (`mn`) with three uplinks, an access router for each (`ar-lte`, ...), the
Internet between (`core`), a correspondent (`cn`) and the home link with its agent (`ha`).
The namespace `air` holds both ends of every radio link: the relay there makes the delay,
TBF the rate, and taking down the air's end takes the mobile node's carrier away.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from itertools import count

from mcoa.lab.home_lan import HOME_PORT, LAN, HomeLan, build_home_lan, start_home_router
from mcoa.lab.namespaces import LabError, Namespace, Namespaces
from mcoa.lab.relay import Span
from mcoa.lab.router import Advertised
from mcoa.lab.wires import wire
from mcoa.runtime.kernel_features import OPTIMISTIC_DETECTION

Program = subprocess.Popen[bytes]

CORRESPONDENT = "cn"
HOME_AGENT = "ha"
MOBILE_NODE = "mn"
CORE = "core"
AIR = "air"

QUEUE_MS = 50  # bounds what load adds to the round trip
BURST_OCTETS = 12_000  # 2.4 ms of 40 Mbit/s: the relay wakes late by up to a millisecond
CARRIER_SPACING_S = 1.1  # the kernel holds a carrier event back for a second after another


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLink:
    """One access network; `rtt_s` is that of the whole way between mobile node and agent."""

    name: str
    bid: int
    rate_mbit_s: int
    rtt_s: float
    prefix: IPv6Network

    @property
    def router(self) -> str:
        """The namespace of the access router."""
        return f"ar-{self.name}"

    @property
    def transit(self) -> IPv6Network:
        """What the core (1) and the access router (2) have between them."""
        return IPv6Network((0x20010DB800FF << 80 | self.bid << 64, 64))

    @property
    def near(self) -> str:
        """The air's interface towards the mobile node."""
        return f"{self.name}-mn"

    @property
    def far(self) -> str:
        """The air's interface towards the access router."""
        return f"{self.name}-ar"


FIGURE_1_LINKS = tuple(
    AccessLink(
        name=name, bid=bid, rate_mbit_s=rate_mbit_s, rtt_s=rtt_s, prefix=IPv6Network(prefix)
    )
    for name, bid, rate_mbit_s, rtt_s, prefix in (
        ("lte", 1, 40, 0.020, "2001:db8:a::/64"),
        ("wifi", 2, 20, 0.040, "2001:db8:b::/64"),
        ("sat", 3, 30, 0.060, "2001:db8:c::/64"),
    )
)
HOME_PREFIX = IPv6Network("2001:db8:1::/64")
FOREIGN_PREFIX = IPv6Network("2001:db8:2::/64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The addresses and links of the laboratory.

    Attributes:
        home_agent: the service address.
        home_lan: how the home link is made; None for one that nobody can come home to.
    """

    links: tuple[AccessLink, ...] = FIGURE_1_LINKS
    home_prefix: IPv6Network = HOME_PREFIX
    home_agent: IPv6Address = HOME_PREFIX[0x1]
    home_address: IPv6Address = HOME_PREFIX[0x100]
    correspondent: IPv6Address = FOREIGN_PREFIX[0x10]
    home_lan: HomeLan | None = None

    def link(self, name: str) -> AccessLink:
        """Return the link of that name; KeyError if there is none."""
        for each in self.links:
            if each.name == name:
                return each
        raise KeyError(name)

    @property
    def second_agent(self) -> IPv6Address:
        """The service address of the home link's other home agent."""
        return self.home_prefix[0x2000]

    @property
    def router_at_home(self) -> IPv6Address:
        """The default router's address on the home link."""
        return self.home_prefix[0xFFFF]


class Network:
    """The laboratory, built and running; its namespaces clean up after it."""

    def __init__(self, namespaces: Namespaces, topology: Topology) -> None:
        self.namespaces = namespaces
        self.topology = topology
        self._carrier_changed_s = -CARRIER_SPACING_S
        self._cut: set[str] = set()
        self._relay, self._routers = _build(namespaces, topology)

    def __getitem__(self, name: str) -> Namespace:
        return self.namespaces[name]

    def cut(self, *names: str) -> float:
        """Take the carrier of links away without notice, as a radio that loses its cell.

        Returns the monotonic time of the cut, which waits until the last change of a carrier
        is more than a second ago.
        """
        cut_s = self._set_carrier(names, "down")
        self._cut.update(names)
        return cut_s

    def restore(self, *names: str) -> float:
        """Give links their carrier back; waits and returns as `cut` does."""
        restored_s = self._set_carrier(names, "up")
        self._cut.difference_update(names)
        return restored_s

    def has_carrier(self, name: str) -> bool:
        """Tell whether a link has its carrier, as far as the laboratory is concerned."""
        return name not in self._cut

    def attach_home(self, *, attached: bool) -> float:
        """Plug the mobile node into the home link, or unplug it; returns the time of it."""
        return self._change_carrier([(LAN, HOME_PORT)], "up" if attached else "down")

    def blackhole(self, name: str) -> None:
        """Lose everything on a link from now on, with its carrier up at both ends."""
        self._tell_relay(f"{name} blackhole")

    def set_loss(self, name: str, loss: float, way: str = "") -> None:
        """Lose a share of the frames of a link, each way or "up" or "down"; 0 ends that."""
        self._tell_relay(f"{name} loss {loss} {way}".rstrip())

    def advertise(self, name: str, *prefixes: Advertised) -> None:
        """Have the access router of a link speak of these prefixes, and at once."""
        router = self._routers[name]
        if router.stdin is None or router.poll() is not None:
            raise LabError(f"the router of {name} has ended")
        router.stdin.write(f"{' '.join(each.argument() for each in prefixes)}\n".encode())
        router.stdin.flush()

    @property
    def relay_pid(self) -> int:
        """The process that relays all frames."""
        return self._relay.pid

    def relay_report(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the relay's counts of frames: by link, by way ("up", "down"), by fate."""
        self._tell_relay("report")
        line = self._relay.stdout.readline() if self._relay.stdout else b""
        report: dict[str, dict[str, dict[str, int]]] = json.loads(line)
        return report

    def wait_for_care_of_addresses(self, timeout_s: float = 15.0) -> dict[str, IPv6Address]:
        """Wait until the mobile node has an address on every link; returns them by link."""
        end = time.monotonic() + timeout_s
        while len(found := self.care_of_addresses()) < len(self.topology.links):
            if time.monotonic() > end:
                missing = {link.name for link in self.topology.links} - found.keys()
                raise LabError(f"no care-of address within {timeout_s} s: {sorted(missing)}")
            time.sleep(0.05)
        return found

    def care_of_addresses(self) -> dict[str, IPv6Address]:
        """Return the mobile node's global addresses on its uplinks, by link."""
        lines = self[MOBILE_NODE].call(_interface_addresses)
        return {
            link.name: address
            for address, interface in lines
            for link in self.topology.links
            if interface == link.name and address in link.prefix
        }

    def _set_carrier(self, names: tuple[str, ...], state: str) -> float:
        ends = [(AIR, self.topology.link(name).near) for name in names]
        return self._change_carrier(ends, state)

    def _change_carrier(self, ends: list[tuple[str, str]], state: str) -> float:
        wait_s = self._carrier_changed_s + CARRIER_SPACING_S - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        begun_s = time.monotonic()
        for name in dict(ends):
            of_it = [device for each, device in ends if each == name]
            self[name].ip(*[f"link set {device} {state}" for device in of_it])
        self._carrier_changed_s = time.monotonic()
        return begun_s

    def _tell_relay(self, command: str) -> None:
        if self._relay.stdin is None or self._relay.poll() is not None:
            raise LabError("the relay has ended")
        self._relay.stdin.write(f"{command}\n".encode())
        self._relay.stdin.flush()


def _build(namespaces: Namespaces, topology: Topology) -> tuple[Program, dict[str, Program]]:
    routers = [CORE, *(link.router for link in topology.links)]
    for name in (CORRESPONDENT, HOME_AGENT, MOBILE_NODE, AIR, *routers):
        namespaces.add(name)
    if topology.home_lan is not None:
        for name in topology.home_lan.namespaces:
            namespaces.add(name)
    namespaces[AIR].sysctl(conf__all__disable_ipv6=1, conf__default__disable_ipv6=1)
    for name in (*routers, HOME_AGENT):
        namespaces[name].sysctl(conf__all__forwarding=1, conf__default__forwarding=1)
    # Routers of a real network have long been up; theirs would be mute for two seconds.
    for name in (CORRESPONDENT, HOME_AGENT, *routers):
        namespaces[name].sysctl(conf__all__accept_dad=0, conf__default__accept_dad=0)
    # Care-of addresses may be used while their duplicate address detection still runs.
    if OPTIMISTIC_DETECTION.is_here():
        for key in ("optimistic_dad", "use_optimistic"):
            namespaces[MOBILE_NODE].sysctl(
                **{f"conf__{which}__{key}": 1 for which in ("all", "default")}
            )
    indexes = count(10)
    _build_wires(namespaces, topology, indexes)
    for link in topology.links:
        _build_access(namespaces, link, indexes)
    return _start_programs(namespaces, topology)


def _build_wires(namespaces: Namespaces, topology: Topology, indexes: Iterator[int]) -> None:
    """Join the correspondent and the home link to the core."""
    core = namespaces[CORE]
    foreign = IPv6Network((topology.correspondent, 64), strict=False)
    wire(core, "cn", namespaces[CORRESPONDENT], "eth0", indexes)
    core.ip(f"address add {foreign[1]}/64 dev cn nodad")
    namespaces[CORRESPONDENT].ip(
        f"address add {topology.correspondent}/64 dev eth0 nodad",
        f"route add default via {foreign[1]}",
    )
    if topology.home_lan is not None:
        build_home_lan(namespaces, topology.home_lan, topology.home_prefix, indexes)
        return
    wire(core, "home", namespaces[HOME_AGENT], "eth0", indexes)
    core.ip(f"address add {topology.router_at_home}/64 dev home nodad")
    namespaces[HOME_AGENT].ip(
        f"address add {topology.home_prefix[2]}/64 dev eth0 nodad",
        f"route add default via {topology.router_at_home}",
    )


def _build_access(namespaces: Namespaces, link: AccessLink, indexes: Iterator[int]) -> None:
    """Join one access network to the core on one side and to the mobile node on the other."""
    router, air, core = namespaces[link.router], namespaces[AIR], namespaces[CORE]
    transit = link.transit
    wire(core, link.name, router, "core", indexes)
    wire(router, "radio", air, link.far, indexes)
    wire(namespaces[MOBILE_NODE], link.name, air, link.near, indexes)
    core.ip(
        f"address add {transit[1]}/64 dev {link.name} nodad",
        f"route add {link.prefix} via {transit[2]}",
    )
    router.ip(
        f"address add {transit[2]}/64 dev core nodad",
        f"address add {link.prefix[1]}/64 dev radio nodad",
        f"route add default via {transit[1]}",
    )
    shape = f"root tbf rate {link.rate_mbit_s}mbit burst {BURST_OCTETS} latency {QUEUE_MS}ms"
    air.tc(*[f"qdisc add dev {device} {shape}" for device in (link.near, link.far)])


def _start_programs(
    namespaces: Namespaces, topology: Topology
) -> tuple[Program, dict[str, Program]]:
    """Start and return the relay, and the access routers' advertisements by link."""
    spans = [
        Span(
            name=link.name,
            near=link.near,
            far=link.far,
            delay_s=link.rtt_s / 2,
            seed=2 * link.bid,
        )
        for link in topology.links
    ]
    relay = namespaces.start(
        namespaces[AIR],
        [sys.executable, "-m", "mcoa.lab.relay", *[span.argument() for span in spans]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    if relay.stdout is None or relay.stdout.readline() != b"ready\n":
        raise LabError("the relay did not start")
    routers = {
        link.name: namespaces.start(
            namespaces[link.router],
            [sys.executable, "-m", "mcoa.lab.router", "radio", str(link.prefix)],
            stdin=subprocess.PIPE,
        )
        for link in topology.links
    }
    if topology.home_lan is not None and topology.home_lan.has_other_router:
        start_home_router(namespaces, topology.home_prefix)
    return relay, routers


def _interface_addresses() -> list[tuple[IPv6Address, str]]:
    # /proc/net shows the namespace of the process, this one that of the thread
    with open("/proc/thread-self/net/if_inet6", encoding="ascii") as file:  # noqa: PTH123
        rows = [line.split() for line in file]
    return [(IPv6Address(bytes.fromhex(row[0])), row[5]) for row in rows]
