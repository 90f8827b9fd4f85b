"""`mcoa bench`: how fast this machine signals and forwards."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click
from rich.console import Console

from mcoa.lab.bench import aggregate as aggregation
from mcoa.lab.bench import dataplane as forwarding
from mcoa.lab.bench import signalling as transactions
from mcoa.lab.bench.dataplane_result import DataplaneResult
from mcoa.lab.bench.dataplane_view import show_dataplane
from mcoa.lab.bench.result import SignallingResult
from mcoa.lab.bench.view import ProgressView, show_result
from mcoa.lab.ground import (
    GroundKind,
    enter_user_namespace,
    find_ground,
    must_enter_user_namespace,
)
from mcoa.lab.namespaces import LabError, terminable
from mcoa.runtime.errors import CommandError, ExitCode


@click.group()
def bench() -> None:
    """Measure how fast this machine signals and forwards."""


@bench.command()
@click.option("--quick", is_flag=True, help="Fewer rounds.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def signalling(quick: bool, as_json: bool) -> ExitCode:
    """Measure Binding Updates: codec, whole transactions, and a million bindings.

    Everything is measured side by side with a yardstick, in turn and in one run. A million
    bindings take about a gigabyte of memory.
    """
    _prepare()
    with _failures_said(), terminable():
        result = _run_signalling(transactions.QUICK if quick else transactions.FULL)
    if as_json:
        click.echo(json.dumps(result.to_object()))
    else:
        show_result(result, Console())
    return ExitCode.OK


@bench.command()
@click.option("--quick", is_flag=True, help="Fewer and shorter rounds.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def dataplane(quick: bool, as_json: bool) -> ExitCode:
    """Measure forwarding: TCP and small packets, by both back ends and by the kernel alone.

    Plain forwarding, the kernel's own tunnels, the fast path and user space take turns in networks
    of namespaces, over the same number of hops.
    """
    _prepare()
    with _failures_said(), terminable():
        result = _run_forwarding(forwarding.QUICK if quick else forwarding.FULL)
    if as_json:
        click.echo(json.dumps(result.to_object()))
    else:
        show_dataplane(result, Console())
    return ExitCode.OK


@bench.command()
@click.option("--quick", is_flag=True, help="One short round.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def aggregate(quick: bool, as_json: bool) -> ExitCode:
    """Measure what three links carry together, beside what each carries alone.

    Once with links of equal rate and once of unequal rate, twelve TCP flows each time.
    """
    _prepare()
    with _failures_said(), terminable():
        result = _run_aggregation(aggregation.QUICK if quick else aggregation.FULL)
    if as_json:
        click.echo(json.dumps(result.to_object()))
    else:
        for sentence in aggregation.sentences(result):
            click.echo(sentence)
    return ExitCode.OK


def _prepare() -> None:
    ground = find_ground()
    if ground.kind is GroundKind.SIMULATION:
        raise CommandError(f"there is no ground for this benchmark here: {ground.reason}")
    if must_enter_user_namespace(ground):
        enter_user_namespace([sys.executable, "-m", "mcoa", *sys.argv[1:]])


@contextmanager
def _failures_said() -> Iterator[None]:
    try:
        yield
    except LabError as error:
        raise CommandError(str(error)) from None


def _run_signalling(plan: transactions.Plan) -> SignallingResult:
    view = ProgressView(Console(stderr=True))
    with closing(transactions.measure(plan)) as events, view.open():
        for event in events:
            view.show(event)
            if isinstance(event, transactions.Measured):
                return event.result
    raise LabError("the benchmark ended without a result")


def _run_forwarding(plan: forwarding.Plan) -> DataplaneResult:
    view = ProgressView(Console(stderr=True))
    with closing(forwarding.measure(plan)) as events, view.open():
        for event in events:
            view.show(event)
            if isinstance(event, forwarding.Measured):
                return event.result
    raise LabError("the benchmark ended without a result")


def _run_aggregation(plan: aggregation.Plan) -> aggregation.AggregateResult:
    view = ProgressView(Console(stderr=True))
    with closing(aggregation.measure(plan)) as events, view.open():
        for event in events:
            view.show(event)
            if isinstance(event, aggregation.Measured):
                return event.result
    raise LabError("the benchmark ended without a result")
