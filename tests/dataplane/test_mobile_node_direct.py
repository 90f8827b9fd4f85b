"""A mobile node's forwarder and its correspondents: what goes straight, and what does not."""

from dataplane.packets import CARE_OF, HOME, PEER, STRANGER, Node, tunnelled, udp
from mcoa.dataplane.direct import with_home_address, with_routing_header, without_home_address
from mcoa.dataplane.mobile_node import DIRECT
from mcoa.dataplane.path import Path

BOUND = frozenset(CARE_OF[:2])


def direct_node() -> Node:
    node = Node()
    node.forwarder.direct = {PEER: BOUND}
    return node


def test_a_flow_goes_straight_over_its_own_path_when_that_is_bound() -> None:
    node = Node()
    packets = [udp(HOME, PEER, port=flow) for flow in range(9)]
    before = {packet: node.take(packet)[0] for packet in packets}
    node.forwarder.direct = {PEER: BOUND}
    for now in (0.5, 5.0):  # while the flow is fresh, and when it is looked at anew
        for packet in packets:
            bid, outer = node.take(packet, now)[0]
            assert bid == before[packet][0]
            care_of = CARE_OF[bid - 1]
            if care_of in BOUND:
                assert outer == with_home_address(packet, care_of)
            else:
                assert outer == tunnelled(packet, care_of)
    node.forwarder.direct = {}
    assert {packet: node.take(packet, 5.5)[0] for packet in packets} == before


def test_others_go_through_the_tunnel_all_the_same() -> None:
    node = direct_node()
    packet = udp(HOME, STRANGER)
    bid, outer = node.take(packet)[0]
    assert outer == tunnelled(packet, CARE_OF[bid - 1])


def test_signalling_goes_through_the_tunnel_over_the_link_that_is_named() -> None:
    node = Node()
    node.forwarder.table.replace(
        HOME,
        tuple(
            Path(bid=n, care_of_address=address, link=name)
            for n, (name, address) in enumerate(zip("xyz", CARE_OF, strict=True), start=1)
        ),
    )
    packet = udp(HOME, PEER)
    node.forwarder.into_tunnel(packet, "y", 0.0)
    assert node.sent == [(2, tunnelled(packet, CARE_OF[1]))]
    node.forwarder.into_tunnel(packet, "away", 0.0)
    assert len(node.sent) == 1


def test_what_comes_straight_is_written_as_it_was_sent() -> None:
    node = direct_node()
    inner = udp(PEER, HOME)
    assert node.forwarder.from_capture(with_routing_header(inner, CARE_OF[1]), 2, 0.0)
    assert node.written == [inner]
    (state,) = [s for s in node.forwarder.table.states_of(HOME) if s.path.bid == 2]
    assert state.packets_in == 1


def test_a_routing_header_for_somebody_else_is_none_of_ours() -> None:
    node = direct_node()
    assert not node.forwarder.from_capture(
        with_routing_header(udp(PEER, STRANGER), HOME), 1, 0.0
    )
    assert not node.forwarder.from_capture(udp(PEER, HOME), 1, 0.0)
    assert node.written == []


def test_who_is_talked_to_is_told_once_a_second() -> None:
    node = Node()
    used: list[bytes] = []
    node.forwarder.used = used.append
    for step in range(30):
        node.take(udp(HOME, PEER), step * 0.1)
    assert used == [PEER] * 3
    node.forwarder.from_capture(with_routing_header(udp(PEER, HOME), CARE_OF[0]), 1, 10.0)
    assert used == [PEER] * 4


def test_a_correspondent_that_uses_the_tunnel_again_is_suspected() -> None:
    node = direct_node()
    suspected: list[bytes] = []
    node.forwarder.suspected = suspected.append
    node.receive(udp(PEER, HOME), 1.0)
    node.receive(udp(STRANGER, HOME), 1.0)
    assert suspected == [PEER]


def test_too_big_for_the_direct_way_too_is_told_to_the_source() -> None:
    node = direct_node()
    for port in range(9):
        node.written.clear()
        packet = udp(HOME, PEER, port=port, size=1480)
        sent = node.take(packet)
        assert sent == []
        assert len(node.written) == 1


def test_between_the_two_sizes_only_the_direct_way_fits() -> None:
    node = direct_node()
    direct = 0
    for port in range(9):
        packet = udp(HOME, PEER, port=port, size=1470)
        for _, outer in node.take(packet):
            assert without_home_address(outer) == packet
            direct += 1
    assert 4 <= direct < 9


def test_at_home_correspondents_alone_use_the_visited_links() -> None:
    node = Node()
    home = Path(bid=0, care_of_address=HOME, home=True)
    frames: list[bytes] = []
    node.forwarder._exits.home_link._emit = lambda _path, packet: frames.append(packet)
    visited = tuple(
        Path(bid=n, care_of_address=address, direct_only=True)
        for n, address in enumerate(CARE_OF, start=1)
    )
    node.forwarder.table.replace(HOME, (home,))
    node.forwarder.table.replace(DIRECT, visited)
    packets = [udp(HOME, PEER, port=flow) for flow in range(9)]
    for packet in packets:
        assert node.take(packet) == []
    assert frames == packets
    node.forwarder.direct = {PEER: frozenset(CARE_OF)}
    used = set()
    for packet in packets:
        ((bid, outer),) = node.take(packet)
        assert outer == with_home_address(packet, CARE_OF[bid - 1])
        used.add(bid)
    assert used == {1, 2, 3}
    assert node.take(udp(HOME, STRANGER)) == []
    inner = udp(PEER, HOME)
    assert node.forwarder.from_capture(with_routing_header(inner, CARE_OF[2]), 3, 0.0)
    assert node.written == [inner]
    node.forwarder.direct = {}
    frames.clear()
    for packet in packets:
        assert node.take(packet, 0.1) == []
    assert frames == packets


def test_a_packet_to_another_mobile_node_is_one_to_its_home_address() -> None:
    """So it is optimized or not, whatever care-of address its routing header goes by."""
    node = direct_node()
    used: list[bytes] = []
    node.forwarder.used = used.append
    for port in range(9):
        packet = with_routing_header(udp(HOME, PEER, port=port), STRANGER)
        ((bid, outer),) = node.take(packet)
        care_of = CARE_OF[bid - 1]
        if care_of in BOUND:
            assert outer == with_home_address(packet, care_of)
        else:
            assert outer == tunnelled(packet, care_of)
    assert used == [PEER]


def test_the_room_for_a_packet_is_that_of_its_path() -> None:
    node = Node()
    packet = udp(HOME, PEER)
    ((bid, _),) = node.take(packet)
    assert node.forwarder.room(packet, 0.0) == 1460
    node.forwarder.packet_too_big(bid, 1400, udp(HOME, PEER, size=1450), 0.0)
    assert node.forwarder.room(packet, 0.0) == 1360
    node.forwarder.table.replace(HOME, ())
    assert node.forwarder.room(packet, 0.0) == 0
