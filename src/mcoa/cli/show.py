"""`mcoa show`: what a running node knows. Starts fast, so it imports nothing heavy."""

import json
from pathlib import Path

import click

from mcoa.cli.view import render
from mcoa.runtime.control_client import DEFAULT_DIRECTORY, request, running_sockets
from mcoa.runtime.errors import NotRunningError


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print the status object.")
@click.option("--node", metavar="NAME", help="The node to show, where several run.")
@click.option(
    "--socket",
    "path",
    # Whether we may is for the connection to tell: that error has its own exit code.
    type=click.Path(path_type=Path, readable=False),
    envvar="MCOA_SOCKET",
    help="The control socket of the node.",
)
def show(as_json: bool, node: str | None, path: Path | None) -> None:
    """Show the bindings, links, flows and counters of a running node."""
    if path is None:
        path = _socket(DEFAULT_DIRECTORY, node)
    elif node is not None:
        raise click.UsageError("--node and --socket name the same thing; give one of them.")
    status = request(path, {"command": "status"})
    if as_json:
        click.echo(json.dumps(status, indent=2))
    else:
        click.echo(render(status))


def _socket(directory: Path, node: str | None) -> Path:
    """Return the control socket of a node by its name, or of the only one there is."""
    if node is not None:
        return directory / f"{node}.sock"
    found = running_sockets(directory)
    if not found:
        hint = "start one with `mcoa run FILE`, or give its --socket"
        raise NotRunningError(f"no mcoa daemon is running in {directory}", hint)
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        raise click.UsageError(f"Several nodes run here: {names}. Choose one with --node.")
    return found[0]
