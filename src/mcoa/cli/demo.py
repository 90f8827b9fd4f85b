"""`mcoa demo`: three links, one address, on this machine."""

import json
import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from mcoa.lab.demo import FULL, QUICK, Plan, demonstrate
from mcoa.lab.demo_events import Built, Event, Finished
from mcoa.lab.demo_result import DemoResult
from mcoa.lab.demo_view import DemoView
from mcoa.lab.ground import (
    Ground,
    GroundKind,
    demand_ground,
    enter_user_namespace,
    find_ground,
    must_enter_user_namespace,
)
from mcoa.lab.namespaces import LabError, terminable
from mcoa.lab.simulated.demonstration import simulate
from mcoa.runtime.errors import CommandError, ExitCode

AUTO = "auto"
GROUNDS = {
    "root": GroundKind.ROOT,
    "user": GroundKind.USER,
    "simulation": GroundKind.SIMULATION,
}


@click.command(
    epilog="The best ground of this machine is chosen: namespaces of root, of an unprivileged"
    " user, or a simulation in virtual time, and the first line names it. Another one can be"
    f" had by --ground {'|'.join(GROUNDS)}."
)
@click.option("--quick", is_flag=True, help="Half a minute with fewer repeats.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option(
    "--capture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("demo.pcapng"),
    show_default=True,
    help="Where the packets go.",
)
@click.option("--keep", is_flag=True, help="Leave the network up until Enter is pressed.")
@click.option(
    "--ground", "wanted", type=click.Choice([AUTO, *GROUNDS]), default=AUTO, hidden=True
)
def demo(quick: bool, as_json: bool, capture: Path, keep: bool, wanted: str) -> ExitCode:
    """Show three links under one address, cuts included, on networks of this machine.

    Exits with 1 if what the demonstration claims does not hold.
    """
    plan = replace(QUICK if quick else FULL, capture=capture)
    console = Console(stderr=as_json)
    try:
        ground = find_ground() if wanted == AUTO else demand_ground(GROUNDS[wanted])
        if must_enter_user_namespace(ground):
            enter_user_namespace([sys.executable, "-m", "mcoa", *sys.argv[1:]])
        with terminable():
            result = _run(_events(ground, plan), console, keep=keep)
    except LabError as error:
        raise CommandError(str(error)) from None
    if as_json:
        click.echo(json.dumps(result.to_object()))
    return ExitCode.OK if result.holds else ExitCode.FAILED


def _events(ground: Ground, plan: Plan) -> Generator[Event, None, None]:
    match ground.kind:
        case GroundKind.ROOT | GroundKind.USER:
            return demonstrate(ground, plan)
        case GroundKind.SIMULATION:
            return simulate(ground, plan)


def _run(events: Generator[Event, None, None], console: Console, *, keep: bool) -> DemoResult:
    built, result = Built(namespaces=()), None
    with closing(events):
        with DemoView(console, live=console.is_terminal).open() as view:
            for event in events:
                view.show(event)
                match event:
                    case Built():
                        built = event
                    case Finished():
                        result = event.result
                        break
                    case _:
                        pass
        if keep and built.namespaces:
            _keep(built)
    if result is None:
        raise LabError("the demonstration ended without a result")
    return result


def _keep(built: Built) -> None:
    click.echo("\nthe network stays; look inside with `ip netns exec NAME COMMAND`:", err=True)
    for name, full_name in built.namespaces:
        click.echo(f"  {full_name}  {name}", err=True)
    click.pause("press Enter to remove it ", err=True)
