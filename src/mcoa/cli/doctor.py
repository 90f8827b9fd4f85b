"""`mcoa doctor`: what a node needs, and whether it is there."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from mcoa.runtime.config import load
from mcoa.runtime.doctor import Diagnosis, Verdict, examine, worst
from mcoa.runtime.errors import ExitCode

SCHEMA = "mcoa.doctor/1"
_COLOURS = {Verdict.WORKS: "green", Verdict.DOUBTFUL: "yellow", Verdict.FAILS: "red"}


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(file: Path, as_json: bool) -> ExitCode:
    """Say what works for the node that FILE describes, what does not, and what to do.

    Nothing is changed. The exit code is 1 if something fails that the node cannot do without.
    """
    configuration = load(file)
    found: list[Diagnosis] = []
    for diagnosis in examine(configuration):
        found.append(diagnosis)
        if not as_json:
            _show(diagnosis)
    if as_json:
        diagnoses = [asdict(each) for each in found]
        verdict = worst(found)
        click.echo(json.dumps({"schema": SCHEMA, "verdict": verdict, "diagnoses": diagnoses}))
    return ExitCode.FAILED if worst(found) is Verdict.FAILS else ExitCode.OK


def _show(diagnosis: Diagnosis) -> None:
    word = click.style(f"{diagnosis.verdict:8}", fg=_COLOURS[diagnosis.verdict])
    click.echo(f"{word}  {diagnosis.what}: {diagnosis.finding}")
    if diagnosis.advice:
        click.echo(f"{'':8}  hint: {diagnosis.advice}")
