"""Paths in UDP over IPv4, at both ends: single packets, trains, and what must not come in."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import (
    CARE_OF,
    HOME,
    OTHER_HOME,
    PATHS,
    PEER,
    SERVICE,
    Agent,
    Node,
    address,
    ports,
    udp,
)
from dataplane.packets import ipv6 as packet_of
from mcoa.binding.flow_bindings import FlowBinding
from mcoa.dataplane.counters import DropReason
from mcoa.dataplane.datagrams import UDP_OVERHEAD
from mcoa.dataplane.flow_selection import BoundFlow, BoundFlows
from mcoa.dataplane.liveness import Probe
from mcoa.dataplane.path import Path
from mcoa.dataplane.rules import Match, Rule, Rules, Verb
from mcoa.dataplane.trains import Segments, Train, uncouple
from mcoa.wire.icmpv6 import PacketTooBig, parse_icmpv6
from mcoa.wire.selectors import Ipv6TrafficSelector

BEHIND_NAT, OUTSIDER = address("::ffff:192.0.2.7"), address("::ffff:192.0.2.8")
PORT = 40_000
PATH = Path(bid=1, care_of_address=BEHIND_NAT, port=PORT, overhead=UDP_OVERHEAD)
ROOM = 1500 - UDP_OVERHEAD


@dataclass
class Socket:
    """What a forwarder sent in datagrams, by BID."""

    end: Agent | Node
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    rows: list[tuple[int, Segments]] = field(default_factory=list)
    trains: list[Train] = field(default_factory=list)

    def __post_init__(self) -> None:
        forwarder = self.end.forwarder
        forwarder.table.replace(HOME, (PATH,))
        forwarder.datagrams.emit = lambda path, packet: self.sent.append((path.bid, packet))
        forwarder.datagrams.emit_segments = lambda path, rows: self.rows.append(
            (path.bid, rows)
        )
        forwarder.write_train = self.trains.append


def tcp(source: bytes, destination: bytes, payload: bytes = b"", ecn: int = 0) -> bytes:
    pair = ports(5000, 80) if source == PEER else ports(80, 5000)
    header = pair + bytes(8) + bytes((0x50, 0x10)) + bytes(6)
    return packet_of(source, destination, header + payload, 6, traffic_class=ecn)


def train(source: bytes, destination: bytes, size: int = 1400, count: int = 5) -> Train:
    made = Train.of(tcp(source, destination, bytes(size * count)), 40, size)
    assert made is not None
    return made


def from_network(agent: Agent, inner: bytes, outer: tuple[bytes, int, int]) -> list[bytes]:
    agent.written.clear()
    agent.forwarder.from_datagram(outer, inner, 0.0)
    return list(agent.written)


OUTER = (BEHIND_NAT, PORT, 0)


@pytest.mark.parametrize("size", [100, 1280, ROOM])
def test_a_packet_leaves_as_it_is(size: int) -> None:
    agent, node = Agent(), Node()
    down, up = Socket(agent), Socket(node)
    for _ in range(2):  # the long way, then the short one
        assert agent.take(udp(size=size)) == []
        assert node.take(udp(HOME, PEER, size=size)) == []
    assert down.sent == [(1, udp(size=size))] * 2
    assert up.sent == [(1, udp(HOME, PEER, size=size))] * 2
    for end in (agent, node):
        (path,) = end.forwarder.snapshot(0.0).paths
        assert (path.packets_out, path.octets_out) == (2, 2 * size)


def test_the_largest_that_fits_is_told_and_1280_octets_always_pass() -> None:
    agent = Agent()
    sent = Socket(agent).sent
    (error,) = agent.take(udp(size=ROOM + 1))
    message = parse_icmpv6(error[40:], error[8:24], error[24:40])
    assert isinstance(message, PacketTooBig)
    assert message.mtu == ROOM
    assert agent.drops == {DropReason.TOO_BIG: 1}
    agent.forwarder.table.replace(HOME, (replace(PATH, mtu=1280),))
    agent.take(udp(size=1280))
    assert sent == [(1, udp(size=1280))]


def test_what_comes_from_the_address_and_port_that_are_bound_goes_on() -> None:
    agent = Agent()
    Socket(agent)
    inner = udp(HOME, PEER)
    for _ in range(2):
        assert from_network(agent, inner, OUTER) == [inner]
    (path,) = agent.forwarder.snapshot(0.0).paths
    assert (path.packets_in, path.octets_in) == (2, 200)


@pytest.mark.parametrize(
    "outer", [(BEHIND_NAT, PORT + 1, 0), (BEHIND_NAT, 0, 0), (OUTSIDER, PORT, 0)]
)
def test_another_address_or_port_is_refused_also_for_a_known_flow(
    outer: tuple[bytes, int, int],
) -> None:
    agent = Agent()
    socket = Socket(agent)
    inner = udp(HOME, PEER)
    assert from_network(agent, inner, OUTER) == [inner]
    assert from_network(agent, inner, outer) == []
    agent.forwarder.train_from_datagrams(OUTER, train(HOME, PEER), 0.0)
    agent.written.clear()
    agent.forwarder.train_from_datagrams(outer, train(HOME, PEER), 0.0)
    assert not agent.written
    assert not socket.trains
    assert agent.drops == {DropReason.NOT_REGISTERED: 6}


def test_a_tunnel_packet_from_a_mapped_address_is_not_a_datagram() -> None:
    agent = Agent()
    Socket(agent)
    tunnel = packet_of(BEHIND_NAT, agent.service, udp(HOME, PEER), 41)
    assert agent.take(tunnel) == []
    assert agent.drops == {DropReason.NOT_REGISTERED: 1}


def test_octets_that_are_no_packet_are_refused() -> None:
    agent = Agent()
    Socket(agent)
    inner = udp(HOME, PEER)
    assert from_network(agent, inner, OUTER) == [inner]
    assert from_network(agent, inner[:-1], OUTER) == []
    assert from_network(agent, b"\x50" + inner[1:], OUTER) == []
    assert from_network(agent, inner[:30], OUTER) == []
    assert agent.drops == {DropReason.MALFORMED: 3}


@pytest.mark.parametrize(("ecn", "outer", "seen"), [(2, 3, 3), (1, 3, 3), (2, 1, 1)])
def test_ecn_of_the_datagram_reaches_the_packet(ecn: int, outer: int, seen: int) -> None:
    agent = Agent()
    Socket(agent)
    able = udp(HOME, PEER, traffic_class=ecn)
    for _ in range(2):
        (got,) = from_network(agent, able, (BEHIND_NAT, PORT, outer))
        assert got[1] >> 4 & 3 == seen
    assert from_network(agent, udp(HOME, PEER), (BEHIND_NAT, PORT, 3)) == []
    assert agent.drops == {DropReason.CONGESTION: 1}


def test_a_train_goes_whole_once_its_flow_is_known() -> None:
    agent, node = Agent(), Node()
    for end, whole in ((agent, train(PEER, HOME)), (node, train(HOME, PEER))):
        socket = Socket(end)
        segments = uncouple(whole)
        end.forwarder.train_from_device(whole, 0.0)
        assert [packet for _, packet in socket.sent] == segments.packets()
        end.forwarder.train_from_device(whole, 0.0)
        ((bid, rows),) = socket.rows
        assert (bid, rows.packets()) == (1, segments.packets())
        (path,) = end.forwarder.snapshot(0.0).paths
        assert (path.packets_out, path.octets_out) == (10, 2 * whole.octets)


def test_a_train_for_a_tunnel_or_too_large_for_the_path_goes_in_pieces() -> None:
    node = Node()
    socket = Socket(node)
    node.forwarder.table.replace(HOME, PATHS[:1])
    whole = train(HOME, PEER)
    for _ in range(2):
        node.sent.clear()
        node.forwarder.train_from_device(whole, 0.0)
        assert len(node.sent) == 5
    node.forwarder.table.replace(HOME, (replace(PATH, mtu=1400),))
    node.forwarder.train_from_device(whole, 0.0)
    assert node.drops[DropReason.TOO_BIG] == 5
    assert not socket.rows


def test_a_train_that_comes_in_goes_on_whole_once_its_flow_is_known() -> None:
    agent, node = Agent(), Node()
    up, down = Socket(agent), Socket(node)
    whole = train(HOME, PEER)
    for _ in range(2):
        agent.forwarder.train_from_datagrams(OUTER, whole, 0.0)
    assert agent.written == uncouple(whole).packets()
    assert up.trains == [whole]
    whole = train(PEER, HOME)
    for _ in range(2):
        node.forwarder.train_from_tunnel(agent.service, 1, whole, 0, 0.0)
    assert node.written == uncouple(whole).packets()
    assert down.trains == [whole]
    for end in (agent, node):
        (path,) = end.forwarder.snapshot(0.0).paths
        assert (path.packets_in, path.octets_in) == (10, 2 * whole.octets)


def test_a_train_from_elsewhere_than_the_agent_is_refused() -> None:
    node = Node()
    socket = Socket(node)
    whole = train(PEER, HOME)
    for _ in range(2):
        node.forwarder.train_from_tunnel(PEER, 1, whole, 0, 0.0)
    assert not node.written
    assert not socket.trains
    assert node.drops == {DropReason.NOT_FROM_HOME_AGENT: 10}


def test_a_train_between_two_mobile_nodes_turns_around() -> None:
    agent = Agent()
    socket = Socket(agent)
    other = replace(PATH, bid=7, care_of_address=OUTSIDER)
    agent.forwarder.table.replace(OTHER_HOME, (other,))
    whole = train(HOME, OTHER_HOME)
    for _ in range(2):
        agent.forwarder.train_from_datagrams(OUTER, whole, 0.0)
    assert [bid for bid, _ in socket.sent] == [7] * 10
    assert not socket.trains


def test_flows_move_between_paths_of_all_kinds() -> None:
    node = Node()
    socket = Socket(node)
    tunnel = replace(PATHS[1], bid=2, weight=0.5)
    node.forwarder.table.replace(HOME, (PATH, tunnel))
    assert node.take(udp(HOME, PEER)) == []
    assert len(socket.sent) == 1
    node.forwarder.table.path_down(HOME, 1)
    ((bid, outer),) = node.take(udp(HOME, PEER))
    assert (bid, outer[8:24]) == (2, CARE_OF[1])
    node.forwarder.table.path_up(HOME, 1)
    node.forwarder.table.path_down(HOME, 2)
    assert node.take(udp(HOME, PEER)) == []
    assert len(socket.sent) == 2


def copying(end: Agent | Node) -> list[tuple[int, bytes]]:
    """Have an end copy all packets to two paths of datagrams; return what it sends over them."""
    sent = Socket(end).sent
    paths = (replace(PATH, link="lte"), replace(PATH, bid=2, link="wifi", port=PORT + 1))
    end.forwarder.table.replace(HOME, paths)
    if isinstance(end, Node):
        rule = Rule(name="x", match=Match(), verb=Verb.DUPLICATE, links=("lte", "wifi"))
        end.forwarder.rules = Rules([rule])
    else:
        flow = FlowBinding(fid=1, priority=1, selector=Ipv6TrafficSelector(), bids=(1, 2))
        end.forwarder.flow_bindings[HOME] = BoundFlows(BoundFlow.told([flow]), flow.bids)
    return sent


def test_copies_travel_in_datagrams_and_one_arrives_at_the_agent() -> None:
    node, agent = Node(), Agent()
    sent = copying(node)
    copying(agent)
    agent.forwarder.flow_bindings.clear()
    packet = udp(HOME, PEER, size=1000)
    for _ in range(3):  # equal packets, of which each arrives
        sent.clear()
        assert node.take(packet) == []
        outer = {1: OUTER, 2: (BEHIND_NAT, PORT + 1, 0)}
        assert sorted(bid for bid, _ in sent) == [1, 2]
        arrived = [from_network(agent, copy, outer[bid]) for bid, copy in sent]
        assert arrived == [[packet], []]
    assert agent.drops == {DropReason.COPY: 3}


def test_copies_travel_in_datagrams_and_one_arrives_at_the_node() -> None:
    node, agent = Node(), Agent()
    sent = copying(agent)
    copying(node)
    packet = udp(size=1000)
    assert agent.take(packet) == []
    node.written.clear()
    for bid, copy in sent:
        node.forwarder.from_datagram(bid, copy, 0, 0.0)
    assert node.written == [packet]
    assert node.drops == {DropReason.COPY: 1}


def test_a_copy_in_a_datagram_has_less_room() -> None:
    node = Node()
    sent = copying(node)
    node.take(udp(HOME, PEER, size=ROOM - 48))
    assert [len(copy) for _, copy in sent] == [ROOM, ROOM]
    sent.clear()
    node.take(udp(HOME, PEER, size=ROOM - 47))
    assert sent == []
    assert node.drops[DropReason.TOO_BIG] == 2


def test_a_copy_of_a_stranger_is_refused_and_spends_no_number() -> None:
    node, agent = Node(), Agent()
    sent = copying(node)
    copying(agent)
    agent.forwarder.flow_bindings.clear()
    node.take(udp(HOME, PEER))
    ((_, copy), _) = sent
    assert from_network(agent, copy, (OUTSIDER, PORT, 0)) == []
    assert from_network(agent, copy, OUTER) == [udp(HOME, PEER)]
    # Within such a tunnel nobody speaks for others.
    forged = copy[:48] + udp(OTHER_HOME, PEER)
    forged = forged[:4] + (len(forged) - 40).to_bytes(2) + forged[6:]
    assert from_network(agent, forged, OUTER) == []


@given(st.binary(max_size=120))
def test_any_octets_in_a_datagram_do_no_harm(octets: bytes) -> None:
    node, agent = Node(), Agent()
    Socket(node)
    Socket(agent)
    assert from_network(agent, octets, OUTER) == []
    node.forwarder.from_datagram(1, octets, 0, 0.0)
    marked = bytes.fromhex("60000000") + len(octets).to_bytes(2) + bytes((60, 64))
    for end in (HOME, SERVICE):
        whole = marked + PEER + end + octets
        from_network(agent, whole, OUTER)
        node.forwarder.from_datagram(1, whole, 0, 0.0)


def test_probes_and_their_answers_travel_in_datagrams() -> None:
    agent, node = Agent(), Node()
    down, up = Socket(agent), Socket(node)
    state = node.forwarder.table.state(HOME, 1)
    assert state is not None
    node.forwarder.probe(state, Probe(identifier=1, sequence=2, nonce=b"12345678"), 0.0)
    ((_, request),) = up.sent
    assert from_network(agent, request, OUTER) == []
    ((_, answer),) = down.sent
    answers: list[tuple[int, int, bytes]] = []

    def answered(identifier: int, sequence: int, data: bytes, _now: float) -> bool:
        answers.append((identifier, sequence, data))
        return True

    node.forwarder.echoes.answered = answered
    assert node.receive(answer) == []
    assert answers == [(1, 2, b"12345678")]
