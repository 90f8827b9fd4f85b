"""Which running node a command speaks to: the options, and the search for its socket."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from mcoa.runtime.control_client import DEFAULT_DIRECTORY, running_sockets
from mcoa.runtime.errors import NotRunningError

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def node_options(function: FunctionT) -> FunctionT:
    """Give a command the options --node and --socket, as parameters `node` and `path`."""
    by_name = click.option("--node", metavar="NAME", help="The node, where several run.")
    by_path = click.option(
        "--socket",
        "path",
        # Whether we may is for the connection to tell: that error has its own exit code.
        type=click.Path(path_type=Path, readable=False),
        envvar="MCOA_SOCKET",
        help="The control socket of the node.",
    )
    return by_name(by_path(function))


def find_socket(node: str | None, path: Path | None) -> Path:
    """Return the control socket of the node that was named, or of the only one there is."""
    if path is not None:
        if node is not None:
            raise click.UsageError("--node and --socket name the same thing; give one of them.")
        return path
    if node is not None:
        return DEFAULT_DIRECTORY / f"{node}.sock"
    found = running_sockets(DEFAULT_DIRECTORY)
    if not found:
        hint = "start one with `mcoa run FILE`, or give its --socket"
        raise NotRunningError(f"no mcoa daemon is running in {DEFAULT_DIRECTORY}", hint)
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        raise click.UsageError(f"Several nodes run here: {names}. Choose one with --node.")
    return found[0]
