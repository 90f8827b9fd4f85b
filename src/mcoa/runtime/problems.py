"""What is wrong with a configuration file: each problem with its place and what to do."""

from dataclasses import dataclass

from mcoa.runtime.errors import CommandError, ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        line: counted from 1; None where the file as a whole is meant.
        column: counted from 1, in characters.
        width: characters to underline.
        source: the text of the line; empty where nothing can be pointed at.
        hint: what to write instead.
    """

    file: str
    message: str
    line: int | None = None
    column: int = 1
    width: int = 1
    source: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"
        lines = [f"{place}: {self.message}", *self._excerpt()]
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)

    def _excerpt(self) -> list[str]:
        if not self.source:
            return []
        # Tabs stay tabs, so that the caret stands where the terminal puts the text.
        before = self.source[: self.column - 1]
        indent = "".join("\t" if letter == "\t" else " " for letter in before)
        margin = " " * len(str(self.line))
        caret = "^" * max(self.width, 1)
        return [f"  {self.line} | {self.source}", f"  {margin} | {indent}{caret}"]


class ConfigurationError(CommandError):
    """A configuration file that cannot be used; `problems` are in the order of the file."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = len(problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__("\n".join(str(problem) for problem in problems))
        self.hint = f"{count} {noun}; nothing was changed"
        self.problems = problems

    def report(self) -> str:
        """Return the problems, then their number."""
        return f"{self}\nmcoa: {self.hint}"
