"""Mobile nodes that roam among home and visited links: what holds always, and after calm."""

from dataclasses import dataclass
from random import Random

import pytest

from mcoa.engine.actions import Action, Engine, Interception
from mcoa.engine.interception import interception
from mcoa.engine.policy import AtHome
from mcoa.engine.returning_home import Presence
from mcoa.lab.network import NodeHost
from scenario.test_convergence import BOUND_S, CALM, LINKS, World, seeds


@dataclass
class Homing(World):
    """A world in which any link may become the home link."""

    def watch(self, now: float, engine: Engine, action: Action) -> None:
        """The agent and a node never answer for a home address at the same time.

        A node that gives up all visited links is an exception: it takes its address back
        when it says so (RFC 6275 §11.5.5).
        """
        del engine, action
        for host in self.hosts:
            agent = self.agent.engine
            by = interception(agent.bindings(host.engine.policy.home_address))
            if by is Interception.PROXY:
                assert host.engine.presence is not Presence.DEFENDED, f"{self.seed} at {now}"

    def toggle(self, host: NodeHost, link: str, *, up: bool = False) -> None:
        kind = self.rng.random()
        if kind < 0.3:
            self.network.set_home(host, link)
        elif kind < 0.45 and host.home_link is not None and not up:
            self.network.set_home(host, None)
        elif link == host.home_link and up:
            pass
        else:
            super().toggle(host, link, up=up)

    def assert_agreement(self) -> None:
        agent = self.agent.engine
        for host in self.hosts:
            node, home_address = host.engine, host.engine.policy.home_address
            held = {b.bid: (b.care_of_address, b.home) for b in agent.bindings(home_address)}
            usable = {p.bid: (p.care_of_address, p.home) for p in node.paths()}
            offered = {
                (address, name == host.home_link)
                for name, link in host.links.items()
                for address in link.addresses
            }
            note = f"seed {self.seed}: {home_address}, {node.policy.at_home}"
            assert node.outstanding is None, note
            if host.home_link is None or node.policy.at_home is AtHome.BOTH:
                assert held == usable, note
                assert set(held.values()) == offered, note
            elif node.policy.at_home is AtHome.HOME:
                assert held == {}, note
                assert list(usable.values()) == [(home_address, True)], note
                assert node.presence is Presence.HOME
            else:
                visited = {each for each in offered if not each[1]}
                assert set(usable.values()) == visited, note
                # Without any link the node can tell nothing, and what it had runs out.
                assert held == usable or not visited, note
            if host.home_link is not None and node.policy.at_home is AtHome.BOTH:
                defended = self.agent.engine.policy.only_router
                expected = Presence.DEFENDED if defended else Presence.SILENT
                assert node.presence is expected, note


def world(seed: int, **node_policy: object) -> Homing:
    rng = Random(seed)
    policy = {"at_home": rng.choice(list(AtHome)), **node_policy}
    agent = {"only_router": rng.random() < 0.5, "detect_duplicates": rng.random() < 0.5}
    return Homing(seed, node_policy=policy, agent_policy=agent)


@pytest.mark.requirement("S5.6.1-01", "S6.2-13", "S5.6.5-02", "S5.6.5-03", "S5.5.1-01")
@pytest.mark.parametrize("seed", seeds(300))
def test_both_ends_agree_after_roaming_among_home_and_visited_links(seed: int) -> None:
    run = world(seed)
    run.roam(120.0)
    run.settle()
    run.assert_agreement()


@pytest.mark.requirement("S5.6.5-03", "S5.6.1-01")
@pytest.mark.parametrize("seed", seeds(60))
def test_both_ends_agree_at_home_where_no_bulk_is_sent(seed: int) -> None:
    run = world(seed, bulk=False, at_home=AtHome.BOTH)
    run.roam(60.0)
    run.settle(3 * BOUND_S)
    run.assert_agreement()


@pytest.mark.parametrize("seed", seeds(60))
def test_both_ends_agree_at_home_after_either_was_killed(seed: int) -> None:
    run = world(seed)
    for _ in range(6):
        run.roam(15.0)
        if run.rng.random() < 0.5:
            run.network.restart_agent(run.agent)
        else:
            run.network.restart_node(run.rng.choice(run.hosts))
    run.settle()
    run.assert_agreement()


@pytest.mark.parametrize("seed", seeds(20))
def test_agreement_at_home_is_quiet(seed: int) -> None:
    run = world(seed, at_home=AtHome.BOTH)
    run.network.calm(CALM)
    for host in run.hosts:
        run.network.set_home(host, run.rng.choice(LINKS))
    run.settle()
    run.assert_no_chatter()
