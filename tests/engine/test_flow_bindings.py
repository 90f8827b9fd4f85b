"""RFC 6089: the mobile node says which flows go where, and the home agent obeys."""

from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench_of_node import AGENT, HOME, LINKS, LTE, POLICY, SAT, WIFI, Bench
from mcoa.binding.flow_bindings import FlowBinding
from mcoa.engine.actions import Action, BindingsChanged, Envelope, Received, Report, Send
from mcoa.engine.flow_verdict import decide_flows
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.policy import FlowPolicy, HomeAgentPolicy, HomePrefix
from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingUpdate,
    emit_message,
)
from mcoa.wire.option_list import MalformedOption, Option
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingErrorStatus, FlowStatus, OptionType, UpdateFlag
from mcoa.wire.selectors import (
    Ipv4TrafficSelector,
    Ipv6TrafficSelector,
    UnknownTrafficSelector,
)

HOME_NETWORK = IPv6Network("2001:db8:1::/64")
VOICE = Ipv6TrafficSelector(start_source_port=5060, start_next_header=17)
WEB = Ipv6TrafficSelector(start_source_port=443, start_next_header=6)
FIRST = FlowPolicy(fid=1, selector=VOICE, links=("lte", "sat"), rule="voice")
SECOND = FlowPolicy(fid=2, selector=WEB, links=("wifi", "sat"), copies=True, rule="web")


def listed(update: BindingUpdate) -> dict[int, tuple[int, ...] | None]:
    """Return the flow bindings that an update lists in full, with their BIDs."""
    options = [each for each in update.options if isinstance(each, FlowIdentification)]
    return {each.fid: each.bids for each in options}


def summarised(update: BindingUpdate) -> tuple[int, ...]:
    options = [each for each in update.options if isinstance(each, FlowSummary)]
    return tuple(fid for each in options for fid in each.fids)


# The mobile node.


@pytest.fixture
def node() -> Bench:
    bench = Bench().with_policy(flows=(FIRST, SECOND))
    bench.all_links()
    return bench


def accept(bench: Bench, **statuses: FlowStatus) -> list[Action]:
    """Answer the newest update as an agent that obeys; `statuses` by the letter f and FID."""
    said = listed(bench.update())
    return bench.answer(
        extra=tuple(
            FlowIdentification(fid=fid, status=statuses.get(f"f{fid}", FlowStatus.ACCEPTED))
            for fid in said
        )
    )


def refresh(bench: Bench) -> None:
    """Let time pass until the next update."""
    bench.updates.clear()
    while not bench.updates:
        bench.until_due()


def is_told(bench: Bench) -> bool:
    return not bench.node.flows.is_due(bench.node.update_list, bench.now)


@pytest.mark.requirement("S4.3-14")
def test_the_first_update_says_all_in_full(node: Bench) -> None:
    assert listed(node.update()) == {1: (1,), 2: (2, 3)}
    assert summarised(node.update()) == ()
    priorities = {each.priority for each in node.update().identifiers}
    assert all(1 <= priority <= 127 for priority in priorities)
    kinds = [type(each) for each in node.update().options]
    assert kinds == [BindingIdentifier] * 3 + [FlowIdentification] * 2


@pytest.mark.requirement("S4.3-14")
def test_a_node_without_rules_says_nothing_of_flows() -> None:
    bench = Bench()
    bench.all_links()
    assert {each.priority for each in bench.update().identifiers} == {0}
    assert {type(each) for each in bench.update().options} == {BindingIdentifier}


def test_what_is_confirmed_is_summarised_in_every_update(node: Bench) -> None:
    accept(node)
    refresh(node)
    assert (listed(node.update()), summarised(node.update())) == ({}, (1, 2))
    accept(node)
    node.link("lte")
    assert node.update().lifetime_s == 0  # the de-registration of one must keep the others
    assert listed(node.update()) == {1: (3,)}
    assert summarised(node.update()) == (2,)


def test_a_link_that_is_avoided_moves_its_flows_in_one_update(node: Bench) -> None:
    accept(node)
    node.updates.clear()
    node.avoid({"lte"})
    assert listed(node.update()) == {1: (3,)}
    assert summarised(node.update()) == (2,)
    assert node.said() == {1: None, 2: None, 3: None}
    accept(node)
    assert is_told(node)
    node.avoid(())
    assert listed(node.update()) == {1: (1,)}


def test_a_node_on_the_last_avoided_link_goes_on_using_it(node: Bench) -> None:
    accept(node)
    node.avoid(set(LINKS))
    assert is_told(node)


def test_an_agent_without_rfc_6089_is_told_once(node: Bench) -> None:
    actions = node.answer()
    assert Report(event="agent-knows-no-flow-bindings") in actions
    refresh(node)
    assert {type(each) for each in node.update().options} == {BindingIdentifier}
    assert {each.priority for each in node.update().identifiers} == {0}
    assert node.node.flows.state("voice") == "not supported"


def test_an_answer_that_cannot_be_read_is_no_proof_of_an_agent_without_flows(
    node: Bench,
) -> None:
    actions = node.answer(extra=(malformed("0001"),))
    assert Report(event="flow-binding-refused", detail="FID 1: no answer") in actions
    assert node.node.flows.is_supported


def test_a_refused_wish_is_not_repeated_at_once(node: Bench) -> None:
    actions = accept(node, f1=FlowStatus.ADMINISTRATIVELY_PROHIBITED)
    assert Report(event="flow-binding-refused", detail="FID 1: status 128") in actions
    assert node.node.flows.state("voice") == "refused"
    assert node.node.flows.state("web") == "accepted"
    assert node.sent() == []
    refresh(node)
    assert listed(node.update()) == {1: (1,)}
    assert summarised(node.update()) == (2,)


def test_what_the_agent_has_lost_is_said_again(node: Bench) -> None:
    accept(node)
    refresh(node)
    node.answer(extra=(FlowIdentification(fid=2, status=FlowStatus.FID_NOT_FOUND),))
    assert listed(node.update()) == {2: (2, 3)}
    assert summarised(node.update()) == (1,)


def test_what_an_unanswered_update_said_is_said_again(node: Bench) -> None:
    accept(node)
    node.avoid({"lte"})
    node.avoid(())
    assert listed(node.update()) == {1: (1,)}


def test_many_wishes_are_told_in_several_updates() -> None:
    flows = tuple(FlowPolicy(fid=fid, selector=VOICE, links=("lte",)) for fid in range(1, 15))
    bench = Bench().with_policy(flows=flows)
    bench.all_links()
    told: set[int] = set()
    for _ in range(3):
        told |= listed(bench.update()).keys()
        assert set(summarised(bench.update())) <= told
        accept(bench)
        bench.advance(1.0)
    assert told == {flow.fid for flow in flows}
    assert is_told(bench)


# The home agent.


class Agent:
    """An agent with a mobile node on three links."""

    def __init__(self, **policy: bool) -> None:
        self.engine = HomeAgent(
            HomeAgentPolicy(
                address=AGENT,
                home_prefixes=(HomePrefix(network=HOME_NETWORK),),
                detect_duplicates=False,
                **policy,  # type: ignore[arg-type]
            )
        )
        self.now = 10.0
        self.sequence = 1
        self.actions: list[Action] = []
        self.answers: tuple[Option, ...] = ()
        self.say()

    def say(self, *options: Option, bids: tuple[int, ...] = (1, 2, 3)) -> dict[int, FlowStatus]:
        """Register these BIDs with more options; return what is answered about flows."""
        return self.update(*options, bids=bids)

    def update(
        self,
        *options: Option,
        bids: tuple[int, ...] = (1, 2, 3),
        lifetime_s: int = 100,
    ) -> dict[int, FlowStatus]:
        self.sequence += 1
        addresses = dict(enumerate((LTE, WIFI, SAT), start=1))
        names = [
            BindingIdentifier(bid=bid, care_of_address=addresses[bid] if lifetime_s else None)
            for bid in bids
        ]
        message = BindingUpdate(
            sequence=self.sequence,
            flags=UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME,
            lifetime_s=lifetime_s,
            options=(*names, *options),
        )
        envelope = Envelope(source=LTE, destination=AGENT, home_address=HOME)
        received = Received(message=message, envelope=envelope)
        self.actions = self.engine.receive(received, self.now)
        [answer] = [each.message for each in self.actions if isinstance(each, Send)]
        assert isinstance(answer, BindingAcknowledgement)
        assert not answer.status.is_rejection
        self.answers = answer.options
        flows = [each for each in answer.options if isinstance(each, FlowIdentification)]
        return {each.fid: each.status for each in flows}

    def flows(self) -> dict[int, tuple[int, ...]]:
        return {flow.fid: flow.bids for flow in self.engine.flows(HOME)}


def malformed(body: str, kind: OptionType = OptionType.FLOW_IDENTIFICATION) -> MalformedOption:
    return MalformedOption(type=kind, data=bytes.fromhex(body))


def wish(fid: int, *bids: int, priority: int = 0) -> FlowIdentification:
    return FlowIdentification(fid=fid, priority=priority or fid, selector=VOICE, bids=bids)


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.mark.requirement("S3-16")
def test_flows_are_bound_in_the_order_of_their_priorities(agent: Agent) -> None:
    said = agent.say(wish(7, 1, priority=9), wish(8, 2, 3, priority=4))
    assert said == {7: FlowStatus.ACCEPTED, 8: FlowStatus.ACCEPTED}
    assert list(agent.flows().items()) == [(8, (2, 3)), (7, (1,))]
    assert BindingsChanged(home_address=HOME) in agent.actions


def test_what_is_neither_listed_nor_summarised_is_gone(agent: Agent) -> None:
    agent.say(wish(1, 1), wish(2, 2), wish(3, 3))
    assert agent.say(FlowSummary(fids=(1,)), wish(2, 3)) == {2: FlowStatus.ACCEPTED}
    assert agent.flows() == {1: (1,), 2: (3,)}
    agent.say(bids=(1,))
    assert agent.flows() == {}


def test_parts_of_a_known_flow_are_replaced(agent: Agent) -> None:
    agent.say(wish(1, 1))
    agent.say(FlowIdentification(fid=1, priority=1, selector=WEB))
    [flow] = agent.engine.flows(HOME)
    assert (flow.selector, flow.bids) == (WEB, (1,))
    agent.say(FlowIdentification(fid=1, priority=2, bids=(2,)))
    [flow] = agent.engine.flows(HOME)
    assert (flow.selector, flow.bids, flow.priority) == (WEB, (2,), 2)


@pytest.mark.parametrize(
    ("option", "status"),
    [
        (FlowIdentification(fid=1, priority=1, bids=(1,)), FlowStatus.MALFORMED),
        (FlowIdentification(fid=1, priority=1, selector=VOICE), FlowStatus.MALFORMED),
        (FlowIdentification(fid=1, priority=1, selector=VOICE, bids=()), FlowStatus.MALFORMED),
        (
            FlowIdentification(fid=0, priority=1, selector=VOICE, bids=(1,)),
            FlowStatus.MALFORMED,
        ),
        (
            FlowIdentification(fid=1, priority=0, selector=VOICE, bids=(1,)),
            FlowStatus.MALFORMED,
        ),
        (wish(1, 9), FlowStatus.BID_NOT_FOUND),
        (wish(1, 1, 9), FlowStatus.BID_NOT_FOUND),
        (
            FlowIdentification(
                fid=1,
                priority=1,
                selector=UnknownTrafficSelector(format=9, data=b""),
                bids=(1,),
            ),
            FlowStatus.TRAFFIC_SELECTOR_FORMAT_NOT_SUPPORTED,
        ),
        (
            FlowIdentification(fid=1, priority=1, selector=Ipv4TrafficSelector(), bids=(1,)),
            FlowStatus.TRAFFIC_SELECTOR_FORMAT_NOT_SUPPORTED,
        ),
    ],
)
def test_a_wish_that_cannot_be_granted_is_answered(
    agent: Agent, option: FlowIdentification, status: FlowStatus
) -> None:
    assert agent.say(option) == {option.fid: status}
    assert agent.flows() == {}


def test_a_refused_change_leaves_what_there_was(agent: Agent) -> None:
    agent.say(wish(1, 1))
    assert agent.say(wish(1, 9)) == {1: FlowStatus.BID_NOT_FOUND}
    assert agent.flows() == {1: (1,)}


def test_rfc6089_5_3_2_a_fid_that_is_there_twice_refuses_all_flow_options(agent: Agent) -> None:
    agent.say(wish(2, 3), wish(3, 3))
    said = agent.say(wish(1, 1), wish(2, 2), wish(1, 2), wish(4, 1), FlowSummary(fids=(3,)))
    assert said == dict.fromkeys((1, 2, 4), FlowStatus.REASON_UNSPECIFIED)
    assert agent.flows() == {2: (3,), 3: (3,)}
    flows = [each for each in agent.answers if isinstance(each, FlowIdentification)]
    assert [each.fid for each in flows] == [1, 2, 1, 4]


def test_rfc6089_5_3_2_a_malformed_option_counts_when_its_fid_can_be_read(
    agent: Agent,
) -> None:
    said = agent.say(wish(1, 1), wish(2, 2), malformed("0001 0009"))
    assert said == {1: FlowStatus.MALFORMED, 2: FlowStatus.REASON_UNSPECIFIED}
    assert agent.flows() == {}


@pytest.mark.parametrize(
    ("body", "fid", "priority"),
    [
        ("", 0, 0),
        ("00", 0, 0),
        ("0005", 5, 0),
        ("000500", 5, 0),
        ("0005000a", 5, 10),
        ("0005000a00", 5, 10),
        ("0005000a0000 0308 0200 00800000 0050 0220 0002", 5, 10),
        ("0005000a0000 02", 5, 10),
        ("0005000a0000 01", 5, 10),
    ],
)
def test_rfc6089_4_2_an_option_that_cannot_be_read_is_answered_as_malformed(
    agent: Agent, body: str, fid: int, priority: int
) -> None:
    agent.say(wish(5, 1), wish(6, 1))
    said = agent.say(malformed(body), FlowSummary(fids=(6,)), wish(7, 2))
    assert said == {fid: FlowStatus.MALFORMED, 7: FlowStatus.ACCEPTED}
    assert {fid for fid in agent.flows() if fid != 5} == {6, 7}
    assert (5 in agent.flows()) is (fid == 5)  # what is named stays as it was
    [answer] = [
        each
        for each in agent.answers
        if isinstance(each, FlowIdentification) and each.status == FlowStatus.MALFORMED
    ]
    assert (answer.priority, len(answer.emit())) == (priority, 8)


@pytest.mark.parametrize(
    ("body", "fids"), [("00", (0,)), ("000100", (1,)), ("0001 0002 0003 00", (1, 2, 3))]
)
def test_rfc6089_4_2_2_a_summary_of_odd_length_is_answered_as_malformed(
    agent: Agent, body: str, fids: tuple[int, ...]
) -> None:
    agent.say(wish(1, 1), wish(2, 2), wish(9, 1))
    said = agent.say(malformed(body, OptionType.FLOW_SUMMARY), FlowSummary(fids=(9,)))
    assert said == dict.fromkeys(fids, FlowStatus.MALFORMED)
    assert set(agent.flows()) == {9} | {fid for fid in fids if fid in (1, 2)}


def test_a_summary_of_odd_length_that_says_nothing_new_is_answered_too(agent: Agent) -> None:
    agent.say(wish(1, 1))
    said = agent.say(FlowSummary(fids=(1,)), malformed("000100", OptionType.FLOW_SUMMARY))
    assert said == {0: FlowStatus.MALFORMED}
    assert agent.flows() == {1: (1,)}


def test_flow_options_beside_a_plain_binding_are_answered(agent: Agent) -> None:
    agent.say(wish(1, 1))
    said = agent.say(wish(1, 1), malformed("0002"), FlowSummary(fids=(3,)), bids=())
    assert said == {
        1: FlowStatus.BID_NOT_FOUND,
        2: FlowStatus.MALFORMED,
        3: FlowStatus.FID_NOT_FOUND,
    }
    assert agent.flows() == {}


def test_more_answers_than_have_room_are_left_out(agent: Agent) -> None:
    summaries = [
        FlowSummary(fids=tuple(range(first, first + 127))) for first in range(1, 1001, 127)
    ]
    said = agent.say(*summaries)
    assert set(said.values()) == {FlowStatus.FID_NOT_FOUND}
    [send] = [each for each in agent.actions if isinstance(each, Send)]
    assert 1000 < len(emit_message(send.message, AGENT, HOME)) <= 1280 - 40 - 24


def test_two_flows_cannot_have_one_priority(agent: Agent) -> None:
    said = agent.say(wish(1, 1, priority=5), wish(2, 2, priority=5))
    assert said == {1: FlowStatus.ACCEPTED, 2: FlowStatus.REASON_UNSPECIFIED}


def test_two_flows_may_change_places(agent: Agent) -> None:
    agent.say(wish(1, 1, priority=5), wish(2, 2, priority=6))
    said = agent.say(wish(1, 1, priority=6), wish(2, 2, priority=5))
    assert set(said.values()) == {FlowStatus.ACCEPTED}
    assert list(agent.flows()) == [2, 1]


def test_a_summary_of_the_unknown_is_answered(agent: Agent) -> None:
    assert agent.say(FlowSummary(fids=(4, 4))) == {4: FlowStatus.FID_NOT_FOUND}


def test_the_number_of_flows_is_bounded(agent: Agent) -> None:
    for first in range(1, 80, 8):
        fids = range(first, first + 8)
        known = tuple(agent.flows())
        said = agent.say(FlowSummary(fids=known), *(wish(fid, 1) for fid in fids))
    assert set(said.values()) == {FlowStatus.ADMINISTRATIVELY_PROHIBITED}
    assert len(agent.flows()) == 64


def test_the_end_of_one_binding_keeps_the_flows_that_are_named(agent: Agent) -> None:
    agent.say(wish(1, 1), wish(2, 2))
    agent.update(FlowSummary(fids=(1, 2)), bids=(2,), lifetime_s=0)
    assert agent.flows() == {1: (1,), 2: (2,)}  # the second has nowhere to go, for now
    agent.update(bids=(1, 3), lifetime_s=0)
    assert agent.flows() == {}


def test_bindings_that_run_out_take_the_flows_along(agent: Agent) -> None:
    agent.say(wish(1, 1))
    agent.now += 101.0
    agent.engine.handle_timer(agent.now)
    assert agent.engine.bindings(HOME) == ()
    assert agent.flows() == {}


def test_an_agent_may_be_without_flow_bindings() -> None:
    agent = Agent(flow_bindings=False)
    assert agent.say(wish(1, 1)) == {}
    assert agent.flows() == {}


@pytest.mark.parametrize("flow_bindings", [True, False])
def test_flows_come_back_with_their_bindings_if_they_are_still_taken(
    *, flow_bindings: bool
) -> None:
    agent = Agent()
    agent.say(wish(1, 1))
    entry = agent.engine.cache.entry(HOME)
    assert entry is not None
    later = Agent(flow_bindings=flow_bindings)
    later.engine.restore(entry, later.now)
    assert later.flows() == ({1: (1,)} if flow_bindings else {})


def test_an_agent_that_forgot_us_is_told_of_flows_again(node: Bench) -> None:
    node.answer()
    assert node.node.flows.state("voice") == "not supported"
    error = BindingError(
        status=BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS, home_address=HOME
    )
    node.deliver(error, LTE)
    assert listed(node.update()) == {1: (1,), 2: (2, 3)}


# Both.


def test_the_two_agree_after_whatever_happens_to_links() -> None:
    bench = Bench(policy=POLICY).with_policy(flows=(FIRST, SECOND))
    agent = HomeAgent(
        HomeAgentPolicy(
            address=AGENT,
            home_prefixes=(HomePrefix(network=HOME_NETWORK),),
            detect_duplicates=False,
        )
    )

    def settle() -> dict[int, tuple[int, ...]]:
        while bench.updates:
            sent = bench.updates.pop(0)
            received = Received(message=sent.message, envelope=sent.envelope)
            for action in agent.receive(received, bench.now):
                if isinstance(action, Send):
                    bench.deliver(
                        action.message,
                        action.envelope.destination,
                        home_address=action.envelope.routing_header_home_address,
                    )
        return {flow.fid: flow.bids for flow in agent.flows(HOME)}

    bench.all_links()
    assert settle() == {1: (1,), 2: (2, 3)}
    bench.link("lte")
    assert settle() == {1: (3,), 2: (2, 3)}
    bench.link("wifi")
    assert settle() == {1: (3,), 2: (3,)}
    bench.link("lte", IPv6Address("2001:db8:a::7"))
    assert settle() == {1: (1,), 2: (3,)}
    bench.link("wifi", WIFI)
    assert settle() == {1: (1,), 2: (2, 3)}
    refresh(bench)
    assert settle() == {1: (1,), 2: (2, 3)}
    bench.stop()
    assert settle() == {}


# Whatever anybody says.

BIDS = st.integers(1, 4)
SELECTORS = st.sampled_from((VOICE, WEB, Ipv4TrafficSelector(), None))
WISHES = st.builds(
    FlowIdentification,
    fid=st.integers(0, 6),
    priority=st.integers(0, 6),
    selector=SELECTORS,
    bids=st.none() | st.lists(BIDS, max_size=3).map(tuple),
)
SUMMARIES = st.builds(FlowSummary, fids=st.lists(st.integers(0, 6), max_size=4).map(tuple))
UPDATES = st.lists(st.lists(WISHES | SUMMARIES, max_size=6), min_size=1, max_size=6)


@given(updates=UPDATES)
def test_whatever_is_asked_the_list_stays_in_order(
    updates: list[list[FlowIdentification | FlowSummary]],
) -> None:
    held: tuple[FlowBinding, ...] = ()
    for options in updates:
        update = BindingUpdate(
            sequence=1, flags=UpdateFlag.HOME, lifetime_s=4, options=tuple(options)
        )
        verdict = decide_flows(update, held, {1, 2, 3}, most=4)
        listed_fids = [each.fid for each in options if isinstance(each, FlowIdentification)]
        assert [answer.fid for answer in verdict.answers][: len(listed_fids)] == listed_fids
        priorities = [flow.priority for flow in verdict.flows]
        assert priorities == sorted(set(priorities))
        assert len({flow.fid for flow in verdict.flows}) == len(verdict.flows) <= 4
        accepted = {answer.fid for answer in verdict.answers if not answer.status.is_rejection}
        before = {flow.fid: flow for flow in held}
        for flow in verdict.flows:
            assert flow.fid in accepted or flow == before[flow.fid]
            assert flow.fid == 0 or set(flow.bids) <= {1, 2, 3}
        held = verdict.flows
