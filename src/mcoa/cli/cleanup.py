"""`mcoa cleanup`: takes back what a daemon that died has left in the kernel."""

from pathlib import Path

import click

from mcoa.runtime.config import load
from mcoa.runtime.errors import ExitCode
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.undo import cleanup as take_back


@click.command
@click.argument("file", type=click.Path(path_type=Path))
def cleanup(file: Path) -> int:
    """Take back the routes, rules, addresses and settings of a node whose daemon died.

    FILE is the configuration of the node. Without leftovers there is nothing to do; while
    the daemon runs, nothing is done.
    """
    journal = load(file).undo_journal
    if not journal.exists():
        click.echo("nothing to clean up")
        return ExitCode.OK
    with Netlink() as netlink:
        troubles = take_back(journal, netlink)
    for trouble in troubles:
        click.echo(f"mcoa: could not take back {trouble}", err=True)
    if troubles:
        return ExitCode.FAILED
    click.echo("cleaned up")
    return ExitCode.OK
