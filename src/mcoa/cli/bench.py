"""`mcoa bench`: how fast this machine signals and forwards."""

import json
import sys
from contextlib import closing

import click
from rich.console import Console

from mcoa.lab.bench.result import SignallingResult
from mcoa.lab.bench.signalling import FULL, QUICK, Measured, Plan, measure
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
    ground = find_ground()
    if ground.kind is GroundKind.SIMULATION:
        raise CommandError(f"there is no ground for this benchmark here: {ground.reason}")
    if must_enter_user_namespace(ground):
        enter_user_namespace([sys.executable, "-m", "mcoa", *sys.argv[1:]])
    try:
        with terminable():
            result = _run(QUICK if quick else FULL)
    except LabError as error:
        raise CommandError(str(error)) from None
    if as_json:
        click.echo(json.dumps(result.to_object()))
    else:
        show_result(result, Console())
    return ExitCode.OK


def _run(plan: Plan) -> SignallingResult:
    view = ProgressView(Console(stderr=True))
    with closing(measure(plan)) as events, view.open():
        for event in events:
            view.show(event)
            if isinstance(event, Measured):
                return event.result
    raise LabError("the benchmark ended without a result")
