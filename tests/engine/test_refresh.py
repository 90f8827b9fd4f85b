"""The short way of a refresh is the general way, octet by octet and binding by binding."""

from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bench_of_agent import (
    AGENT,
    HOME,
    LTE,
    OTHER_HOME,
    OVERWRITE,
    POLICY,
    REGISTER,
    SAT,
    WIFI,
    Bench,
    bid,
)
from mcoa.binding.cache import Binding
from mcoa.engine.actions import Envelope, Remember, Send
from mcoa.engine.policy import HomePrefix
from mcoa.engine.refresh import Refresher
from mcoa.runtime.signalling import SignallingError, emit_signalling, parse_signalling
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import UpdateFlag

NOW = 20.0
SECOND_HOME = IPv6Address("2001:db8:1::300")


def bound() -> Bench:
    """Return an agent that holds three bindings, one of another age and one with priority."""
    bench = Bench()
    bench.send(BindingIdentifier(bid=1, care_of_address=LTE, priority=7), lifetime_s=200)
    bench.send(bid(2, WIFI), bid(3, SAT), lifetime_s=100)
    bench.send(bid(1, WIFI), home=OTHER_HOME, sequence=9)
    bench.now = NOW
    return bench


def update(
    *options: BindingIdentifier,
    sequence: int = 3,
    flags: UpdateFlag = REGISTER,
    lifetime_s: int = 300,
    source: IPv6Address = LTE,
    home: IPv6Address = HOME,
) -> bytes:
    message = BindingUpdate(
        sequence=sequence, flags=flags, lifetime_s=lifetime_s, options=options
    )
    envelope = Envelope(source=source, destination=AGENT, home_address=home)
    return emit_signalling(Send(message=message, envelope=envelope))


def state(bench: Bench) -> list[tuple[object, ...]]:
    return [
        (
            e.home_address,
            e.sequence,
            e.lifetime_s,
            e.refresh_requested,
            tuple(map(_copy, e.bindings)),
        )
        for e in bench.agent.cache
    ]


def _copy(binding: Binding) -> Binding:
    return replace(binding)


def assert_both_ways_agree(packet: bytes) -> bool:
    """Send a packet both ways; tell whether the short way took it."""
    short, general = bound(), bound()
    before = state(short)
    answer = Refresher(short.agent).answer(packet, NOW)
    if answer is None:
        assert state(short) == before
        return False
    actions = general.agent.receive(parse_signalling(packet), NOW)
    remember, send = actions
    home_address, octets = answer
    assert remember == Remember(home_address=IPv6Address(home_address))
    assert isinstance(send, Send)
    assert octets == emit_signalling(send)
    assert state(short) == state(general)
    return True


FIRST = BindingIdentifier(bid=1, priority=7)


@pytest.mark.parametrize(
    "packet",
    [
        update(FIRST),
        update(FIRST, bid(2)),
        update(FIRST, bid(2), bid(3)),
        update(bid(3), FIRST, source=SAT),
        update(bid(2), lifetime_s=120, source=WIFI),
        update(FIRST, sequence=0x7FFF, lifetime_s=262140),
        update(bid(1), home=OTHER_HOME, sequence=10, source=WIFI),
    ],
)
def test_an_ordinary_refresh_goes_the_short_way(packet: bytes) -> None:
    assert assert_both_ways_agree(packet)


@pytest.mark.parametrize(
    "packet",
    [
        update(FIRST, sequence=2),
        update(bid(1)),
        update(bid(9)),
        update(FIRST, FIRST),
        update(bid(1, LTE)),
        update(FIRST, flags=OVERWRITE),
        update(FIRST, flags=UpdateFlag.HOME),
        update(FIRST, lifetime_s=0),
        update(FIRST, lifetime_s=8),
        update(FIRST, source=IPv6Address("2001:db8:f::1")),
        update(FIRST, home=IPv6Address("2001:db8:1::300")),
        update(),
        update(FIRST)[:-1],
        update(FIRST) + b"\0",
        bytes(200),
        b"",
    ],
)
def test_everything_else_goes_the_general_way(packet: bytes) -> None:
    assert not assert_both_ways_agree(packet)


@given(
    st.lists(
        st.builds(
            BindingIdentifier,
            bid=st.integers(1, 4),
            priority=st.sampled_from([0, 7]),
            status=st.sampled_from([0, 0, 0, 1]),
            home=st.sampled_from([False, False, False, True]),
            care_of_address=st.sampled_from([None, None, None, LTE]),
        ),
        max_size=5,
    ),
    st.integers(0, 0xFFFF),
    st.sampled_from([REGISTER, REGISTER, OVERWRITE, UpdateFlag.HOME]),
    st.sampled_from([0, 4, 80, 180, 4000]),
    st.sampled_from([LTE, WIFI, SAT, OTHER_HOME]),
)
def test_both_ways_agree_on_any_update(
    options: list[BindingIdentifier],
    sequence: int,
    flags: UpdateFlag,
    lifetime_s: int,
    source: IPv6Address,
) -> None:
    assert_both_ways_agree(
        update(*options, sequence=sequence, flags=flags, lifetime_s=lifetime_s, source=source)
    )


@given(st.integers(0, 95), st.integers(0, 255))
def test_both_ways_agree_on_any_octet_changed(at: int, value: int) -> None:
    packet = bytearray(update(FIRST, bid(2), bid(3)))
    packet[at] = value
    try:
        assert_both_ways_agree(bytes(packet))
    except SignallingError:
        pytest.fail(f"the general way refuses octet {at} = {value}, the short way took it")


@pytest.mark.parametrize(
    "changes",
    [
        {"refresh_advice_s": 20},
        {"bulk": False},
        {
            "home_prefixes": (
                HomePrefix(network=POLICY.home_prefixes[0].network, valid_until_s=99.0),
            )
        },
    ],
)
def test_a_policy_that_asks_for_more_goes_the_general_way(changes: dict[str, object]) -> None:
    bench = bound()
    bench.agent.policy = replace(POLICY, **changes)
    assert Refresher(bench.agent).answer(update(FIRST, bid(2)), NOW) is None


def test_options_that_end_within_eight_octets_go_the_general_way() -> None:
    packet = bytearray(update(FIRST)[:-6])
    packet[4:6] = (len(packet) - 40).to_bytes(2)
    bench = bound()
    assert Refresher(bench.agent).answer(bytes(packet), NOW) is None


def test_what_is_known_of_one_node_serves_others_and_binds_none() -> None:
    bench = bound()
    bench.send(bid(1, WIFI), home=SECOND_HOME, sequence=1)
    refresher = Refresher(bench.agent)
    assert refresher.answer(update(bid(1), home=OTHER_HOME, sequence=10, source=WIFI), NOW)
    assert refresher.answer(update(bid(1), home=SECOND_HOME, sequence=2, source=WIFI), NOW)
    bench.send(bid(1, WIFI), home=SECOND_HOME, sequence=3, lifetime_s=0)
    assert not refresher.answer(update(bid(1), home=SECOND_HOME, sequence=4, source=WIFI), NOW)
    assert refresher.answer(update(bid(1), home=OTHER_HOME, sequence=11, source=WIFI), NOW)
