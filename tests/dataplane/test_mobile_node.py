"""What a mobile node's forwarder does with each kind of packet."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import (
    CARE_OF,
    HOME,
    PATHS,
    PEER,
    SERVICE,
    STRANGER,
    Node,
    address,
    ipv6,
    tunnelled,
    udp,
)
from mcoa.dataplane.counters import DropReason
from mcoa.dataplane.fragment import Reassembler
from mcoa.dataplane.home_agent import HomeAgentForwarder, prefix_from
from mcoa.dataplane.mobile_node import MobileNodeForwarder, prefix_to
from mcoa.dataplane.table import ForwardingTable, Path
from mcoa.wire.icmpv6 import PacketTooBig, parse_icmpv6


def told_mtu(packet: bytes) -> int:
    message = parse_icmpv6(packet[40:], packet[8:24], packet[24:40])
    assert isinstance(message, PacketTooBig)
    return message.mtu


def test_a_packet_of_the_home_address_goes_to_the_agent_from_the_care_of_address_of_its_path() -> (
    None
):
    packet = udp(HOME, PEER, traffic_class=0xB9, hop_limit=64)
    assert Node().take(packet) == [(1, tunnelled(packet, CARE_OF[0]))]


@pytest.mark.requirement("S3-19")
def test_packets_of_a_flow_take_one_path_and_flows_spread() -> None:
    node = Node()
    used = [
        [node.take(udp(HOME, PEER, port=flow))[0][0] for _ in range(5)] for flow in range(8)
    ]
    assert all(len(set(of_flow)) == 1 for of_flow in used)
    assert {of_flow[0] for of_flow in used} == {1, 2, 3}


def test_flows_leave_a_link_that_goes_with_their_next_packet() -> None:
    node = Node()
    packets = [udp(HOME, PEER, port=flow) for flow in range(8)]
    assert {node.take(packet)[0][0] for packet in packets} == {1, 2, 3}
    node.forwarder.table.path_down(HOME, 1)
    assert {node.take(packet)[0][0] for packet in packets} == {2, 3}


def test_an_answer_goes_back_the_way_the_question_came() -> None:
    node = Node()
    assert node.receive(udp(), bid=3) == [udp()]
    assert node.take(udp(HOME, PEER))[0][0] == 3


def test_an_inbound_packet_does_not_move_a_flow() -> None:
    node = Node()
    assert node.take(udp(HOME, PEER))[0][0] == 1
    assert node.receive(udp(), bid=3) == [udp()]
    assert node.take(udp(HOME, PEER))[0][0] == 1


@pytest.mark.requirement("S9.3.1-05")
def test_a_home_test_is_accepted_through_the_tunnel_of_any_care_of_address() -> None:
    home_test = ipv6(PEER, HOME, bytes((59, 2, 3, 0)) + bytes(20), 135)
    for bid in (1, 2, 3):
        assert Node().receive(home_test, bid=bid) == [home_test]


def test_rfc6275_11_3_tunnel_packets_come_from_the_home_agent_only() -> None:
    node = Node()
    node.receive(udp())
    assert node.receive(udp(), outer_source=STRANGER) == []
    assert node.reports == [(DropReason.NOT_FROM_HOME_AGENT, STRANGER, PEER)]


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        (udp(PEER, STRANGER), DropReason.NOT_HOME_ADDRESS),
        (udp()[:-1], DropReason.MALFORMED),
        (b"", DropReason.MALFORMED),
        (b"\x45" + udp()[1:], DropReason.MALFORMED),
        (udp(address("fe80::1")), DropReason.NOT_FORWARDABLE),
    ],
)
def test_what_must_not_come_out_of_a_tunnel_does_not(inner: bytes, reason: DropReason) -> None:
    node = Node()
    node.receive(udp())
    assert node.receive(inner, traffic_class=0) == []
    assert [report[0] for report in node.reports] == [reason]


def test_a_packet_in_flight_on_a_path_that_was_given_up_still_arrives() -> None:
    node = Node()
    node.forwarder.table.replace(HOME, PATHS[1:])
    assert node.receive(udp(), bid=1) == [udp()]
    node.forwarder.table.replace(HOME, ())
    assert node.receive(udp(), bid=1) == [udp()]


def test_ecn_marks_of_the_tunnel_reach_the_inner_packet() -> None:
    node = Node()
    capable = udp(traffic_class=2)
    for _ in range(3):
        assert node.receive(capable, traffic_class=2) == [capable]
        assert node.receive(capable, traffic_class=3) == [udp(traffic_class=3)]
    assert node.receive(udp(), traffic_class=3) == []
    assert node.drops == {DropReason.CONGESTION: 1}


def test_packets_from_other_addresses_do_not_leave() -> None:
    node = Node()
    assert node.take(udp(CARE_OF[0], PEER)) == []
    assert node.drops == {DropReason.NOT_HOME_ADDRESS: 1}


def test_packets_to_where_no_router_forwards_do_not_leave() -> None:
    node = Node()
    assert node.take(udp(HOME, address("fe80::1"))) == []
    assert node.drops == {DropReason.NOT_FORWARDABLE: 1}


@pytest.mark.parametrize(
    "noise",
    [
        ipv6(address("fe80::1"), address("ff02::16"), bytes(8), 0),
        udp(HOME, address("ff02::fb")),
    ],
)
def test_the_kernels_own_multicast_is_ignored(noise: bytes) -> None:
    node = Node()
    assert node.take(noise) == []
    assert node.drops == {}


def test_without_a_path_packets_are_dropped_and_counted() -> None:
    node = Node()
    node.forwarder.table.replace(HOME, ())
    assert node.take(udp(HOME, PEER)) == []
    assert node.written == []
    assert node.drops == {DropReason.NO_BINDING: 1}


def test_too_large_a_packet_is_refused_with_the_tunnel_mtu_of_its_path() -> None:
    node = Node()
    assert node.take(udp(HOME, PEER, size=1461)) == []
    (answer,) = node.written
    assert (answer[24:40], told_mtu(answer)) == (HOME, 1460)


def test_rfc2473_7_1_up_to_1280_octets_the_outer_packet_is_fragmented() -> None:
    node = Node()
    node.forwarder.table.replace(HOME, (Path(bid=1, care_of_address=CARE_OF[0], mtu=1280),))
    fragments = [packet for _, packet in node.take(udp(HOME, PEER, size=1280))]
    reassembler = Reassembler()
    assert [reassembler.add(each, 0.0) for each in fragments] == [
        None,
        tunnelled(udp(HOME, PEER, size=1280)),
    ]


def test_a_link_that_takes_less_than_it_said_is_learned_from_the_refusal() -> None:
    node = Node(device_mtu=1400)
    node.forwarder.table.replace(HOME, PATHS[:1])
    for _ in range(2):
        assert len(node.take(udp(HOME, PEER, size=100))) == 1
        assert node.take(udp(HOME, PEER, size=1400)) == []
        assert told_mtu(node.written.pop()) == 1360
    assert len(node.take(udp(HOME, PEER, size=1360))) == 1
    assert node.drops == {DropReason.TOO_BIG: 2}


def test_a_known_flow_learns_from_a_refusal_too() -> None:
    node = Node()
    node.forwarder.table.replace(HOME, PATHS[:1])
    node.take(udp(HOME, PEER, size=1400))
    node.device_mtu = 1300
    assert node.take(udp(HOME, PEER, size=1400)) == []
    assert told_mtu(node.written.pop()) == 1280


def test_a_small_packet_that_is_refused_leaves_in_fragments() -> None:
    node = Node(device_mtu=1280)
    assert len(node.take(udp(HOME, PEER, size=1280))) == 2


def test_a_path_that_refuses_everything_is_not_tried_for_ever() -> None:
    node = Node(device_mtu=100)
    assert node.take(udp(HOME, PEER, size=1200)) == []
    assert node.drops == {DropReason.TOO_BIG: 1}


def test_a_refusal_amid_fragments_makes_them_smaller() -> None:
    node = Node(device_mtu=1300)
    node.forwarder.table.replace(HOME, (Path(bid=1, care_of_address=CARE_OF[0], mtu=1310),))
    assert [len(packet) for _, packet in node.take(udp(HOME, PEER, size=1275))][-2:] == [
        1296,
        75,
    ]


def test_what_the_network_says_about_a_path_is_passed_on_to_the_source() -> None:
    node = Node()
    packet = udp(HOME, PEER, size=1460)
    node.forwarder.packet_too_big(1, 1400, packet[:1000], 0.0)
    assert told_mtu(node.written.pop()) == 1360
    node.forwarder.table.replace(HOME, PATHS[:1])
    assert node.take(packet) == []
    assert told_mtu(node.written.pop()) == 1360


def test_rfc2473_8_3_what_did_not_get_out_by_the_last_path_is_told() -> None:
    node = Node()
    packet = udp(HOME, PEER)
    node.forwarder.undelivered(1, packet, 0.0)
    assert node.written == []  # another path may carry it
    node.forwarder.table.replace(HOME, PATHS[:1])
    node.forwarder.undelivered(2, packet, 0.0)
    node.forwarder.undelivered(1, udp(STRANGER, PEER), 0.0)
    assert node.written == []
    node.forwarder.undelivered(1, packet, 0.0)
    (answer,) = node.written
    assert answer[24:40] == HOME
    assert (answer[40:42], answer[48:]) == (b"\1\3", packet)


@pytest.mark.parametrize("quoted", [udp(STRANGER, PEER, size=1460), udp(HOME, PEER)[:39]])
def test_what_quotes_no_packet_of_ours_is_not_believed(quoted: bytes) -> None:
    node = Node()
    node.forwarder.packet_too_big(1, 1400, quoted, 0.0)
    node.forwarder.packet_too_big(9, 1400, udp(HOME, PEER), 0.0)
    assert node.written == []
    assert {path.tunnel_mtu for path in node.forwarder.snapshot(0.0).paths} == {1460}


def test_counters_tell_each_path_and_direction_and_outlive_the_link() -> None:
    node = Node()
    node.forwarder.table.replace(HOME, PATHS[:1])
    for _ in range(3):
        node.take(udp(HOME, PEER, size=100))
    for _ in range(2):
        node.receive(udp(size=200))
    node.forwarder.table.replace(HOME, ())
    node.forwarder.expire(0.0)
    (path,) = node.forwarder.snapshot(0.0).paths
    assert (path.packets_out, path.octets_out, path.packets_in, path.octets_in) == (
        3,
        300,
        2,
        400,
    )
    assert (path.link, path.bound) == ("lte", False)


def test_forwarders_use_the_table_they_are_given_though_it_is_empty() -> None:
    node_table = ForwardingTable(follows_inbound=False, prefix=prefix_to(SERVICE))
    agent_table = ForwardingTable(follows_inbound=True, prefix=prefix_from(SERVICE))
    node = MobileNodeForwarder(
        home_address=HOME,
        home_agent=SERVICE,
        send=lambda _path, _packet: None,
        write=bytes,
        report=lambda *_drop: None,
        rng=Random(1),
        table=node_table,
    )
    agent = HomeAgentForwarder(
        address=SERVICE,
        write=bytes,
        deliver=bytes,
        report=lambda *_drop: None,
        rng=Random(1),
        table=agent_table,
    )
    assert (node.table, agent.table) == (node_table, agent_table)


addresses = st.sampled_from([HOME, PEER, SERVICE, STRANGER])


@given(
    st.binary(max_size=80),
    st.sampled_from([0, 6, 17, 41, 43, 44, 58, 60]),
    addresses,
    addresses,
)
def test_any_octets_are_dealt_with(
    data: bytes, protocol: int, source: bytes, destination: bytes
) -> None:
    node = Node()
    for octets in (ipv6(source, destination, data, protocol), data):
        node.take(octets)
        node.receive(octets, traffic_class=3)
        node.forwarder.packet_too_big(1, 1300, octets, 0.0)
        node.forwarder.undelivered(1, octets, 0.0)
