"""Rules for flows: what they match, and where they put flows."""

from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.dataplane.mobile_node import MobileNodeForwarder, prefix_to
from mcoa.dataplane.packet import flow_key
from mcoa.dataplane.path import Path
from mcoa.dataplane.rules import Match, Rule, Rules, Verb
from mcoa.dataplane.table import ForwardingTable

HOME, PEER = IPv6Address("2001:db8:1::100"), IPv6Address("2001:db8:2::10")
TCP, UDP, ICMPV6, FRAGMENT = 6, 17, 58, 44


def packet(
    *,
    to: IPv6Address = PEER,
    own_port: int = 40_000,
    port: int = 443,
    protocol: int = UDP,
    traffic_class: int = 0,
    label: int = 0,
) -> bytes:
    first = (6 << 28 | traffic_class << 20 | label).to_bytes(4)
    start = first + (8).to_bytes(2) + bytes((protocol, 64))
    return start + HOME.packed + to.packed + own_port.to_bytes(2) + port.to_bytes(2) + bytes(4)


def rule(match: Match, *links: str, verb: Verb = Verb.STICK, name: str = "x") -> Rule:
    return Rule(name=name, match=match, verb=verb, links=links)


@pytest.mark.parametrize(
    ("match", "options"),
    [
        (Match(), {}),
        (Match(to=(IPv6Network("2001:db8:2::/64"),)), {}),
        (Match(to=(IPv6Network("2001:db8:3::/64"), IPv6Network("::/0"))), {}),
        (Match(ports=(range(443, 444),)), {}),
        (Match(ports=(range(100), range(400, 500))), {}),
        (Match(own_ports=(range(40_000, 40_001),), ports=(range(443, 444),)), {}),
        (Match(protocols=frozenset({UDP, TCP})), {"protocol": TCP}),
        (Match(dscp=frozenset({46})), {"traffic_class": 46 << 2 | 2}),
        (Match(flow_labels=frozenset({0x12345})), {"label": 0x12345}),
    ],
)
def test_a_packet_that_is_meant_matches(match: Match, options: dict[str, int]) -> None:
    wanted = rule(match, "lte")
    assert Rules([wanted]).rule_for(packet(**options)) is wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("match", "options"),
    [
        (Match(to=(IPv6Network("2001:db8:3::/64"),)), {}),
        (Match(ports=(range(443, 444),)), {"port": 444}),
        (Match(ports=(range(443, 444),)), {"protocol": 50}),
        (Match(own_ports=(range(443, 444),)), {}),
        (Match(protocols=frozenset({TCP})), {}),
        (Match(protocols=frozenset({FRAGMENT}), ports=(range(65536),)), {"protocol": FRAGMENT}),
        (Match(dscp=frozenset({46})), {"traffic_class": 45 << 2}),
        (Match(flow_labels=frozenset({1})), {"label": 0x10001}),
        (Match(protocols=frozenset({ICMPV6})), {"protocol": ICMPV6, "own_port": 0x0100}),
    ],
)
def test_another_does_not(match: Match, options: dict[str, int]) -> None:
    assert Rules([rule(match, "lte")]).rule_for(packet(**options)) is None  # type: ignore[arg-type]


def test_the_first_rule_that_matches_decides() -> None:
    narrow = rule(Match(ports=(range(443, 444),)), "lte", name="narrow")
    wide = rule(Match(), "wifi", name="wide")
    rules = Rules([narrow, wide])
    assert rules.rule_for(packet()) is narrow
    assert rules.rule_for(packet(port=80)) is wide


@given(octets=st.binary(min_size=40, max_size=90))
def test_no_packet_confuses_a_rule(octets: bytes) -> None:
    match = Match(
        to=(IPv6Network("::/0"),), ports=(range(65536),), protocols=frozenset(range(256))
    )
    Rules([rule(match, "lte")]).rule_for(octets)


LINKS = ("lte", "wifi", "sat")


def table() -> ForwardingTable:
    made = ForwardingTable(follows_inbound=False)
    bind(made, *LINKS)
    return made


def bind(made: ForwardingTable, *links: str) -> None:
    made.replace(
        HOME.packed,
        tuple(
            Path(bid=LINKS.index(link) + 1, care_of_address=link.encode().ljust(16), link=link)
            for link in links
        ),
    )


def link_of(made: ForwardingTable, port: int, wanted: Rule | None, now: float = 0.0) -> str:
    state = made.route(HOME.packed, flow_key(packet(port=port)), now, wanted)
    assert state is not None
    return state.path.link


def test_stick_takes_the_first_link_and_comes_back_to_it() -> None:
    made, wanted = table(), rule(Match(), "sat", "wifi")
    assert [link_of(made, port, wanted) for port in range(4)] == ["sat"] * 4
    made.path_down(HOME.packed, 3)
    assert [link_of(made, port, wanted) for port in range(4)] == ["wifi"] * 4
    bind(made, "lte")
    made.path_up(HOME.packed, 3)
    assert link_of(made, 0, wanted) == "lte"  # better than nothing
    bind(made, *LINKS)
    made.obey(HOME.packed, 1.0)
    flows = list(made.flows_of(HOME.packed))
    assert {flow.path.path.link for flow in flows if flow.rule is wanted} == {"sat"}


def test_spread_stays_within_its_links_and_with_its_first_choice() -> None:
    made, wanted = table(), rule(Match(), "lte", "sat", verb=Verb.SPREAD)
    first = [link_of(made, port, wanted) for port in range(6)]
    assert sorted(first) == ["lte"] * 3 + ["sat"] * 3
    made.path_down(HOME.packed, 1)
    assert {link_of(made, port, wanted) for port in range(6)} == {"sat"}
    made.path_up(HOME.packed, 1)
    made.obey(HOME.packed, 1.0)
    assert {link_of(made, port, wanted) for port in range(6)} == {"sat"}


def test_flows_without_a_rule_are_spread_as_ever() -> None:
    made = table()
    assert sorted(link_of(made, port, None) for port in range(6)) == sorted(LINKS * 2)
    made.obey(HOME.packed, 1.0)
    assert sorted(link_of(made, port, None) for port in range(6)) == sorted(LINKS * 2)


def test_a_flow_that_came_in_first_gets_its_rule_with_its_first_answer() -> None:
    made, wanted = table(), rule(Match(), "sat")
    key = flow_key(packet(port=7))
    made.learn(HOME.packed, key, 1, 0.0)
    assert link_of(made, 7, wanted) == "sat"


def test_later_packets_without_a_rule_leave_the_flow_where_it_is() -> None:
    made, wanted = table(), rule(Match(), "sat")
    assert link_of(made, 7, wanted) == "sat"
    assert link_of(made, 7, None) == "sat"
    assert [flow.rule for flow in made.flows_of(HOME.packed)] == [wanted]


def test_the_forwarder_asks_its_rules() -> None:
    from random import Random  # noqa: PLC0415 - for this test alone

    agent = IPv6Address("2001:db8:1::1").packed
    sent: list[str] = []
    made = ForwardingTable(follows_inbound=False, prefix=prefix_to(agent))
    forwarder = MobileNodeForwarder(
        home_address=HOME.packed,
        home_agent=agent,
        send=lambda path, _packet: sent.append(path.link),
        write=lambda _packet: None,
        report=lambda *_: None,
        rng=Random(1),
        table=made,
    )
    forwarder.rules = Rules([rule(Match(ports=(range(9000, 9010),)), "sat")])
    bind(made, *LINKS)
    for port in (9000, 9001, 9002):
        for now in (0.0, 0.1, 2.0):
            forwarder.from_device(packet(port=port), now)
    assert sent == ["sat"] * 9


def measured(made: ForwardingTable, **round_trips_s: float) -> None:
    for link, round_trip_s in round_trips_s.items():
        state = made.state(HOME.packed, LINKS.index(link) + 1)
        assert state is not None
        state.round_trip_s = round_trip_s


def test_lowest_latency_takes_the_link_whose_probes_return_soonest() -> None:
    made, wanted = table(), rule(Match(), *LINKS, verb=Verb.LOWEST_LATENCY)
    measured(made, lte=0.06, wifi=0.02, sat=0.6)
    assert [link_of(made, port, wanted) for port in range(3)] == ["wifi"] * 3
    made.path_down(HOME.packed, 2)
    assert link_of(made, 0, wanted) == "lte"
    made.path_up(HOME.packed, 2)
    made.obey(HOME.packed, 0.0)
    assert link_of(made, 0, wanted) == "wifi"


def test_a_link_has_to_be_clearly_sooner_to_get_a_flow() -> None:
    made, wanted = table(), rule(Match(), *LINKS, verb=Verb.LOWEST_LATENCY)
    measured(made, lte=0.050, wifi=0.060, sat=0.6)
    assert link_of(made, 0, wanted) == "lte"
    measured(made, lte=0.065)
    made.obey(HOME.packed, 0.0)
    assert link_of(made, 0, wanted) == "lte"
    measured(made, lte=0.090)
    made.obey(HOME.packed, 0.0)
    assert link_of(made, 0, wanted) == "wifi"


def test_lowest_latency_is_for_its_own_links_and_goes_without_measurements() -> None:
    made, wanted = table(), rule(Match(), "sat", "lte", verb=Verb.LOWEST_LATENCY)
    assert link_of(made, 0, wanted) in {"sat", "lte"}
    measured(made, wifi=0.01, lte=0.05)
    made.obey(HOME.packed, 0.0)
    assert link_of(made, 0, wanted) == "lte"
    assert Rules([wanted]).measure
    assert not Rules([rule(Match(), "lte")]).measure


def test_duplicate_uses_one_path_of_each_link_that_lives() -> None:
    made, wanted = table(), rule(Match(), "sat", "lte", verb=Verb.DUPLICATE)
    copies = made.copies(HOME.packed, wanted)
    assert {state.path.link for state in copies} == {"sat", "lte"}
    made.path_down(HOME.packed, 3)
    assert made.copies(HOME.packed, wanted) == []
    assert link_of(made, 0, wanted) == "lte"
    assert made.copies(HOME.packed, rule(Match(), *LINKS)) == []
