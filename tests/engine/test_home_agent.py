"""RFC 5648 §6.2: the home agent processes Binding Updates."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest

from engine.bench_of_agent import (
    AGENT,
    HOME,
    LTE,
    OTHER_HOME,
    OVERWRITE,
    REGISTER,
    SAT,
    WIFI,
    Bench,
    bid,
    statuses,
)
from mcoa.engine.actions import BindingsChanged, Intercept, Interception, Remember, Send
from mcoa.engine.policy import HomePrefix, MultipleCareOf
from mcoa.wire.messages import emit_message
from mcoa.wire.options import (
    AlternateCareOfAddress,
    MalformedBindingIdentifier,
    NonceIndices,
    UnknownOption,
)
from mcoa.wire.registry import BindingStatus as Status
from mcoa.wire.registry import UpdateFlag


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def bound(bench: Bench) -> Bench:
    """Three bindings of this home address and one of another with the same BID."""
    assert bench.send(bid(1, LTE), bid(2, WIFI), bid(3, SAT)) is not None
    assert bench.send(bid(1, WIFI), home=OTHER_HOME, sequence=1) is not None
    return bench


# Registration.


@pytest.mark.requirement("S2-06", "S3-04", "S6.2-07", "S6.2-14", "S6.2-15", "S6.2-23")
def test_rfc5648_6_2_a_bulk_update_makes_one_binding_for_each_bid(bench: Bench) -> None:
    answer = bench.send(bid(1, LTE), bid(2, WIFI), bid(3, SAT))
    assert statuses(answer) == (Status.ACCEPTED, dict.fromkeys((1, 2, 3), Status.ACCEPTED))
    assert bench.bound() == {1: LTE, 2: WIFI, 3: SAT}
    assert BindingsChanged(home_address=HOME) in bench.actions


@pytest.mark.requirement("S3-05", "S3-06", "S5.2-08")
def test_rfc5648_3_another_bid_is_added_to_the_bindings(bench: Bench) -> None:
    bench.send(bid(1, LTE))
    bench.send(bid(2, WIFI))
    assert bench.bound() == {1: LTE, 2: WIFI}


@pytest.mark.requirement("S6.2-22", "S2-05")
def test_rfc5648_6_2_a_new_address_for_a_bid_is_an_update(bound: Bench) -> None:
    answer = bound.send(bid(2, SAT))
    assert statuses(answer) == (Status.ACCEPTED, {2: Status.ACCEPTED})
    assert bound.bound() == {1: LTE, 2: SAT, 3: SAT}


@pytest.mark.requirement("S6.2-17", "S5.3-04", "S3-02")
def test_rfc5648_6_2_a_known_bid_without_address_is_refreshed_alone(bound: Bench) -> None:
    bound.now = 30.0
    answer = bound.send(bid(2), lifetime_s=100)
    assert answer is not None
    assert answer.lifetime_s == 100
    expiries = {b.bid: b.expires_at_s for b in bound.agent.bindings(HOME)}
    assert expiries == {1: 60.0, 2: 130.0, 3: 60.0}
    assert bound.bound() == {1: LTE, 2: WIFI, 3: SAT}


@pytest.mark.requirement("S5.2-04")
def test_rfc5648_5_2_the_options_address_counts_and_not_the_packets(bench: Bench) -> None:
    bench.send(bid(1, WIFI), source=LTE)
    assert bench.bound() == {1: WIFI}
    assert bench.sent()[0].envelope.destination == LTE


@pytest.mark.requirement("S5.3-05", "S6.2-32")
def test_rfc6275_10_3_1_the_lifetime_is_capped_for_all_bids(bench: Bench) -> None:
    answer = bench.with_policy(max_lifetime_s=40)
    acknowledgement = answer.send(bid(1, LTE), bid(2, WIFI), lifetime_s=4000)
    assert acknowledgement is not None
    assert acknowledgement.lifetime_s == 40
    assert {b.expires_at_s for b in answer.agent.bindings(HOME)} == {40.0}


# The O flag.


@pytest.mark.requirement("S4.2-02", "S5.3-06", "S6.2-19", "S5.9-02")
def test_rfc5648_4_2_the_o_flag_replaces_all_bindings_of_this_home_address(
    bound: Bench,
) -> None:
    answer = bound.send(bid(7, WIFI), flags=OVERWRITE)
    assert statuses(answer) == (Status.ACCEPTED, {7: Status.ACCEPTED})
    assert bound.bound() == {7: WIFI}
    assert bound.bound(OTHER_HOME) == {1: WIFI}


def test_the_o_flag_resolves_missing_addresses_before_it_deletes(bound: Bench) -> None:
    bound.send(bid(2), bid(9, SAT), flags=OVERWRITE)
    assert bound.bound() == {2: WIFI, 9: SAT}


def test_the_o_flag_deletes_nothing_when_no_option_is_good(bound: Bench) -> None:
    answer = bound.send(bid(9), flags=OVERWRITE)
    assert statuses(answer)[0] is Status.MCOA_UNKNOWN_COA
    assert bound.bound() == {1: LTE, 2: WIFI, 3: SAT}


@pytest.mark.requirement("S6.2-11")
def test_rfc5648_6_2_the_o_flag_is_ignored_in_a_deregistration(bound: Bench) -> None:
    bound.send(bid(2), flags=OVERWRITE, lifetime_s=0)
    assert bound.bound() == {1: LTE, 3: SAT}


@pytest.mark.requirement("S4.2-03")
def test_rfc5648_4_2_the_o_flag_means_nothing_without_a_bid_option(bench: Bench) -> None:
    answer = bench.send(flags=OVERWRITE)
    assert statuses(answer) == (Status.ACCEPTED, {})
    assert bench.bound() == {None: LTE}


@pytest.mark.requirement("S4.2-01")
def test_rfc6602_with_p_the_bit_of_o_is_another_flag(bound: Bench) -> None:
    bound.send(bid(7, WIFI), flags=OVERWRITE | UpdateFlag.PROXY)
    assert bound.bound() == {1: LTE, 2: WIFI, 3: SAT, 7: WIFI}


@pytest.mark.requirement("S4.2-04")
def test_rfc5648_4_2_unassigned_flag_bits_are_ignored(bench: Bench) -> None:
    assert statuses(bench.send(bid(1, LTE), flags=UpdateFlag(REGISTER | 0x3F)))[0] == 0


# De-registration.


@pytest.mark.requirement("S5.4-02", "S5.4-03", "S6.2-09", "S3-15")
def test_rfc5648_6_2_lifetime_zero_deletes_the_named_bids_only(bound: Bench) -> None:
    answer = bound.send(bid(1), bid(3), lifetime_s=0)
    assert statuses(answer) == (Status.ACCEPTED, {1: Status.ACCEPTED, 3: Status.ACCEPTED})
    assert answer is not None
    assert answer.lifetime_s == 0
    assert bound.bound() == {2: WIFI}
    assert bound.bound(OTHER_HOME) == {1: WIFI}


@pytest.mark.requirement("S5.4-01", "S6.2-03")
def test_rfc5648_5_4_a_plain_deregistration_deletes_all_of_this_home_address(
    bound: Bench,
) -> None:
    assert statuses(bound.send(lifetime_s=0)) == (Status.ACCEPTED, {})
    assert bound.bound() == {}
    assert bound.bound(OTHER_HOME) == {1: WIFI}
    assert Intercept(home_address=HOME, by=Interception.NONE) in bound.actions


@pytest.mark.requirement("S6.2-10")
def test_rfc5648_6_2_deleting_an_unknown_bid_is_answered_133(bound: Bench) -> None:
    answer = bound.send(bid(8), lifetime_s=0)
    assert statuses(answer) == (
        Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE,
        {8: Status.ACCEPTED},
    )
    assert bound.bound() == {1: LTE, 2: WIFI, 3: SAT}


def test_rfc6275_10_3_2_deleting_what_is_not_bound_is_answered_133(bench: Bench) -> None:
    assert statuses(bench.send(lifetime_s=0))[0] is Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE


# Plain updates.


@pytest.mark.requirement("S3-12", "S6.2-01", "S6.2-02")
def test_rfc5648_3_a_plain_update_replaces_all_bid_bindings(bound: Bench) -> None:
    assert statuses(bound.send(source=SAT)) == (Status.ACCEPTED, {})
    assert bound.bound() == {None: SAT}
    assert bound.bound(OTHER_HOME) == {1: WIFI}


@pytest.mark.requirement("S4.4-04", "S6.2-20", "S6.2-21")
def test_rfc5648_6_2_a_plain_binding_blocks_bids_without_o(bench: Bench) -> None:
    bench.send()
    answer = bench.send(bid(1, WIFI), bid(2, SAT))
    assert statuses(answer)[0] is Status.MCOA_NON_MCOA_BINDING_EXISTS
    assert set(statuses(answer)[1].values()) == {Status.ACCEPTED}
    assert bench.bound() == {None: LTE}


def test_rfc5648_6_2_with_o_the_plain_binding_gives_way(bench: Bench) -> None:
    bench.send()
    bench.send(bid(1, WIFI), flags=OVERWRITE)
    assert bench.bound() == {1: WIFI}


def test_rfc6275_6_2_5_an_alternate_care_of_address_counts_in_a_plain_update(
    bench: Bench,
) -> None:
    bench.send(AlternateCareOfAddress(address=SAT))
    assert bench.bound() == {None: SAT}


@pytest.mark.parametrize("address", ["ff02::1", "fe80::1", "2001:db8:1::77"])
def test_rfc6275_a_plain_care_of_address_that_cannot_be_one_is_answered_174(
    bench: Bench, address: str
) -> None:
    answer = bench.send(AlternateCareOfAddress(address=IPv6Address(address)))
    assert statuses(answer)[0] is Status.INVALID_CARE_OF_ADDRESS
    assert bench.bound() == {}


# What is refused, option by option.


@pytest.mark.requirement("S4.4-06", "S6.2-18", "S4.4-01", "S6.2-28")
def test_rfc5648_6_2_one_bad_option_among_five_fails_alone(bench: Bench) -> None:
    answer = bench.send(bid(1, LTE), bid(2, WIFI), bid(3), bid(4, SAT), bid(5, LTE))
    assert statuses(answer) == (
        Status.MCOA_NOTCOMPLETE,
        {1: 0, 2: 0, 3: Status.MCOA_UNKNOWN_COA, 4: 0, 5: 0},
    )
    assert bench.bound() == {1: LTE, 2: WIFI, 4: SAT, 5: LTE}


@pytest.mark.requirement("S6.2-29")
def test_rfc5648_6_2_one_option_alone_is_answered_in_the_status_field(bench: Bench) -> None:
    assert statuses(bench.send(bid(3))) == (Status.MCOA_UNKNOWN_COA, {3: Status.ACCEPTED})


def test_a_bulk_that_fails_for_one_reason_is_answered_in_the_status_field(
    bench: Bench,
) -> None:
    answer = bench.send(bid(3), bid(4))
    assert statuses(answer) == (Status.MCOA_UNKNOWN_COA, {3: 0, 4: 0})


def test_a_bulk_that_fails_for_several_reasons_names_each(bench: Bench) -> None:
    answer = bench.send(bid(3), bid(4, IPv6Address("::1")))
    assert statuses(answer) == (
        Status.MCOA_NOTCOMPLETE,
        {3: Status.MCOA_UNKNOWN_COA, 4: Status.MCOA_MALFORMED},
    )
    assert answer is not None
    assert answer.lifetime_s == 0
    assert bench.bound() == {}


@pytest.mark.requirement("S6.2-06", "S4.4-03")
@pytest.mark.parametrize(
    "address",
    [
        "::",
        "::1",
        "ff02::1",
        "fe80::1",
        "::ffff:192.0.2.1",
        "0.1.2.3",
        "224.0.0.1",
        "127.0.0.1",
    ],
)
def test_rfc5648_6_2_an_address_that_is_not_unicast_routable_is_malformed(
    bench: Bench, address: str
) -> None:
    where = IPv6Address(address) if ":" in address else IPv4Address(address)
    answer = bench.send(bid(1, LTE), bid(2, where))
    assert statuses(answer)[1] == {1: 0, 2: Status.MCOA_MALFORMED}
    assert bench.bound() == {1: LTE}


def test_a_care_of_address_of_the_home_prefix_is_refused(bench: Bench) -> None:
    answer = bench.send(bid(1, LTE), bid(2, IPv6Address("2001:db8:1::77")))
    assert statuses(answer)[1] == {1: 0, 2: Status.INVALID_CARE_OF_ADDRESS}


@pytest.mark.parametrize("home_prefix", ["2001:db8:1::/64", "2001:db8:77::/64"])
def test_nobody_is_bound_to_the_agent_nor_in_its_place(home_prefix: str) -> None:
    prefixes = (HomePrefix(network=IPv6Network(home_prefix)),)
    home = prefixes[0].network[0x100]
    bench = Bench().with_policy(home_prefixes=prefixes)
    bench.home = home
    answer = bench.send(bid(1, LTE), bid(2, AGENT))
    assert statuses(answer)[1] == {1: 0, 2: Status.INVALID_CARE_OF_ADDRESS}
    answer = bench.send(AlternateCareOfAddress(address=AGENT))
    assert statuses(answer)[0] is Status.INVALID_CARE_OF_ADDRESS
    assert statuses(bench.send(bid(1, LTE), home=AGENT))[0].is_rejection
    assert bench.bound(AGENT) == {}


@pytest.mark.requirement("S6.2-05", "S4.4-03")
@pytest.mark.parametrize("length", [2, 5, 6, 12, 16, 21])
def test_rfc5648_6_2_a_bad_option_length_refuses_the_whole_update(
    bench: Bench, length: int
) -> None:
    malformed = MalformedBindingIdentifier(data=bytes.fromhex("0005") + bytes(length - 2))
    answer = bench.send(bid(1, LTE), malformed)
    assert statuses(answer) == (Status.MCOA_MALFORMED, {1: 0, 5: 0})
    assert bench.bound() == {}


@pytest.mark.parametrize("length", [0, 1])
def test_an_option_too_short_for_a_bid_is_answered_without_it(
    bench: Bench, length: int
) -> None:
    answer = bench.send(bid(1, LTE), MalformedBindingIdentifier(data=bytes(length)))
    assert statuses(answer) == (Status.MCOA_MALFORMED, {1: 0})


@pytest.mark.parametrize("data", [b"\0\1", bytes(4)])
def test_the_answer_to_hundreds_of_malformed_options_can_be_sent(
    bench: Bench, data: bytes
) -> None:
    longest = (2048 - 12) // (2 + len(data))
    answer = bench.send(*[MalformedBindingIdentifier(data=data)] * longest)
    assert answer is not None
    assert answer.status is Status.MCOA_MALFORMED
    assert len(emit_message(answer, AGENT, HOME)) <= 1280 - 40 - 24


@pytest.mark.requirement("S2-02", "S4.3-05", "S5.1-05")
def test_rfc5648_bid_zero_is_malformed_and_fails_alone(bench: Bench) -> None:
    zero = MalformedBindingIdentifier(data=bytes(4) + LTE.packed)
    answer = bench.send(bid(1, LTE), zero)
    assert statuses(answer) == (Status.MCOA_NOTCOMPLETE, {1: 0, 0: Status.MCOA_MALFORMED})
    assert bench.bound() == {1: LTE}


@pytest.mark.requirement("S5.3-07", "S2-01")
def test_a_bid_named_twice_keeps_its_first_address(bench: Bench) -> None:
    answer = bench.send(bid(1, LTE), bid(1, WIFI))
    assert answer is not None
    assert answer.status is Status.MCOA_NOTCOMPLETE
    assert [i.status for i in answer.identifiers] == [0, Status.MCOA_MALFORMED]
    assert bench.bound() == {1: LTE}


@pytest.mark.requirement("S4.4-08")
def test_rfc5648_6_3_the_home_link_flag_is_refused_where_it_is_not_served(
    bench: Bench,
) -> None:
    refusing = bench.with_policy(simultaneous_home=False)
    answer = refusing.send(bid(1, LTE), bid(2, HOME, home=True))
    status = Status.MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED
    assert statuses(answer) == (Status.MCOA_NOTCOMPLETE, {1: 0, 2: status})


@pytest.mark.requirement("S10-07")
def test_more_bindings_than_allowed_are_refused_one_by_one(bench: Bench) -> None:
    limited = bench.with_policy(max_bindings_per_node=2)
    answer = limited.send(bid(1, LTE), bid(2, WIFI), bid(3, SAT))
    assert statuses(answer)[1] == {1: 0, 2: 0, 3: Status.INSUFFICIENT_RESOURCES}
    assert limited.bound() == {1: LTE, 2: WIFI}


def test_an_ipv4_care_of_address_is_refused_by_an_agent_without_ipv4(bench: Bench) -> None:
    answer = bench.send(bid(1, LTE), bid(2, IPv4Address("198.51.100.7")))
    assert statuses(answer)[1] == {1: 0, 2: Status.ADMINISTRATIVELY_PROHIBITED}


# What is refused as a whole.


@pytest.mark.requirement("S4.4-05")
def test_rfc5648_6_2_bids_are_refused_where_policy_forbids_them(bench: Bench) -> None:
    strict = bench.with_policy(multiple_care_of=MultipleCareOf.PROHIBIT)
    assert statuses(strict.send(bid(1, LTE))) == (Status.MCOA_PROHIBITED, {1: 0})
    assert statuses(strict.send()) == (Status.ACCEPTED, {})


@pytest.mark.requirement("S3-25", "S6.1-05")
def test_rfc5648_3_an_agent_may_know_nothing_of_bids(bench: Bench) -> None:
    legacy = bench.with_policy(multiple_care_of=MultipleCareOf.IGNORE)
    assert statuses(legacy.send(bid(1, LTE), bid(2, WIFI))) == (Status.ACCEPTED, {})
    assert legacy.bound() == {None: LTE}


@pytest.mark.requirement("S4.4-07", "S10-04")
def test_rfc5648_6_2_bulk_is_refused_where_policy_forbids_it(bench: Bench) -> None:
    single = bench.with_policy(bulk=False)
    answer = single.send(bid(1, LTE), bid(2, WIFI))
    assert statuses(answer) == (Status.MCOA_BULK_REGISTRATION_PROHIBITED, {1: 0, 2: 0})
    assert single.bound() == {}
    assert statuses(single.send(bid(1, LTE)))[0] is Status.ACCEPTED


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"home_prefixes": ()}, Status.HOME_REGISTRATION_NOT_SUPPORTED),
        ({"home_addresses": frozenset({OTHER_HOME})}, Status.ADMINISTRATIVELY_PROHIBITED),
        ({"max_home_addresses": 0}, Status.INSUFFICIENT_RESOURCES),
    ],
    ids=["no home agent", "not allowed", "full"],
)
def test_rfc6275_10_3_1_who_is_not_served_is_told_why(
    bench: Bench, changes: dict[str, object], status: Status
) -> None:
    other = bench.with_policy(**changes)
    assert statuses(other.send(bid(1, LTE))) == (status, {1: 0})
    assert other.bound() == {}


def test_rfc6275_10_3_1_a_foreign_home_address_is_not_of_this_subnet(bench: Bench) -> None:
    answer = bench.send(bid(1, LTE), home=IPv6Address("2001:db8:77::1"))
    assert statuses(answer)[0] is Status.NOT_HOME_SUBNET


def test_rfc6275_9_5_1_an_update_without_h_does_not_change_a_home_registration(
    bound: Bench,
) -> None:
    answer = bound.send(bid(1, SAT), flags=UpdateFlag.ACKNOWLEDGE)
    assert statuses(answer)[0] is Status.REGISTRATION_TYPE_CHANGE_DISALLOWED
    assert bound.bound() == {1: LTE, 2: WIFI, 3: SAT}


def test_rfc6275_9_5_1_an_update_that_is_none_gets_no_answer(bench: Bench) -> None:
    assert bench.send(bid(1, LTE), flags=UpdateFlag.ACKNOWLEDGE) is None
    assert bench.send(bid(1, LTE), NonceIndices(home=1, care_of=1)) is None
    assert bench.send(bid(1, LTE), source=IPv6Address("ff02::1")) is None
    assert bench.bound() == {}


def test_unknown_options_are_skipped(bench: Bench) -> None:
    answer = bench.send(UnknownOption(type=200, data=b"abc"), bid(1, LTE))
    assert statuses(answer) == (Status.ACCEPTED, {1: 0})


# Sequence numbers.


@pytest.mark.requirement("S4.1-04", "S4.1-05", "S6.2-04")
def test_rfc5648_4_1_one_sequence_number_counts_for_all_bids(bench: Bench) -> None:
    bench.send(bid(1, LTE), sequence=10)
    answer = bench.send(bid(2, WIFI), sequence=9)
    assert answer is not None
    assert answer.status is Status.SEQUENCE_NUMBER_OUT_OF_WINDOW
    assert answer.sequence == 10
    assert bench.bound() == {1: LTE}


@pytest.mark.requirement("S6.2-04")
def test_rfc5648_6_2_the_sequence_number_is_checked_before_any_option(bench: Bench) -> None:
    bench.send(bid(1, LTE), sequence=10)
    answer = bench.send(MalformedBindingIdentifier(data=bytes(12)), sequence=10)
    assert statuses(answer)[0] is Status.SEQUENCE_NUMBER_OUT_OF_WINDOW


def test_rfc6275_10_3_2_a_late_update_does_not_revive_what_was_deleted(bench: Bench) -> None:
    bench.send(bid(1, LTE), sequence=10)
    bench.send(lifetime_s=0, sequence=12)
    bench.now = 9.0
    answer = bench.send(bid(1, LTE), sequence=11)
    assert statuses(answer)[0] is Status.SEQUENCE_NUMBER_OUT_OF_WINDOW
    bench.advance(2.0)
    assert statuses(bench.send(bid(1, LTE), sequence=11))[0] is Status.ACCEPTED


# The acknowledgement.


@pytest.mark.requirement("S6.2-30")
def test_rfc6275_6_1_8_the_answer_goes_where_the_update_came_from(bench: Bench) -> None:
    bench.send(bid(1, WIFI), source=SAT)
    envelope = bench.sent()[0].envelope
    assert (envelope.source, envelope.destination) == (AGENT, SAT)
    assert envelope.routing_header_home_address == HOME


def test_rfc6275_10_3_1_from_the_home_address_there_is_no_routing_header(bench: Bench) -> None:
    bench.send(bid(1, LTE), source=HOME)
    assert bench.sent()[0].envelope.routing_header_home_address is None


@pytest.mark.requirement("S3-26", "S5.7-02", "S6.2-24", "S6.2-25", "S6.2-26", "S4.3-19")
def test_rfc5648_6_2_options_are_echoed_in_order_without_address(bench: Bench) -> None:
    options = [
        bid(9, LTE),
        bid(2, WIFI).__class__(bid=2, priority=5, care_of_address=WIFI),
        bid(4),
    ]
    answer = bench.send(*options, flags=UpdateFlag.HOME)
    assert answer is not None
    echoed = [(i.bid, i.priority, i.care_of_address) for i in answer.identifiers]
    assert echoed == [(9, 0, None), (2, 5, None), (4, 0, None)]


@pytest.mark.requirement("S4.3-09")
def test_rfc5648_4_3_the_status_of_an_option_in_an_update_is_ignored(bench: Bench) -> None:
    option = bid(1).__class__(bid=1, status=Status(200), care_of_address=LTE)
    assert statuses(bench.send(option)) == (Status.ACCEPTED, {1: 0})


def test_the_change_is_remembered_before_it_is_acknowledged(bench: Bench) -> None:
    bench.send(bid(1, LTE))
    kinds = [type(action) for action in bench.actions]
    assert kinds.index(Remember) < kinds.index(Send)


def test_a_refresh_is_remembered_and_leaves_the_data_plane_alone(bound: Bench) -> None:
    bound.send(bid(1), bid(2), bid(3))
    assert [type(action) for action in bound.actions] == [Remember, Send]
