"""`mcoa lab discovery`: home agents found, obeyed, left, and found again.

Two home agents serve the home link of (b) in figure 3. The mobile node is told of neither: it
asks the link for its home agents (RFC 6275 §11.4.1), asks the one that it finds for the link's
prefixes (§11.4.2), gives a binding up that the operator revokes (RFC 5846), goes where the
operator sends it (RFC 5142), and finds another agent when its own dies.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv6Address

from mcoa.lab.capture import Tap
from mcoa.lab.demo_events import Built, Found, StepBegan
from mcoa.lab.demo_result import Claim, JsonValue
from mcoa.lab.home_lan import LAN
from mcoa.lab.namespaces import LabError, environment
from mcoa.lab.nodes import (
    AGENT,
    NODE,
    SECOND,
    agent_configuration,
    node_configuration,
)
from mcoa.lab.recorder import Recorded, Recorder
from mcoa.lab.scenarios.proof import Proof, Proven, ScenarioEvent
from mcoa.lab.scenarios.stage import HomeTopology, Stage, gap_ms, set_stage
from mcoa.lab.sightings import ICMPV6, header_chain
from mcoa.lab.topology import CORRESPONDENT, HOME_AGENT

NAME = "discovery"
PREFERENCES = {AGENT: 10, SECOND: 20}
LIFETIME_S = 16  # of bindings, so that a dead agent is noticed soon
_LONGEST_SWITCH_MS = 1500.0  # duplicate address detection by the other agent takes a second
_LONGEST_SEARCH_S = 2.0 * LIFETIME_S + 10.0
_REPLY, _SOLICITATION, _ADVERTISEMENT = 145, 146, 147  # ICMPv6 types (RFC 6275 §6.6-6.8)


def discovery() -> Iterator[ScenarioEvent]:
    """Run the scenario; the last event is its proof. LabError if a daemon fails."""
    yield StepBegan(title="building figure 1 with two home agents on the home link")
    with set_stage(HomeTopology.OTHER_ROUTERS, has_second_agent=True) as stage:
        yield Built(namespaces=stage.network.namespaces.names())
        taps = [
            Tap(namespace=stage.network[link.router].path, interface="radio", label=link.name)
            for link in stage.network.topology.links
        ]
        with Recorder(taps) as wire:
            yield from _Play(stage, wire).run()


class _Play:
    """The steps, in order."""

    def __init__(self, stage: Stage, wire: Recorder) -> None:
        self._stage, self._wire = stage, wire
        topology = stage.network.topology
        self._agents = {AGENT: topology.home_agent, SECOND: topology.second_agent}
        self._claims: list[Claim] = []
        self._figures: dict[str, JsonValue] = {}

    def run(self) -> Iterator[ScenarioEvent]:
        yield from self._find()
        yield from self._revoke()
        yield from self._switch()
        yield from self._lose()
        proof = Proof(scenario=NAME, claims=tuple(self._claims), figures=self._figures)
        yield Proven(proof=proof)

    def _claim(self, sentence: str, *, holds: bool) -> None:
        self._claims.append(Claim(sentence=sentence, holds=holds))

    def _find(self) -> Iterator[ScenarioEvent]:
        yield StepBegan(title="starting both home agents, and a mobile node that knows neither")
        stage, directory = self._stage, self._stage.network.namespaces.directory
        topology = stage.network.topology
        for name, preference in PREFERENCES.items():
            extra = f"preference = {preference}\n"
            if name == SECOND:
                extra += f'deprecated_prefixes = ["{topology.home_prefix}"]\n'
            text = agent_configuration(topology, directory, name=name, extra=extra)
            stage.nodes.start(name, text)
        stage.until(lambda: all(map(stage.status, PREFERENCES)), "both home agents answering")
        time.sleep(4.0)  # until both have advertised themselves and heard the other
        text = node_configuration(
            topology, directory, finds_agent=True, extra=f'lifetime = "{LIFETIME_S}s"\n'
        )
        begun_s = time.monotonic()
        stage.nodes.start(NODE, text)
        stage.until_registered(*stage.foreign_links, agent=SECOND)
        self._figures["found_ms"] = round((time.monotonic() - begun_s) * 1000, 1)
        replies = [_addresses(each) for each in self._seen(_REPLY)]
        self._figures["reply"] = [str(each) for each in replies[0]] if replies else None
        self._claim(
            "the reply to a discovery request lists both agents, the preferred one first",
            holds=bool(replies) and replies[0] == [self._agents[SECOND], self._agents[AGENT]],
        )
        self._claim(
            "the node, which was told of no agent, has registered all links with that one",
            holds=self._peer() == str(self._agents[SECOND]) and not stage.held(AGENT),
        )
        yield Found(sentence=f"registered with {self._peer()}")
        stage.until(lambda: bool(self._seen(_ADVERTISEMENT)), "a prefix advertisement")
        stage.until(lambda: "home-prefix-is-deprecated" in self._log(), "its being understood")
        self._claim(
            "the agent says that the home prefix is to be given up, and tells more when asked",
            holds=stage.last_status(stage.foreign_links[0]) == 1
            and bool(self._seen(_SOLICITATION)),
        )

    def _revoke(self) -> Iterator[ScenarioEvent]:
        stage = self._stage
        revoked, kept = stage.foreign_links
        yield StepBegan(title=f"revoking the binding of {revoked}, under traffic")
        bid = stage.network.topology.link(revoked).bid
        train = stage.echo(CORRESPONDENT, identifier=61, duration_s=4.0)
        time.sleep(1.0)
        code = self._operator("revoke", str(stage.home_address), "--bid", str(bid))
        stage.until_registered(kept, agent=SECOND)
        result = train.result()
        state = stage.nodes.bindings().get(revoked)
        self._figures["lost_on_revocation"] = result.lost
        self._claim(
            f"`mcoa binding revoke --bid {bid}` ends that binding at both ends, and no other",
            holds=code == 0 and state == "revoked" and set(stage.held(SECOND)) != {bid},
        )
        self._claim("nothing was lost when it ended", holds=result.lost == 0)
        yield Found(sentence=f"{revoked} {state}, {kept} goes on; {result.lost} packets lost")

    def _switch(self) -> Iterator[ScenarioEvent]:
        stage, target = self._stage, self._agents[AGENT]
        yield StepBegan(title="sending the mobile node to the other home agent, under traffic")
        train = stage.echo(CORRESPONDENT, identifier=62, duration_s=6.0)
        time.sleep(1.0)
        switched_s = time.monotonic()
        code = self._operator("switch", str(stage.home_address), "--to", str(target))
        # What was revoked was revoked by the other agent.
        stage.until_registered(*stage.foreign_links, agent=AGENT)
        silence_ms = gap_ms(train.result(), switched_s)
        self._figures["gap_on_switch_ms"] = round(silence_ms, 1)
        self._claim(
            "`mcoa binding switch --to` has it register there, and nothing is left here",
            holds=code == 0 and self._peer() == str(target) and not stage.held(SECOND),
        )
        self._claim(
            "traffic goes on once that agent has made sure that nobody has the address:"
            " a second",
            holds=silence_ms <= _LONGEST_SWITCH_MS,
        )
        yield Found(sentence=f"echo silent for {silence_ms:.0f} ms")

    def _lose(self) -> Iterator[ScenarioEvent]:
        stage = self._stage
        yield StepBegan(
            title="pulling its home agent's plug, and waiting for it to find the other"
        )
        killed_s = time.monotonic()
        # A daemon that is killed alone leaves its kernel answering for the home address.
        stage.network[LAN].ip(f"link set {HOME_AGENT} down")
        stage.nodes.kill(AGENT)
        stage.until_registered(*stage.foreign_links, agent=SECOND, patience_s=_LONGEST_SEARCH_S)
        searched_s = time.monotonic() - killed_s
        train = stage.echo(CORRESPONDENT, identifier=63, duration_s=1.0).result()
        self._figures["found_again_s"] = round(searched_s, 1)
        self._claim(
            f"a node whose agent dies finds another within {_LONGEST_SEARCH_S:.0f} s, with"
            f" bindings that last {LIFETIME_S} s",
            holds=self._peer() == str(self._agents[SECOND]) and train.lost == 0,
        )
        yield Found(sentence=f"registered with {self._peer()} after {searched_s:.1f} s")

    def _peer(self) -> str:
        peers = self._stage.status(NODE).get("peers", ())
        return str(peers[0]["address"]) if peers else ""

    def _log(self) -> str:
        return self._stage.nodes.log(NODE).read_text("utf-8")

    def _operator(self, *words: str) -> int:
        socket = str(self._stage.nodes.socket(SECOND))
        command = [sys.executable, "-m", "mcoa", "binding", *words, "--socket", socket]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment()
        )
        if done.returncode not in (0, 1):
            raise LabError(f"{' '.join(command[2:])}: {done.stderr.strip()}")
        return done.returncode

    def _seen(self, kind: int) -> list[bytes]:
        """Return the ICMPv6 messages of a type that passed the radio links."""
        messages = (_icmpv6(each) for each in self._wire.seen())
        return [each for each in messages if each is not None and each[0] == kind]


def _icmpv6(recorded: Recorded) -> bytes | None:
    protocol, offset = header_chain(recorded.packet)[-1]
    return recorded.packet[offset:] if protocol == ICMPV6 else None


def _addresses(reply: bytes) -> list[IPv6Address]:
    return [IPv6Address(reply[at : at + 16]) for at in range(8, len(reply) - 15, 16)]
