"""What a home agent's forwarder does with each kind of packet."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import (
    CARE_OF,
    HOME,
    OTHER_CARE_OF,
    OTHER_HOME,
    PATHS,
    PEER,
    SERVICE,
    STRANGER,
    Agent,
    address,
    encapsulate_limited,
    extension,
    fragment_header,
    ipv6,
    tunnelled,
    udp,
)
from mcoa.dataplane.counters import DropReason
from mcoa.dataplane.fragment import Reassembler, fragment_packet
from mcoa.dataplane.icmp import ADDRESS_UNREACHABLE, icmpv6_packet
from mcoa.dataplane.packet import tunnel_prefix
from mcoa.dataplane.table import Path
from mcoa.wire.icmpv6 import (
    DestinationUnreachable,
    EchoReply,
    EchoRequest,
    Icmpv6Message,
    PacketTooBig,
    ParameterProblem,
    TimeExceeded,
    parse_icmpv6,
)
from mcoa.wire.ipv6 import parse_packet

ONE_PATH = (PATHS[0],)


def message_of(packet: bytes) -> Icmpv6Message:
    return parse_icmpv6(packet[40:], packet[8:24], packet[24:40])


def with_two_nodes() -> Agent:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    agent.forwarder.table.replace(OTHER_HOME, (Path(bid=1, care_of_address=OTHER_CARE_OF),))
    return agent


# --- towards the mobile node


def test_a_packet_for_a_bound_home_address_is_encapsulated() -> None:
    (outer,) = Agent().take(udp(traffic_class=0xB9, flow_label=5))
    assert outer == tunnelled(udp(traffic_class=0xB9, flow_label=5), SERVICE, CARE_OF[0])


@pytest.mark.requirement("S3-19")
def test_packets_of_a_flow_take_one_path_and_flows_spread() -> None:
    agent = Agent()
    used = [
        [agent.take(udp(port=5000 + flow))[0][24:40] for _ in range(5)] for flow in range(8)
    ]
    assert all(len(set(of_flow)) == 1 for of_flow in used)
    assert {of_flow[0] for of_flow in used} == set(CARE_OF)


def test_the_kernel_already_lowered_the_hop_limit_of_what_it_forwarded() -> None:
    (outer,) = Agent().take(udp(hop_limit=63))
    assert outer[47] == 63
    (inner,) = Agent().take(tunnelled(udp(HOME, PEER, hop_limit=64)))
    assert inner[7] == 64


def test_a_flow_leaves_a_path_that_is_down_with_its_next_packet() -> None:
    agent = Agent()
    before = agent.take(udp())[0][24:40]
    agent.forwarder.table.path_down(HOME, CARE_OF.index(before) + 1)
    assert agent.take(udp())[0][24:40] != before


def test_the_downlink_follows_the_uplink_at_once() -> None:
    agent = Agent()
    for care_of_address in CARE_OF:
        agent.take(tunnelled(udp(HOME, PEER), care_of_address), 1.0)
        assert agent.take(udp(), 1.0)[0][24:40] == care_of_address


def test_a_late_packet_of_the_old_path_is_forwarded_but_moves_nothing() -> None:
    agent = Agent()
    agent.take(tunnelled(udp(HOME, PEER), CARE_OF[0]), 0.0)
    agent.take(tunnelled(udp(HOME, PEER), CARE_OF[1]), 0.5)
    assert agent.take(tunnelled(udp(HOME, PEER), CARE_OF[0]), 0.6) == [udp(HOME, PEER)]
    assert agent.take(udp(), 0.6)[0][24:40] == CARE_OF[1]


def test_fragments_of_a_packet_follow_their_first_fragment() -> None:
    agent = Agent()
    agent.take(tunnelled(udp(HOME, PEER), CARE_OF[2]))
    first = ipv6(payload=fragment_header(17, 0, more=True) + udp()[40:], protocol=44)
    later = ipv6(payload=fragment_header(17, 64, more=False) + bytes(9), protocol=44)
    assert {agent.take(each)[0][24:40] for each in (first, later)} == {CARE_OF[2]}


def test_without_a_binding_the_source_hears_of_it() -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ())
    (answer,) = agent.take(udp())
    assert answer[24:40] == PEER
    message = message_of(answer)
    assert isinstance(message, DestinationUnreachable)
    assert (message.code, message.invoking_packet) == (3, udp())
    assert agent.drops == {DropReason.NO_BINDING: 1}


def test_too_large_a_packet_is_refused_with_the_tunnel_mtu() -> None:
    agent = Agent()
    assert len(agent.take(udp(size=1460))[0]) == 1500
    (answer,) = agent.take(udp(size=1461))
    message = message_of(answer)
    assert isinstance(message, PacketTooBig)
    assert message.mtu == 1460


def test_rfc2473_7_1_up_to_1280_octets_the_outer_packet_is_fragmented() -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, (Path(bid=1, care_of_address=CARE_OF[0], mtu=1280),))
    assert len(agent.take(udp(size=1240))) == 1
    fragments = agent.take(udp(size=1280))
    assert max(map(len, fragments)) <= 1280
    reassembler = Reassembler()
    assert [reassembler.add(each, 0.0) for each in fragments] == [
        None,
        tunnelled(udp(size=1280), SERVICE, CARE_OF[0]),
    ]
    (answer,) = agent.take(udp(size=1281))
    message = message_of(answer)
    assert isinstance(message, PacketTooBig)
    assert message.mtu == 1280
    assert agent.forwarder.snapshot(0.0).fragments["made"] == 2


def test_a_tunnel_packet_of_ours_that_comes_back_is_not_tunnelled_again() -> None:
    agent = Agent()
    assert agent.take(tunnelled(udp(), SERVICE, HOME)) == []
    assert agent.reports == [(DropReason.LOOP, SERVICE, HOME)]


def test_rfc2473_4_1_1_tunnel_packets_get_an_encapsulation_limit() -> None:
    nested = tunnelled(udp(PEER, STRANGER), PEER, HOME)
    agent = Agent()
    for _ in range(2):
        outer = parse_packet(agent.take(nested)[0])
        assert (outer.tunnel_encapsulation_limit, outer.payload) == (4, nested)
    part = fragment_packet(tunnelled(udp(size=1400), PEER, HOME), 1280, 7)[1]
    outer = parse_packet(agent.take(part)[0])
    assert (outer.tunnel_encapsulation_limit, outer.payload) == (4, part)


@pytest.mark.parametrize("size", [60, 500, 1200, 1280])
def test_two_agents_that_are_bound_to_each_other_do_not_tunnel_for_ever(size: int) -> None:
    one, other = Agent(), Agent(service=address("2001:db8:2::1"))
    elsewhere = address("2001:db8:2::100")
    one.forwarder.table.replace(HOME, (Path(bid=1, care_of_address=elsewhere, mtu=1280),))
    other.forwarder.table.replace(HOME, ())
    other.forwarder.table.replace(elsewhere, (Path(bid=1, care_of_address=HOME, mtu=1280),))
    agents = {address("2001:db8:1::")[:8]: one, address("2001:db8:2::")[:8]: other}
    waiting, hops = [udp(PEER, HOME, size=size)], 0
    while waiting:
        packet, hops = waiting.pop(0), hops + 1
        if packet[24:32] in agents:
            waiting += agents[packet[24:32]].take(packet)
        assert hops < 50


def test_rfc2473_4_1_1_a_used_up_encapsulation_limit_is_refused() -> None:
    agent = Agent()
    limited = encapsulate_limited(udp(PEER, STRANGER), tunnel_prefix(PEER, HOME), 0)
    (answer,) = agent.take(limited)
    message = message_of(answer)
    assert isinstance(message, ParameterProblem)
    assert (message.pointer, limited[message.pointer]) == (44, 0)


def test_rfc2473_4_1_1_an_encapsulation_limit_goes_on_one_lower() -> None:
    limited = encapsulate_limited(udp(PEER, STRANGER), tunnel_prefix(PEER, HOME), 4)
    outer = parse_packet(Agent().take(limited)[0])
    assert (outer.tunnel_encapsulation_limit, outer.protocol, outer.payload) == (3, 41, limited)


@pytest.mark.parametrize(
    "noise",
    [
        ipv6(address("fe80::1"), address("ff02::16"), bytes(8), 0),
        ipv6(bytes(16), address("ff02::2")),
    ],
)
def test_the_kernels_own_multicast_is_ignored(noise: bytes) -> None:
    agent = Agent()
    assert agent.take(noise) == []
    assert agent.drops == {}


# --- from the mobile node


@pytest.mark.requirement("S9-02")
def test_tunnel_packets_from_every_registered_care_of_address_are_forwarded() -> None:
    agent = Agent()
    for care_of_address in CARE_OF:
        assert agent.take(tunnelled(udp(HOME, PEER), care_of_address)) == [udp(HOME, PEER)]


@pytest.mark.parametrize(
    ("outer_source", "inner_source"),
    [(STRANGER, HOME), (CARE_OF[0], OTHER_HOME), (CARE_OF[0], STRANGER), (OTHER_CARE_OF, HOME)],
)
def test_a_tunnel_packet_not_registered_for_its_inner_source_is_dropped_and_reported(
    outer_source: bytes, inner_source: bytes
) -> None:
    agent = Agent()
    agent.forwarder.table.replace(OTHER_HOME, (Path(bid=1, care_of_address=OTHER_CARE_OF),))
    assert agent.take(tunnelled(udp(inner_source, PEER), outer_source)) == []
    assert agent.reports == [(DropReason.NOT_REGISTERED, outer_source, inner_source)]


def test_a_known_flow_does_not_open_the_door_for_another_outer_source() -> None:
    agent = Agent()
    agent.take(tunnelled(udp(HOME, PEER)))
    assert agent.take(tunnelled(udp(HOME, PEER), STRANGER)) == []
    agent.forwarder.table.replace(HOME, PATHS[1:])
    assert agent.take(tunnelled(udp(HOME, PEER))) == []
    assert agent.drops == {DropReason.NOT_REGISTERED: 2}


def test_reports_of_a_flood_are_few_and_all_is_counted() -> None:
    agent = Agent()
    for _ in range(1000):
        agent.take(tunnelled(udp(HOME, PEER), STRANGER))
    assert len(agent.reports) == 10
    assert agent.drops == {DropReason.NOT_REGISTERED: 1000}


@pytest.mark.requirement("S9.3.1-02")
def test_a_reverse_tunnelled_home_test_init_is_forwarded_from_any_registered_care_of_address() -> (
    None
):
    home_test_init = ipv6(HOME, PEER, bytes((59, 1, 1, 0)) + bytes(12), 135)
    for care_of_address in CARE_OF:
        assert Agent().take(tunnelled(home_test_init, care_of_address)) == [home_test_init]


@pytest.mark.requirement("S9.3.1-03")
def test_a_home_test_init_from_an_unregistered_outer_source_is_dropped_in_silence() -> None:
    home_test_init = ipv6(HOME, PEER, bytes((59, 1, 1, 0)) + bytes(12), 135)
    assert Agent().take(tunnelled(home_test_init, STRANGER)) == []


def test_ecn_marks_of_the_tunnel_reach_the_inner_packet() -> None:
    agent = Agent()
    for _ in range(3):  # the usual packet first, so that the flow is known
        outer = bytearray(tunnelled(udp(HOME, PEER, traffic_class=2)))
        assert agent.take(bytes(outer)) == [udp(HOME, PEER, traffic_class=2)]
        outer[1] |= 0x30
        assert agent.take(bytes(outer)) == [udp(HOME, PEER, traffic_class=3)]
    outer = bytearray(tunnelled(udp(HOME, PEER)))
    outer[1] |= 0x30
    assert agent.take(bytes(outer)) == []
    assert agent.drops == {DropReason.CONGESTION: 1}


@pytest.mark.parametrize(
    "inner",
    [
        udp(HOME, address("ff0e::1")),
        udp(HOME, address("fe80::1")),
        udp(HOME, PEER)[:-1],
        udp(HOME, PEER) + b"!",
        b"\x45" + udp(HOME, PEER)[1:],
        b"",
        b"\x60",
    ],
)
def test_what_must_not_come_out_of_a_tunnel_does_not(inner: bytes) -> None:
    agent = Agent()
    agent.take(tunnelled(udp(HOME, PEER)))
    head = tunnelled(inner or b"\x60\0\0\0")
    outer = head[:40] + inner
    assert agent.take(outer[:4] + len(inner).to_bytes(2, "big") + outer[6:]) == []
    assert len(agent.reports) == 1


def test_a_tunnel_encapsulation_limit_from_the_other_end_is_tolerated() -> None:
    limited = encapsulate_limited(udp(HOME, PEER), tunnel_prefix(CARE_OF[0], SERVICE), 4)
    assert Agent().take(limited) == [udp(HOME, PEER)]


@pytest.mark.parametrize(
    "options",
    [b"\xc9\x10" + HOME, b"\x43\x02\0\0"],
    ids=["a Home Address option", "an option that must be known"],
)
def test_other_headers_before_a_tunnelled_packet_are_not(options: bytes) -> None:
    agent = Agent()
    outer = ipv6(CARE_OF[0], SERVICE, extension(41, options) + udp(HOME, PEER), 60)
    assert agent.take(outer) == []
    assert agent.drops == {DropReason.MALFORMED: 1}


def test_a_tunnel_packet_in_fragments_is_put_together() -> None:
    agent = Agent()
    one, two = fragment_packet(tunnelled(udp(HOME, PEER, size=1280)), 1280, 7)
    assert agent.take(two) == []
    assert agent.take(one) == [udp(HOME, PEER, size=1280)]
    assert agent.forwarder.snapshot(0.0).fragments == {"made": 0, "reassembled": 1}


# --- from one mobile node to another


def test_between_two_mobile_nodes_a_packet_turns_around_with_a_lower_hop_limit() -> None:
    agent = with_two_nodes()
    for _ in range(3):
        (outer,) = agent.take(tunnelled(udp(HOME, OTHER_HOME, hop_limit=64)))
        assert outer == tunnelled(udp(HOME, OTHER_HOME, hop_limit=63), SERVICE, OTHER_CARE_OF)


def test_a_flow_to_a_home_address_that_gets_bound_turns_around_from_then_on() -> None:
    agent = Agent()
    packet = tunnelled(udp(HOME, OTHER_HOME))
    assert agent.take(packet) == [udp(HOME, OTHER_HOME)]
    agent.forwarder.table.replace(OTHER_HOME, (Path(bid=1, care_of_address=OTHER_CARE_OF),))
    assert agent.take(packet)[0][24:40] == OTHER_CARE_OF


def test_a_hop_limit_that_ends_at_the_agent_is_told_through_the_tunnel() -> None:
    agent = with_two_nodes()
    (outer,) = agent.take(tunnelled(udp(HOME, OTHER_HOME, hop_limit=1)))
    assert outer[24:40] == CARE_OF[0]
    message = message_of(outer[40:])
    assert isinstance(message, TimeExceeded)


def test_too_large_a_packet_between_mobile_nodes_is_refused_through_the_tunnel() -> None:
    agent = with_two_nodes()
    agent.forwarder.table.replace(
        OTHER_HOME, (Path(bid=1, care_of_address=OTHER_CARE_OF, mtu=1400),)
    )
    (outer,) = agent.take(tunnelled(udp(HOME, OTHER_HOME, size=1400)))
    assert outer[24:40] == CARE_OF[0]
    message = message_of(outer[40:])
    assert isinstance(message, PacketTooBig)
    assert message.mtu == 1360


def test_a_packet_that_no_tunnel_header_can_describe_is_refused() -> None:
    agent = with_two_nodes()
    (answer,) = agent.take(udp(PEER, HOME, size=65536))
    assert isinstance(message_of(answer), PacketTooBig)
    inner = udp(HOME, OTHER_HOME, size=65487)
    inner = encapsulate_limited(inner, tunnel_prefix(HOME, OTHER_HOME), 4)
    for fragment in fragment_packet(tunnelled(inner), 1280, 7):
        written = agent.take(fragment)
    assert isinstance(message_of(written[0][40:]), PacketTooBig)
    assert agent.drops == {DropReason.TOO_BIG: 2}


# --- to the agent itself


def test_mobility_headers_and_home_address_options_go_up() -> None:
    agent = Agent()
    mobility = ipv6(CARE_OF[0], SERVICE, bytes((59, 0, 1, 0)) + bytes(4), 135)
    update = ipv6(
        CARE_OF[0], SERVICE, extension(135, b"\x01\x02\0\0\xc9\x10" + HOME) + mobility[40:], 60
    )
    prefix_solicitation = ipv6(CARE_OF[0], SERVICE, b"\x92\0\0\0" + bytes(4), 58)
    with_option = ipv6(
        CARE_OF[0], SERVICE, extension(17, b"\x01\x02\0\0\xc9\x10" + HOME) + bytes(8), 60
    )
    for packet in (mobility, update, with_option):
        assert agent.take(packet) == []
    assert agent.delivered == [mobility, update, with_option]
    assert agent.take(prefix_solicitation) == []
    assert agent.drops == {DropReason.MALFORMED: 1}  # its checksum is wrong


def test_a_mobility_header_in_fragments_goes_up_whole() -> None:
    agent = Agent()
    mobility = ipv6(CARE_OF[0], SERVICE, bytes((59, 0, 1, 0)) + bytes(2000), 135)
    for fragment in fragment_packet(mobility, 1280, 7):
        agent.take(fragment)
    assert agent.delivered == [mobility]


def test_an_echo_request_to_the_service_address_is_answered() -> None:
    request = EchoRequest(identifier=7, sequence=8, data=b"data")
    (answer,) = Agent().take(icmpv6_packet(request, PEER, SERVICE))
    assert (answer[8:24], answer[24:40]) == (SERVICE, PEER)
    assert message_of(answer) == EchoReply(identifier=7, sequence=8, data=b"data")


def test_a_large_echo_request_is_answered_in_fragments() -> None:
    agent = Agent()
    request = EchoRequest(identifier=7, sequence=8, data=bytes(3000))
    answers: list[bytes] = []
    for fragment in fragment_packet(icmpv6_packet(request, PEER, SERVICE), 1280, 7):
        answers += agent.take(fragment)
    reassembler = Reassembler()
    whole = [reassembler.add(answer, 0.0) for answer in answers][-1]
    assert whole
    assert message_of(whole) == EchoReply(identifier=7, sequence=8, data=bytes(3000))


def test_a_mobile_node_may_ping_its_agent_through_the_tunnel() -> None:
    agent = Agent()
    request = EchoRequest(identifier=7, sequence=8)
    (outer,) = agent.take(tunnelled(icmpv6_packet(request, HOME, SERVICE), CARE_OF[1]))
    assert outer[24:40] == CARE_OF[1]
    assert message_of(outer[40:]) == EchoReply(identifier=7, sequence=8)


def test_signalling_inside_a_tunnel_is_not_taken_for_signalling() -> None:
    agent = Agent()
    agent.take(tunnelled(ipv6(HOME, SERVICE, bytes((59, 0, 1, 0)) + bytes(4), 135)))
    assert agent.delivered == []
    assert agent.drops == {DropReason.NOT_SERVED: 1}


def test_other_services_are_not_there() -> None:
    agent = Agent()
    (answer,) = agent.take(udp(PEER, SERVICE))
    message = message_of(answer)
    assert isinstance(message, DestinationUnreachable)
    assert message.code == 4
    assert agent.take(ipv6(PEER, SERVICE, bytes(8), 47)) == []


def test_a_broken_packet_for_a_home_address_goes_nowhere() -> None:
    agent = Agent()
    assert agent.take(udp()[:-1]) == []
    assert agent.take(udp(address("fe80::1"))) == []
    assert agent.drops == {DropReason.MALFORMED: 1, DropReason.NOT_FORWARDABLE: 1}


def test_an_echo_request_from_a_link_local_address_is_not_answered() -> None:
    request = EchoRequest(identifier=7, sequence=8)
    agent = Agent()
    assert agent.take(icmpv6_packet(request, address("fe80::1"), SERVICE)) == []
    assert agent.drops == {DropReason.NOT_FORWARDABLE: 1}


def test_fragments_inside_fragments_are_dropped() -> None:
    agent = Agent()
    inside = fragment_header(41, 8, more=False) + bytes(2000)
    for fragment in fragment_packet(ipv6(PEER, SERVICE, inside, 44), 1280, 7):
        agent.take(fragment)
    assert agent.drops == {DropReason.MALFORMED: 1}


# --- Packet Too Big


def too_big(quoted: bytes, mtu: int = 1400, source: bytes = STRANGER) -> bytes:
    return icmpv6_packet(PacketTooBig(mtu=mtu, invoking_packet=quoted[:1232]), source, SERVICE)


def test_packet_too_big_about_a_tunnel_of_ours_is_believed_and_passed_on() -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    (outer,) = agent.take(udp(size=1460))
    (answer,) = agent.take(too_big(outer))
    assert answer[24:40] == PEER
    message = message_of(answer)
    assert isinstance(message, PacketTooBig)
    assert message.mtu == 1360
    (answer,) = agent.take(udp(size=1361))
    assert isinstance(message_of(answer), PacketTooBig)
    assert len(agent.take(udp(size=1360))) == 1
    assert len(agent.take(udp(size=1460), 600.0)[0]) == 1500


@pytest.mark.parametrize(
    "quoted",
    [
        tunnelled(udp(size=1460), SERVICE, OTHER_CARE_OF),
        tunnelled(udp(PEER, OTHER_HOME, size=1460), SERVICE, CARE_OF[0]),
        tunnelled(udp(size=1460), STRANGER, CARE_OF[0]),
    ],
)
def test_packet_too_big_about_what_we_never_sent_changes_nothing(quoted: bytes) -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    agent.take(too_big(quoted))
    assert len(agent.take(udp(size=1460))[0]) == 1500


UNDELIVERED = [
    *(DestinationUnreachable(code=code, invoking_packet=b"") for code in (0, 1, 3, 5)),
    TimeExceeded(invoking_packet=b""),
]


def about(message: DestinationUnreachable | TimeExceeded, quoted: bytes) -> bytes:
    """Return what a router inside the tunnel says about a packet."""
    return icmpv6_packet(replace(message, invoking_packet=quoted[:1232]), STRANGER, SERVICE)


@pytest.mark.parametrize("message", UNDELIVERED)
def test_rfc6275_9_3_4_what_did_not_reach_the_last_care_of_address_is_told(
    message: DestinationUnreachable | TimeExceeded,
) -> None:
    """RFC 2473 8.3: whatever was said, the source hears that the address is not reached."""
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    packet = udp()
    (outer,) = agent.take(packet)
    (answer,) = agent.take(about(message, outer))
    assert (answer[8:24], answer[24:40]) == (SERVICE, PEER)
    told = message_of(answer)
    assert isinstance(told, DestinationUnreachable)
    assert (told.code, told.invoking_packet) == (ADDRESS_UNREACHABLE, packet)


def test_another_path_may_carry_what_one_did_not() -> None:
    agent = Agent()
    (outer,) = agent.take(udp())
    assert agent.take(about(UNDELIVERED[0], outer)) == []
    for each in PATHS[1:]:
        agent.forwarder.table.path_down(HOME, each.bid)
    (outer,) = agent.take(udp(port=6000))
    assert len(agent.take(about(UNDELIVERED[0], outer))) == 1


@pytest.mark.parametrize(
    "message",
    [
        DestinationUnreachable(code=4, invoking_packet=b""),
        TimeExceeded(code=1, invoking_packet=b""),
    ],
)
def test_what_a_care_of_address_itself_says_is_not_passed_on(
    message: DestinationUnreachable | TimeExceeded,
) -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    (outer,) = agent.take(udp())
    assert agent.take(about(message, outer)) == []


@pytest.mark.parametrize(
    "quoted",
    [
        tunnelled(udp(), SERVICE, OTHER_CARE_OF),
        tunnelled(udp(PEER, OTHER_HOME), SERVICE, CARE_OF[0]),
        tunnelled(udp(), STRANGER, CARE_OF[0]),
    ],
)
def test_an_error_about_what_we_never_sent_is_not_passed_on(quoted: bytes) -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    assert agent.take(about(UNDELIVERED[0], quoted)) == []


def test_errors_that_are_passed_on_are_limited() -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    (outer,) = agent.take(udp())
    assert sum(len(agent.take(about(UNDELIVERED[0], outer))) for _ in range(500)) == 50


def test_packet_too_big_below_1280_means_1280() -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    (outer,) = agent.take(udp(size=1460))
    agent.take(too_big(outer, mtu=100))
    assert max(map(len, agent.take(udp(size=1280)))) <= 1280


def test_an_error_with_a_wrong_checksum_is_not_believed() -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    (outer,) = agent.take(udp(size=1460))
    wrong = bytearray(too_big(outer))
    wrong[45] ^= 1
    agent.take(bytes(wrong))
    assert len(agent.take(udp(size=1460))[0]) == 1500


def test_errors_about_tunnels_stay_here_and_others_go_up() -> None:
    agent = Agent()
    (outer,) = agent.take(udp())
    unreachable = DestinationUnreachable(invoking_packet=outer)
    agent.take(icmpv6_packet(unreachable, STRANGER, SERVICE))
    assert agent.delivered == []
    acknowledgement = ipv6(SERVICE, CARE_OF[0], bytes((59, 1, 6, 0)) + bytes(12), 135)
    about_signalling = icmpv6_packet(
        DestinationUnreachable(invoking_packet=acknowledgement), STRANGER, SERVICE
    )
    agent.take(about_signalling)
    assert agent.delivered == [about_signalling]


# --- the whole


def test_counters_tell_each_path_and_direction() -> None:
    agent = Agent()
    agent.forwarder.table.replace(HOME, ONE_PATH)
    for _ in range(3):
        agent.take(udp(size=100))
    for _ in range(2):
        agent.take(tunnelled(udp(HOME, PEER, size=200)))
    (path,) = agent.forwarder.snapshot(0.0).paths
    assert (path.packets_out, path.octets_out, path.packets_in, path.octets_in) == (
        3,
        300,
        2,
        400,
    )
    assert (path.bid, path.link, path.active_flows, path.tunnel_mtu) == (1, "lte", 1, 1460)


def test_old_flows_and_fragments_are_forgotten() -> None:
    agent = Agent()
    agent.take(udp())
    agent.take(fragment_packet(tunnelled(udp(HOME, PEER, size=1280)), 1280, 7)[0])
    agent.forwarder.expire(1000.0)
    snapshot = agent.forwarder.snapshot(1000.0)
    assert snapshot.flows == 0
    assert snapshot.fragments["too late"] == 1


addresses = st.sampled_from([HOME, OTHER_HOME, PEER, SERVICE, STRANGER, *CARE_OF])


@given(
    st.binary(max_size=120),
    st.sampled_from([0, 6, 17, 41, 43, 44, 58, 60, 135]),
    addresses,
    addresses,
)
def test_any_octets_from_the_device_are_dealt_with(
    data: bytes, protocol: int, source: bytes, destination: bytes
) -> None:
    agent = with_two_nodes()
    packet = ipv6(source, destination, data, protocol)
    for octets in (packet, tunnelled(packet, CARE_OF[0]), tunnelled(tunnelled(packet)), data):
        agent.take(octets)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.0, 2.0]),
            st.integers(0, 3),
            st.integers(0, 2),
            st.integers(0, 3),
            st.booleans(),
            st.sampled_from([6, 17, 50, 58]),
        ),
        max_size=25,
    )
)
def test_the_short_way_does_what_the_full_way_does(
    packets: list[tuple[float, int, int, int, bool, int]],
) -> None:
    short, full = Agent(), Agent()
    full.forwarder._outbound, full.forwarder._inbound = {}, {}
    now = 0.0
    for pause_s, port, link, ecn, uplink, protocol in packets:
        now += pause_s
        there, back = (
            (HOME, PEER) if uplink else (PEER, HOME),
            bytes((128, 0, 0, 0, 0, port)) * 2,
        )
        packet = ipv6(*there, back, protocol, traffic_class=ecn)
        if uplink:
            packet = bytearray(tunnelled(packet, CARE_OF[link]))
            packet[1] = packet[1] & 0xCF | (port & 3) << 4
        assert short.take(bytes(packet), now) == full.take(bytes(packet), now)
    assert short.forwarder.snapshot(now) == full.forwarder.snapshot(now)
