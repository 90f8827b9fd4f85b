"""RFC 5648 §5: the mobile node registers the care-of addresses of its links."""

from ipaddress import IPv6Address
from itertools import pairwise

import pytest

from engine.bench_of_node import AGENT, HOME, LTE, POLICY, SAT, WIFI, Bench
from mcoa.binding.sequence import successor
from mcoa.engine.actions import BindingsChanged, Report, Send
from mcoa.engine.policy import LinkPolicy
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    HomeTestInit,
    Message,
    UnknownMessage,
    emit_message,
)
from mcoa.wire.options import AlternateCareOfAddress, BindingIdentifier, BindingRefreshAdvice
from mcoa.wire.registry import BindingErrorStatus, UpdateFlag
from mcoa.wire.registry import BindingStatus as Status

NEW = IPv6Address("2001:db8:a::99")
SECOND = IPv6Address("2001:db8:aa::1")


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def registered() -> Bench:
    return Bench().registered()


# Boot.


@pytest.mark.requirement("S3-03", "S5.2-01", "S5.3-01", "S5.3-03", "S5.9-01", "S5.1-08")
def test_rfc5648_5_9_the_first_update_names_all_links_and_overwrites(bench: Bench) -> None:
    bench.all_links()
    assert len(bench.updates) == 1
    assert bench.said() == {1: LTE, 2: WIFI, 3: SAT}
    assert bench.overwrote
    assert bench.update().flags >= UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME
    envelope = bench.updates[0].envelope
    assert (envelope.destination, envelope.home_address) == (AGENT, HOME)
    assert envelope.source == LTE
    assert envelope.link == "lte"


def test_links_of_the_first_200_ms_share_the_first_update(bench: Bench) -> None:
    bench.link("lte", LTE)
    bench.advance(0.1)
    bench.link("sat", SAT)
    assert bench.updates == []
    bench.advance(0.1)
    assert bench.said() == {1: LTE, 3: SAT}
    bench.link("wifi", WIFI)
    assert bench.said() == {1: LTE, 2: WIFI, 3: SAT}


def test_a_node_without_links_sends_nothing(bench: Bench) -> None:
    bench.advance(1000.0)
    bench.link("lte", LTE)
    bench.link("lte")
    bench.advance(1000.0)
    assert bench.updates == []


def test_after_boot_every_copy_overwrites_until_one_is_acknowledged(bench: Bench) -> None:
    bench.all_links()
    bench.advance(1.5)
    bench.advance(3.0)
    assert [s.message.flags & UpdateFlag.OVERWRITE for s in bench.updates] == [64] * 3
    bench.answer(Status.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=bench.update().sequence + 7)
    assert bench.overwrote
    bench.answer()
    bench.link("lte", NEW)
    assert not bench.overwrote


@pytest.mark.requirement("S5.2-03", "S8.1-05")
def test_rfc5648_5_2_no_alternate_care_of_address_goes_with_a_bid(bench: Bench) -> None:
    bench.all_links()
    options = bench.update().options
    assert [o for o in options if isinstance(o, AlternateCareOfAddress)] == []


# Registered.


@pytest.mark.requirement("S5.7-07", "S5.7-08", "S4.1-01")
def test_an_accepted_bid_is_a_path_and_only_then(bench: Bench) -> None:
    bench.all_links()
    assert bench.usable() == {}
    actions = bench.answer(
        Status.MCOA_NOTCOMPLETE, options={1: Status(0), 2: Status(0), 3: Status(129)}
    )
    assert BindingsChanged(home_address=HOME) in actions
    assert bench.usable() == {1: LTE, 2: WIFI}


@pytest.mark.requirement("S4.3-07", "S4.3-08")
def test_rfc5648_4_3_an_option_without_status_defers_to_the_message(bench: Bench) -> None:
    bench.all_links()
    bench.answer(Status.ADMINISTRATIVELY_PROHIBITED)
    assert bench.usable() == {}
    statuses = {entry.status for entry in bench.node.update_list}
    assert statuses == {Status.ADMINISTRATIVELY_PROHIBITED}


@pytest.mark.requirement("S5.1-09")
def test_rfc5648_5_1_a_refresh_omits_the_addresses(registered: Bench) -> None:
    registered.updates.clear()
    assert registered.until_due() > 60.0
    assert len(registered.updates) == 1
    assert registered.said() == {1: None, 2: None, 3: None}
    assert not registered.overwrote


def test_an_unanswered_refresh_is_repeated_with_addresses(registered: Bench) -> None:
    registered.until_due()
    registered.until_due()
    assert registered.said() == {1: LTE, 2: WIFI, 3: SAT}


@pytest.mark.requirement("S3-02", "S5.4-04")
def test_a_lost_link_moves_packets_first_and_is_deregistered_over_another(
    registered: Bench,
) -> None:
    registered.updates.clear()
    actions = registered.link("lte")
    assert registered.usable() == {2: WIFI, 3: SAT}
    assert [type(action) for action in actions] == [BindingsChanged, Send]
    assert registered.update().lifetime_s == 0
    assert registered.said() == {1: None}
    assert registered.updates[0].envelope.source in (WIFI, SAT)


@pytest.mark.requirement("S2-05", "S5.1-10")
def test_rfc5648_2_a_bid_stays_with_its_link(registered: Bench) -> None:
    registered.link("lte")
    registered.answer()
    registered.link("lte", NEW)
    assert registered.said() == {1: NEW}
    registered.answer()
    assert registered.usable() == {1: NEW, 2: WIFI, 3: SAT}


def test_a_changed_address_is_told_at_once(registered: Bench) -> None:
    registered.link("wifi", NEW)
    assert registered.usable() == {1: LTE, 3: SAT}
    assert registered.said() == {2: NEW}
    assert not registered.overwrote


@pytest.mark.requirement("S5.1-02", "S5.1-03", "S5.1-04")
def test_rfc5648_5_1_two_prefixes_of_one_link_have_two_bids(registered: Bench) -> None:
    registered.link("lte", LTE, SECOND)
    assert registered.said() == {4: SECOND}
    registered.answer()
    assert registered.usable() == {1: LTE, 2: WIFI, 3: SAT, 4: SECOND}
    registered.link("lte", SECOND)
    assert registered.update().lifetime_s == 0
    assert registered.said() == {1: None}


def test_no_link_takes_the_share_of_another_with_its_many_addresses(bench: Bench) -> None:
    bench.link("lte", *(IPv6Address(LTE + n) for n in range(10)))
    bench.link("wifi", WIFI)
    bench.link("sat", SAT)
    assert list(bench.said().values())[:4] == [LTE, WIFI, SAT, LTE + 1]


def test_an_update_about_very_many_addresses_is_several_that_every_path_carries(
    bench: Bench,
) -> None:
    addresses = [IPv6Address(LTE + n) for n in range(120)]
    bench.link("wifi", WIFI)
    bench.link("sat", SAT)
    bench.link("lte", *addresses)
    while bench.node.outstanding:
        assert len(emit_message(bench.update(), HOME, AGENT)) <= 1280 - 40 - 24
        bench.answer()
    assert len(bench.updates) == 3
    assert set(bench.usable().values()) == {WIFI, SAT, *addresses}


def test_only_addresses_that_are_there_have_a_round_trip_time(registered: Bench) -> None:
    assert registered.node.round_trip_s(LTE) is not None
    registered.link("lte", NEW)
    assert registered.node.round_trip_s(LTE) is None


def test_bids_are_chosen_beside_those_that_are_given() -> None:
    links = (LinkPolicy(name="a"), LinkPolicy(name="b", bid=1), LinkPolicy(name="c"))
    bench = Bench().with_policy(links=links)
    for name, address in zip("abc", (LTE, WIFI, SAT), strict=True):
        bench.link(name, address)
    assert bench.said() == {2: LTE, 1: WIFI, 3: SAT}


def test_two_links_cannot_be_given_one_bid() -> None:
    links = (LinkPolicy(name="a", bid=1), LinkPolicy(name="b", bid=1))
    with pytest.raises(ValueError, match="BID 1 is given twice"):
        Bench().with_policy(links=links)


def test_an_address_of_the_home_prefix_is_no_care_of_address(bench: Bench) -> None:
    bench.link("lte", IPv6Address("2001:db8:1::55"), LTE)
    bench.advance(0.2)
    assert bench.said() == {1: LTE}


def test_what_comes_and_goes_at_once_is_one_update_that_overwrites(registered: Bench) -> None:
    registered.link("lte")
    registered.link("wifi", NEW)
    assert registered.overwrote
    assert registered.said() == {2: NEW, 3: SAT}
    registered.answer()
    assert registered.usable() == {2: NEW, 3: SAT}
    assert registered.node.outstanding is None


def test_an_expired_binding_is_no_path(registered: Bench) -> None:
    registered.advance(100.0)
    assert registered.usable() == {}


# Answers.


@pytest.mark.requirement("S4.1-06")
def test_rfc5648_4_1_status_135_moves_the_counter_and_the_update_is_repeated(
    registered: Bench,
) -> None:
    registered.link("lte", NEW)
    last = (registered.update().sequence + 500) % 0x10000
    registered.answer(Status.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=last)
    assert registered.update().sequence == successor(last)
    assert registered.said() == {1: NEW}


def test_status_135_for_an_overtaken_copy_is_ignored(registered: Bench) -> None:
    registered.link("lte", NEW)
    count = len(registered.updates)
    sequence = registered.update().sequence
    registered.answer(Status.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=sequence)
    registered.answer(Status.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=sequence - 1)
    assert len(registered.updates) == count
    registered.answer()
    assert registered.usable()[1] == NEW


@pytest.mark.requirement("S4.1-02", "S4.1-03")
def test_rfc5648_4_1_every_update_has_the_next_sequence_number(bench: Bench) -> None:
    bench.all_links()
    bench.advance(1.5)
    bench.answer()
    bench.link("lte", NEW)
    bench.link("wifi")
    numbers = [send.message.sequence for send in bench.updates]
    assert [(n - numbers[0]) % 0x10000 for n in numbers] == list(range(len(numbers)))


@pytest.mark.requirement("S5.7-01")
def test_rfc6275_11_7_3_an_answer_that_is_not_for_us_is_ignored(bench: Bench) -> None:
    bench.all_links()
    bench.answer(sequence=(bench.update().sequence + 1) % 0x10000)
    message = bench.update()
    good = bench.updates[-1].envelope.source
    assert bench.usable() == {}
    bench.deliver(message, good)
    assert [type(a) for a in bench.actions] == [Report, Send]  # a Binding Error, for an update


UNTAKEN = [
    *(UnknownMessage(type=kind, data=bytes(2)) for kind in (8, 13, 14, 17, 99, 255)),
    BindingUpdate(flags=UpdateFlag.ACKNOWLEDGE, sequence=1, lifetime_s=4),
    HomeTestInit(cookie=bytes(8)),
]


@pytest.mark.parametrize("message", UNTAKEN)
def test_rfc6275_9_2_a_type_that_is_not_taken_is_answered(
    bench: Bench, message: Message
) -> None:
    """From where it came: the care-of address, or the home address inside the tunnel."""
    bench.all_links()
    stranger = IPv6Address("2001:db8:77::7")
    for ours in (bench.updates[-1].envelope.source, HOME):
        bench.deliver(message, ours, source=stranger)
        report, send = bench.actions
        assert isinstance(report, Report)
        assert isinstance(send, Send)
        assert send.message == BindingError(
            status=BindingErrorStatus.UNRECOGNIZED_MESSAGE_TYPE, home_address=IPv6Address("::")
        )
        assert (send.envelope.source, send.envelope.destination) == (ours, stranger)


def test_rfc6275_9_3_3_a_binding_error_is_not_answered_by_another(bench: Bench) -> None:
    bench.all_links()
    error = BindingError(
        status=BindingErrorStatus.UNRECOGNIZED_MESSAGE_TYPE, home_address=IPv6Address("::")
    )
    bench.deliver(error, HOME)
    assert not any(
        isinstance(action, Send) and isinstance(action.message, BindingError)
        for action in bench.actions
    )


@pytest.mark.parametrize("wrong", ["source", "home_address"])
def test_rfc6275_11_7_3_an_answer_from_a_stranger_is_ignored(bench: Bench, wrong: str) -> None:
    bench.all_links()

    message = BindingAcknowledgement(
        status=Status.ACCEPTED, sequence=bench.update().sequence, lifetime_s=100
    )
    actions = bench.deliver(message, LTE, **{wrong: IPv6Address("2001:db8:666::1")})
    assert actions == [Report(event="acknowledgement-from-stranger")]
    assert bench.node.outstanding is not None


@pytest.mark.requirement("S5.7-14")
def test_rfc5648_5_7_after_167_the_address_is_sent(registered: Bench) -> None:
    registered.until_due()
    options = {1: Status.ACCEPTED, 2: Status.MCOA_UNKNOWN_COA, 3: Status.ACCEPTED}
    registered.answer(Status.MCOA_NOTCOMPLETE, options=options)
    assert registered.usable() == {1: LTE, 3: SAT}
    assert registered.said() == {2: WIFI}


@pytest.mark.requirement("S5.7-13", "S5.7-16")
@pytest.mark.parametrize(
    "status", [Status.MCOA_UNKNOWN_COA, Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE]
)
def test_rfc5648_5_7_what_is_unknown_at_the_agent_is_gone(
    registered: Bench, status: Status
) -> None:
    registered.link("lte")
    count = len(registered.updates)
    registered.answer(status)
    assert registered.node.outstanding is None
    assert len(registered.updates) == count


@pytest.mark.requirement("S5.7-12")
def test_rfc5648_5_7_after_165_the_update_overwrites(registered: Bench) -> None:
    registered.link("lte", NEW)
    registered.answer(Status.MCOA_NON_MCOA_BINDING_EXISTS)
    assert registered.overwrote
    assert registered.said() == {1: NEW, 2: WIFI, 3: SAT}


@pytest.mark.requirement("S5.7-09")
def test_rfc5648_5_7_after_166_one_plain_binding_is_registered(bench: Bench) -> None:
    bench.all_links()
    bench.answer(Status.MCOA_PROHIBITED)
    assert bench.said() == {}
    assert bench.update().lifetime_s == 100
    bench.answer()
    assert bench.usable() == {None: LTE}


@pytest.mark.requirement("S5.7-10", "S5.9-03")
def test_rfc5648_5_7_after_168_bids_are_sent_singly_and_only_the_first_overwrites(
    bench: Bench,
) -> None:
    bench.all_links()
    bench.answer(Status.MCOA_BULK_REGISTRATION_PROHIBITED)
    for bid, address in {1: LTE, 2: WIFI, 3: SAT}.items():
        assert bench.said() == {bid: address}
        assert bench.overwrote == (bid == 1)
        assert bench.updates[-1].envelope.source == address
        bench.answer()
    assert bench.usable() == {1: LTE, 2: WIFI, 3: SAT}
    assert bench.node.outstanding is None


@pytest.mark.requirement("S5.7-11")
def test_rfc5648_5_7_after_164_there_is_one_more_try_and_no_third(registered: Bench) -> None:
    registered.link("lte", NEW)
    count = len(registered.updates)
    registered.answer(Status.MCOA_MALFORMED)
    registered.answer(Status.MCOA_MALFORMED)
    registered.advance(70.0)
    sent = registered.updates[count:]
    named = [{i.bid for i in send.message.identifiers} for send in sent]
    assert sum(1 in bids for bids in named) == 1


@pytest.mark.parametrize("status", [128, 129, 130, 131, 132, 133, 134, 139, 169, 174])
def test_a_refused_binding_is_left_alone_for_a_while(registered: Bench, status: int) -> None:
    registered.link("lte", NEW)
    count = len(registered.updates)
    registered.answer(Status(status))
    assert registered.usable() == {2: WIFI, 3: SAT}
    registered.advance(9.0)
    assert len(registered.updates) == count
    registered.advance(2.0)
    assert registered.said() == {1: NEW}


@pytest.mark.requirement("S5.7-17")
def test_a_bid_that_the_answer_leaves_out_is_not_confirmed(bench: Bench) -> None:
    bench.all_links()
    bench.answer(options={1: Status.ACCEPTED, 3: Status.ACCEPTED})
    assert bench.usable() == {1: LTE, 3: SAT}
    count = len(bench.updates)
    bench.advance(1.0)
    assert len(bench.updates) == count
    bench.advance(1.0)
    assert bench.overwrote  # nothing is sure of an agent that answers like this
    assert bench.said() == {1: LTE, 2: WIFI, 3: SAT}


@pytest.mark.requirement("S3-27", "S5.7-03", "S5.7-04", "S5.7-05")
def test_rfc5648_5_7_a_peer_that_echoes_no_bid_holds_one_plain_binding(bench: Bench) -> None:
    bench.all_links()
    bench.answer(options={})
    assert bench.usable() == {None: LTE}
    assert bench.node.outstanding is None
    bench.link("lte")
    assert bench.said() == {}
    assert bench.updates[-1].envelope.source == WIFI
    bench.answer()
    assert bench.usable() == {None: WIFI}


@pytest.mark.parametrize("status", [4, 164, 167])
def test_a_status_of_rfc5648_proves_a_peer_that_knows_it(bench: Bench, status: int) -> None:
    bench.all_links()
    bench.answer(Status(status), options={})
    assert bench.node.uses_bids


def test_a_plain_node_uses_one_link_and_keeps_it() -> None:
    bench = Bench().with_policy(multiple_care_of=False)
    bench.all_links()
    assert bench.said() == {}
    assert not bench.overwrote
    bench.answer()
    assert bench.usable() == {None: LTE}
    bench.link("lte")
    bench.answer()
    bench.link("lte", LTE)
    assert bench.usable() == {None: WIFI}


# Sending.


def test_rfc6275_11_8_unanswered_updates_back_off_to_32_seconds(bench: Bench) -> None:
    bench.all_links()
    times = [bench.now]
    for _ in range(8):
        deadline = bench.node.next_deadline()
        assert deadline is not None
        bench.advance(deadline - bench.now)
        times.append(bench.now)
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert gaps == [1.5, 3.0, 6.0, 12.0, 24.0, 32.0, 32.0, 32.0]
    assert len({send.message.sequence for send in bench.updates}) == 9


def test_an_agent_that_stays_silent_is_told_of_once(bench: Bench) -> None:
    bench.all_links()
    actions = bench.advance(200.0)
    reports = [action for action in actions if isinstance(action, Report)]
    assert reports == [Report(event="home-agent-silent")]


def test_a_repeated_update_leaves_over_another_link(bench: Bench) -> None:
    bench.all_links()
    bench.advance(20.0)
    sources = [send.envelope.source for send in bench.updates]
    assert sources[:4] == [LTE, WIFI, SAT, LTE]


def test_an_event_supersedes_what_is_outstanding_and_ends_the_back_off(bench: Bench) -> None:
    bench.all_links()
    bench.advance(40.0)
    bench.link("lte")
    assert bench.said() == {2: WIFI, 3: SAT}
    sequence = bench.update().sequence
    bench.advance(1.5)
    assert bench.update().sequence == successor(sequence)


def test_a_flapping_link_is_no_storm(registered: Bench) -> None:
    registered.updates.clear()
    for _ in range(200):
        registered.link("lte")
        registered.advance(0.05)
        registered.link("lte", LTE)
        registered.advance(0.05)
    assert len(registered.updates) < 20 * 3 + 8
    registered.advance(2.0)
    registered.answer()
    assert registered.usable() == {1: LTE, 2: WIFI, 3: SAT}


# Being asked.


@pytest.mark.requirement("S5.8-01", "S5.8-02", "S5.8-03")
def test_rfc5648_5_8_a_refresh_request_names_what_to_refresh(registered: Bench) -> None:
    request = BindingRefreshRequest(options=(BindingIdentifier(bid=2),))
    stranger = IPv6Address("2001:db8:666::1")
    registered.advance(5.0)
    registered.updates.clear()
    registered.deliver(request, HOME, source=stranger, home_address=None)
    assert registered.updates == []
    registered.deliver(request, HOME, home_address=None)
    assert 2 in registered.said()


def test_rfc6275_11_7_4_a_plain_refresh_request_asks_for_all(registered: Bench) -> None:
    registered.deliver(BindingRefreshRequest(), HOME, home_address=None)
    assert registered.said() == {1: None, 2: None, 3: None}


def test_rfc6275_11_7_3_refresh_advice_is_followed(registered: Bench) -> None:
    registered.until_due()
    registered.answer(extra=(BindingRefreshAdvice(interval_s=20),))
    registered.updates.clear()
    assert registered.until_due() <= 20.0
    assert len(registered.updates) == 1


def test_rfc6275_9_3_3_an_agent_that_forgot_us_is_told_everything(registered: Bench) -> None:
    error = BindingError(
        status=BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS, home_address=HOME
    )
    registered.deliver(error, LTE, home_address=None)
    assert registered.overwrote
    assert registered.said() == {1: LTE, 2: WIFI, 3: SAT}


def test_an_early_or_repeated_timer_call_does_nothing(registered: Bench) -> None:
    deadline = registered.node.next_deadline()
    assert deadline is not None
    assert registered.node.handle_timer(deadline - 0.001) == []
    assert registered.node.next_deadline() == deadline


# Stopping.


def test_rfc5648_5_4_a_stopping_node_deletes_all_with_one_plain_update(
    registered: Bench,
) -> None:
    registered.stop()
    assert registered.usable() == {}
    assert registered.update().lifetime_s == 0
    assert registered.said() == {}
    assert not registered.node.is_stopped
    registered.answer()
    assert registered.node.is_stopped
    assert registered.node.next_deadline() is None


def test_a_stopping_node_repeats_itself_until_it_is_heard(registered: Bench) -> None:
    registered.stop()
    registered.updates.clear()
    registered.advance(1.0)
    assert registered.update().lifetime_s == 0


def test_the_policy_names_the_home_network() -> None:
    assert str(POLICY.home_network) == "2001:db8:1::/64"


@pytest.mark.requirement("S5.7-01", "S5.9-01")
def test_an_answer_to_what_a_former_life_said_is_none_to_this_one() -> None:
    """The agent had a number of it last, which the new life took over, and one is under way."""
    bench = Bench()
    bench.all_links()
    bench.answer(options={1: Status.ACCEPTED, 5: Status.ACCEPTED})
    assert bench.usable() == {}
    bench.advance(1.6)
    assert bench.overwrote
    bench.answer(options={1: Status.ACCEPTED})
    assert bench.usable() == {1: LTE}
    bench.advance(4.0)
    assert bench.overwrote  # the agent may hold what only that life knew
    bench.answer()
    assert bench.usable() == {1: LTE, 2: WIFI, 3: SAT}
    bench.advance(10.0)
    assert not bench.sent()
