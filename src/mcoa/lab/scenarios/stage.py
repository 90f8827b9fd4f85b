"""The laboratory with a home link, both daemons, and a record of what passes the home link."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address
from typing import Any

from mcoa.lab.capture import Tap
from mcoa.lab.flows import FlowCounts, FlowTally
from mcoa.lab.home_lan import HOME_DEVICE, HOME_PORT, LAN, HomeLan
from mcoa.lab.meters.launch import Meter, start_echo, start_stream, start_stream_server
from mcoa.lab.meters.results import EchoResult, StreamResult
from mcoa.lab.meters.stream import Order
from mcoa.lab.namespaces import LabError, Namespaces, run
from mcoa.lab.nodes import AGENT, NODE, PEER, REGISTERED, Nodes
from mcoa.lab.recorder import Recorder
from mcoa.lab.scenarios.neighbour_discovery import NeighbourMessage, neighbour_message
from mcoa.lab.topology import (
    CORRESPONDENT,
    FIGURE_1_LINKS,
    HOME_AGENT,
    MOBILE_NODE,
    AccessLink,
    Network,
    Topology,
)
from mcoa.runtime.errors import CommandError, NotRunningError

STREAM_PORT = 5201
ECHO_INTERVAL_S = 0.01
TRANSFER_MBIT_S = 2.0  # any link has room for all: moves are measured, not congestion
MESSAGE_OCTETS = 100
PATIENCE_S = 15.0

Status = dict[str, Any]


class HomeTopology(Enum):
    """The two home links of figure 3 of RFC 5648."""

    ONLY_ROUTER = "a"
    OTHER_ROUTERS = "b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a scenario plays on; made by `set_stage`."""

    network: Network
    nodes: Nodes
    home_link: Recorder
    uplinks: Recorder

    @property
    def home_address(self) -> IPv6Address:
        """The mobile node's."""
        return self.network.topology.home_address

    @property
    def node_mac(self) -> bytes:
        """The mobile node's link-layer address on the home link."""
        lan = self.network.topology.home_lan
        if lan is None:
            raise LabError("there is no home link")
        return lan.mac

    @property
    def has_other_router(self) -> bool:
        """Whether another router than the agent is on the home link."""
        lan = self.network.topology.home_lan
        return lan is not None and lan.has_other_router

    @property
    def foreign_links(self) -> tuple[str, ...]:
        """The names of the visited links."""
        return tuple(link.name for link in self.network.topology.links)

    def status(self, name: str) -> Status:
        """Return a daemon's status; empty while it does not answer yet."""
        try:
            return self.nodes.status(name)
        except (NotRunningError, CommandError):
            return {}

    def held(self, agent: str = AGENT) -> dict[int, str]:
        """Return the care-of addresses that an agent holds for the mobile node, by BID."""
        return {
            line["bid"]: line["care_of_address"]
            for line in self.status(agent).get("bindings", ())
            if line["home_address"] == str(self.home_address) and line["care_of_address"]
        }

    def has_home_binding(self) -> bool:
        """Tell whether the agent holds a binding whose care-of address is the home address."""
        return str(self.home_address) in self.held().values()

    def last_status(self, link: str) -> int | None:
        """Return the status with which the registration of a link was last answered."""
        lines = self.status(NODE).get("bindings", ())
        return next((line["last_status"] for line in lines if line["link"] == link), None)

    def until_registered(
        self, *links: str, agent: str = AGENT, patience_s: float = PATIENCE_S
    ) -> float:
        """Wait until both ends hold these links; returns the seconds it took."""

        def agree() -> bool:
            is_held = len(self.held(agent)) == len(links)
            return is_held and set(self.nodes.registered()) == set(links)

        what = f"{', '.join(links) or 'nothing'} registered at both ends"
        return self.until(agree, what, patience_s)

    def until(
        self, claim: Callable[[], bool], what: str, patience_s: float = PATIENCE_S
    ) -> float:
        """Wait until something is true; returns the seconds it took, LabError if it is not."""
        begun_s = time.monotonic()
        while not claim():
            if time.monotonic() - begun_s > patience_s:
                raise LabError(f"{what}: not within {patience_s:.0f} s")
            time.sleep(0.02)
        return time.monotonic() - begun_s

    def echo(self, start: str, *, identifier: int, duration_s: float) -> Meter[EchoResult]:
        """Start a train of echo requests to the home address."""
        return start_echo(
            self.network.namespaces,
            self.network[start],
            str(self.home_address),
            identifier=identifier,
            duration_s=duration_s,
            interval_s=ECHO_INTERVAL_S,
        )

    def transfers(
        self, *, first_port: int, flows: int, duration_s: float, upward: bool
    ) -> Meter[StreamResult]:
        """Start TCP connections between the mobile node and the correspondent."""
        order = Order(
            host=str(self.network.topology.correspondent),
            port=STREAM_PORT,
            first_port=first_port,
            flows=flows,
            duration_s=duration_s,
            pacing_mbit_s=0.0 if upward else TRANSFER_MBIT_S,
            message_octets=MESSAGE_OCTETS if upward else 0,
            upward=upward,
        )
        return start_stream(self.network.namespaces, self.network[MOBILE_NODE], order)

    def watch_flows(self, duration_s: float) -> FlowCounts:
        """Count for a while which of the mobile node's links carries which flow."""
        names = [*self.foreign_links, HOME_DEVICE]
        with FlowTally(self.network[MOBILE_NODE], names) as tally:
            tally.wait(duration_s)
            return tally.counts()

    def directly_bound(self) -> set[str]:
        """Return the links whose addresses the correspondent has, as both ends say."""
        peers = self.status(NODE).get("peers", ())
        mine = {
            line["care_of_address"]: line["link"]
            for peer in peers
            if peer["role"] == "correspondent"
            for line in peer["bindings"]
            if line["state"] == REGISTERED
        }
        return {mine[each] for each in self.held(PEER).values() if each in mine}

    def until_direct(self, *links: str, patience_s: float = PATIENCE_S) -> float:
        """Wait until just these links are bound at the correspondent; returns the seconds."""
        what = f"{', '.join(links)} bound at the correspondent"
        return self.until(lambda: self.directly_bound() == set(links), what, patience_s)

    def neighbour_messages(self, since_s: float = 0.0) -> list[NeighbourMessage]:
        """Return the neighbour discovery that the mobile node sent on the home link."""
        return [
            message
            for each in self.home_link.seen(since_s)
            if not each.outbound and (message := neighbour_message(each)) is not None
        ]

    def mac_known_to(self, name: str, device: str) -> str:
        """Return the link-layer address that a neighbour has for the home address; else ""."""
        place = self.network[name]
        words = ["ip", "-6", "neigh", "show", str(self.home_address), "dev", device]
        fields = run(*place.command(*words)).split()
        return fields[fields.index("lladdr") + 1] if "lladdr" in fields else ""

    def mac_of(self, name: str, device: str) -> str:
        """Return the link-layer address of an interface."""
        fields = run(*self.network[name].command("ip", "link", "show", device)).split()
        return fields[fields.index("link/ether") + 1]

    def has_home_address(self) -> bool:
        """Tell whether the mobile node's interface on the home link has the home address."""
        words = ["ip", "-6", "address", "show", "dev", HOME_DEVICE]
        return f" {self.home_address}/" in run(*self.network[MOBILE_NODE].command(*words))

    def has_proxy(self) -> bool:
        """Tell whether the agent answers neighbours in the mobile node's place."""
        words = ["ip", "-6", "neigh", "show", "proxy"]
        listed = run(*self.network[HOME_AGENT].command(*words)).split()
        return str(self.home_address) in listed


def gap_ms(train: EchoResult, start_s: float) -> float:
    """Return the longest silence of a train after a moment, less its interval."""
    return max(0.0, train.longest_silence(start_s) - ECHO_INTERVAL_S) * 1000


@contextmanager
def set_stage(
    which: HomeTopology,
    *,
    autoconfigured: bool = False,
    has_second_agent: bool = False,
    links: tuple[AccessLink, ...] = FIGURE_1_LINKS[:2],
) -> Iterator[Stage]:
    """Build the laboratory with a home link, visited ones, and nobody running yet.

    Args:
        which: the home link.
        autoconfigured: the home address is the one that the interface would form by itself.
        has_second_agent: two home agents serve the link.
        links: the visited ones.
    """
    lan = HomeLan(
        has_other_router=which is HomeTopology.OTHER_ROUTERS, has_second_agent=has_second_agent
    )
    topology = Topology(links=links, home_lan=lan)
    if autoconfigured:
        host = int.from_bytes(
            bytes((lan.mac[0] ^ 2,)) + lan.mac[1:3] + b"\xff\xfe" + lan.mac[3:]
        )
        topology = Topology(
            links=topology.links, home_lan=lan, home_address=topology.home_prefix[host]
        )
    with Namespaces() as namespaces:
        network = Network(namespaces, topology)
        tap = Tap(namespace=network[LAN].path, interface=HOME_PORT, label=HOME_PORT)
        uplinks = [
            Tap(namespace=network[MOBILE_NODE].path, interface=each.name, label=each.name)
            for each in links
        ]
        with Recorder([tap]) as recorder, Recorder(uplinks) as visited:
            network.wait_for_care_of_addresses()
            start_stream_server(namespaces, network[CORRESPONDENT], STREAM_PORT)
            yield Stage(
                network=network, nodes=Nodes(network), home_link=recorder, uplinks=visited
            )
