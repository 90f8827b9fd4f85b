"""All that a daemon could leave behind in a network namespace."""

import re
from pathlib import Path

from mcoa.lab.namespaces import Namespace, run

SETTINGS = Path("/proc/sys/net/ipv6")
LIFETIMES = re.compile(r" expires \d+sec|valid_lft \w+ preferred_lft \w+")

Traces = dict[str, str]


def traces(namespace: Namespace) -> Traces:
    """Return routes, rules, addresses, proxies, devices, queues, filters and settings."""
    ip = ("ip", "-n", namespace.full_name)
    tc = ("tc", "-n", namespace.full_name)
    inside = ("ip", "netns", "exec", namespace.full_name)
    texts = {
        "routes": run(*ip, "-6", "route", "show", "table", "all"),
        "rules": run(*ip, "-6", "rule", "show"),
        "addresses": run(*ip, "-6", "address", "show"),
        "proxies": run(*ip, "-6", "neigh", "show", "proxy"),
        "devices": run(*ip, "link", "show"),
        "queues": run(*tc, "qdisc", "show"),
        "tables": run(*inside, "nft", "list", "ruleset"),
    }
    for device in namespace.call(_devices):
        texts[f"filters of {device}"] = run(*tc, "filter", "show", "dev", device, "ingress")
    plain = {name: _lines(text) for name, text in texts.items()}
    return plain | namespace.call(_settings)


def differences(before: Traces, after: Traces) -> dict[str, tuple[str, str]]:
    """Return what is not as it was."""
    keys = before.keys() | after.keys()
    pairs = {key: (before.get(key, ""), after.get(key, "")) for key in keys}
    return {key: (old, new) for key, (old, new) in pairs.items() if old != new}


def _lines(text: str) -> str:
    # The kernel may list a table's routes in another order, and lifetimes run.
    return "\n".join(sorted(LIFETIMES.sub("", line).strip() for line in text.splitlines()))


def _devices() -> list[str]:
    return sorted(
        each.name
        for each in (SETTINGS / "conf").iterdir()
        if each.name not in {"all", "default", "lo"}
    )


def _settings() -> Traces:
    found: Traces = {}
    for path in SETTINGS.rglob("*"):
        if not path.is_file():
            continue
        try:
            found[f"setting {path.relative_to(SETTINGS)}"] = path.read_text("ascii").strip()
        except OSError:  # a secret that is not set, or one to be written only
            continue
    return found
