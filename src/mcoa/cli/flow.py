"""`mcoa flow`: see the flows of a mobile node, and move one while it runs."""

import json
from pathlib import Path
from typing import Any

import click

from mcoa.cli.link import AS_JSON
from mcoa.cli.node_socket import find_socket, node_options
from mcoa.cli.view import flow_table
from mcoa.runtime.control_client import request
from mcoa.runtime.errors import ExitCode


@click.group()
def flow() -> None:
    """See the flows of a running mobile node, and move one to another link."""


@flow.command("list")
@click.option("--all", "is_all", is_flag=True, help="Also those without packets of late.")
@AS_JSON
@node_options
def list_(is_all: bool, as_json: bool, node: str | None, path: Path | None) -> ExitCode:
    """List the flows that have packets, the one that was used last first."""
    answer = request(find_socket(node, path), {"command": "flows", "all": is_all})
    click.echo(json.dumps(answer) if as_json else flow_table(answer))
    return ExitCode.OK


@flow.command()
@click.argument("flow_id", metavar="FLOW")
@click.argument("link")
@AS_JSON
@node_options
def move(
    flow_id: str, link: str, as_json: bool, node: str | None, path: Path | None
) -> ExitCode:
    """Move FLOW, as `mcoa flow list` names it, to LINK, and keep it there.

    Without that link it takes another one, and comes back. With the word auto for a link it
    goes by the rules again. The home agent follows with the next packet of the flow, unless a
    rule that it was told says otherwise.
    """
    question = {"command": "flow-move", "flow": flow_id, "link": link}
    answer: dict[str, Any] = request(find_socket(node, path), question)
    moved = answer["flow"]
    click.echo(json.dumps(moved) if as_json else f"{moved['flow']} is on {moved['link']}")
    return ExitCode.OK
