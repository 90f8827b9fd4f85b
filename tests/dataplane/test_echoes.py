"""Echoes in tunnels: answered over the path they came by, and believed only when asked for."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import HOME, PATHS, PEER, SERVICE, Agent, Node, ipv6, tunnelled
from mcoa.dataplane.icmp import icmpv6_packet
from mcoa.dataplane.liveness import Pace, Prober
from mcoa.wire.icmpv6 import EchoReply
from mcoa.wire.ipv6 import parse_packet

PACE = Pace(interval_s=0.05, idle_interval_s=1.0, multiplier=3)


class Ends:
    """A mobile node and its agent, each with a prober, and links that carry what they are told."""

    def __init__(self) -> None:
        self.node, self.agent = Node(), Agent()
        self.probers = {
            "node": Prober(PACE, Random(1)),
            "agent": Prober(PACE, Random(2)),
        }
        self.node.forwarder.echoes.answered = self.probers["node"].answered
        self.agent.forwarder.echoes.answered = self.probers["agent"].answered

    def ask(self, name: str, now: float) -> None:
        """Send the probes that are due."""
        forwarder = getattr(self, name).forwarder
        states = {(HOME, path.bid): forwarder.table.state(HOME, path.bid) for path in PATHS}
        places = {place: (state.path.care_of_address, True) for place, state in states.items()}
        self.probers[name].follow(places, now)
        for place, probe in self.probers[name].due(now):
            forwarder.probe(states[place], probe, now)

    def carry(self, now: float, dead: tuple[int, ...] = ()) -> None:
        """Carry what both have sent, but for what goes by some paths, until nothing is left."""
        bids = {path.care_of_address: path.bid for path in PATHS}
        while self.node.sent or self.agent.written:
            up, down = list(self.node.sent), list(self.agent.written)
            self.node.sent.clear()
            self.agent.written.clear()
            for bid, packet in up:
                if bid not in dead:
                    self.agent.forwarder.from_device(packet, now)
            for packet in down:
                bid = bids[packet[24:40]]
                if bid not in dead:
                    inner = parse_packet(packet).payload
                    self.node.forwarder.from_tunnel(SERVICE, bid, inner, 0, now)

    def answered_at(self, name: str) -> dict[int, float | None]:
        found = {}
        for path in PATHS:
            liveness = self.probers[name].liveness((HOME, path.bid))
            found[path.bid] = liveness.round_trip_s if liveness else None
        return found


@pytest.mark.parametrize("name", ["node", "agent"])
def test_each_path_answers_for_itself(name: str) -> None:
    ends = Ends()
    ends.ask(name, 0.0)
    ends.carry(0.02, dead=(PATHS[1].bid,))
    answered = ends.answered_at(name)
    assert answered.pop(PATHS[1].bid) is None
    assert all(value == pytest.approx(0.02) for value in answered.values())


def test_probes_reach_neither_kernel_nor_control_plane() -> None:
    ends = Ends()
    ends.ask("node", 0.0)
    ends.ask("agent", 0.0)
    ends.carry(0.01)
    assert ends.node.written == []
    assert ends.agent.delivered == []
    assert ends.node.drops == ends.agent.drops == {}


def test_an_answer_that_nobody_asked_for_changes_nothing() -> None:
    ends = Ends()
    ends.ask("node", 0.0)
    ends.node.sent.clear()
    reply = bytes((129, 0, 0, 0)) + bytes(20)
    ends.node.forwarder.from_tunnel(SERVICE, 1, ipv6(SERVICE, HOME, reply), 0, 0.01)
    assert set(ends.answered_at("node").values()) == {None}


@given(octets=st.binary(max_size=60), answers=st.booleans())
def test_octets_that_are_no_echo_stand_in_nobodys_way(octets: bytes, answers: bool) -> None:
    ends = Ends()
    first = 129 if answers else 128
    header = (6 << 28).to_bytes(4) + (len(octets) + 1).to_bytes(2) + bytes((58, 64))
    inner = header + HOME + SERVICE + bytes((first,)) + octets
    ends.agent.forwarder.from_device(tunnelled(inner, PATHS[0].care_of_address), 0.0)
    inner = header + SERVICE + HOME + bytes((first,)) + octets
    ends.node.forwarder.from_tunnel(SERVICE, 1, inner, 0, 0.0)
    assert set(ends.answered_at("node").values()) == {None}


def test_a_stranger_is_not_answered() -> None:
    ends = Ends()
    ends.ask("node", 0.0)
    [(_, packet), *_] = ends.node.sent
    ends.agent.forwarder.from_device(packet[:8] + PEER + packet[24:], 0.0)
    assert ends.agent.written == []


def test_an_answer_for_a_path_that_is_looked_after_no_more_is_no_traffic() -> None:
    ends = Ends()
    ends.ask("node", 0.0)
    ends.probers["node"].follow({}, 0.01)
    ends.carry(0.02)
    assert ends.node.written == []
    assert ends.node.forwarder.table.flow_count == 0


def test_somebody_may_ask_the_agent_for_an_echo() -> None:
    node = Node()
    reply = icmpv6_packet(EchoReply(identifier=5, sequence=1, data=bytes(56)), SERVICE, HOME)
    assert node.receive(reply) == [reply]


def test_a_request_over_a_path_that_has_gone_is_no_traffic() -> None:
    ends = Ends()
    ends.ask("agent", 0.0)
    ends.node.forwarder.table.replace(HOME, PATHS[1:])
    ends.carry(0.02)
    assert ends.node.written == []
    assert ends.node.forwarder.table.flow_count == 0
