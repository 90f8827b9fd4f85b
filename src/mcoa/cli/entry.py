"""The command `mcoa`: finds the subcommand, imports that alone, and turns errors into words.

A subcommand ends with an exit code by raising a CommandError, click's exceptions or
SystemExit, or by returning a number.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from mcoa import __version__
from mcoa.runtime.errors import CommandError, ExitCode

# name: (module, what the list of commands says)
_COMMANDS = {
    "show": ("mcoa.cli.show", "Show the bindings, links and counters of a running node."),
    "flow": ("mcoa.cli.flow", "See the flows of a mobile node, and move one while it runs."),
    "link": ("mcoa.cli.link", "Take a link of a mobile node out of use, and back."),
    "binding": ("mcoa.cli.binding", "End bindings of a mobile node, or send it elsewhere."),
    "run": ("mcoa.cli.run", "Run a node until it is stopped."),
    "check": ("mcoa.cli.check", "Check a configuration file, and change nothing."),
    "doctor": ("mcoa.cli.doctor", "Say what works for a node, what does not, and what to do."),
    "init": ("mcoa.cli.init", "Print a commented configuration to begin with."),
    "cleanup": ("mcoa.cli.cleanup", "Take back what a daemon that died has left."),
    "decode": ("mcoa.cli.decode", "Say what the mobility messages of a capture mean."),
    "demo": ("mcoa.cli.demo", "Show three links and one address at work on this machine."),
    "lab": ("mcoa.cli.lab", "Prove in networks of this machine what the standard promises."),
    "bench": ("mcoa.cli.bench", "Measure how fast this machine signals and forwards."),
}
_INTERRUPTED = 130  # as shells report an end by Ctrl-C


class Settings:
    """What the options before the subcommand say."""

    def __init__(self) -> None:
        self.debug = False


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called; `mcoa show` must start quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's name
        """Return the names in the order of the help text."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's name
        """Import a subcommand; its module has it under its own name."""
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(_COMMANDS[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand; for an unknown one name those that look like it."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - for this error alone

            close = get_close_matches(name, _COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's name
        """List the subcommands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="mcoa", message="%(prog)s %(version)s")
@click.option(
    "--debug",
    is_flag=True,
    envvar="MCOA_DEBUG",
    help="Print a traceback for unforeseen errors.",
)
@click.pass_context
def mcoa(context: click.Context, debug: bool) -> None:
    """Keep one IPv6 address alive over all your links at once.

    Mobile IPv6 with multiple care-of addresses (RFC 6275, RFC 5648). Without a command:
    show the running node.
    """
    context.ensure_object(Settings).debug = debug
    if os.environ.get("NO_COLOR"):
        context.color = False
    if context.invoked_subcommand is None:
        _, show, _ = mcoa.resolve_command(context, ["show"])
        if show is not None:
            # Not context.invoke(): that would pass over options from the environment.
            with show.make_context("show", [], parent=context) as inner:
                show.invoke(inner)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, and end the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit code; all errors have been told then."""
    settings = Settings()
    try:
        result = mcoa.main(
            args=arguments, prog_name="mcoa", standalone_mode=False, obj=settings
        )
    except CommandError as error:
        click.echo(error.report(), err=True)
        return error.exit_code
    except click.Abort:
        return _INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except PermissionError as error:
        if settings.debug:
            raise
        where = f" ({error.filename})" if error.filename else ""
        click.echo(f"mcoa: {error.strerror or error}{where}\n  hint: run it as root", err=True)
        return ExitCode.NO_PERMISSION
    except Exception as error:
        if settings.debug:
            raise
        _tell_unforeseen(error)
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.OK


def _tell_unforeseen(error: Exception) -> None:
    line = " ".join(str(error).split())
    click.echo(f"mcoa: unforeseen {type(error).__name__}: {line}", err=True)
    click.echo("  hint: `mcoa --debug ...` or MCOA_DEBUG=1 shows where", err=True)
