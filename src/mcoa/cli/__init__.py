"""The command line, one file a command."""

from mcoa.cli.entry import main

__all__ = ["main"]
