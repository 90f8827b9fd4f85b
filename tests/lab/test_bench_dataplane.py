"""The forwarding benchmark says what it measured."""

import json

from click.testing import CliRunner
from rich.console import Console

from mcoa.cli.bench import bench
from mcoa.lab.bench.aggregate import AggregateResult, Round, sentences
from mcoa.lab.bench.dataplane_result import (
    EBPF,
    KERNEL_TUNNEL,
    PLAIN,
    USER_SPACE,
    USER_SPACE_UDP,
    DataplaneResult,
    Rates,
)
from mcoa.lab.bench.dataplane_view import show_dataplane
from mcoa.lab.bench.figures import Figures
from mcoa.lab.bench.pump import Order
from mcoa.lab.bench.scale import ScaleResult

SCALE = ScaleResult(
    data_plane="ebpf",
    bindings=99_999,
    maps_s=1.5,
    routes_s=0.5,
    update_us=30.0,
    process_octets=900.0,
    kernel_octets=400.0,
)


def rates(up: float, down: float, packets: float) -> Rates:
    return Rates(
        up_gbit_s=Figures.of([up]),
        down_gbit_s=Figures.of([down]),
        packets_per_s=Figures.of([packets]),
    )


RESULT = DataplaneResult(
    rates={
        PLAIN: rates(10.0, 12.0, 400.0),
        EBPF: rates(11.0, 9.0, 300.0),
        USER_SPACE: rates(1.0, 2.0, 100.0),
        USER_SPACE_UDP: rates(3.0, 2.0, 80.0),
    },
    absent={KERNEL_TUNNEL: "no such thing"},
    scale=SCALE,
)


def test_ratios_are_those_of_the_slower_direction() -> None:
    fields = json.loads(json.dumps(RESULT.to_object()))
    assert fields["schema"] == "mcoa.bench.dataplane/1"
    assert fields["ebpf_tcp_vs_plain"] == 0.9
    assert fields["ebpf_packets_vs_plain"] == 0.75
    assert fields["userspace_tcp_vs_plain"] == 0.1
    assert fields["userspace_udp_tcp_vs_plain"] == 0.2
    assert fields["ebpf_tcp_vs_kernel"] is None
    assert fields["absent"] == {KERNEL_TUNNEL: "no such thing"}
    assert fields["scale"]["install_s"] == 2.0


def test_the_table_says_what_is_wanted_and_what_is_absent() -> None:
    console = Console(width=100, record=True)
    show_dataplane(RESULT, console)
    text = console.export_text()
    assert "0.90" in text
    assert "no such thing" in text
    assert "99,999 bindings (ebpf): installed in 2.0 s" in text


def test_the_share_is_of_the_sum_of_the_single_links() -> None:
    rounds = tuple(
        Round(together=together, alone={"lte": 40.0, "wifi": 20.0, "sat": 40.0})
        for together in (90.0, 96.0, 97.0)
    )
    result = AggregateResult(rounds={"unequal": rounds})
    assert result.share("unequal") == 0.96
    (sentence,) = sentences(result)
    assert sentence.startswith("yes  three links of unequal rate carry 0.960")
    fields = json.loads(json.dumps(result.to_object()))
    assert fields["schema"] == "mcoa.bench.aggregate/1"
    assert fields["shares"] == {"unequal": 0.96}


def test_an_order_survives_the_command_line() -> None:
    order = Order(host="::1", port=1, duration_s=0.5, source="::2")
    assert Order.from_json(order.to_json()) == order


def test_the_help_says_what_takes_turns() -> None:
    result = CliRunner().invoke(bench, ["dataplane", "--help"])
    assert "kernel's own tunnels" in result.output
