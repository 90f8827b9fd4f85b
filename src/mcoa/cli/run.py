"""`mcoa run`: the daemon."""

import sys
import time
from pathlib import Path

import click

from mcoa.runtime.config import load
from mcoa.runtime.log import EventLog, Level


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--dry-run", is_flag=True, help="Print the addresses, rules and routes, and set nothing."
)
@click.option("--log-json", is_flag=True, help="Log one JSON object a line.")
@click.option("-v", "--verbose", is_flag=True, help="Log what helps to find faults, too.")
def run(file: Path, dry_run: bool, log_json: bool, verbose: bool) -> int:
    """Run the node that FILE describes until SIGTERM or Ctrl-C.

    At the end it de-registers and takes back what it has set. The log goes to standard error.
    """
    configuration = load(file)
    log = EventLog(
        sys.stderr,
        monotonic=time.monotonic,
        wall_clock=time.time,
        as_json=log_json,
        level=Level.DEBUG if verbose else Level.INFO,
    )
    # After the file has been read: a mistake in it is told at once, and without root.
    from mcoa.runtime.daemon import run as serve  # noqa: PLC0415 - see above

    try:
        return serve(configuration, dry_run=dry_run, log=log)
    finally:
        log.close()
