"""Mobile nodes and a home agent over bad links: what must hold always, and after calm."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, IPv6Network
from random import Random

import pytest

from mcoa.binding.cache import Binding
from mcoa.engine.actions import Action, Engine, Send
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.policy import (
    FlowPolicy,
    HomeAgentPolicy,
    HomePrefix,
    LinkPolicy,
    MobileNodePolicy,
    MultipleCareOf,
)
from mcoa.lab.network import AgentHost, NodeHost, Quality, SimulatedNetwork
from mcoa.wire.messages import BindingAcknowledgement
from mcoa.wire.selectors import Ipv6TrafficSelector

AGENT = IPv6Address("2001:db8:1::1")
LINKS = ("lte", "wifi", "sat")
CALM = Quality(delay_s=0.03)
BAD = Quality(delay_s=0.02, jitter_s=0.3, loss=0.3, duplication=0.1)
FLOWS = (
    FlowPolicy(fid=1, selector=Ipv6TrafficSelector(start_source_port=1), links=("sat", "lte")),
    FlowPolicy(fid=2, selector=Ipv6TrafficSelector(), links=("lte", "wifi"), copies=True),
)
# The longest that an update may wait for its next copy, once more if that meets the
# remains of the storm, and the time after which a refused binding is tried again.
BOUND_S = 2 * 32.0 + 15.0


def wanted_flows(node: MobileNode) -> dict[int, tuple[int, ...]]:
    """Return the BIDs that each flow binding should have, as paths and probes are now."""
    if not node.uses_bids or not node.flows.is_supported:
        return {}
    first: dict[str, int] = {}
    for path in sorted(node.paths(), key=lambda path: path.bid or 0):
        first.setdefault(path.link, path.bid or 0)
    wanted: dict[int, tuple[int, ...]] = {}
    for flow in node.policy.flows:
        there = [link for link in flow.links if link in first]
        serving = [link for link in there if link not in node.flows.avoided] or there
        chosen = there if flow.copies else serving[:1]
        if chosen:
            wanted[flow.fid] = tuple(first[link] for link in chosen)
    return wanted


@dataclass
class World:
    """Some mobile nodes, with equal BIDs, and one home agent."""

    seed: int
    nodes: int = 2
    agent_policy: dict[str, object] = field(default_factory=dict)
    node_policy: dict[str, object] = field(default_factory=dict)
    hosts: list[NodeHost] = field(default_factory=list)
    known: dict[IPv6Address, list[Binding]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.network = SimulatedNetwork(Random(self.rng.random()), watch=self.watch)
        prefix = HomePrefix(network=IPv6Network("2001:db8:1::/64"))
        policy = HomeAgentPolicy(
            **{"address": AGENT, "home_prefixes": (prefix,), **self.agent_policy}
        )
        self.agent: AgentHost = self.network.add_agent(policy)
        for number in range(self.nodes):
            self.hosts.append(self.add_node(number))

    def add_node(self, number: int) -> NodeHost:
        policy = MobileNodePolicy(
            **{
                "home_address": IPv6Address(f"2001:db8:1::{0x100 + number:x}"),
                "home_agent": AGENT,
                "links": tuple(LinkPolicy(name=n, bid=i) for i, n in enumerate(LINKS, 1)),
                "lifetime_s": 120,
                "flows": FLOWS,
                **self.node_policy,
            }
        )
        node = MobileNode(policy, rng=Random(self.rng.random()))
        return self.network.add_node(node, dict.fromkeys(LINKS, BAD))

    def watch(self, now: float, engine: Engine, action: Action) -> None:
        """No update is ever acknowledged and not held; nothing held is of another node."""
        match action:
            case Send(message=BindingAcknowledgement() as message, envelope=envelope):
                home = envelope.routing_header_home_address
                assert isinstance(engine, HomeAgent)
                assert home is not None
                self.assert_others_untouched(engine, home, now)
                held = {binding.bid for binding in engine.bindings(home)}
                if message.status.is_rejection or message.lifetime_s == 0:
                    return
                for identifier in message.identifiers:
                    if not identifier.status.is_rejection:
                        assert identifier.bid in held, f"{self} at {now}: {message}"

    def assert_others_untouched(self, engine: HomeAgent, home: IPv6Address, now: float) -> None:
        """An update changes the bindings of its own home address only."""
        self.known[home] = [replace(each) for each in engine.bindings(home)]
        for other, before in self.known.items():
            living = [each for each in before if each.expires_at_s > now]
            present = [each for each in engine.bindings(other) if each.expires_at_s > now]
            assert living == present, f"seed {self.seed} at {now}: {home} changed {other}"

    def roam(self, seconds: float) -> None:
        """Let links go up and down at random, each time with a new address."""
        end = self.network.now + seconds
        while self.network.now < end:
            host = self.rng.choice(self.hosts)
            self.toggle(host, self.rng.choice(LINKS))
            if self.rng.random() < 0.3:
                self.avoid(host, self.rng.sample(LINKS, self.rng.randrange(3)))
            pause_s = self.rng.choice((0.0, 0.05, 1.0, 20.0)) * self.rng.random()
            self.network.run_until(min(end, self.network.now + pause_s))

    def toggle(self, host: NodeHost, link: str, *, up: bool = False) -> None:
        number = self.rng.randrange(1, 0xFFFF)
        net = 0xA0 + LINKS.index(link)
        address = IPv6Address(f"2001:db8:{net:x}::{number:x}")
        second = IPv6Address(f"2001:db8:{net + 0x10:x}::{number:x}")
        kind = self.rng.random()
        if kind < 0.4 and not up:
            self.network.set_link(host, link)
        elif kind < 0.8:
            self.network.set_link(host, link, address)
        else:
            self.network.set_link(host, link, address, second)

    def avoid(self, host: NodeHost, links: Collection[str]) -> None:
        """Have probes find that some links do not serve, though they are registered."""
        actions = host.engine.links_avoided(frozenset(links), self.network.now)
        self.network.perform(host.engine, actions)

    def settle(self, seconds: float = BOUND_S) -> None:
        """Bring every link up and calm, and wait."""
        self.network.calm(CALM)
        for host in self.hosts:
            self.avoid(host, self.rng.sample(LINKS, self.rng.randrange(2)))
            for link in LINKS:
                if not host.links[link].addresses:
                    self.toggle(host, link, up=True)
        self.network.run_until(self.network.now + seconds)
        for _ in range(20):  # a refresh may just be on its way
            if not any(host.engine.outstanding for host in self.hosts):
                break
            self.network.run_until(self.network.now + 0.1)

    def assert_agreement(self) -> None:
        agent = self.agent.engine
        for host in self.hosts:
            home = host.engine.policy.home_address
            held = {b.bid: b.care_of_address for b in agent.bindings(home)}
            usable = {p.bid: p.care_of_address for p in host.engine.paths()}
            offered = {a for link in host.links.values() for a in link.addresses}
            assert held == usable, f"seed {self.seed}: agent and {home} disagree"
            if host.engine.uses_bids:
                assert set(held.values()) == offered, f"seed {self.seed}: {home}"
            else:
                assert len(held) == bool(offered), f"seed {self.seed}: {home}"
            assert host.engine.outstanding is None, f"seed {self.seed}"
            flows = {flow.fid: flow.bids for flow in agent.flows(home)}
            assert flows == wanted_flows(host.engine), f"seed {self.seed}: {home}"

    def assert_no_chatter(self) -> None:
        """Agreement is quiet: an hour holds its refreshes and nothing else."""
        before = self.network.sent
        self.network.run_until(self.network.now + 3600)
        refreshes = self.nodes * 3600 / (120 * 0.7) + 2
        assert self.network.sent - before <= 2 * 2 * refreshes, f"seed {self.seed}"
        self.assert_agreement()


def seeds(count: int) -> range:
    return range(1, count + 1)


@pytest.mark.requirement("S3-01", "S5.1-01", "S5.1-02", "S5.1-03", "S6.1-01")
@pytest.mark.parametrize("seed", seeds(250))
def test_both_ends_agree_after_a_storm(seed: int) -> None:
    world = World(seed)
    world.roam(120.0)
    world.settle()
    world.assert_agreement()


@pytest.mark.parametrize("seed", seeds(10))
def test_agreement_is_quiet(seed: int) -> None:
    world = World(seed)
    world.roam(30.0)
    world.settle()
    world.assert_no_chatter()


@pytest.mark.parametrize("seed", seeds(60))
def test_both_ends_agree_after_either_was_killed_in_the_storm(seed: int) -> None:
    world = World(seed)
    for _ in range(6):
        world.roam(15.0)
        if world.rng.random() < 0.5:
            world.network.restart_agent(world.agent)
        else:
            world.network.restart_node(world.rng.choice(world.hosts))
    world.settle()
    world.assert_agreement()


@pytest.mark.parametrize("seed", seeds(30))
def test_an_agent_that_lost_its_disk_is_told_everything_again(seed: int) -> None:
    world = World(seed)
    world.settle()
    world.network.restart_agent(world.agent, keeps_disk=False)
    world.known.clear()
    world.network.run_until(world.network.now + 120 + BOUND_S)
    world.assert_agreement()


@pytest.mark.requirement("S3-27", "S5.7-05", "S3-11", "S5.7-04")
@pytest.mark.parametrize("seed", seeds(40))
@pytest.mark.parametrize("treatment", [MultipleCareOf.IGNORE, MultipleCareOf.PROHIBIT])
def test_both_ends_agree_on_one_binding_where_bids_are_not_known_or_allowed(
    treatment: MultipleCareOf, seed: int
) -> None:
    world = World(seed, agent_policy={"multiple_care_of": treatment})
    world.roam(60.0)
    world.settle()
    world.assert_agreement()
    assert not any(host.engine.uses_bids for host in world.hosts)


@pytest.mark.requirement("S5.7-10", "S5.9-03")
@pytest.mark.parametrize("seed", seeds(40))
def test_both_ends_agree_where_bulk_is_refused(seed: int) -> None:
    world = World(seed, agent_policy={"bulk": False})
    world.roam(60.0)
    world.settle(3 * BOUND_S)
    world.assert_agreement()


@pytest.mark.parametrize("seed", seeds(30))
def test_both_ends_agree_when_the_node_sends_no_bulk(seed: int) -> None:
    world = World(seed, node_policy={"bulk": False})
    world.roam(60.0)
    world.settle(3 * BOUND_S)
    world.assert_agreement()


@pytest.mark.parametrize("seed", seeds(20))
def test_a_stopped_node_leaves_nothing_behind(seed: int) -> None:
    world = World(seed)
    world.roam(20.0)
    world.settle()
    first, second = world.hosts
    world.network.perform(first.engine, first.engine.stop(world.network.now))
    world.network.run_until(world.network.now + BOUND_S)
    assert first.engine.is_stopped
    assert world.agent.engine.bindings(first.engine.policy.home_address) == ()
    assert world.agent.engine.bindings(second.engine.policy.home_address) != ()


def test_the_same_seed_gives_the_same_run() -> None:
    runs = []
    for _ in range(2):
        world = World(5)
        world.roam(100.0)
        runs.append((world.network.sent, world.network.now))
    assert runs[0] == runs[1]
