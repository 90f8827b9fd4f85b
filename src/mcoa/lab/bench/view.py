"""Shows how far a benchmark is, and its result as a table."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mcoa.lab.bench.figures import Figures
from mcoa.lab.bench.progress import Advanced, Began
from mcoa.lab.bench.result import SignallingResult


class ProgressView:
    """Draws a bar in a terminal; elsewhere prints the title of each part."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=None)

    @contextmanager
    def open(self) -> Iterator["ProgressView"]:
        """Hold the terminal while events come."""
        if self._bar is None:
            yield self
            return
        with self._bar:
            yield self

    def show(self, event: object) -> None:
        """Show one event; those that say nothing of progress are passed over."""
        match event:
            case Began(title=title) if self._bar is None:
                self._console.print(f"measuring: {title}", highlight=False)
            case Began(title=title) if self._bar is not None:
                self._bar.reset(self._task, total=None, description=title)
            case Advanced(done=done, total=total) if self._bar is not None:
                self._bar.update(self._task, completed=done, total=total)
            case _:
                pass


def show_result(result: SignallingResult, console: Console) -> None:
    """Print all figures."""
    console.print(_claims(result))
    console.print(_rounds(result))
    console.print(
        f"Rounds were taken in turn. Memory is the difference of resident memory between an"
        f" agent without bindings and one with {result.large_bindings:,}, all refreshed.",
        highlight=False,
    )


def _claims(result: SignallingResult) -> Table:
    table = Table("what", "figure", "wanted", title="Signalling", title_justify="left")
    table.columns[1].justify = table.columns[2].justify = "right"
    c_echo = result.transactions_vs_c_echo
    rows = (
        ("codec, times scapy's speed", f"{result.codec_vs_scapy:.0f}", "80"),
        (
            "updates with proof a second, at a correspondent",
            f"{1e6 / result.authenticated_us.median:,.0f}",
            "",
        ),
        ("  for each plain one at a home agent", f"{result.authenticated_vs_plain:.2f}", ""),
        (
            "refreshes of 3 BIDs a second, journal apart",
            f"{1e6 / result.transaction_us.median:,.0f}",
            "",
        ),
        ("  for each packet of a Python echo", f"{result.transactions_vs_echo:.2f}", "0.30"),
        ("  for each packet of a C echo", "" if c_echo is None else f"{c_echo:.2f}", ""),
        (
            "refreshes a second, on disk before the answer",
            f"{1e6 / result.transaction_with_journal_us.median:,.0f}",
            "",
        ),
        (
            f"cost at {result.large_bindings:,} over {result.small_bindings:,} bindings",
            f"{result.growth:.2f}",
            "1.50",
        ),
        ("octets of memory a binding", f"{result.octets_per_binding:.0f}", ""),
        ("longest pause, refreshes, ms", f"{result.refresh_pause_ms:.1f}", ""),
        ("longest pause, timers, ms", f"{result.tick_pause_ms:.1f}", ""),
        ("longest pause, timers after an outage, ms", f"{result.herd_pause_ms:.1f}", ""),
        ("loading all bindings at start, s", f"{result.restore_s:.1f}", ""),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _rounds(result: SignallingResult) -> Table:
    table = Table("µs", "median", "least", "most", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    rows: tuple[tuple[str, Figures | None], ...] = (
        ("update in and acknowledgement out", result.codec_us),
        ("the same with scapy", result.scapy_us),
        ("update with proof at a correspondent", result.authenticated_us),
        ("update without proof at an agent", result.unauthenticated_us),
        ("transaction, journal apart", result.transaction_us),
        ("transaction with journal", result.transaction_with_journal_us),
        (f"transaction, {result.large_bindings:,} bindings", result.large_transaction_us),
        ("echo in Python", result.echo_us),
        ("echo in C", result.c_echo_us),
    )
    for name, figures in rows:
        if figures is not None:
            numbers = (figures.median, figures.minimum, figures.maximum)
            table.add_row(name, *(f"{number:.1f}" for number in numbers))
    return table
