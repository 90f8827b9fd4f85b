"""Which path a flow takes, who moves it, and what that costs."""

import tracemalloc

import pytest

from mcoa.dataplane.table import ForwardingTable, Path

HOME, OTHER = bytes(15) + b"\x64", bytes(15) + b"\x65"
FLOW = b"flow"


def path(
    bid: int, weight: float = 1.0, care_of_address: bytes | None = None, priority: int = 0
) -> Path:
    return Path(
        bid=bid,
        care_of_address=care_of_address or bytes(15) + bytes((bid,)),
        weight=weight,
        priority=priority,
    )


THREE = (path(1, 40), path(2, 20), path(3, 30))


def agent_table(*paths: Path, **limits: int) -> ForwardingTable:
    table = ForwardingTable(follows_inbound=True, **limits)
    table.replace(HOME, paths or THREE)
    return table


def node_table(*paths: Path) -> ForwardingTable:
    table = ForwardingTable(follows_inbound=False)
    table.replace(HOME, paths or THREE)
    return table


def bid(table: ForwardingTable, flow: bytes | None = FLOW, now: float = 0.0) -> int | None:
    chosen = table.choose(HOME, flow, now)
    return chosen.bid if chosen else None


@pytest.mark.requirement("S3-16")
def test_eight_flows_spread_over_three_paths_by_weight() -> None:
    table = agent_table()
    chosen = [bid(table, bytes((flow,))) for flow in range(8)]
    assert [chosen.count(each) for each in (1, 2, 3)] == [4, 2, 2]


@pytest.mark.requirement("S3-19")
def test_a_flow_sticks_to_its_path_whatever_other_flows_do() -> None:
    table = agent_table()
    first = bid(table)
    for flow in range(20):
        table.choose(HOME, bytes((flow,)), 1.0)
    assert bid(table, now=2.0) == first


@pytest.mark.requirement("S3-18")
def test_a_flow_whose_bid_is_gone_takes_any_valid_path() -> None:
    table = agent_table()
    first = bid(table)
    table.replace(HOME, tuple(each for each in THREE if each.bid != first))
    assert bid(table) in {1, 2, 3} - {first}


def test_flows_leave_a_path_that_is_down_at_once_and_spread_over_the_rest() -> None:
    table = agent_table(path(1), path(2), path(3))
    flows = [bytes((each,)) for each in range(9)]
    for flow in flows:
        table.choose(HOME, flow, 0.0)
    table.path_down(HOME, 1)
    chosen = [bid(table, flow) for flow in flows]
    assert sorted(chosen.count(each) for each in (2, 3)) == [4, 5]


def test_a_path_that_is_down_is_used_when_no_other_is_bound() -> None:
    table = agent_table(path(1))
    table.path_down(HOME, 1)
    assert bid(table) == 1


def test_a_refresh_does_not_bring_a_dead_path_back_but_path_up_does() -> None:
    table = agent_table(path(1, 100), path(2))
    table.path_down(HOME, 1)
    table.replace(HOME, (path(1, 101), path(2)))
    assert bid(table) == 2
    table.path_up(HOME, 1)
    assert bid(table, b"new flow") == 1


def test_a_dead_path_with_another_care_of_address_is_alive() -> None:
    table = agent_table(path(1, 100), path(2))
    table.path_down(HOME, 1)
    table.replace(HOME, (path(1, 100, b"another network!"), path(2)))
    assert bid(table) == 1


def test_a_flow_follows_its_bid_to_a_new_care_of_address() -> None:
    table = agent_table()
    first = bid(table)
    table.replace(
        HOME,
        tuple(path(each.bid, 1, b"moved-and-moved" + bytes((each.bid,))) for each in THREE),
    )
    assert bid(table) == first
    chosen = table.choose(HOME, FLOW, 0.0)
    assert chosen is not None
    assert chosen.care_of_address.startswith(b"moved")


def test_without_bindings_nothing_is_chosen() -> None:
    table = agent_table()
    table.choose(HOME, FLOW, 0.0)
    table.replace(HOME, ())
    assert bid(table) is None
    assert table.flow_count == 0


def test_a_silent_flow_is_forgotten_and_chooses_anew() -> None:
    table = agent_table(path(1), path(2))
    assert bid(table) == 1
    assert bid(table, b"busy", now=299.5) == 1  # the silent flow is no load any more
    assert bid(table, now=300.5) == 2


def test_at_the_home_agent_the_downlink_follows_the_latest_uplink_packet() -> None:
    table = agent_table()
    first = bid(table)
    other = 2 if first != 2 else 3
    table.learn(HOME, FLOW, other, 1.0)
    assert bid(table, now=1.0) == other


def test_a_late_packet_on_the_old_path_does_not_flip_the_downlink() -> None:
    table = agent_table(path(1), path(2), path(3))
    table.learn(HOME, FLOW, 1, 0.0)
    table.learn(HOME, FLOW, 2, 1.0)
    table.learn(HOME, FLOW, 1, 1.2)
    assert bid(table, now=1.2) == 2
    table.learn(HOME, FLOW, 1, 1.3)
    assert bid(table, now=1.3) == 1


def test_a_late_packet_may_come_from_a_third_path_though() -> None:
    table = agent_table(path(1), path(2), path(3))
    table.learn(HOME, FLOW, 1, 0.0)
    table.learn(HOME, FLOW, 2, 1.0)
    table.learn(HOME, FLOW, 3, 1.1)
    assert bid(table, now=1.1) == 3


def test_a_return_within_the_settling_time_counts_if_the_new_path_died() -> None:
    table = agent_table(path(1), path(2))
    table.learn(HOME, FLOW, 1, 0.0)
    table.learn(HOME, FLOW, 2, 1.0)
    table.path_down(HOME, 2)
    table.learn(HOME, FLOW, 1, 1.1)
    assert bid(table, now=1.1) == 1


def test_the_downlink_does_not_follow_onto_a_path_that_is_down() -> None:
    table = agent_table(path(1), path(2))
    table.learn(HOME, FLOW, 1, 0.0)
    table.path_down(HOME, 2)
    table.learn(HOME, FLOW, 2, 5.0)
    assert bid(table, now=5.0) == 1


def test_at_the_mobile_node_an_inbound_packet_creates_a_flow_but_never_moves_it() -> None:
    table = node_table()
    table.learn(HOME, FLOW, 2, 0.0)
    assert bid(table) == 2
    table.learn(HOME, FLOW, 3, 1.0)
    assert bid(table, now=1.0) == 2


@pytest.mark.requirement("S3-17")
def test_what_no_flow_claims_takes_the_path_verified_most_recently() -> None:
    table = agent_table()
    assert bid(table, None) == 1
    table.learn(HOME, b"some flow", 3, 1.0)
    assert bid(table, None, 1.0) == 3
    table.verified(HOME, 2, 2.0)
    assert bid(table, None, 2.0) == 2


@pytest.mark.requirement("S3-17")
def test_without_spreading_new_flows_take_the_path_verified_most_recently() -> None:
    table = ForwardingTable(follows_inbound=True, spreads=False)
    table.replace(HOME, THREE)
    table.learn(HOME, b"some flow", 3, 1.0)
    assert bid(table, now=1.0) == 3


ORDERED = (path(1, priority=30), path(2, priority=10), path(3, priority=10))


def test_rfc6089_5_1_1_what_no_rule_claims_goes_by_the_lowest_priority() -> None:
    table = agent_table(*ORDERED)
    chosen = [bid(table, bytes((flow,))) for flow in range(8)]
    assert [chosen.count(each) for each in (1, 2, 3)] == [0, 4, 4]
    table.learn(HOME, None, 1, 5.0)  # verified last, but behind the others
    assert bid(table, None, 5.0) in {2, 3}


def test_rfc6089_5_1_1_a_packet_that_comes_up_elsewhere_takes_no_flow_down_the_order() -> None:
    table = agent_table(*ORDERED)
    first = bid(table, FLOW)
    table.learn(HOME, FLOW, 1, 1.0)
    assert bid(table, FLOW, 1.0) == first
    other = {2: 3, 3: 2}[first or 0]
    table.learn(HOME, FLOW, other, 2.0)  # of equal priority: it leads, as ever
    assert bid(table, FLOW, 2.0) == other
    table.learn(HOME, b"that begins there", 1, 3.0)
    assert bid(table, b"that begins there", 3.0) in {2, 3}


def test_rfc6089_5_1_1_the_next_in_order_serves_while_the_first_are_down() -> None:
    table = agent_table(*ORDERED)
    first = bid(table)
    for each in (2, 3):
        table.path_down(HOME, each)
    assert bid(table, now=1.0) == 1
    table.path_up(HOME, first or 0)
    table.obey(HOME, 2.0)
    [flow] = table.flows_of(HOME)
    assert flow.path.path.bid == first


def test_rfc6089_5_1_1_a_binding_that_comes_first_takes_the_flows() -> None:
    table = agent_table(path(1, priority=30))
    assert bid(table) == 1
    table.replace(HOME, (path(1, priority=30), path(2, priority=20)))
    assert bid(table, now=1.0) == 2
    table.replace(HOME, (path(1, priority=10), path(2, priority=20)))
    assert bid(table, now=2.0) == 1


def test_what_is_down_comes_in_its_order_where_nothing_else_is() -> None:
    table = agent_table(*ORDERED)
    for each in (1, 2, 3):
        table.path_down(HOME, each)
    assert bid(table) in {2, 3}


@pytest.mark.requirement("S9-02")
def test_every_registered_care_of_address_of_the_home_address_is_accepted_and_no_other() -> (
    None
):
    table = agent_table()
    table.replace(OTHER, (path(9),))
    assert [table.accept(each.care_of_address, HOME) for each in THREE] == [1, 2, 3]
    assert table.accept(path(9).care_of_address, HOME) is None
    assert table.accept(path(1).care_of_address, OTHER) is None


def test_a_plain_binding_is_accepted_as_bid_zero() -> None:
    table = agent_table(path(0, 1, b"plain binding ok"))
    assert table.accept(b"plain binding ok", HOME) == 0


def test_rebalancing_fills_a_path_that_came_back() -> None:
    table = node_table(path(1), path(2))
    flows = [bytes((each,)) for each in range(8)]
    for flow in flows:
        table.choose(HOME, flow, 0.0)
    table.replace(HOME, (path(1), path(2), path(3)))
    assert table.rebalance(HOME, 1.0) == 2
    chosen = [bid(table, flow, 1.0) for flow in flows]
    assert sorted(chosen.count(each) for each in (1, 2, 3)) == [2, 3, 3]
    assert table.rebalance(HOME, 1.0) == 0


def test_rebalancing_needs_a_path_and_leaves_silent_flows_alone() -> None:
    table = node_table(path(1))
    for flow in range(4):
        table.choose(HOME, bytes((flow,)), 0.0)
    table.path_down(HOME, 1)
    assert table.rebalance(HOME, 0.0) == 0
    assert table.rebalance(OTHER, 0.0) == 0
    table.replace(HOME, (path(1), path(2)))
    table.path_up(HOME, 1)
    assert table.rebalance(HOME, 5.0) == 0


def test_what_concerns_no_binding_or_flow_is_ignored() -> None:
    table = agent_table()
    table.learn(OTHER, FLOW, 1, 0.0)
    table.learn(HOME, FLOW, 9, 0.0)
    table.learn(HOME, None, 1, 0.0)
    table.path_down(OTHER, 1)
    table.path_up(HOME, 9)
    table.verified(OTHER, 1, 0.0)
    table.shorten(HOME, FLOW, outbound=b"shortcut")
    assert (table.flow_count, table.outbound) == (0, {})


def test_an_inbound_packet_on_a_dead_path_begins_no_flow() -> None:
    table = agent_table()
    table.path_down(HOME, 1)
    table.learn(HOME, FLOW, 1, 0.0)
    assert table.flow_count == 0


def test_rebalancing_leaves_paths_alone_that_are_even_for_their_weight() -> None:
    table = node_table()
    for flow in range(9):
        table.choose(HOME, bytes((flow,)), 0.0)
    assert table.rebalance(HOME, 0.0) == 0


def test_one_home_address_cannot_displace_the_flows_of_another() -> None:
    table = agent_table(most_flows_a_home=16)
    table.replace(OTHER, (path(9),))
    table.choose(OTHER, FLOW, 0.0)
    for each in range(1000):
        table.choose(HOME, each.to_bytes(2, "big"), 0.0)
    assert table.flow_count == 17


def test_the_flows_of_all_are_bounded_and_the_longest_silent_goes_first() -> None:
    table = agent_table(most_flows=16)
    table.choose(HOME, b"busy", 0.0)
    for each in range(100):
        table.choose(HOME, each.to_bytes(2, "big"), float(each))
        table.choose(HOME, b"busy", float(each))
    assert table.flow_count == 16
    assert [state.active_flows for state in table.states_of(HOME)] != [0, 0, 0]


def test_a_flood_of_new_flows_does_not_displace_those_in_use() -> None:
    table = agent_table(most_flows_a_home=32)
    busy = [b"busy" + bytes((number,)) for number in range(10)]
    for flow in busy:
        table.choose(HOME, flow, 0.0)
        table.shorten(HOME, flow, outbound=flow)
    for each in range(1000):
        table.choose(HOME, each.to_bytes(2, "big"), float(each))
        table.choose(HOME, busy[each % 10], float(each))
    assert table.outbound.keys() == set(busy)


def test_home_addresses_without_flows_are_let_go_and_come_back() -> None:
    table = ForwardingTable(follows_inbound=True, most_idle_homes=2, idle_s=10)
    homes = [bytes(14) + each.to_bytes(2, "big") for each in range(50)]
    for home in homes:
        table.replace(home, THREE)
        table.choose(home, FLOW, 0.0)
    table.expire(20.0)
    assert len(list(table.active_homes())) == 2
    assert len(table) == 50
    assert all(table.choose(home, FLOW, 21.0) for home in homes)
    assert table.flow_count == 50


def test_a_shortcut_lives_as_long_as_its_flow() -> None:
    table = agent_table()
    table.choose(HOME, FLOW, 0.0)
    for hop_limit in range(10):
        table.shorten(HOME, FLOW, outbound=bytes((hop_limit,)), inbound=bytes((hop_limit,)))
    assert len(table.outbound) == len(table.inbound) == 4
    assert {flow.key for flow in table.outbound.values()} == {FLOW}
    table.expire(1000.0)
    assert not table.outbound
    assert not table.inbound


def test_counters_of_a_bid_survive_its_absence() -> None:
    table = agent_table()
    state = table.state(HOME, 1)
    assert state is not None
    state.packets_out = 7
    table.replace(HOME, THREE[1:])
    assert table.state(HOME, 1) is None
    assert not state.room
    table.replace(HOME, THREE)
    assert table.state(HOME, 1) is state


def test_equal_bids_of_two_home_addresses_have_nothing_to_do_with_each_other() -> None:
    table = agent_table()
    table.replace(OTHER, THREE)
    table.path_down(OTHER, 1)
    assert bid(table) == 1
    table.replace(OTHER, ())
    assert bid(table) == 1


def test_two_paths_of_one_bid_are_the_callers_fault() -> None:
    with pytest.raises(ValueError, match="same BID"):
        ForwardingTable(follows_inbound=True).replace(HOME, (path(1), path(1, 2)))


@pytest.mark.parametrize(
    "wrong", [{"bid": 65536}, {"care_of_address": b"short"}, {"weight": 0.0}, {"mtu": 1279}]
)
def test_a_path_refuses_what_cannot_be(wrong: dict[str, int]) -> None:
    right = {"bid": 1, "care_of_address": bytes(16)}
    with pytest.raises(ValueError, match=r"\d|sixteen"):
        Path(**{**right, **wrong})


def test_an_idle_home_address_costs_few_octets_beside_its_bindings() -> None:
    homes = [bytes(12) + each.to_bytes(4, "big") for each in range(10_000)]
    table = ForwardingTable(follows_inbound=True)
    tracemalloc.start()
    try:
        for home in homes:
            table.replace(home, THREE)
        octets = tracemalloc.get_traced_memory()[0] / len(homes)
    finally:
        tracemalloc.stop()
    assert octets < 200
