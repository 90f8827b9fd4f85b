"""Flow bindings in the forwarding table: what a selector matches, and where flows go."""

from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.packets import HOME, PATHS, PEER, Agent, extension, ipv6, ports, tunnelled, udp
from mcoa.binding.flow_bindings import FlowBinding
from mcoa.dataplane.flow_selection import BoundFlow, BoundFlows
from mcoa.wire.ipv6 import parse_packet
from mcoa.wire.selectors import Ipv4TrafficSelector, Ipv6TrafficSelector, TrafficSelector

BIDS = [path.bid for path in PATHS]
FAR, NEAR = IPv6Address(PEER), IPv6Address(HOME)


def binding(selector: TrafficSelector, *bids: int, fid: int = 1) -> FlowBinding:
    return FlowBinding(fid=fid, priority=fid, selector=selector, bids=bids or (BIDS[0],))


def bound(flows: list[FlowBinding]) -> BoundFlows:
    return BoundFlows(BoundFlow.told(flows), BIDS)


def test_the_interface_that_a_packet_came_in_by_may_matter() -> None:
    anything = Ipv6TrafficSelector()
    office = BoundFlow("office", anything, (BIDS[0],), copies=False, origins=("lan", "wlan"))
    other = BoundFlow("other", anything, (BIDS[1],), copies=False)
    flows = BoundFlows([office, other], BIDS)
    assert flows.rule_for(udp(), "lan") is flows.rule_for(udp(), "wlan") is office
    assert flows.rule_for(udp(), "eth0") is flows.rule_for(udp()) is other
    assert BoundFlows([office], BIDS).rule_for(udp(), "eth0") is None


def matches(selector: Ipv6TrafficSelector, packet: bytes) -> bool:
    return bound([binding(selector)]).rule_for(packet) is not None


@pytest.mark.parametrize(
    "selector",
    [
        Ipv6TrafficSelector(),
        Ipv6TrafficSelector(start_source=FAR),
        Ipv6TrafficSelector(start_source=IPv6Address("::"), end_source=FAR),
        Ipv6TrafficSelector(start_destination=NEAR),
        Ipv6TrafficSelector(start_source_port=5000, start_destination_port=80),
        Ipv6TrafficSelector(start_source_port=4000, end_source_port=6000),
        Ipv6TrafficSelector(start_next_header=17),
        Ipv6TrafficSelector(start_next_header=6, end_next_header=17),
        Ipv6TrafficSelector(start_flow_label=0, end_flow_label=5),
        Ipv6TrafficSelector(start_traffic_class=0),
    ],
)
@pytest.mark.requirement("S3-16")
def test_a_packet_that_is_meant_matches(selector: Ipv6TrafficSelector) -> None:
    assert matches(selector, udp())


@pytest.mark.parametrize(
    "selector",
    [
        Ipv6TrafficSelector(start_source=NEAR),
        Ipv6TrafficSelector(start_destination=FAR),
        Ipv6TrafficSelector(start_source_port=80),
        Ipv6TrafficSelector(start_source_port=4000, end_source_port=4999),
        Ipv6TrafficSelector(start_next_header=6),
        Ipv6TrafficSelector(start_flow_label=1),
        Ipv6TrafficSelector(start_traffic_class=4, end_traffic_class=255),
        Ipv6TrafficSelector(start_spi=0, end_spi=0xFFFFFFFF),
    ],
)
def test_another_does_not(selector: Ipv6TrafficSelector) -> None:
    assert not matches(selector, udp())


def test_what_is_behind_extension_headers_counts() -> None:
    inside = extension(17, bytes(6)) + ports(5000, 80) + bytes(4)
    packet = ipv6(PEER, HOME, inside, protocol=60)
    assert matches(Ipv6TrafficSelector(start_source_port=5000, start_next_header=17), packet)
    assert not matches(Ipv6TrafficSelector(start_next_header=60), packet)


def test_a_security_parameters_index_tells_flows() -> None:
    packet = ipv6(PEER, HOME, (0x1234).to_bytes(4) + bytes(8), protocol=50)
    assert matches(Ipv6TrafficSelector(start_spi=0x1234), packet)
    assert not matches(Ipv6TrafficSelector(start_spi=0x1235), packet)


def test_congestion_marks_do_not_tell_flows() -> None:
    selector = Ipv6TrafficSelector(start_traffic_class=46 << 2)
    assert matches(selector, udp(traffic_class=46 << 2 | 3))


@given(octets=st.binary(min_size=40, max_size=100))
def test_no_packet_confuses_a_selector(octets: bytes) -> None:
    selector = Ipv6TrafficSelector(
        start_spi=1, end_spi=2, start_source_port=1, start_next_header=0, end_next_header=255
    )
    matches(selector, octets)


def test_the_first_that_matches_decides_and_one_without_bindings_matches_nothing() -> None:
    flows = [
        binding(Ipv4TrafficSelector(), fid=1),
        binding(Ipv6TrafficSelector(), 99, fid=2),
        binding(Ipv6TrafficSelector(start_source_port=1), fid=3),
        binding(Ipv6TrafficSelector(), fid=4),
        binding(Ipv6TrafficSelector(), fid=5),
    ]
    rule = bound(flows).rule_for(udp())
    assert rule is not None
    assert rule.name == "FID 4"
    assert not bound(flows[:2])


# In the forwarder.


def care_of(agent: Agent, packet: bytes, now: float = 0.0) -> bytes:
    [sent] = agent.take(packet, now)
    return sent[24:40]


def bind(agent: Agent, *bids: int) -> None:
    flows = bound([binding(Ipv6TrafficSelector(), *bids)])
    agent.forwarder.flow_bindings[HOME] = flows
    agent.forwarder.table.ask_anew(HOME)


def test_a_flow_goes_where_its_binding_says_whatever_it_came_by() -> None:
    agent = Agent()
    first, last = PATHS[0], PATHS[-1]
    agent.take(tunnelled(udp(HOME, PEER), source=first.care_of_address))
    assert care_of(agent, udp()) == first.care_of_address
    bind(agent, last.bid)
    assert care_of(agent, udp()) == last.care_of_address
    agent.take(tunnelled(udp(HOME, PEER), source=first.care_of_address), 1.0)
    assert care_of(agent, udp(), 1.0) == last.care_of_address


def test_without_its_path_a_flow_takes_another_and_comes_back() -> None:
    agent, last = Agent(), PATHS[-1]
    bind(agent, last.bid)
    agent.forwarder.table.path_down(HOME, last.bid)
    assert care_of(agent, udp()) != last.care_of_address
    agent.forwarder.table.path_up(HOME, last.bid)
    agent.forwarder.table.obey(HOME, 2.0)
    assert care_of(agent, udp(), 2.0) == last.care_of_address


def test_a_binding_that_is_withdrawn_lets_the_flow_follow_again() -> None:
    agent, first, last = Agent(), PATHS[0], PATHS[-1]
    bind(agent, last.bid)
    assert care_of(agent, udp()) == last.care_of_address
    del agent.forwarder.flow_bindings[HOME]
    agent.forwarder.table.ask_anew(HOME)
    agent.take(tunnelled(udp(HOME, PEER), source=first.care_of_address), 1.0)
    assert care_of(agent, udp(), 1.0) == first.care_of_address
    assert parse_packet(agent.take(udp(), 1.0)[0]).payload == udp()


def test_an_order_of_preference_is_kept() -> None:
    """As an agent's own rules have it, which may prefer without copying."""
    agent, (first, *_, last) = Agent(), PATHS
    flow = BoundFlow("own", Ipv6TrafficSelector(), (last.bid, first.bid), copies=False)
    agent.forwarder.flow_bindings[HOME] = BoundFlows([flow], BIDS)
    assert care_of(agent, udp()) == last.care_of_address
    agent.forwarder.table.path_down(HOME, last.bid)
    assert care_of(agent, udp(), 1.0) == first.care_of_address
    agent.forwarder.table.path_up(HOME, last.bid)
    assert care_of(agent, udp(), 3.0) == last.care_of_address


def test_rfc6089_5_1_1_what_matches_no_flow_goes_by_priority_and_the_flow_by_its_bid() -> None:
    agent, (first, middle, last) = Agent(), PATHS
    order = {first.bid: 30, middle.bid: 10, last.bid: 20}
    paths = tuple(replace(each, priority=order[each.bid]) for each in PATHS)
    agent.forwarder.table.replace(HOME, paths)
    flow = binding(Ipv6TrafficSelector(start_source_port=5000), first.bid)
    agent.forwarder.flow_bindings[HOME] = bound([flow])
    other = ipv6(PEER, HOME, ports(6000, 80) + bytes(4), protocol=17)
    agent.take(tunnelled(udp(HOME, PEER), source=last.care_of_address))
    assert care_of(agent, udp()) == first.care_of_address
    assert care_of(agent, other) == middle.care_of_address
    agent.forwarder.table.path_down(HOME, first.bid)  # all of the flow's own
    agent.forwarder.table.path_down(HOME, middle.bid)
    assert care_of(agent, udp(), 1.0) == last.care_of_address
    assert care_of(agent, other, 1.0) == last.care_of_address
    agent.forwarder.table.path_up(HOME, middle.bid)
    agent.forwarder.table.obey(HOME, 3.0)
    assert care_of(agent, udp(), 3.0) == middle.care_of_address
    assert care_of(agent, other, 3.0) == middle.care_of_address
    agent.forwarder.table.path_up(HOME, first.bid)
    agent.forwarder.table.obey(HOME, 5.0)
    assert care_of(agent, udp(), 5.0) == first.care_of_address
    assert care_of(agent, other, 5.0) == middle.care_of_address
