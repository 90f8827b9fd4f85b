"""Shows the result of the forwarding benchmark."""

from rich.console import Console
from rich.table import Table

from mcoa.lab.bench.dataplane_result import DataplaneResult
from mcoa.lab.bench.figures import Figures

_SENTENCES = {
    "ebpf_tcp_vs_plain": "TCP: fast path over plain forwarding",
    "ebpf_tcp_vs_kernel": "TCP: fast path over the kernel's own tunnel",
    "ebpf_packets_vs_plain": "packets: fast path over plain forwarding",
    "ebpf_udp_tcp_vs_plain": "TCP: fast path in UDP/IPv4 over plain forwarding",
    "ebpf_udp_packets_vs_plain": "packets: fast path in UDP/IPv4 over plain forwarding",
    "userspace_udp_tcp_vs_plain": "TCP: user space in UDP/IPv4 over plain forwarding",
    "userspace_tcp_vs_plain": "TCP: user space in IPv6 over plain forwarding",
    "userspace_packets_vs_plain": "packets: user space in IPv6 over plain forwarding",
}


def show_dataplane(result: DataplaneResult, console: Console) -> None:
    """Print all figures."""
    rates = Table(
        "", "TCP up", "TCP down", "packets up", title="Forwarding", title_justify="left"
    )
    for name, each in result.rates.items():
        rates.add_row(
            name,
            f"{_spread(each.up_gbit_s)} Gbit/s",
            f"{_spread(each.down_gbit_s)} Gbit/s",
            f"{each.packets_per_s.median:,.0f}/s",
        )
    ratios = Table("ratio of medians", "figure", "wanted", title_justify="left")
    for ratio in result.ratios():
        figure = "absent" if ratio.value is None else f"{ratio.value:.2f}"
        ratios.add_row(
            _SENTENCES[ratio.name], figure, f"{ratio.wanted:.2f}" if ratio.wanted else ""
        )
    for table in (rates, ratios):
        for column in table.columns[1:]:
            column.justify = "right"
        console.print(table)
    scale = result.scale
    console.print(
        f"{scale.bindings:,} bindings ({scale.data_plane}): installed in {scale.install_s:.1f} s,"
        f" of which routes {scale.routes_s:.1f} s; a change takes {scale.update_us:.0f} µs;"
        f" {scale.process_octets:,.0f} octets a binding in the daemon,"
        f" {scale.kernel_octets:,.0f} in the kernel",
        highlight=False,
    )
    for name, why in result.absent.items():
        console.print(f"{name} is absent: {why}", highlight=False)
    console.print(
        "Rounds were taken in turn; TCP is the slower direction. All share this machine's"
        " processors, so trust the ratios.",
        highlight=False,
    )


def _spread(figures: Figures) -> str:
    return f"{figures.median:.2f} ({figures.minimum:.2f}-{figures.maximum:.2f})"
