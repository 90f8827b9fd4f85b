"""`mcoa link`: take a link of a mobile node out of use, and back."""

import json
import time
from pathlib import Path
from typing import Any

import click

from mcoa.cli.node_socket import find_socket, node_options
from mcoa.runtime.control_client import request
from mcoa.runtime.errors import CommandError, ExitCode

AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object."
)
_PATIENCE_S = 10.0
_INTERVAL_S = 0.05


@click.group()
def link() -> None:
    """Take a link of a running mobile node out of use, and back, without loss.

    A link stays out until it is enabled, or the daemon starts anew.
    """


@link.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also if no other link is there.")
@AS_JSON
@node_options
def disable(
    name: str, force: bool, as_json: bool, node: str | None, path: Path | None
) -> ExitCode:
    """Take the link NAME out of use.

    Its flows move to other links at once. The home agent is told when what they had sent has
    arrived, and the link is released when what the agent had sent has arrived: two seconds.
    """
    socket = find_socket(node, path)
    request(socket, {"command": "link-disable", "link": name, "force": force})
    found = _wait(socket, name, lambda each: each["state"] == "disabled")
    return _tell(name, found, "disabled", as_json)


@link.command()
@click.argument("name")
@AS_JSON
@node_options
def enable(name: str, as_json: bool, node: str | None, path: Path | None) -> ExitCode:
    """Take the link NAME into use again."""
    socket = find_socket(node, path)
    request(socket, {"command": "link-enable", "link": name})
    found = _wait(socket, name, lambda each: each["registered"])
    return _tell(name, found, "enabled", as_json)


def _tell(name: str, found: dict[str, Any], what: str, as_json: bool) -> ExitCode:
    if as_json:
        click.echo(json.dumps({"link": name, what: found["is_done"], "state": found["state"]}))
        return ExitCode.OK if found["is_done"] else ExitCode.FAILED
    if not found["is_done"]:
        raise CommandError(
            f"{name} is {found['state']} after {_PATIENCE_S:.0f} s, and not {what}",
            "`mcoa show` tells how links and bindings are",
        )
    click.echo(f"{what}: {name}")
    return ExitCode.OK


def _wait(socket: Path, name: str, is_done: Any) -> dict[str, Any]:
    """Return how the link is when it is done, or when patience is over."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        status = request(socket, {"command": "status"})
        found = next(each for each in status["links"] if each["name"] == name)
        found["registered"] = any(
            each["link"] == name and each["state"] == "registered"
            for each in status["bindings"]
        )
        found["is_done"] = bool(is_done(found))
        if found["is_done"] or time.monotonic() > end:
            return dict(found)
        time.sleep(_INTERVAL_S)
