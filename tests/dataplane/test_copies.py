"""Copies of packets: marked, told apart, and of each one kept."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import HOME, PATHS, PEER, SERVICE, Agent, Node, encapsulate_limited, udp
from mcoa.binding.flow_bindings import FlowBinding
from mcoa.dataplane.copies import Numbering, Window, Windows, mark, number_in, number_of
from mcoa.dataplane.counters import DropReason
from mcoa.dataplane.flow_selection import BoundFlow, BoundFlows
from mcoa.dataplane.packet import encapsulate_with, tunnel_prefix
from mcoa.dataplane.path import Path
from mcoa.dataplane.rules import Match, Rule, Rules, Verb
from mcoa.wire.ipv6 import parse_packet
from mcoa.wire.selectors import Ipv6TrafficSelector

NUMBERS = st.integers(0, (1 << 24) - 1)
LINKS = tuple(f"link{path.bid}" for path in PATHS)


@given(number=NUMBERS)
def test_a_number_comes_back_from_its_mark(number: int) -> None:
    assert number_of(mark(number)) == number
    packet = encapsulate_with(mark(number), udp(), tunnel_prefix(PEER, HOME))
    assert number_in(packet) == number
    assert packet[46] == 0  # where a Home Address option would have its type
    parsed = parse_packet(packet)
    assert parsed.payload == udp()


@given(octets=st.binary(max_size=24))
def test_other_headers_have_no_number(octets: bytes) -> None:
    assert number_of(octets) is None or octets[:4] == mark(0)[:4]


def test_an_encapsulation_limit_is_no_mark() -> None:
    assert number_in(encapsulate_limited(udp(), tunnel_prefix(PEER, HOME), 4)) is None


@given(first=NUMBERS, seed=st.integers())
def test_of_copies_in_any_order_one_is_first(first: int, seed: int) -> None:
    """Also where numbers wrap, as long as no copy is later than the window is long."""
    rng, numbering, window = Random(seed), Numbering(first), Window()
    numbers = [numbering.take() for _ in range(2000)]
    copies = [
        (place + rng.uniform(0, 1000), number)
        for place, number in enumerate(numbers)
        for _ in range(rng.randint(1, 3))
    ]
    kept = [number for _, number in sorted(copies) if window.is_first(number)]
    assert sorted(kept) == sorted(numbers)


@given(before=NUMBERS, after=NUMBERS)
def test_a_sender_that_begins_anew_is_listened_to(before: int, after: int) -> None:
    window = Window()
    for number in range(before, before + 10):
        window.is_first(number % (1 << 24))
    if 10 <= (after - before) % (1 << 24) < (1 << 24) - (1 << 13):
        assert window.is_first(after)
    assert not window.is_first(after) or not window.is_first(after)


def test_senders_are_told_apart_and_bounded() -> None:
    windows = Windows(most=2)
    assert [windows.is_first(sender, 5) for sender in (b"a", b"b", b"a", b"b")] == [
        True,
        True,
        False,
        False,
    ]
    assert windows.is_first(b"c", 5)
    assert windows.is_first(b"a", 5)  # forgotten, because it was silent longest


# A mobile node's rule, and a home agent's flow binding.


@pytest.fixture
def node() -> Node:
    made = Node()
    paths = tuple(
        Path(bid=path.bid, care_of_address=path.care_of_address, link=f"link{path.bid}")
        for path in PATHS
    )
    made.forwarder.table.replace(HOME, paths)
    wanted = Rule(name="x", match=Match(), verb=Verb.DUPLICATE, links=LINKS)
    made.forwarder.rules = Rules([wanted])
    return made


@pytest.fixture
def agent() -> Agent:
    made = Agent()
    flow = FlowBinding(
        fid=1,
        priority=1,
        selector=Ipv6TrafficSelector(),
        bids=tuple(path.bid for path in PATHS),
    )
    made.forwarder.flow_bindings[HOME] = BoundFlows(BoundFlow.told([flow]), flow.bids)
    return made


def test_each_packet_goes_over_each_link_and_one_copy_arrives(node: Node, agent: Agent) -> None:
    agent.forwarder.flow_bindings.clear()
    for number in range(5):
        packet = udp(HOME, PEER, size=60 + number)
        sent = node.take(packet, now=float(number))
        assert sorted(bid for bid, _ in sent) == sorted(path.bid for path in PATHS)
        arrived = [agent.take(copy, now=float(number)) for _, copy in sent]
        assert arrived == [[packet]] + [[]] * (len(PATHS) - 1)
    assert agent.drops == {DropReason.COPY: 5 * (len(PATHS) - 1)}


def test_packets_that_are_equal_all_arrive(node: Node, agent: Agent) -> None:
    agent.forwarder.flow_bindings.clear()
    packet = udp(HOME, PEER)
    arrived = [agent.take(copy) for _ in range(7) for _, copy in node.take(packet)]
    assert [each for each in arrived if each] == [[packet]] * 7


def test_the_home_agent_copies_what_a_flow_binding_says(node: Node, agent: Agent) -> None:
    node.forwarder.rules = Rules()
    packet = udp()
    copies = agent.take(packet)
    assert len(copies) == len(PATHS)
    kept = [
        node.receive(parse_packet(copy).payload, bid=path.bid, number=number_in(copy))
        for copy, path in zip(copies, PATHS, strict=True)
    ]
    assert kept == [[packet]] + [[]] * (len(PATHS) - 1)
    assert node.drops == {DropReason.COPY: len(PATHS) - 1}


def test_a_stranger_does_not_spend_numbers(node: Node) -> None:
    assert node.receive(udp(), number=7, outer_source=PEER) == []
    assert node.receive(udp(), number=7) == [udp()]


def test_a_link_that_is_down_gets_no_copies(node: Node, agent: Agent) -> None:
    for path in PATHS[1:]:
        node.forwarder.table.path_down(HOME, path.bid)
        agent.forwarder.table.path_down(HOME, path.bid)
    [(bid, packet)] = node.take(udp(HOME, PEER))
    assert (bid, number_in(packet)) == (PATHS[0].bid, None)
    assert len(agent.take(udp())) == 1


def test_what_is_a_tunnel_packet_already_is_not_copied(node: Node) -> None:
    inner = encapsulate_limited(udp(HOME, PEER), tunnel_prefix(HOME, PEER), 3)
    assert len(node.take(inner)) == 1


def test_a_copy_has_less_room(node: Node) -> None:
    assert node.take(udp(HOME, PEER, size=1452)) != []
    assert node.take(udp(HOME, PEER, size=1453)) == []
    [error] = set(node.written)
    assert int.from_bytes(error[44:48]) == 1452
    small = node.take(udp(HOME, PEER, size=1280), now=5.0)
    assert [number_in(packet) is None for _, packet in small] == [False] * len(PATHS)


def test_a_copy_in_fragments_is_put_together(agent: Agent) -> None:
    node = Node()
    paths = tuple(
        Path(bid=p.bid, care_of_address=p.care_of_address, link=f"link{p.bid}", mtu=1280)
        for p in PATHS
    )
    node.forwarder.table.replace(HOME, paths)
    wanted = Rule(name="x", match=Match(), verb=Verb.DUPLICATE, links=LINKS)
    node.forwarder.rules = Rules([wanted])
    agent.forwarder.flow_bindings.clear()
    packet = udp(HOME, PEER, size=1280)
    sent = node.take(packet)
    assert len(sent) == 2 * len(PATHS)
    arrived = [agent.take(fragment) for _, fragment in sent]
    assert [each for each in arrived if each] == [[packet]]
    assert agent.drops == {DropReason.COPY: len(PATHS) - 1}
    assert {packet[24:40] for _, packet in sent} == {SERVICE}
