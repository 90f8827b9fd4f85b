"""RFC 5648 §5.5, §5.6: the mobile node on its home link, with and without visited ones."""

from ipaddress import IPv6Address, IPv6Network

import pytest

from engine.bench_of_node import AGENT, HOME, LTE, MAC, SAT, WIFI, Bench
from mcoa.engine.actions import Announce, BindingsChanged, Envelope, Send
from mcoa.engine.policy import AtHome
from mcoa.engine.returning_home import Presence
from mcoa.wire.messages import (
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
)
from mcoa.wire.options import BindingIdentifier, LinkLayerAddress
from mcoa.wire.registry import BindingStatus as Status

PEER = IPv6Address("2001:db8:77::7")
NO_DEFENCE = Status.MCOA_RETURNHOME_WO_NDP
FORBIDDEN = Status.MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED


@pytest.fixture
def abroad() -> Bench:
    """A node with three bindings, whose "lte" is about to become the home link."""
    return Bench().registered()


def abroad_with(at_home: AtHome) -> Bench:
    return Bench().with_policy(at_home=at_home).registered()


def homes(bench: Bench) -> dict[int, bool]:
    """Return the BIDs of the newest update, and which are the home link's."""
    return {
        i.bid: i.home for i in bench.update().identifiers if isinstance(i, BindingIdentifier)
    }


def told(bench: Bench) -> list[LinkLayerAddress]:
    options = bench.update().options
    return [option for option in options if isinstance(option, LinkLayerAddress)]


def announced(bench: Bench) -> bool:
    return Announce(home_address=HOME) in bench.actions


# Home and visited links at once.


@pytest.mark.requirement(
    "S5.6.3-01", "S5.6.3-02", "S5.6.3-03", "S5.6.3-06", "S5.6.3-07", "S2-04"
)
def test_rfc5648_5_6_3_the_home_link_is_registered_from_the_home_address(
    abroad: Bench,
) -> None:
    abroad.home("lte")
    assert abroad.said() == {1: HOME}
    assert homes(abroad) == {1: True}
    assert abroad.update().lifetime_s == 100
    envelope = abroad.updates[-1].envelope
    assert (envelope.source, envelope.destination, envelope.link) == (HOME, AGENT, "lte")
    assert envelope.home_address is None
    assert told(abroad) == [LinkLayerAddress(code=2, address=MAC)]


@pytest.mark.requirement("S5.6.3-09", "S5.6.1-01")
def test_rfc5648_5_6_3_the_node_is_silent_until_it_is_answered(abroad: Bench) -> None:
    abroad.home("lte")
    assert abroad.node.presence is Presence.SILENT
    assert not abroad.node.presence.defends
    assert HOME not in abroad.usable().values()
    abroad.advance(10.0)
    assert abroad.node.presence is Presence.SILENT


@pytest.mark.requirement("S5.6.4-01", "S5.6.2-02", "S6.3-02")
def test_rfc5648_5_6_4_status_0_lets_the_node_defend_its_address(abroad: Bench) -> None:
    abroad.home("lte")
    abroad.answer()
    assert abroad.node.presence is Presence.DEFENDED
    assert abroad.usable() == {1: HOME, 2: WIFI, 3: SAT}
    assert [path.home for path in abroad.node.paths()] == [True, False, False]
    assert abroad.actions[:2] == [
        BindingsChanged(home_address=HOME),
        Announce(home_address=HOME),
    ]


@pytest.mark.requirement("S5.6.3-10", "S5.6.4-02", "S6.3-02", "S6.3-08", "S4.4-02")
@pytest.mark.parametrize(
    ("status", "option"),
    [(NO_DEFENCE, Status.ACCEPTED), (NO_DEFENCE, NO_DEFENCE), (Status(4), NO_DEFENCE)],
)
def test_rfc5648_5_6_4_status_5_keeps_the_node_silent_wherever_it_stands(
    abroad: Bench, status: Status, option: Status
) -> None:
    abroad.home("lte")
    abroad.answer(status, options={**dict.fromkeys(abroad.said(), Status(0)), 1: option})
    assert abroad.node.presence is Presence.SILENT
    assert abroad.usable() == {1: HOME, 2: WIFI, 3: SAT}
    assert not announced(abroad)


def test_the_defence_ends_when_the_agent_says_so(abroad: Bench) -> None:
    abroad.home("lte")
    abroad.answer()
    abroad.advance(90.0)
    abroad.answer(Status(4), options={1: NO_DEFENCE, 2: Status(0), 3: Status(0)})
    assert abroad.node.presence is Presence.SILENT
    assert BindingsChanged(home_address=HOME) in abroad.actions


@pytest.mark.requirement("S5.6.5-03", "S5.6.3-11", "S5.6.3-12")
def test_rfc5648_5_6_5_every_update_of_another_link_names_the_home_link_again(
    abroad: Bench,
) -> None:
    abroad.home("lte")
    abroad.answer()
    abroad.link("wifi", SAT)
    assert homes(abroad) == {1: True, 2: False}
    assert abroad.said() == {1: None, 2: SAT}
    assert told(abroad) == [LinkLayerAddress(address=MAC)]
    abroad.answer()
    abroad.link("wifi")
    assert abroad.update().lifetime_s == 0
    assert homes(abroad) == {2: False}
    abroad.answer()
    abroad.advance(90.0)
    assert homes(abroad) == {1: True, 3: False}


@pytest.mark.requirement("S5.6.5-03")
def test_without_bulk_the_home_link_is_registered_again_after_each_other() -> None:
    bench = Bench().with_policy(bulk=False)
    bench.link("lte", LTE)
    bench.advance(0.2)
    bench.answer()
    bench.home("wifi")
    assert homes(bench) == {2: True}
    bench.answer()
    assert bench.usable() == {1: LTE, 2: HOME}
    bench.link("lte", SAT)
    assert homes(bench) == {1: False}
    assert bench.updates[-1].envelope.source == SAT
    assert bench.node.presence is Presence.SILENT  # for the agent defends again by now
    bench.answer()
    assert homes(bench) == {2: True}
    bench.answer()
    assert bench.node.presence is Presence.DEFENDED
    assert bench.node.outstanding is None
    assert bench.usable() == {1: SAT, 2: HOME}


@pytest.mark.requirement("S5.6.5-01", "S5.6.5-02")
def test_rfc5648_5_6_5_when_the_home_link_is_gone_all_others_are_named_at_once(
    abroad: Bench,
) -> None:
    abroad.home("lte")
    abroad.answer()
    abroad.updates.clear()
    abroad.home(None)
    assert len(abroad.updates) == 1
    assert homes(abroad) == {2: False, 3: False}
    assert abroad.overwrote
    assert abroad.update().lifetime_s == 100
    assert abroad.updates[-1].envelope.source in {WIFI, SAT}
    assert abroad.node.presence is Presence.AWAY
    assert abroad.usable() == {2: WIFI, 3: SAT}
    abroad.answer()
    assert abroad.node.outstanding is None


@pytest.mark.requirement("S5.6.5-01")
def test_without_bulk_one_update_tells_that_the_home_link_is_gone() -> None:
    bench = Bench().with_policy(bulk=False)
    bench.link("lte", LTE)
    bench.advance(0.2)
    bench.answer()
    bench.home("wifi")
    bench.answer()
    bench.home(None)
    assert homes(bench) == {1: False}
    assert bench.update().lifetime_s == 100
    bench.answer()
    assert (homes(bench), bench.update().lifetime_s) == ({2: False}, 0)
    bench.answer(Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE)
    assert bench.node.outstanding is None
    assert bench.usable() == {1: LTE}


def test_a_home_link_that_went_before_any_answer_is_told_to_be_gone(abroad: Bench) -> None:
    abroad.home("lte")
    abroad.home(None)
    assert homes(abroad) == {2: False, 3: False}
    assert abroad.overwrote


@pytest.mark.requirement("S5.6.3-09", "S5.6.1-01")
def test_a_home_link_that_comes_back_is_not_defended_before_it_is_answered_anew(
    abroad: Bench,
) -> None:
    abroad.home("lte")
    abroad.answer()
    abroad.home(None)
    abroad.home("lte")
    assert abroad.node.presence is Presence.SILENT
    assert not announced(abroad)


def test_what_was_the_home_link_may_be_a_visited_one_next(abroad: Bench) -> None:
    abroad.home("lte")
    abroad.answer()
    abroad.home(None)
    abroad.link("lte", LTE)
    assert abroad.said() == {1: LTE, 2: WIFI, 3: SAT}
    assert not any(homes(abroad).values())
    abroad.answer()
    assert abroad.usable() == {1: LTE, 2: WIFI, 3: SAT}


@pytest.mark.requirement("S5.6.3-04")
def test_rfc5648_5_6_3_another_home_link_takes_the_place_of_the_first(abroad: Bench) -> None:
    abroad.home("lte")
    abroad.answer()
    abroad.home("wifi")
    assert [bid for bid, home in homes(abroad).items() if home] == [2]
    abroad.answer()
    assert [path.bid for path in abroad.node.paths() if path.home] == [2]


def test_an_address_of_the_home_link_is_not_offered_as_a_care_of_address(
    abroad: Bench,
) -> None:
    abroad.home("lte")
    abroad.answer()
    assert abroad.link("lte", LTE) == []
    assert abroad.usable() == {1: HOME, 2: WIFI, 3: SAT}


def test_a_new_link_layer_address_is_registered(abroad: Bench) -> None:
    abroad.home("lte")
    abroad.answer()
    other = bytes.fromhex("0200000000ff")
    abroad.home("lte", other)
    assert homes(abroad)[1]
    assert told(abroad) == [LinkLayerAddress(address=other)]


def test_an_unanswered_registration_of_the_home_link_goes_out_over_others_too(
    abroad: Bench,
) -> None:
    abroad.home("lte")
    for _ in range(3):
        abroad.until_due()
    sources = {send.envelope.source for send in abroad.updates[-4:]}
    assert HOME in sources
    assert sources - {HOME}
    by_source = [s for s in abroad.updates if s.envelope.source != HOME]
    assert by_source[-1].envelope.home_address == HOME


def test_stopping_at_home_deletes_everything(abroad: Bench) -> None:
    abroad.home("lte")
    abroad.answer()
    abroad.stop()
    assert (abroad.said(), abroad.update().lifetime_s) == ({}, 0)
    abroad.answer()
    assert abroad.node.is_stopped


# The agent does not take both.


@pytest.mark.requirement("S5.7-15")
@pytest.mark.parametrize("in_bulk", [False, True])
def test_rfc5648_5_7_where_both_are_forbidden_the_home_link_is_used_alone(
    abroad: Bench, *, in_bulk: bool
) -> None:
    abroad.home("lte")
    others = dict.fromkeys(abroad.said(), Status(0))
    if in_bulk:
        abroad.answer(Status(4), options={**others, 1: FORBIDDEN})
    else:
        abroad.answer(FORBIDDEN, options=others)
    assert [(path.link, path.home) for path in abroad.node.paths()] == [("lte", True)]
    abroad.advance(1.0)
    assert (abroad.said(), abroad.update().lifetime_s) == ({}, 0)
    abroad.answer()
    assert abroad.node.presence is Presence.HOME
    abroad.home(None)
    assert abroad.said() == {2: WIFI, 3: SAT}


@pytest.mark.requirement("S6.3-11", "S5.7-03")
def test_rfc5648_6_3_an_agent_that_answers_without_bid_leaves_the_home_link_alone(
    abroad: Bench,
) -> None:
    abroad.home("lte")
    abroad.answer(options={})
    assert [(path.link, path.home) for path in abroad.node.paths()] == [("lte", True)]
    abroad.advance(1.0)
    assert (abroad.said(), abroad.update().lifetime_s) == ({}, 0)
    abroad.answer()
    assert abroad.node.presence is Presence.HOME
    abroad.home(None)
    assert abroad.update().identifiers == ()
    assert abroad.update().lifetime_s == 100


# The home link alone.


@pytest.mark.requirement("S5.5.1-01", "S5.5-01", "S5.6.3-06")
def test_rfc5648_5_5_1_everything_is_deleted_from_the_home_address() -> None:
    bench = abroad_with(AtHome.HOME)
    bench.home("lte")
    assert (bench.said(), bench.update().lifetime_s) == ({}, 0)
    envelope = bench.updates[-1].envelope
    assert (envelope.source, envelope.link, envelope.home_address) == (HOME, "lte", None)
    assert told(bench) == [LinkLayerAddress(address=MAC)]
    assert bench.node.presence is Presence.HOME
    assert not announced(bench)
    bench.answer(options={})
    assert announced(bench)
    assert [(path.link, path.home) for path in bench.node.paths()] == [("lte", True)]
    assert bench.node.outstanding is None


@pytest.mark.requirement("S5.5.1-01")
def test_packets_move_to_the_home_link_before_the_bindings_are_deleted() -> None:
    bench = Bench().with_policy(at_home=AtHome.HOME)
    bench.all_links()
    bench.advance(0.3)
    bench.answer()
    bench.updates.clear()
    bench.home("lte")
    assert bench.updates == []
    assert bench.node.presence is Presence.SILENT
    assert BindingsChanged(home_address=HOME) in bench.actions
    assert [(path.link, path.home) for path in bench.node.paths()] == [("lte", True)]
    assert bench.until_due() == pytest.approx(0.3)  # the way of the last packet abroad
    assert (bench.said(), bench.update().lifetime_s) == ({}, 0)
    assert bench.node.presence is Presence.HOME


def test_a_return_is_repeated_until_it_is_answered_and_then_announced() -> None:
    bench = abroad_with(AtHome.HOME)
    bench.home("lte")
    bench.advance(8.0)
    assert len(bench.updates) >= 4
    assert {(s.envelope.source, s.message.lifetime_s) for s in bench.updates[1:]} == {(HOME, 0)}
    bench.answer(Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE, options={})
    assert announced(bench)
    bench.updates.clear()
    bench.advance(1000.0)
    assert bench.updates == []


def test_visited_links_mean_nothing_while_the_home_link_is_used_alone() -> None:
    bench = abroad_with(AtHome.HOME)
    bench.home("lte")
    bench.answer(options={})
    bench.updates.clear()
    bench.link("wifi", LTE)
    bench.link("sat")
    bench.advance(500.0)
    assert bench.updates == []


@pytest.mark.requirement("S5.9-01")
def test_the_home_link_left_means_registering_afresh() -> None:
    bench = abroad_with(AtHome.HOME)
    bench.home("lte")
    bench.answer(options={})
    bench.home(None)
    assert bench.node.presence is Presence.AWAY
    assert bench.said() == {2: WIFI, 3: SAT}
    assert bench.overwrote


def test_a_node_that_boots_at_home_deletes_what_an_earlier_run_may_have_left() -> None:
    bench = Bench().with_policy(at_home=AtHome.HOME)
    bench.home("lte")
    assert (bench.said(), bench.update().lifetime_s) == ({}, 0)
    bench.answer(Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE, options={})
    assert bench.node.presence is Presence.HOME


def test_a_plain_node_at_home_has_no_binding() -> None:
    bench = Bench().with_policy(multiple_care_of=False)
    bench.link("wifi", WIFI)
    bench.advance(0.2)
    bench.answer()
    bench.home("lte")
    bench.advance(0.3)
    assert (bench.update().identifiers, bench.update().lifetime_s) == ((), 0)
    assert bench.updates[-1].envelope.source == HOME
    bench.answer()
    bench.home(None)
    assert bench.update().lifetime_s == 100
    assert bench.updates[-1].envelope.source == WIFI


# Visited links alone.


@pytest.mark.requirement("S5.5.2-01", "S5.5.2-02", "S5.5-01")
def test_rfc5648_5_5_2_the_home_link_is_as_if_it_were_not_there() -> None:
    bench = abroad_with(AtHome.FOREIGN)
    bench.home("lte")
    assert (bench.said(), bench.update().lifetime_s) == ({1: None}, 0)
    assert bench.updates[-1].envelope.source in {WIFI, SAT}
    bench.answer()
    assert bench.usable() == {2: WIFI, 3: SAT}
    assert bench.node.presence is Presence.AWAY
    bench.advance(90.0)
    sent = [action for action in bench.updates if isinstance(action, Send)]
    assert all(send.envelope.source != HOME for send in sent)


# A home link that is none.


@pytest.mark.requirement("S5.6.3-01", "S5.6.1-01")
def test_only_the_home_link_itself_can_prove_that_it_is_home(abroad: Bench) -> None:
    """Any router can advertise the home prefix; the agent is not behind all of them."""
    number = len(abroad.updates)
    abroad.home("lte")
    abroad.advance(2.9)
    envelopes = [each.envelope for each in abroad.updates[number:]]
    assert len(envelopes) == 2
    assert {(each.source, each.link) for each in envelopes} == {(HOME, "lte")}
    assert HOME not in abroad.usable().values()
    abroad.advance(2.0)
    assert abroad.updates[-1].envelope.source in {WIFI, SAT}
    assert HOME not in abroad.said().values()  # had it been bound, it is no more
    abroad.answer()
    assert abroad.usable() == {2: WIFI, 3: SAT}
    began_s = abroad.now
    while abroad.updates[-1].envelope.source != HOME:
        abroad.until_due()
    assert 10.0 < abroad.now - began_s < 30.0
    abroad.answer()
    assert HOME in abroad.usable().values()


def test_what_is_home_already_may_be_refreshed_by_any_link(abroad: Bench) -> None:
    abroad.home("lte")
    abroad.answer(NO_DEFENCE, options={1: NO_DEFENCE})
    abroad.advance(90.0)
    sources = {each.envelope.source for each in abroad.updates[-3:]}
    assert len(sources) > 1


@pytest.mark.requirement("S5.6.3-01")
def test_a_home_link_that_does_not_answer_holds_nothing_else_up(abroad: Bench) -> None:
    abroad.home("lte")
    assert abroad.updates[-1].envelope.source == HOME
    abroad.link("wifi", IPv6Address("2001:db8:b::2"))
    assert abroad.said() == {2: IPv6Address("2001:db8:b::2")}
    assert abroad.updates[-1].envelope.link in {"wifi", "sat"}
    abroad.answer()
    assert abroad.said() == {1: HOME}
    assert abroad.updates[-1].envelope.source == HOME


def test_a_node_that_starts_at_home_registers_what_is_sure_first() -> None:
    bench = Bench()
    bench.home("lte")
    bench.link("wifi", WIFI)
    bench.link("sat", SAT)
    bench.advance(1.0)
    assert bench.said() == {2: WIFI, 3: SAT}
    assert bench.overwrote
    bench.answer()
    assert bench.said() == {1: HOME}
    bench.answer(NO_DEFENCE, options={1: NO_DEFENCE})
    assert bench.usable() == {1: HOME, 2: WIFI, 3: SAT}


def test_a_node_that_has_nothing_but_its_home_link_registers_that() -> None:
    bench = Bench()
    bench.home("lte")
    bench.advance(1.0)
    assert bench.said() == {1: HOME}


@pytest.mark.requirement("S5.6.3-09")
def test_rfc6275_11_5_5_an_agent_that_is_silent_at_home_is_taken_for_a_plain_one() -> None:
    """It may wait for an answer to its solicitation, which a home binding forbids until then."""
    bench = Bench()
    bench.home("lte")
    bench.advance(1.0)
    assert bench.said() == {1: HOME}
    assert bench.node.presence is Presence.SILENT
    bench.advance(4.0)
    update = bench.update()
    assert (update.lifetime_s, update.identifiers) == (0, ())
    assert bench.updates[-1].envelope.source == HOME
    assert bench.node.presence is Presence.HOME  # which answers solicitations
    assert bench.usable() == {None: HOME}
    bench.answer(Status.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE, options={})
    assert announced(bench)
    number = len(bench.updates)
    bench.advance(300.0)
    assert len(bench.updates) == number
    # Another link tells what the agent is.
    bench.link("wifi", WIFI)
    assert bench.said() == {2: WIFI}
    bench.answer()
    assert bench.said() == {1: HOME}
    bench.answer()
    assert bench.usable() == {1: HOME, 2: WIFI}


def test_an_agent_that_has_bound_a_bid_may_be_silent_for_a_while() -> None:
    bench = Bench()
    bench.home("lte")
    bench.advance(1.0)
    bench.answer()
    assert bench.usable() == {1: HOME}
    bench.advance(2000.0)
    assert homes(bench) == {1: True}
    assert bench.update().lifetime_s


def updates_to_peer(bench: Bench) -> list[Send]:
    return [
        each
        for each in bench.everything
        if each.envelope.destination == PEER and isinstance(each.message, BindingUpdate)
    ]


def bound_at_peer() -> Bench:
    """Return a node that has told a correspondent of its care-of addresses."""
    bench = Bench().with_policy(at_home=AtHome.HOME, optimized=(IPv6Network("::/0"),))
    bench.registered()
    bench.talk_to(PEER)
    for sent in [each for each in bench.everything if each.envelope.destination == PEER]:
        match sent.message:
            case HomeTestInit(cookie=cookie):
                test = HomeTest(nonce_index=1, cookie=cookie, token=bytes(8))
                bench.hear(test, Envelope(source=PEER, destination=HOME, tunnelled=True))
            case CareOfTestInit(cookie=cookie):
                care_of = CareOfTest(nonce_index=1, cookie=cookie, token=bytes(8))
                source = sent.envelope.source
                bench.hear(care_of, Envelope(source=PEER, destination=source))
    assert updates_to_peer(bench)
    (known,) = bench.node.optimization
    known._afresh, known._outstanding = False, None  # as if it had accepted all
    for entry in known.update_list:
        entry.held, entry.doubtful = entry.wanted, False
    return bench


def test_rfc6275_11_5_5_correspondents_hear_of_a_return_after_the_agent() -> None:
    """Before that it may tunnel their answers to a former care-of address."""
    bench = bound_at_peer()
    number = len(updates_to_peer(bench))
    bench.home("lte")
    assert bench.update().lifetime_s == 0
    bench.talk_to(PEER)
    assert len(updates_to_peer(bench)) == number
    bench.answer(options={})
    bench.talk_to(PEER)
    bench.advance(1.0)
    (first, *_) = updates_to_peer(bench)[number:]
    assert isinstance(first.message, BindingUpdate)
    assert first.message.lifetime_s == 0
    assert (first.envelope.source, first.envelope.link) == (HOME, "lte")


def test_an_agent_that_says_nothing_of_a_return_is_not_waited_for() -> None:
    bench = bound_at_peer()
    number = len(updates_to_peer(bench))
    bench.home("lte")
    bench.advance(20.0)
    lifetimes = [
        each.message.lifetime_s
        for each in updates_to_peer(bench)[number:]
        if isinstance(each.message, BindingUpdate)
    ]
    assert 0 in lifetimes
