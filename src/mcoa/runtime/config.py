"""The configuration of a node: one TOML file, read into frozen objects.

All that is wrong with a file is reported at once, each problem with its place.
"""

import tomllib
from pathlib import Path

from mcoa.runtime.config_models import (
    Configuration,
    CorrespondentConfiguration,
    CorrespondentSettings,
    HomeAgentConfiguration,
    HomeAgentSettings,
    LinkSettings,
    MobileNodeConfiguration,
    MobileNodeSettings,
)
from mcoa.runtime.config_report import examine, syntax_problem
from mcoa.runtime.errors import NoPermissionError
from mcoa.runtime.problems import ConfigurationError, Problem

__all__ = [
    "Configuration",
    "ConfigurationError",
    "CorrespondentConfiguration",
    "CorrespondentSettings",
    "HomeAgentConfiguration",
    "HomeAgentSettings",
    "LinkSettings",
    "MobileNodeConfiguration",
    "MobileNodeSettings",
    "load",
    "parse",
]


def load(path: Path) -> Configuration:
    """Read a configuration file.

    Raises:
        ConfigurationError: with all the problems of the file.
        NoPermissionError: the file may not be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except PermissionError:
        raise NoPermissionError(f"{path} may not be read by this user") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
        raise ConfigurationError((_unreadable(path, str(reason)),)) from None
    return parse(text, file=str(path), default_name=path.stem)


def parse(text: str, *, file: str, default_name: str) -> Configuration:
    """Read a configuration from its text.

    Args:
        text: TOML.
        file: how problems name the file.
        default_name: the node's name where the text gives none.

    Raises:
        ConfigurationError: with all the problems of the text.
    """
    whole, text = text, text.replace("\r\n", "\n")
    try:
        document = tomllib.loads(whole)  # it does the same, and only once
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError((syntax_problem(error, text, file),)) from None
    except RecursionError:
        problem = Problem(file=file, message="it is nested too deeply to be read")
        raise ConfigurationError((problem,)) from None
    configuration, problems = examine(document, default_name=default_name, text=text, file=file)
    if configuration is None:
        raise ConfigurationError(problems)
    return configuration


def _unreadable(path: Path, reason: str) -> Problem:
    hint = (
        "`mcoa init ROLE` prints a file to begin with: home-agent, mobile-node, correspondent"
    )
    return Problem(file=str(path), message=f"cannot be read: {reason}", hint=hint)
