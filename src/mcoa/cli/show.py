"""`mcoa show`: what a running node knows. Starts fast, so it imports nothing heavy."""

import json
from pathlib import Path

import click

from mcoa.cli.node_socket import find_socket, node_options
from mcoa.cli.view import render
from mcoa.runtime.control_client import request


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print the status object.")
@node_options
def show(as_json: bool, node: str | None, path: Path | None) -> None:
    """Show the bindings, links, flows and counters of a running node."""
    status = request(find_socket(node, path), {"command": "status"})
    if as_json:
        click.echo(json.dumps(status, indent=2))
    else:
        click.echo(render(status))
