"""Mobile nodes among two home agents that fail, send them away, or know no BID."""

from dataclasses import dataclass, field
from ipaddress import IPv6Address
from random import Random

import pytest

from mcoa.binding.cache import Binding
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.policy import HomeAgentPolicy, MultipleCareOf
from mcoa.lab.network import AgentHost
from scenario.test_convergence import AGENT, BOUND_S, World, seeds

SECOND = IPv6Address("2001:db8:1::2")
LIFETIME_S = 120.0


@dataclass
class TwoAgents(World):
    """A world with a second home agent, and nodes with equal BIDs."""

    second_policy: dict[str, object] = field(default_factory=dict)
    caches: dict[IPv6Address, dict[IPv6Address, list[Binding]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        first = self.agent.engine.policy
        policy = HomeAgentPolicy(
            **{"home_prefixes": first.home_prefixes, **self.second_policy, "address": SECOND}
        )
        self.second: AgentHost = self.network.add_agent(policy)

    def assert_others_untouched(self, engine: HomeAgent, home: IPv6Address, now: float) -> None:
        """Each agent has a cache of its own."""
        each = self.caches.setdefault(engine.policy.address, {})
        self.known = each
        super().assert_others_untouched(engine, home, now)

    @property
    def agents(self) -> dict[IPv6Address, AgentHost]:
        return {AGENT: self.agent, SECOND: self.second}

    def trouble(self) -> None:
        """Cut an agent off, or restart one, or send a node to the other."""
        host = self.rng.choice([self.agent, self.second])
        match self.rng.randrange(4):
            case 0:
                host.is_cut_off = not host.is_cut_off
            case 1:
                self.network.restart_agent(host, keeps_disk=self.rng.random() < 0.5)
                self.caches.clear()
            case _:
                self.send_away(host)

    def send_away(self, host: AgentHost) -> None:
        address = host.engine.policy.address
        [other] = self.agents.keys() - {address}
        for entry in list(host.engine.cache):
            if entry.bindings and not host.is_cut_off:
                to = (other,) if self.rng.random() < 0.8 else ()
                actions = host.engine.switch(entry.home_address, to, self.network.now)
                self.network.perform(host.engine, actions)

    def assert_agreement(self) -> None:
        for host in self.hosts:
            node, home_address = host.engine, host.engine.policy.home_address
            note = f"seed {self.seed}: {home_address} at {node.home_agent}"
            assert node.home_agent in self.agents, note
            offered = {a for link in host.links.values() for a in link.addresses}
            for address, agent in self.agents.items():
                bound = {
                    binding.bid: binding.care_of_address
                    for binding in agent.engine.bindings(home_address)
                }
                usable = {path.bid: path.care_of_address for path in node.paths()}
                assert bound == (usable if address == node.home_agent else {}), note
            assert set(usable.values()) == offered if node.uses_bids else usable, note


@pytest.mark.requirement("S3-28", "S5.7-06")
@pytest.mark.parametrize("finds", [False, True])
@pytest.mark.parametrize("seed", seeds(100))
def test_node_and_agent_agree_whichever_agent_it_is(seed: int, *, finds: bool) -> None:
    rng = Random(seed)
    node_policy = {"accepts_unprotected": True} | (
        {"home_agent": None} if finds else {"other_home_agents": (SECOND,)}
    )
    modes = list(MultipleCareOf)
    legacy = {"multiple_care_of": rng.choice(modes), "detect_duplicates": False}
    run = TwoAgents(
        seed,
        node_policy=node_policy,
        agent_policy=legacy,
        second_policy={"detect_duplicates": False},
    )
    for _ in range(8):
        run.roam(20.0)
        run.trouble()
    for agent in run.agents.values():
        agent.is_cut_off = False
    run.settle(BOUND_S + 2 * LIFETIME_S + 100.0)
    run.assert_agreement()
