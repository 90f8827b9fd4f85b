"""RFC 5648 §5.5, §5.6, §6.3: a mobile node registers its home link, alone or with others."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from engine.bench_of_agent import HOME, LTE, OVERWRITE, SAT, WIFI, Bench, bid, statuses
from mcoa.engine.actions import BindingsChanged, DetectDuplicate, Intercept, Interception, Send
from mcoa.wire.options import LinkLayerAddress
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.registry import UpdateFlag

MAC = bytes.fromhex("020000000064")
OTHER_MAC = bytes.fromhex("020000000065")
FOUND_AT = LinkLayerAddress(address=MAC)


@pytest.fixture
def lone() -> Bench:
    """An agent that is the only router of the home link (figure 3, a)."""
    return Bench().with_policy(only_router=True)


@pytest.fixture
def beside() -> Bench:
    """An agent beside other routers (figure 3, b)."""
    return Bench()


def interceptions(bench: Bench) -> list[Interception]:
    return [action.by for action in bench.actions if isinstance(action, Intercept)]


def replies(bench: Bench) -> list[tuple[IPv6Address, bytes | None]]:
    envelopes = [a.envelope for a in bench.actions if isinstance(a, Send)]
    return [(envelope.destination, envelope.link_layer_address) for envelope in envelopes]


# Registration.


@pytest.mark.requirement("S5.6.3-05", "S6.2-12", "S6.3-01", "S6.3-03", "S5.6.2-02")
def test_rfc5648_6_3_the_only_router_lets_the_node_defend_its_address(lone: Bench) -> None:
    answer = lone.send(bid(1, home=True), FOUND_AT, at_home=True)
    assert statuses(answer) == (Status.ACCEPTED, {1: Status.ACCEPTED})
    assert lone.bound() == {1: HOME}
    assert interceptions(lone) == [Interception.ROUTING]
    assert BindingsChanged(home_address=HOME) in lone.actions


@pytest.mark.requirement("S6.3-01", "S6.3-08", "S4.4-02", "S5.6.2-05", "S6.2-12")
def test_rfc5648_6_3_beside_other_routers_the_agent_goes_on_answering(beside: Bench) -> None:
    answer = beside.send(bid(1, home=True), FOUND_AT, at_home=True)
    status = Status.MCOA_RETURNHOME_WO_NDP
    assert statuses(answer) == (status, {1: status})
    assert beside.bound() == {1: HOME}
    assert interceptions(beside) == [Interception.PROXY]


@pytest.mark.requirement("S5.6.3-08", "S5.6.4-07", "S6.3-06", "S6.3-09", "S5.6.2-06")
def test_rfc5648_6_3_the_answer_goes_to_the_link_layer_address_of_the_update(
    beside: Bench,
) -> None:
    beside.send(bid(1, home=True), FOUND_AT, at_home=True)
    assert replies(beside) == [(HOME, MAC)]
    entry = beside.agent.cache.entry(HOME)
    assert entry is not None
    assert entry.link_layer_address == MAC
    beside.send(bid(1, home=True), at_home=True)  # it has been told
    assert replies(beside) == [(HOME, MAC)]


@pytest.mark.requirement("S5.6.4-07")
def test_a_new_link_layer_address_is_told_to_the_data_plane(beside: Bench) -> None:
    beside.send(bid(1, home=True), FOUND_AT, at_home=True)
    beside.send(bid(1, home=True), LinkLayerAddress(address=OTHER_MAC), at_home=True)
    assert BindingsChanged(home_address=HOME) in beside.actions
    beside.send(bid(1, home=True), LinkLayerAddress(code=1, address=MAC), at_home=True)
    assert BindingsChanged(home_address=HOME) not in beside.actions


@pytest.mark.requirement("S6.3-06")
@pytest.mark.parametrize("topology", ["lone", "beside"])
def test_a_node_at_home_must_say_where_frames_go(
    topology: str, request: pytest.FixtureRequest
) -> None:
    bench: Bench = request.getfixturevalue(topology)
    answer = bench.send(bid(1, home=True), at_home=True)
    assert statuses(answer) == (Status.REASON_UNSPECIFIED, {1: Status.ACCEPTED})
    assert bench.bound() == {}


@pytest.mark.requirement("S5.6.3-11", "S6.3-08", "S4.4-01")
def test_rfc5648_5_6_3_the_home_link_comes_in_bulk_with_others(beside: Bench) -> None:
    answer = beside.send(bid(1, LTE), bid(2, HOME, home=True), FOUND_AT)
    status = Status.MCOA_RETURNHOME_WO_NDP
    assert statuses(answer) == (Status.MCOA_NOTCOMPLETE, {1: Status.ACCEPTED, 2: status})
    assert beside.bound() == {1: LTE, 2: HOME}
    assert replies(beside) == [(LTE, None)]


def test_in_bulk_nothing_need_be_said_where_the_node_defends(lone: Bench) -> None:
    answer = lone.send(bid(1, LTE), bid(2, HOME, home=True), FOUND_AT)
    assert statuses(answer) == (Status.ACCEPTED, dict.fromkeys((1, 2), Status.ACCEPTED))


@pytest.mark.requirement("S6.3-05", "S6.3-10")
def test_rfc5648_6_3_another_router_that_is_heard_takes_the_defence_away(lone: Bench) -> None:
    lone.send(bid(1, home=True), FOUND_AT, at_home=True)
    lone.agent.other_routers = True
    answer = lone.send(bid(1, home=True), at_home=True)
    assert statuses(answer)[1] == {1: Status.MCOA_RETURNHOME_WO_NDP}
    assert interceptions(lone) == [Interception.PROXY]


@pytest.mark.requirement("S4.4-08", "S6.3-04")
def test_rfc5648_6_3_home_and_foreign_at_once_can_be_forbidden() -> None:
    bench = Bench().with_policy(simultaneous_home=False)
    bench.send(bid(1, LTE))
    answer = bench.send(bid(2, home=True), FOUND_AT, at_home=True)
    status = Status.MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED
    assert statuses(answer) == (status, {2: Status.ACCEPTED})
    assert replies(bench) == [(HOME, MAC)]
    assert bench.bound() == {1: LTE}


@pytest.mark.requirement("S5.6.3-04", "S5.6.3-06")
def test_rfc5648_5_6_3_there_is_one_home_binding_at_a_time(lone: Bench) -> None:
    lone.send(bid(1, home=True), FOUND_AT, at_home=True)
    lone.send(bid(2, home=True), FOUND_AT, at_home=True)
    assert lone.bound() == {2: HOME}
    answer = lone.send(bid(3, LTE), bid(4, home=True), bid(5, home=True))
    assert statuses(answer) == (
        Status.MCOA_NOTCOMPLETE,
        {3: Status.ACCEPTED, 4: Status.ACCEPTED, 5: Status.MCOA_MALFORMED},
    )
    assert lone.bound() == {3: LTE, 4: HOME}


@pytest.mark.requirement("S6.2-12", "S5.6.3-03")
@pytest.mark.parametrize("address", [None, HOME, WIFI])
def test_rfc5648_6_2_the_home_address_is_stored_whatever_the_option_says(
    lone: Bench, address: IPv6Address | None
) -> None:
    lone.send(bid(1, address, home=True), FOUND_AT, at_home=True)
    assert lone.bound() == {1: HOME}


@pytest.mark.parametrize("address", ["::", "ff02::1", "fe80::1", "127.0.0.1"])
def test_an_address_that_is_none_is_malformed_with_the_home_flag_too(
    lone: Bench, address: str
) -> None:
    odd = IPv4Address(address) if "." in address else IPv6Address(address)
    answer = lone.send(bid(1, odd, home=True), FOUND_AT, at_home=True)
    assert statuses(answer) == (Status.MCOA_MALFORMED, {1: Status.ACCEPTED})


@pytest.mark.requirement("S6.2-31")
def test_a_node_that_registers_first_from_home_is_looked_for_on_the_link() -> None:
    bench = Bench().with_policy(detect_duplicates=True)
    bench.send(bid(1, home=True), FOUND_AT, at_home=True)
    assert bench.actions == [DetectDuplicate(home_address=HOME)]
    bench.advance(1.0)
    assert bench.bound() == {1: HOME}
    assert replies(bench) == [(HOME, MAC)]
    bench.send(bid(2, LTE), bid(1, home=True))
    assert DetectDuplicate(home_address=HOME) not in bench.actions


def test_a_home_address_that_another_node_has_is_refused_in_a_frame() -> None:
    bench = Bench().with_policy(detect_duplicates=True)
    bench.send(bid(1, home=True), FOUND_AT, at_home=True)
    bench.actions = bench.agent.duplicate_found(HOME)
    assert replies(bench) == [(HOME, MAC)]
    assert bench.bound() == {}


# Refresh, leaving.


@pytest.mark.requirement("S5.6.3-12")
def test_rfc5648_5_6_3_a_home_binding_is_refreshed_like_any_other(beside: Bench) -> None:
    beside.send(bid(1, home=True), bid(2, WIFI), FOUND_AT)
    beside.now = 30.0
    beside.send(bid(1, home=True), at_home=True)
    beside.advance(31.0)
    assert beside.bound() == {1: HOME}
    beside.advance(30.0)
    assert beside.bound() == {}
    assert interceptions(beside) == [Interception.NONE]


@pytest.mark.requirement("S5.6.5-02")
def test_rfc5648_5_6_5_an_update_from_abroad_without_the_flag_ends_the_home_binding(
    lone: Bench,
) -> None:
    lone.send(bid(1, home=True), bid(2, WIFI), FOUND_AT)
    lone.send(bid(3, SAT), source=SAT)
    assert lone.bound() == {2: WIFI, 3: SAT}
    assert interceptions(lone) == [Interception.PROXY]


@pytest.mark.requirement("S5.6.5-03")
@pytest.mark.parametrize("option", [bid(1, home=True), bid(1, HOME, home=True)])
def test_a_home_binding_that_is_named_again_stays(lone: Bench, option: object) -> None:
    lone.send(bid(1, home=True), bid(2, WIFI), FOUND_AT)
    lone.send(bid(3, SAT), option, source=SAT)
    assert lone.bound() == {1: HOME, 2: WIFI, 3: SAT}
    assert interceptions(lone) == []


def test_a_refused_update_ends_no_home_binding(lone: Bench) -> None:
    lone.send(bid(1, home=True), bid(2, WIFI), FOUND_AT)
    lone.send(bid(9), source=WIFI)
    assert lone.bound() == {1: HOME, 2: WIFI}


def test_an_update_from_the_home_link_ends_no_home_binding(lone: Bench) -> None:
    lone.send(bid(1, home=True), FOUND_AT, at_home=True)
    lone.send(bid(2, WIFI), at_home=True)
    assert lone.bound() == {1: HOME, 2: WIFI}


@pytest.mark.requirement("S5.6.5-02")
def test_a_deregistration_without_the_flag_ends_what_it_names_and_no_more(lone: Bench) -> None:
    lone.send(bid(1, home=True), bid(2, WIFI), bid(3, SAT), FOUND_AT)
    lone.send(bid(3), lifetime_s=0)
    assert lone.bound() == {1: HOME, 2: WIFI}
    lone.send(bid(1), lifetime_s=0)
    assert lone.bound() == {2: WIFI}
    assert interceptions(lone) == [Interception.PROXY]


def test_the_bid_of_the_home_link_without_flag_and_address_is_unknown(lone: Bench) -> None:
    lone.send(bid(1, home=True), FOUND_AT, at_home=True)
    answer = lone.send(bid(1), at_home=True)
    assert statuses(answer) == (Status.MCOA_UNKNOWN_COA, {1: Status.ACCEPTED})
    lone.send(bid(1, LTE))
    assert lone.bound() == {1: LTE}
    assert interceptions(lone) == [Interception.PROXY]


def test_an_overwriting_update_without_the_home_link_ends_it(lone: Bench) -> None:
    lone.send(bid(1, home=True), bid(2, WIFI), FOUND_AT)
    lone.send(bid(2, WIFI), flags=OVERWRITE, at_home=True)
    assert lone.bound() == {2: WIFI}


@pytest.mark.requirement("S6.2-33")
def test_rfc5648_6_2_proxying_pauses_while_the_node_defends_and_ends_with_the_last(
    lone: Bench,
) -> None:
    seen = []
    for options, lifetime_s in (
        ((bid(2, WIFI), bid(3, SAT)), 60),
        ((bid(1, home=True), FOUND_AT), 60),
        ((bid(2),), 0),
        ((bid(1),), 0),
        ((bid(3),), 0),
    ):
        lone.send(*options, lifetime_s=lifetime_s)
        seen.append(interceptions(lone))
    proxy, routing, none = Interception.PROXY, Interception.ROUTING, Interception.NONE
    assert seen == [[proxy], [routing], [], [proxy], [none]]


# The home link alone.


@pytest.mark.requirement("S5.5.1-01", "S5.5.1-02", "S6.2-30")
def test_rfc6275_10_3_2_everything_is_deleted_from_the_home_link(beside: Bench) -> None:
    beside.send(bid(1, LTE), bid(2, WIFI))
    answer = beside.send(FOUND_AT, lifetime_s=0, at_home=True)
    assert statuses(answer) == (Status.ACCEPTED, {})
    assert beside.bound() == {}
    assert interceptions(beside) == [Interception.NONE]
    assert BindingsChanged(home_address=HOME) in beside.actions
    assert replies(beside) == [(HOME, MAC)]
    assert not [a for a in beside.sent() if a.envelope.routing_header_home_address is not None]


def test_packets_under_way_are_delivered_at_home_for_as_long_as_the_tombstone_stands(
    beside: Bench,
) -> None:
    beside.send(bid(1, LTE))
    beside.send(FOUND_AT, lifetime_s=0, at_home=True)
    entry = beside.agent.cache.entry(HOME)
    assert entry is not None
    assert (entry.bindings, entry.link_layer_address) == ((), MAC)
    beside.advance(11.0)
    assert beside.agent.cache.entry(HOME) is None
    assert BindingsChanged(home_address=HOME) in beside.actions


def test_a_node_that_says_farewell_from_abroad_is_not_at_home(beside: Bench) -> None:
    beside.send(bid(1, home=True), bid(2, WIFI), FOUND_AT)
    beside.send(lifetime_s=0, source=WIFI)
    entry = beside.agent.cache.entry(HOME)
    assert entry is not None
    assert entry.link_layer_address == b""


@pytest.mark.requirement("S6.2-10")
def test_a_node_at_home_that_had_nothing_is_told_so_in_a_frame(beside: Bench) -> None:
    answer = beside.send(FOUND_AT, lifetime_s=0, at_home=True)
    assert statuses(answer)[0] is Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE
    assert replies(beside) == [(HOME, MAC)]


def test_an_update_from_abroad_that_a_return_overtook_binds_nothing(beside: Bench) -> None:
    beside.send(FOUND_AT, lifetime_s=0, at_home=True, sequence=7)
    answer = beside.send(bid(1, LTE), sequence=6)
    assert statuses(answer)[0] is Status.SEQUENCE_NUMBER_OUT_OF_WINDOW
    assert beside.bound() == {}
    beside.advance(11.0)
    assert len(beside.agent.cache) == 0


@pytest.mark.requirement("S4.3-13")
def test_the_h_flag_of_an_option_means_nothing_but_in_a_home_registration(
    lone: Bench,
) -> None:
    for flags in (UpdateFlag.ACKNOWLEDGE, UpdateFlag(0)):
        lone.send(bid(1, home=True), FOUND_AT, flags=flags, at_home=True)
        assert lone.bound() == {}
        assert interceptions(lone) == []
