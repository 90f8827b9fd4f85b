"""The benchmark in its smallest form: everything is there, whatever the machine is worth."""

from pathlib import Path

import pytest

from mcoa.lab.bench import dataplane
from mcoa.lab.bench.agent import Order
from mcoa.lab.bench.echo import compile_c_echo
from mcoa.lab.bench.launch import Agent
from mcoa.lab.bench.result import SignallingResult
from mcoa.lab.bench.signalling import Measured, Plan, measure
from mcoa.lab.namespaces import LabError, Namespaces, remove_stale_runs

pytestmark = pytest.mark.netns

SMALLEST = Plan(rounds=2, messages=40, packets=200, small=300, large=30_000)


def run(plan: Plan) -> SignallingResult:
    *_, last = measure(plan)
    assert isinstance(last, Measured)
    return last.result


def test_every_figure_is_there_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    remove_stale_runs()
    has_compiler = compile_c_echo(tmp_path) is not None
    left = set(tmp_path.iterdir())
    fields = run(SMALLEST).to_object()
    optional = {} if has_compiler else {"transactions_vs_c_echo", "c_echo_us"}
    numbers = {
        name: value
        for name, value in fields.items()
        if name not in {"schema", "octets_measured_by", "rounds", *optional}
    }
    assert {
        "codec_vs_scapy",
        "authenticated_updates_per_s",
        "transactions_vs_echo",
        "transactions_per_s",
        "growth_1e3_1e6",
        "octets_per_binding",
        "longest_pause_ms",
        "transaction_with_journal_us",
    } <= numbers.keys()
    assert all(isinstance(value, int | float) and value > 0 for value in numbers.values())
    assert set(tmp_path.iterdir()) == left
    assert remove_stale_runs() == []


def test_every_way_of_forwarding_takes_part() -> None:
    plan = dataplane.Plan(rounds=1, duration_s=0.2, bindings=300)
    *_, last = dataplane.measure(plan)
    assert isinstance(last, dataplane.Measured)
    result = last.result
    assert not result.absent
    for rates in result.rates.values():
        assert rates.tcp_gbit_s > 0
        assert rates.packets_per_s.median > 0
    assert all(ratio.value for ratio in result.ratios())
    assert result.scale.data_plane == "ebpf"
    assert remove_stale_runs() == []


def test_an_agent_that_cannot_start_says_why(tmp_path: Path) -> None:
    order = Order(homes=-1, packets=10, directory=str(tmp_path / "agent"))
    with Namespaces() as namespaces, pytest.raises(LabError, match="measured agent failed"):
        Agent(namespaces, "small", order)
