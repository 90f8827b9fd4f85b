"""`mcoa lab`: what the specification promises, proven in networks of this machine."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from mcoa.lab.demo_events import Found, GroundFound, StepBegan
from mcoa.lab.ground import (
    GroundKind,
    enter_user_namespace,
    find_ground,
    must_enter_user_namespace,
)
from mcoa.lab.namespaces import LabError, terminable
from mcoa.lab.scenarios.proof import Proof, Proven, ScenarioEvent
from mcoa.lab.scenarios.stage import HomeTopology
from mcoa.runtime.errors import CommandError, ExitCode
from mcoa.runtime.kernel_features import missing_features

AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object."
)
TOPOLOGY = click.option(
    "--topology",
    type=click.Choice([each.value for each in HomeTopology]),
    default=HomeTopology.OTHER_ROUTERS.value,
    show_default=True,
    help="a: the home agent is the only router of its link. b: there are others.",
)


@click.group()
def lab() -> None:
    """Prove what a mobile node and its home agent do, with real traffic on this machine.

    Every scenario builds a network of namespaces, runs the daemons in it, says what it claims,
    and exits with 1 if a claim does not hold. It needs root, or a user that may make user
    namespaces.
    """


@lab.command(name="returning-home")
@TOPOLOGY
@AS_JSON
def returning_home(topology: str, as_json: bool) -> ExitCode:
    """Come home to the home link alone, and leave it: nothing is lost on the way home."""
    from mcoa.lab.scenarios.returning_home import returning_home as play  # noqa: PLC0415

    return _prove(lambda: play(HomeTopology(topology)), as_json=as_json)


@lab.command()
@TOPOLOGY
@AS_JSON
def simultaneous(topology: str, as_json: bool) -> ExitCode:
    """Use the home link and visited links at once, in either topology of RFC 5648 figure 3."""
    from mcoa.lab.scenarios.simultaneous import simultaneous as play  # noqa: PLC0415

    return _prove(lambda: play(HomeTopology(topology)), as_json=as_json)


@lab.command()
@AS_JSON
def discovery(as_json: bool) -> ExitCode:
    """Find a home agent, obey it, be sent to another one, and find one when that dies."""
    from mcoa.lab.scenarios.discovery import discovery as play  # noqa: PLC0415

    return _prove(play, as_json=as_json)


@lab.command(name="route-optimization")
@AS_JSON
def route_optimization(as_json: bool) -> ExitCode:
    """Talk to a correspondent directly over three links, abroad and at home."""
    from mcoa.lab.scenarios.route_optimization import (  # noqa: PLC0415
        route_optimization as play,
    )

    return _prove(play, as_json=as_json)


@lab.command()
@click.option(
    "--repeats",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Of each fault.",
)
@click.option(
    "--picture",
    "into",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the silences into this SVG file.",
)
@AS_JSON
def failover(repeats: int, into: Path | None, as_json: bool) -> ExitCode:
    """Let links fail in several ways, again and again: how long is it silent, and what is lost?

    A repetition of all takes a minute.
    """
    from mcoa.lab.scenarios.failover import failover as play  # noqa: PLC0415
    from mcoa.lab.scenarios.failover import silences  # noqa: PLC0415
    from mcoa.lab.scenarios.failover_picture import picture  # noqa: PLC0415

    def draw(proof: Proof) -> None:
        if into is not None:
            into.write_text(picture(silences(proof)), "utf-8")

    return _prove(lambda: play(repeats), as_json=as_json, then=draw)


def _nothing(_proof: Proof) -> None:
    """Do no more with a proof."""


def _prove(
    play: Callable[[], Iterator[ScenarioEvent]],
    *,
    as_json: bool,
    then: Callable[[Proof], None] = _nothing,
) -> ExitCode:
    console = Console(stderr=as_json)
    ground = find_ground()
    if ground.kind is GroundKind.SIMULATION:
        raise CommandError(f"there is no ground for this scenario here: {ground.reason}")
    if must_enter_user_namespace(ground):
        enter_user_namespace([sys.executable, "-m", "mcoa", *sys.argv[1:]])
    _say(console, GroundFound(ground=ground))
    for feature in missing_features():
        _say(console, Found(sentence=feature.absence()))
    try:
        with terminable():
            proof = _play(play(), console)
    except LabError as error:
        raise CommandError(str(error)) from None
    _say_proof(console, proof)
    then(proof)
    if as_json:
        click.echo(json.dumps(proof.to_object()))
    return ExitCode.OK if proof.holds else ExitCode.FAILED


def _play(events: Iterator[ScenarioEvent], console: Console) -> Proof:
    for event in events:
        if isinstance(event, Proven):
            return event.proof
        _say(console, event)
    raise LabError("the scenario ended without a proof")


def _say(console: Console, event: ScenarioEvent) -> None:
    match event:
        case GroundFound():
            line = event.ground.sentence()
        case StepBegan():
            line = f"\n[bold]{escape(event.title)}[/bold]"
        case Found():
            line = f"  {escape(event.sentence)}"
        case _:
            return
    console.print(line, highlight=False, soft_wrap=True)


def _say_proof(console: Console, proof: Proof) -> None:
    console.print()
    for claim in proof.claims:
        verdict = "[green]yes[/green]" if claim.holds else "[red]NO [/red]"
        console.print(f"{verdict}  {escape(claim.sentence)}", highlight=False, soft_wrap=True)
    for name, value in proof.figures.items():
        console.print(f"     {escape(f'{name}: {value}')}", highlight=False, soft_wrap=True)
