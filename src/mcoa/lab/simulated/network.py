"""Figure 1 of the specification in memory: the same addresses and links as `lab.topology`.

The mobile node's links are slow and can be cut; the home link, the correspondent's and the
Internet between them are perfect, take no time, and count no hops.
"""

from functools import partial
from ipaddress import IPv6Network
from random import Random

from mcoa.dataplane.packet import DESTINATION_OPTIONS, MOBILITY_HEADER
from mcoa.engine.correspondent_node import CorrespondentNode
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.policy import (
    CorrespondentPolicy,
    HomeAgentPolicy,
    HomePrefix,
    LinkPolicy,
    MobileNodePolicy,
)
from mcoa.lab.nodes import REGISTERED
from mcoa.lab.simulated.clock import Clock
from mcoa.lab.simulated.host import Host
from mcoa.lab.simulated.links import RadioLink, Tap
from mcoa.lab.simulated.nodes import (
    SimulatedAgent,
    SimulatedCorrespondent,
    SimulatedNode,
    Take,
)
from mcoa.lab.topology import Topology

_MOBILITY = frozenset((DESTINATION_OPTIONS, MOBILITY_HEADER))
CARRIER_EVENT_S = 0.001  # until the node hears of its carrier, as measured with real links


class PacketNetwork:
    """Everybody in figure 1.

    Attributes:
        links: of the mobile node, by name.
        correspondent, mobile_node: the hosts at the correspondent's and the home address.
        taps: are shown every packet at the mobile node's uplinks.
    """

    def __init__(self, topology: Topology, rng: Random) -> None:
        self.clock = Clock()
        self.topology = topology
        self.taps: list[Tap] = []
        self._rng = rng
        self._agent: SimulatedAgent | None = None
        self._node: SimulatedNode | None = None
        self._peer: SimulatedCorrespondent | None = None
        self.correspondent = Host(topology.correspondent.packed, self._from_correspondent)
        self.mobile_node = Host(topology.home_address.packed, self._from_mobile_node)
        self.links = {
            access.name: RadioLink(
                self.clock,
                access,
                on_down=partial(self._arrive, access.name),
                on_up=self._route,
                tap=self._show,
                rng=rng,
            )
            for access in topology.links
        }
        self._routes = self._build_routes()

    # Nodes.

    def start_agent(self) -> None:
        """Start the home agent."""
        policy = HomeAgentPolicy(
            address=self.topology.home_agent,
            home_prefixes=(HomePrefix(network=self.topology.home_prefix),),
            home_addresses=frozenset((self.topology.home_address,)),
        )
        self._agent = SimulatedAgent(self.clock, policy, send=self._route, rng=self._new_rng())

    def start_correspondent(self, policy: CorrespondentPolicy | None = None) -> None:
        """Start the correspondent anew, or for the first time: it knows nothing."""
        if self._peer is not None:
            self._peer.close()
        self._peer = SimulatedCorrespondent(
            self.clock,
            policy or CorrespondentPolicy(),
            self.topology.correspondent,
            send=self._route,
            deliver=self.correspondent.take,
            rng=self._new_rng(),
        )

    @property
    def peer(self) -> CorrespondentNode:
        """The correspondent's engine, which has to run."""
        if self._peer is None:
            raise ValueError("there is no correspondent but a plain host")
        return self._peer.engine

    @property
    def node(self) -> MobileNode:
        """The mobile node's engine, which has to run."""
        if self._node is None:
            raise ValueError("there is no mobile node")
        return self._node.engine

    def start_node(
        self, *, multiple_care_of: bool = True, optimized: tuple[IPv6Network, ...] = ()
    ) -> None:
        """Start the mobile node, with several care-of addresses or as plain Mobile IPv6."""
        links = self.topology.links
        policy = MobileNodePolicy(
            home_address=self.topology.home_address,
            home_agent=self.topology.home_agent,
            links=tuple(LinkPolicy(name=link.name, bid=link.bid) for link in links),
            multiple_care_of=multiple_care_of,
            optimized=optimized,
        )
        self._node = SimulatedNode(
            self.clock,
            policy,
            weights={link.name: float(link.rate_mbit_s) for link in links},
            send=self._send_up,
            deliver=self.mobile_node.take,
            rng=self._new_rng(),
        )
        for link in self.links.values():
            if link.has_carrier:
                self._node.link_changed(link.access.name, link.address)

    def stop_node(self) -> None:
        """Have the mobile node de-register; it is gone when it is stopped."""
        if self._node is not None:
            self._node.stop()

    @property
    def is_node_stopped(self) -> bool:
        """Whether the mobile node holds no binding, and wants none."""
        return self._node is None or self._node.engine.is_stopped

    def remove_node(self) -> None:
        """Take the mobile node away, as the end of its process does."""
        if self._node is not None:
            self._node.close()
            self._node = None

    def bindings(self) -> dict[str, str]:
        """Return the state of the binding of each link."""
        if self._node is None:
            return {}
        return {entry.link: entry.state for entry in self._node.engine.update_list}

    def registered(self) -> tuple[str, ...]:
        """Return the links that the mobile node has registered."""
        return tuple(link for link, state in self.bindings().items() if state == REGISTERED)

    # Links.

    def cut(self, *names: str) -> None:
        """Take the carrier of links away; the mobile node hears of it a little later."""
        for name in names:
            self.links[name].cut()
            self.clock.after(CARRIER_EVENT_S, partial(self._notice, name))

    def restore(self, *names: str) -> None:
        """Give links their carrier back; the address is there when a router has answered."""
        for name in names:
            link = self.links[name]
            link.restore()
            self.clock.after(CARRIER_EVENT_S + link.access.rtt_s, partial(self._notice, name))

    def _notice(self, name: str) -> None:
        link = self.links[name]
        if self._node is not None:
            self._node.link_changed(name, *((link.address,) if link.has_carrier else ()))

    # Packets.

    def _build_routes(self) -> dict[bytes, Take]:
        """Return who takes packets, by the first 64 bits of their destination."""
        topology = self.topology
        routes: dict[bytes, Take] = {
            topology.home_prefix.network_address.packed[:8]: self._to_home_link,
            topology.correspondent.packed[:8]: self._to_correspondent,
        }
        for link in self.links.values():
            routes[link.access.prefix.network_address.packed[:8]] = link.send_down
        return routes

    def _route(self, packet: bytes) -> None:
        take = self._routes.get(packet[24:32])
        if take is not None:
            take(packet)

    def _to_correspondent(self, packet: bytes) -> None:
        if self._peer is not None:
            self._peer.arrive(packet)
        elif packet[6] not in _MOBILITY:  # a host that knows none of that
            self.correspondent.take(packet)

    def _from_correspondent(self, packet: bytes) -> None:
        if self._peer is not None:
            self._peer.take(packet)
        else:
            self._route(packet)

    def _to_home_link(self, packet: bytes) -> None:
        if self._agent is not None:
            self._agent.take(packet)

    def _from_mobile_node(self, packet: bytes) -> None:
        if self._node is not None:
            self._node.take(packet)

    def _send_up(self, name: str, packet: bytes) -> None:
        self.links[name].send_up(packet)

    def _arrive(self, name: str, packet: bytes) -> None:
        if self._node is not None:
            self._node.arrive(name, packet)

    def _show(self, name: str, way: str, packet: bytes) -> None:
        for tap in self.taps:
            tap(name, way, packet)

    def _new_rng(self) -> Random:
        return Random(self._rng.random())
