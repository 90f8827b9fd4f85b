"""`mcoa binding`: end bindings of a mobile node, or send it to another home agent."""

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
_PATIENCE_S = {"revoke": 10.0, "switch": 20.0}
_INTERVAL_S = 0.05


@click.group()
def binding() -> None:
    """End bindings of a mobile node, or send it to another home agent.

    These ask a running home agent. A mobile node obeys where signalling is protected, or
    where `security = "none"` stands in its configuration.
    """


@binding.command()
@click.argument("home_address")
@click.option(
    "--bid",
    "bids",
    type=click.IntRange(1, 65535),
    multiple=True,
    help="A Binding Identifier to end; may be given several times. All without it.",
)
@AS_JSON
@node_options
def revoke(
    home_address: str, bids: tuple[int, ...], as_json: bool, node: str | None, path: Path | None
) -> ExitCode:
    """End bindings of HOME_ADDRESS (RFC 5846).

    The mobile node is told, four times if it does not answer; then the bindings are forgotten
    all the same. It does not register these links again before they have another address.
    """
    socket = find_socket(node, path)
    asked = request(
        socket, {"command": "revoke", "home_address": home_address, "bids": list(bids)}
    )
    names = ", ".join("-" if bid is None else str(bid) for bid in asked["bids"])
    if not _tell(asked, _wait(socket, asked, "revoke"), "revoked", f"BID {names}", as_json):
        raise CommandError(
            f"BID {names} of {asked['home_address']} is bound still, or again",
            "another update of the mobile node came in between; try once more",
        )
    return ExitCode.OK


@binding.command()
@click.argument("home_address")
@click.option(
    "--to",
    "home_agents",
    multiple=True,
    metavar="ADDRESS",
    help="A home agent to register with; several in order of preference. Without it the"
    " mobile node has to find one.",
)
@AS_JSON
@node_options
def switch(
    home_address: str,
    home_agents: tuple[str, ...],
    as_json: bool,
    node: str | None,
    path: Path | None,
) -> ExitCode:
    """Ask the mobile node of HOME_ADDRESS to go to another home agent (RFC 5142)."""
    socket = find_socket(node, path)
    asked = request(
        socket,
        {"command": "switch", "home_address": home_address, "home_agents": list(home_agents)},
    )
    if not _tell(
        asked, _wait(socket, asked, "switch"), "switched", "is gone from here", as_json
    ):
        raise CommandError(
            f"{asked['home_address']} has not left within {_PATIENCE_S['switch']:.0f} s",
            "it keeps its bindings here; is it allowed to obey what is not protected?",
        )
    return ExitCode.OK


def _tell(asked: dict[str, Any], gone: bool, what: str, more: str, as_json: bool) -> bool:
    """Print the result, as JSON whatever it is, and as words if it is good; return it."""
    if as_json:
        click.echo(json.dumps({**asked, what: gone}))
    elif gone:
        click.echo(f"{what}: {asked['home_address']} {more}")
    return gone


def _wait(socket: Path, asked: dict[str, Any], command: str) -> bool:
    """Wait until what was asked for is not bound any more; tell whether that came."""
    end = time.monotonic() + _PATIENCE_S[command]
    question = {"command": "bindings", "home_address": asked["home_address"]}
    while set(asked["bids"]) & set(request(socket, question)["bids"]):
        if time.monotonic() > end:
            return False
        time.sleep(_INTERVAL_S)
    return True
