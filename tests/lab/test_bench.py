"""The benchmark measures what it says it measures."""

import json
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from rich.console import Console

from mcoa.cli.bench import bench
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.policy import HomeAgentPolicy, HomePrefix
from mcoa.engine.refresh import Refresher
from mcoa.lab.bench.codec import codec_contest
from mcoa.lab.bench.echo import compile_c_echo
from mcoa.lab.bench.figures import Contest, Figures
from mcoa.lab.bench.population import (
    ACCESS_NETWORKS,
    BIDS,
    HOME_AGENT,
    HOME_PREFIX,
    LIFETIME_S,
    Population,
    care_of_address,
)
from mcoa.lab.bench.progress import Advanced, Began
from mcoa.lab.bench.result import SignallingResult
from mcoa.lab.bench.view import ProgressView, show_result
from mcoa.runtime.records import parse_record
from mcoa.runtime.signalling import parse_signalling
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.options import BindingIdentifier

POLICY = HomeAgentPolicy(
    address=HOME_AGENT,
    home_prefixes=(HomePrefix(network=IPv6Network(HOME_PREFIX)),),
    max_lifetime_s=LIFETIME_S,
)
NOW = 1000.0


def population(count: int) -> Population:
    return Population(count, Random(1))


def figures(value: float) -> Figures:
    return Figures(median=value, minimum=value / 2, maximum=2 * value)


def a_result(c_echo_us: Figures | None) -> SignallingResult:
    return SignallingResult(
        codec_us=figures(10),
        scapy_us=figures(1000),
        authenticated_us=figures(40),
        unauthenticated_us=figures(20),
        small_bindings=1000,
        large_bindings=1_000_000,
        transaction_us=figures(8),
        transaction_with_journal_us=figures(16),
        echo_us=figures(4),
        c_echo_us=c_echo_us,
        large_transaction_us=figures(10),
        octets_per_binding=512.0,
        refresh_pause_ms=3.0,
        tick_pause_ms=1.0,
        herd_pause_ms=7.0,
        restore_s=2.0,
    )


def test_contenders_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []

    def contender(name: str, first: float) -> float:
        turns.append(name)
        return first if turns.count(name) == 1 else float(turns.count(name))

    contest = Contest({"a": lambda: contender("a", 99.0), "b": lambda: contender("b", 99.0)}, 3)
    assert list(contest.run()) == [(0, 3), (1, 3), (2, 3)]
    assert turns == ["a", "b"] * 4
    assert contest.result("a") == Figures(median=3.0, minimum=2.0, maximum=4.0)
    assert contest.figures("c") is None


def test_nodes_send_refreshes_of_three_bids_without_addresses() -> None:
    nodes = population(5)
    for sequence in (1, 2):
        received = parse_signalling(nodes.refresh(3))
        assert isinstance(received.message, BindingUpdate)
        assert received.message.sequence == nodes.sequence(3) == sequence
        assert received.message.options == tuple(BindingIdentifier(bid=bid) for bid in BIDS)
        envelope = received.envelope
        assert envelope.home_address == IPv6Address(nodes.home_address(3))
        assert envelope.source.packed == care_of_address(3, 0)


def test_nodes_have_different_addresses_in_the_networks_they_belong_to() -> None:
    nodes = population(1000)
    homes = {IPv6Address(nodes.home_address(node)) for node in range(1000)}
    assert len(homes) == 1000
    assert all(home in IPv6Network(HOME_PREFIX) for home in homes)
    for link, network in enumerate(ACCESS_NETWORKS):
        addresses = {IPv6Address(care_of_address(node, link)) for node in range(1000)}
        assert len(addresses) == 1000
        assert all(address in IPv6Network(network) for address in addresses)


def test_records_hold_what_the_refreshes_name() -> None:
    nodes, agent = population(20), HomeAgent(POLICY)
    for key, record in nodes.records(NOW, 0.0, Random(2)):
        agent.restore(parse_record(IPv6Address(key), record, offset_s=0.0), NOW)
    refresher = Refresher(agent)
    assert all(refresher.answer(nodes.refresh(node), NOW) for node in range(20))


def test_scapy_agrees_on_the_messages_and_both_are_timed() -> None:
    contest = codec_contest(1, 20)
    list(contest.run())
    assert contest.result("codec").median > 0
    assert contest.result("scapy").median > 0


def test_no_compiler_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compile_c_echo(tmp_path) is None


def test_the_object_has_the_ratios_and_what_they_were_made_of() -> None:
    fields = a_result(figures(2)).to_object()
    assert fields["codec_vs_scapy"] == 100
    assert fields["transactions_vs_echo"] == 0.5
    assert fields["authenticated_vs_plain"] == 0.5
    assert fields["authenticated_updates_per_s"] == 25_000
    assert fields["transactions_vs_c_echo"] == 0.25
    assert fields["transactions_per_s"] == 125_000
    assert fields["transaction_with_journal_us"] == 16
    assert fields["growth_1e3_1e6"] == 1.25
    assert fields["octets_per_binding"] == 512
    assert fields["longest_pause_ms"] == 7
    json.dumps(fields)


def test_without_a_compiler_the_figures_of_c_are_null() -> None:
    fields = a_result(None).to_object()
    assert fields["transactions_vs_c_echo"] is None
    assert fields["c_echo_us"] is None


def test_the_table_says_what_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(a_result(None), Console(width=100))
    printed = capsys.readouterr().out
    assert "times scapy's speed" in printed
    assert "125,000" in printed
    assert "echo in C" not in printed


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_names_each_part(
    is_terminal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    view = ProgressView(Console(force_terminal=is_terminal, width=80))
    with view.open():
        view.show(Began(title="the codec"))
        view.show(Advanced(done=1, total=2))
    assert "the codec" in capsys.readouterr().out


def test_the_command_has_its_options() -> None:
    shown = CliRunner().invoke(bench, ["signalling", "--help"])
    assert shown.exit_code == 0
    assert "--json" in shown.output
    assert "--quick" in shown.output
