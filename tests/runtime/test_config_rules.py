"""The tables [[rule]]: what they mean to the forwarder, and to the home agent."""

from ipaddress import IPv6Address, IPv6Network

import pytest

from mcoa.dataplane.rules import Verb
from mcoa.engine.policy import FlowPolicy
from mcoa.runtime.config import (
    ConfigurationError,
    HomeAgentConfiguration,
    MobileNodeConfiguration,
    parse,
)
from mcoa.runtime.config_rules import flow_policies, rules_of
from mcoa.runtime.samples import sample
from mcoa.wire.selectors import Ipv6TrafficSelector

HOME = IPv6Address("2001:db8:1::100")
LINKS = 'use = ["lte", "wifi"]'


def configuration(*rules: str, settings: str = "") -> MobileNodeConfiguration:
    text = sample("mobile-node").replace("[mobile-node]\n", f"[mobile-node]\n{settings}\n", 1)
    tables = (f'[[rule]]\nname = "r{n}"\n{rule}\n' for n, rule in enumerate(rules))
    made = parse(text + "\n".join(tables), file="van.toml", default_name="van")
    assert isinstance(made, MobileNodeConfiguration)
    return made


def told(*rules: str) -> tuple[FlowPolicy, ...]:
    return flow_policies(configuration(*rules).rules, HOME)


def faults(*rules: str, settings: str = "") -> str:
    with pytest.raises(ConfigurationError) as caught:
        configuration(*rules, settings=settings)
    return " ".join(f"{each.message} {each.hint}" for each in caught.value.problems)


def test_a_rule_says_what_it_matches_and_how_it_chooses() -> None:
    made = configuration(
        f"""{LINKS}
        how = "spread"
        to = ["2001:db8:2::/64", "2001:db8:3::10/128"]
        port = [443, "8000-8099"]
        own_port = 5000
        protocol = ["udp", 50]
        dscp = [46]
        flow_label = 7"""
    )
    [rule] = rules_of(made.rules).rules
    assert (rule.name, rule.verb, rule.links) == ("r0", Verb.SPREAD, ("lte", "wifi"))
    assert rule.match.to == (IPv6Network("2001:db8:2::/64"), IPv6Network("2001:db8:3::10/128"))
    assert rule.match.ports == (range(443, 444), range(8000, 8100))
    assert rule.match.own_ports == (range(5000, 5001),)
    assert rule.match.protocols == {17, 50}
    assert (rule.match.dscp, rule.match.flow_labels) == ({46}, {7})


def test_the_home_agent_is_told_of_packets_that_come_back() -> None:
    [policy] = told(
        f"""{LINKS}
        to = "2001:db8:2::/64"
        port = "8000-8099"
        own_port = 5000
        protocol = "udp"
        dscp = 46
        flow_label = 7"""
    )
    assert policy == FlowPolicy(
        fid=1,
        selector=Ipv6TrafficSelector(
            start_source=IPv6Address("2001:db8:2::"),
            end_source=IPv6Address("2001:db8:2::ffff:ffff:ffff:ffff"),
            start_destination=HOME,
            start_flow_label=7,
            start_source_port=8000,
            end_source_port=8099,
            start_destination_port=5000,
            end_destination_port=5000,
            start_traffic_class=46 << 2,
            start_next_header=17,
        ),
        links=("lte", "wifi"),
        rule="r0",
    )


def test_each_combination_is_a_flow_binding_of_its_own() -> None:
    policies = told(f'{LINKS}\nport = [1, 2]\nprotocol = ["tcp", "udp"]', f"{LINKS}\nport = 3")
    assert [policy.fid for policy in policies] == [1, 2, 3, 4, 5]
    assert [policy.rule for policy in policies] == ["r0"] * 4 + ["r1"]
    ports = {(p.selector.start_source_port, p.selector.start_next_header) for p in policies[:4]}
    assert ports == {(1, 6), (1, 17), (2, 6), (2, 17)}


def test_copies_are_told_and_what_cannot_be_said_ends_it() -> None:
    copied = f'{LINKS}\nhow = "duplicate"'
    for how in ("spread", "lowest-latency"):
        policies = told(copied, f'{LINKS}\nhow = "{how}"\nport = 1', LINKS)
        assert [(policy.rule, policy.copies) for policy in policies] == [("r0", True)]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ('use = ["lte"]\nhow = "often"', '"often" is none of the choices'),
        ('use = ["moon"]', 'there is no link "moon"'),
        (f'{LINKS}\nport = "70000"', "is out of range"),
        (f'{LINKS}\nport = "9-5"', "is out of range"),
        (f'{LINKS}\nport = "high"', '"high" is no port'),
        (f'{LINKS}\nprotocol = "carrier-pigeon"', "is no protocol known here"),
        (f"{LINKS}\nprotocol = 256", "256 is out of range"),
        (f"{LINKS}\ndscp = 64", "64"),
        (f"{LINKS}\ncolour = 1", "colour"),
        (f"{LINKS}\nport = {list(range(65))}", "there are 65 combinations"),
    ],
)
def test_what_makes_no_sense_is_said(rule: str, sentence: str) -> None:
    assert sentence in faults(rule)


def test_lowest_latency_without_probes_is_no_rule() -> None:
    rule = f'{LINKS}\nhow = "lowest-latency"'
    assert "needs probes" in faults(rule, settings='probe_interval = "off"')


def test_sixty_four_combinations_are_not_too_many() -> None:
    assert len(told(f"{LINKS}\nport = {list(range(64))}")) == 64


# At a home agent.


def agent_configuration(rule: str) -> HomeAgentConfiguration:
    text = f'{sample("home-agent")}\n[[rule]]\nname = "r"\n{rule}\n'
    made = parse(text, file="agent.toml", default_name="agent")
    assert isinstance(made, HomeAgentConfiguration)
    return made


def test_an_agent_has_rules_of_its_own() -> None:
    made = agent_configuration('use = [3, 1]\nport = [1, 2]\nhome_address = "2001:db8:1::100"')
    flows = list(made.rules[0].bound_flows())
    assert [(flow.name, flow.bids) for flow in flows] == [("r", (3, 1))] * 2
    assert all(flow.origins == () for flow in flows)


def test_a_rule_of_an_agent_may_name_interfaces() -> None:
    for value in ('"lan"', '["lan", "wlan0"]'):
        made = agent_configuration(f"use = [1]\ninterface = {value}")
        [flow] = made.rules[0].bound_flows()
        assert flow.origins == made.rules[0].interface
        assert flow.origins[0] == "lan"


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("use = [0]", "0"),
        ('use = ["lte"]', '"lte"'),
        ('use = [1]\nhow = "lowest-latency"', 'write one of "stick", "duplicate"'),
        ('use = [1]\n[[rule]]\nname = "r"\nuse = [2]', "is taken by an earlier rule"),
        ("", "use is missing"),
        ('use = [1]\ninterface = "mip0"', "the device that mcoa makes"),
        ('use = [1]\ninterface = ["lan", "mip0"]', "the device that mcoa makes"),
        ('use = [1]\ninterface = "a/b"', "no interface name"),
    ],
)
def test_what_makes_no_sense_at_an_agent_is_said(rule: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        agent_configuration(rule)
    problems = caught.value.problems
    assert sentence in " ".join(f"{each.message} {each.hint}" for each in problems)
