"""Examines a configuration document, and says of each problem where it is and what to do."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from tomllib import TOMLDecodeError

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mcoa.runtime.config_checks import check_agreement
from mcoa.runtime.config_models import (
    MODELS,
    Configuration,
    CorrespondentSettings,
    HomeAgentSettings,
    LinkSettings,
    MobileNodeSettings,
)
from mcoa.runtime.config_rules import RuleSettings
from mcoa.runtime.config_values import SECURITY_MEANS, as_written
from mcoa.runtime.findings import Finding, locate, problem_at
from mcoa.runtime.problems import Problem
from mcoa.runtime.toml_positions import Path, Span

_TABLES: dict[str, type[BaseModel]] = {
    "home-agent": HomeAgentSettings,
    "mobile-node": MobileNodeSettings,
    "link": LinkSettings,
    "correspondent": CorrespondentSettings,
    "rule": RuleSettings,
}
_TABLEMODELS = {
    "home-agent": "home-agent",
    "mobile-node": "mobile-node",
    "link": "mobile-node",
}
_EXAMPLES = {
    "address": 'address = "2001:db8:1::1"',
    "home_link": 'home_link = "eth0"',
    "home_prefixes": 'home_prefixes = ["2001:db8:1::/64"]',
    "home_address": 'home_address = "2001:db8:1::100"',
    "home_agent": 'home_agent = "2001:db8:1::1"',
    "name": 'name = "lte"',
    "interface": 'interface = "wwan0"',
    "interfaces": 'interfaces = ["eth0"]',
    "correspondent": "a table [correspondent]",
    "home-agent": "a table [home-agent]",
    "mobile-node": "a table [mobile-node]",
    "link": "a table [[link]] for each uplink",
    "use": 'use = ["lte", "wifi"], or BIDs at a home agent: use = [1, 2]',
}
_UNQUOTED = re.compile(r"\s*[\w-]+\s*=\s*[^\s\"'\[{#]*[A-Za-z/:]")
_ROLE_HINT = 'write role = "home-agent", role = "mobile-node" or role = "correspondent"'


def examine(
    document: dict[str, object], *, default_name: str, text: str, file: str
) -> tuple[Configuration | None, tuple[Problem, ...]]:
    """Return the configuration, or None and all the problems in the order of the file."""
    written = {"name": default_name} | document
    role = _role(document)
    findings = list(_findings_of_role(document))
    configuration: Configuration | None = None
    try:
        configuration = MODELS[role or "home-agent"].model_validate(written | {"role": role})
    except ValidationError as error:
        # Without a role only the words that every node needs can be judged.
        of_any_role = ("security", "role", "device", "runtime_directory", "state_directory")
        findings.extend(
            _finding(details, document)
            for details in error.errors()
            if details["loc"] != ("role",) and (role or details["loc"][0] in of_any_role)
        )
    if role is not None:
        findings.extend(check_agreement(written, role))
    if findings:
        return None, locate(findings, text, file)
    return configuration, ()


def syntax_problem(error: TOMLDecodeError, text: str, file: str) -> Problem:
    """Return the problem of a text that is not TOML."""
    message, _, where = str(error).partition(" (at ")
    offset = len(text)
    if found := re.match(r"line (\d+), column (\d+)", where):
        before = text.split("\n")[: int(found[1]) - 1]
        offset = sum(len(line) + 1 for line in before) + int(found[2]) - 1
    line = text[text.rfind("\n", 0, offset) + 1 :].partition("\n")[0]
    hint = "the file is TOML: key = value lines below [table] headers"
    if _UNQUOTED.match(line):
        hint = 'text and durations need quotes: "eth0", "5m"'
    elif message.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate")):
        hint = "a key or table may stand once only; for several uplinks write [[link]]"
    span = Span(start=offset, end=offset + 1)
    return problem_at(span, text, file, f"not TOML: {message}", hint)


def _role(document: dict[str, object]) -> str | None:
    """Return the role that the document states, or else shows by its tables."""
    role = document.get("role")
    if isinstance(role, str) and role in MODELS:
        return role
    shown = {_TABLEMODELS[name] for name in document if name in _TABLEMODELS}
    if not shown and "correspondent" in document:
        return "correspondent"
    return shown.pop() if len(shown) == 1 else None


def _findings_of_role(document: dict[str, object]) -> Iterator[Finding]:
    role = document.get("role")
    if role is None:
        yield Finding(path=("role",), message="role is missing", hint=_ROLE_HINT)
    elif role not in list(MODELS):
        message = f"role: {as_written(role)} is not a role"
        yield Finding(path=("role",), message=message, hint=_ROLE_HINT)


def _finding(error: ErrorDetails, document: dict[str, object]) -> Finding:
    """Return a fault that the models found, in our words."""
    path = error["loc"]
    key = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
    match error["type"]:
        case "missing" if path == ("security",):
            hint = f'write security = "none" at the top of the file; {SECURITY_MEANS}'
            message = "security is missing, and mcoa does not run unprotected unasked"
            return Finding(path=path, message=message, hint=hint)
        case "missing":
            message = f"{key} is missing" + _in_table(path)
            return Finding(path=path, message=message, hint=f"write {_EXAMPLES[key]}")
        case "extra_forbidden":
            return _unknown_key(path, key, document)
        case "mcoa":
            context = error["ctx"]
            message = str(context["message"])
            if not message.startswith((key, "[")):
                message = f"{key}: {message}"
            hint = str(context["hint"])
            if path == ("name",) and "name" not in document:
                hint = f'the file gave that name; write name = "..." at its top: {hint}'
            return Finding(path=path, message=message, hint=hint)
        case "model_type":
            message = f"{key}: {as_written(error['input'])} is not a table"
            return Finding(path=path, message=message, hint=f"write {_EXAMPLES[key]}")
        case _:
            return Finding(path=path, message=f"{key}: {error['msg']}", hint="")


def _in_table(path: Path) -> str:
    match path:
        case ("link" | "rule" as table, int(index), *_):
            return f" in [[{table}]] number {index + 1}"
        case (str(table), str(_)):
            return f" in [{table}]"
        case _:
            return ""


def _unknown_key(path: Path, key: str, document: dict[str, object]) -> Finding:
    message = f'unknown key "{key}"' + _in_table(path)
    if len(path) == 1 and key in _TABLEMODELS:
        role = _TABLEMODELS[key]
        message = f"{key} belongs to a {role.replace('-', ' ')}"
        hint = f'take it out, or write role = "{role}"'
        return Finding(path=path, message=message, hint=hint, at_key=True)
    known = _known_keys(path, document)
    plain = {name.lower().replace("-", "_"): name for name in known}
    close = get_close_matches(key.lower().replace("-", "_"), plain, n=1)
    if close:
        hint = f'did you mean "{plain[close[0]]}"?'
    elif key in _keys(MODELS["mobile-node"]):
        hint = f'"{key}" belongs to the top of the file, before the first [table]'
    elif owners := [name for name, table in _TABLES.items() if key in _keys(table)]:
        hint = f'"{key}" belongs to [{owners[0]}]'
    else:
        hint = f"known here: {', '.join(known)}"
    return Finding(path=path, message=message, hint=hint, at_key=True)


def _known_keys(path: Path, document: dict[str, object]) -> list[str]:
    if len(path) == 1:
        return _keys(MODELS[_role(document) or "mobile-node"])
    return _keys(_TABLES[str(path[0])])


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
