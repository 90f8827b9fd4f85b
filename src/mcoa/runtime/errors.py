"""What a user is told when something cannot be done: a sentence, a hint, an exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How the command `mcoa` ends."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    NO_PERMISSION = 4


class CommandError(Exception):
    """A foreseen failure: printed as one sentence, without a traceback.

    Attributes:
        hint: what to do about it; empty when there is nothing to say.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def report(self) -> str:
        """Return what the user reads."""
        return f"mcoa: {self}" + (f"\n  hint: {self.hint}" if self.hint else "")


class NotRunningError(CommandError):
    """No daemon answers."""

    exit_code = ExitCode.NOT_RUNNING


class NoPermissionError(CommandError):
    """The system does not let this user do it."""

    exit_code = ExitCode.NO_PERMISSION
