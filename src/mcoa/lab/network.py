"""A simulated network: engines, links that fail, virtual time; one seed, one run.

Messages travel as octets, so that a run also exercises the codecs. Loss, delay, reordering
and duplication happen on the mobile nodes' links, each way for itself; what lies between a
link and a home agent is perfect. Nothing ever waits: an hour passes as fast as its events.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from ipaddress import IPv6Address
from itertools import count
from random import Random

from mcoa.binding.cache import CacheEntry
from mcoa.engine.actions import Action, Engine, Envelope, Remember, Send
from mcoa.engine.addresses import home_agents_anycast
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.policy import HomeAgentPolicy
from mcoa.lab.simulated.channel import Channel, Quality
from mcoa.runtime.signalling import emit_signalling, parse_signalling

__all__ = ["AgentHost", "NodeHost", "Quality", "SimulatedNetwork"]

_EVER_S = 1 << 31

Watch = Callable[[float, Engine, Action], None]


@dataclass(slots=True, kw_only=True)
class _Link:
    """A mobile node's link; without addresses it is down."""

    node: "NodeHost"
    name: str
    up: Channel
    down: Channel
    addresses: tuple[IPv6Address, ...] = ()

    def set_quality(self, quality: Quality) -> None:
        self.up.quality = self.down.quality = quality


@dataclass(slots=True, kw_only=True)
class NodeHost:
    """A mobile node and its links, of which one may be the home link."""

    engine: MobileNode
    links: dict[str, _Link] = field(default_factory=dict)
    home_link: str | None = None

    @property
    def link_layer_address(self) -> bytes:
        """The node's address on the home link."""
        return bytes((2, 0, *self.engine.policy.home_address.packed[-4:]))


@dataclass(slots=True, kw_only=True)
class AgentHost:
    """A home agent and what its disk would hold; one that is cut off neither hears nor speaks."""

    engine: HomeAgent
    is_cut_off: bool = False
    durable: dict[IPv6Address, CacheEntry] = field(default_factory=dict)


class SimulatedNetwork:
    """Delivers what engines send and calls them when they are due."""

    def __init__(self, rng: Random, *, watch: Watch | None = None) -> None:
        self.now = 0.0
        self.sent = 0
        self._rng = rng
        self._watch = watch
        self._serial = count()
        self._in_flight: list[tuple[float, int, bytes, str | None]] = []
        self._nodes: list[NodeHost] = []
        self._agents: dict[IPv6Address, AgentHost] = {}

    def add_agent(self, policy: HomeAgentPolicy) -> AgentHost:
        """Connect a home agent; those that were there and it know each other from now on."""
        host = AgentHost(engine=HomeAgent(policy, rng=Random(self._rng.random())))
        self._agents[policy.address] = host
        self._introduce()
        return host

    def _introduce(self) -> None:
        for host in self._agents.values():
            for address, other in self._agents.items():
                if other is not host:
                    preference = other.engine.policy.preference
                    host.engine.agents.hear(
                        address, [address], preference=preference, lifetime_s=_EVER_S, now=0.0
                    )

    def add_node(self, engine: MobileNode, qualities: dict[str, Quality]) -> NodeHost:
        """Connect a mobile node whose links, all down yet, have these qualities."""
        host = NodeHost(engine=engine)
        host.links = {
            name: _Link(
                node=host,
                name=name,
                up=Channel(quality, self._rng),
                down=Channel(quality, self._rng),
            )
            for name, quality in qualities.items()
        }
        self._nodes.append(host)
        return host

    def set_link(self, host: NodeHost, name: str, *addresses: IPv6Address) -> None:
        """Give a link these addresses, or take it down by giving none; the node notices."""
        if host.home_link == name:
            self.set_home(host, None)
        host.links[name].addresses = addresses
        self.perform(host.engine, host.engine.links_changed(name, addresses, self.now))

    def set_home(self, host: NodeHost, name: str | None) -> None:
        """Make a link the home link, with the home address alone, or take it away."""
        for link in host.links.values():
            if link.name == host.home_link:
                link.addresses = ()
        host.home_link = name
        if name is not None:
            host.links[name].addresses = (host.engine.policy.home_address,)
        self._tell_home(host)

    def _tell_home(self, host: NodeHost) -> None:
        address = b"" if host.home_link is None else host.link_layer_address
        actions = host.engine.home_link_changed(host.home_link, address, self.now)
        self.perform(host.engine, actions)

    def set_quality(self, host: NodeHost, name: str, quality: Quality) -> None:
        """Change how a link treats packets; nobody notices."""
        host.links[name].set_quality(quality)

    def calm(self, quality: Quality) -> None:
        """Give every link the same quality."""
        for host in self._nodes:
            for link in host.links.values():
                link.set_quality(quality)

    def restart_agent(self, host: AgentHost, *, keeps_disk: bool = True) -> None:
        """Kill a home agent, and start it again with what it had remembered."""
        if not keeps_disk:
            host.durable.clear()
        host.engine = HomeAgent(host.engine.policy, rng=Random(self._rng.random()))
        self._introduce()
        for entry in list(host.durable.values()):
            self.perform(host.engine, host.engine.restore(deepcopy(entry), self.now))

    def restart_node(self, host: NodeHost) -> None:
        """Kill a mobile node, and start it again: it remembers nothing, its links are up."""
        host.engine = MobileNode(host.engine.policy, rng=Random(self._rng.random()))
        if host.home_link is not None:
            self._tell_home(host)
        for link in host.links.values():
            if link.addresses and link.name != host.home_link:
                actions = host.engine.links_changed(link.name, link.addresses, self.now)
                self.perform(host.engine, actions)

    def perform(self, engine: Engine, actions: Iterable[Action]) -> None:
        """Do what an engine asked, in its order."""
        for action in actions:
            match action:
                case Remember(home_address=home_address):
                    self._remember(engine, home_address)
                case Send():
                    self.sent += 1
                    self._send(action)
                case _:
                    pass  # of no consequence to other hosts
            if self._watch is not None:
                self._watch(self.now, engine, action)

    def run_until(self, end: float) -> None:
        """Advance the clock from event to event."""
        while (due := self._next_event()) is not None and due <= end:
            self.now = max(self.now, due)
            while self._in_flight and self._in_flight[0][0] <= self.now:
                _, _, octets, link = heappop(self._in_flight)
                self._arrive(octets, link)
            for engine in self._engines():
                self.perform(engine, engine.handle_timer(self.now))
        self.now = end

    def _engines(self) -> list[Engine]:
        return [
            *(host.engine for host in self._agents.values() if not host.is_cut_off),
            *(host.engine for host in self._nodes),
        ]

    def _next_event(self) -> float | None:
        times = [time for e in self._engines() if (time := e.next_deadline()) is not None]
        if self._in_flight:
            times.append(self._in_flight[0][0])
        return min(times, default=None)

    def _remember(self, engine: Engine, home_address: IPv6Address) -> None:
        for host in self._agents.values():
            if host.engine is engine:
                entry = host.engine.cache.entry(home_address)
                if entry is None:
                    host.durable.pop(home_address, None)
                else:
                    # A restarted agent has an empty agenda, whatever this one planned.
                    host.durable[home_address] = replace(deepcopy(entry), wake_at_s=None)

    # The way of a packet.

    def _send(self, send: Send) -> None:
        envelope = send.envelope
        is_downward = envelope.source in self._agents
        link = self._way_down(envelope) if is_downward else self._link_of(envelope.source)
        if link is None:
            return
        octets, channel = emit_signalling(send), link.down if is_downward else link.up
        for arrival_s in channel.arrivals(len(octets), self.now):
            heappush(self._in_flight, (arrival_s, next(self._serial), octets, link.name))

    def _way_down(self, envelope: Envelope) -> _Link | None:
        """Return the link over which an agent reaches a mobile node."""
        if envelope.link_layer_address is not None:
            return self._home_link_of(envelope.link_layer_address)
        cache = self._agents[envelope.source].engine.cache
        entry, bound = cache.entry(envelope.destination), cache.lookup(envelope.destination)
        if entry is not None and bound is not None and bound.home:
            return self._home_link_of(entry.link_layer_address)
        return self._link_of(envelope.destination if bound is None else bound.care_of_address)

    def _home_link_of(self, link_layer_address: bytes) -> _Link | None:
        """Return where a frame is taken in; those for nodes that have left are lost."""
        for host in self._nodes:
            if host.home_link and host.link_layer_address == link_layer_address:
                return host.links[host.home_link]
        return None

    def _link_of(self, address: IPv6Address) -> _Link | None:
        for host in self._nodes:
            for link in host.links.values():
                if address in link.addresses:
                    return link
        return None

    def _arrive(self, octets: bytes, link_name: str | None) -> None:
        received = parse_signalling(octets, link_name)
        engine = self._receiver(received.envelope.destination)
        if engine is not None:
            self.perform(engine, engine.receive(received, self.now))

    def _agent_at(self, destination: IPv6Address) -> AgentHost | None:
        """Return the agent with an address; any of a link for that of all of them."""
        anycast = {
            home_agents_anycast(prefix.network)
            for host in self._agents.values()
            for prefix in host.engine.policy.home_prefixes
        }
        if destination in anycast:
            return self._rng.choice(list(self._agents.values()))
        return self._agents.get(destination)

    def _receiver(self, destination: IPv6Address) -> Engine | None:
        if (agent := self._agent_at(destination)) is not None:
            return None if agent.is_cut_off else agent.engine
        if (link := self._link_of(destination)) is not None:
            return link.node.engine
        for host in self._nodes:  # tunnelled to the home address
            if host.engine.policy.home_address == destination:
                return host.engine
        return None
