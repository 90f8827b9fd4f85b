"""Draws the demonstration: a live table in a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from mcoa.lab.demo_events import (
    Built,
    Event,
    Finished,
    Found,
    GroundFound,
    LinkReading,
    Reading,
    StepBegan,
)
from mcoa.lab.demo_result import CutResult, DemoResult, middle

PLAIN_INTERVAL_S = 2.0
BAR_WIDTH = 20


class DemoView:
    """Shows events as they come; `live` chooses the table over plain lines."""

    def __init__(self, console: Console, *, live: bool) -> None:
        self._console = console
        self._live: Live | None = (
            Live(console=console, refresh_per_second=8, transient=True) if live else None
        )
        self._title = ""
        self._spinner = Spinner("dots")
        self._reading: Reading | None = None
        self._said_s = 0.0

    @contextmanager
    def open(self) -> Iterator["DemoView"]:
        """Hold the terminal while events come."""
        if self._live is None:
            yield self
            return
        with self._live:
            yield self

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case GroundFound():
                self._say(event.ground.sentence())
            case Built():
                pass
            case StepBegan():
                self._title = event.title
                self._say(f"\n[bold]{escape(event.title)}[/bold]")
                self._spinner.update(text=event.title)
            case Found():
                self._say(f"  {escape(event.sentence)}")
            case Reading():
                self._reading = event
                self._progress(event)
            case Finished():
                if self._live is not None:
                    self._live.update(Text())
                self._console.print(result_table(event.result))
        if self._live is not None and self._reading is not None:
            table = link_table(self._reading)
            self._live.update(Text() if isinstance(event, Finished) else table)

    def _say(self, markup: str) -> None:
        self._console.print(markup, highlight=False, soft_wrap=True)
        if self._reading is not None:
            self._said_s = self._reading.elapsed_s

    def _progress(self, reading: Reading) -> None:
        """Without a live table, say every two seconds what goes on."""
        if self._live is not None or reading.elapsed_s - self._said_s < PLAIN_INTERVAL_S:
            return
        self._said_s = reading.elapsed_s
        links = "  ".join(_plain_link(link) for link in reading.links)
        self._console.print(
            f"  {reading.elapsed_s:3.0f} s  {links}", highlight=False, soft_wrap=True
        )


def link_table(reading: Reading) -> Group:
    """Return the live view of the links."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading in ("link", "care-of address", "binding", "down", "", "up"):
        table.add_column(heading, justify="right" if heading in ("down", "up") else "left")
    for link in reading.links:
        table.add_row(
            f"{link.name} [dim]{link.rate_mbit_s} Mbit/s {link.rtt_ms:.0f} ms[/dim]",
            link.care_of_address,
            _binding(link),
            f"{link.down_mbit_s:.1f}",
            ProgressBar(
                total=link.rate_mbit_s,
                completed=min(link.down_mbit_s, link.rate_mbit_s),
                width=BAR_WIDTH,
            ),
            f"{link.up_mbit_s:.1f}",
        )
    return Group(Text(f"\n{reading.elapsed_s:5.0f} s"), table)


def result_table(result: DemoResult) -> Group:
    """Return the result, with plain Mobile IPv6 beside it, and the claims."""
    table = Table(title="\nresult", title_justify="left", box=None, padding=(0, 2))
    for heading in ("", f"{result.links} bindings", "plain Mobile IPv6"):
        table.add_column(heading, justify="left" if not heading else "right")
    for label, unit, of_cut in (
        ("echo train silent after a cut, median", "ms", _gap),
        ("longest", "ms", None),
        ("echoes lost, median", "", _lost),
        ("round trip of the surviving path", "ms", _rtt),
        ("TCP transfer silent, median", "ms", _tcp_gap),
        ("TCP messages silent, median", "ms", _message_gap),
    ):
        if of_cut is None:
            values = [
                max((cut.gap_ms for cut in cuts), default=None)
                for cuts in (result.cuts, result.plain_cuts)
            ]
        else:
            values = [
                middle([of_cut(cut) for cut in cuts])
                for cuts in (result.cuts, result.plain_cuts)
            ]
        table.add_row(label, *[_value(value, unit) for value in values])
    singles = ", ".join(f"{name} {rate:.1f}" for name, rate in result.singles_mbit_s)
    lines = [
        Text(f"\n{result.aggregate_mbit_s:.1f} Mbit/s over all links; alone {singles}"),
        *[
            Text.from_markup(
                f"{'[green]yes[/green]' if claim.holds else '[red]NO [/red]'}  {claim.sentence}"
            )
            for claim in result.claims()
        ],
    ]
    if result.capture is not None:
        lines.append(Text(f"\npackets: {result.capture}"))
    return Group(table, *lines)


def _gap(cut: CutResult) -> float | None:
    return cut.gap_ms


def _lost(cut: CutResult) -> float | None:
    return cut.lost


def _rtt(cut: CutResult) -> float | None:
    return cut.surviving_rtt_ms


def _tcp_gap(cut: CutResult) -> float | None:
    return cut.tcp_gap_ms


def _message_gap(cut: CutResult) -> float | None:
    return cut.message_gap_ms


def _value(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.0f} {unit}".strip()


def _binding(link: LinkReading) -> str:
    if not link.has_carrier:
        return "[red]cut[/red]"
    return f"[green]{link.binding}[/green]" if link.binding == "registered" else link.binding


def _plain_link(link: LinkReading) -> str:
    state = link.binding if link.has_carrier else "cut"
    return f"{link.name} {state or '-'} {link.down_mbit_s:.1f}/{link.up_mbit_s:.1f} Mbit/s"
