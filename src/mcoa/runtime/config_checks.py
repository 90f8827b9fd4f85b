"""What the values of a configuration file must agree on with each other.

The checks look at the document as it was read, not at validated objects: a fault elsewhere
in the file shall not hide these. A value that is no address, number or text is passed over
here, because its own check speaks of it.
"""

from collections.abc import Callable, Iterator
from ipaddress import IPv6Address, IPv6Network
from math import prod
from pathlib import PurePath
from typing import TypeVar

from mcoa.runtime.config_values import as_written
from mcoa.runtime.findings import Finding
from mcoa.runtime.toml_positions import Path

Table = dict[str, object]
T = TypeVar("T")

MOST_LINKS = 100  # each has a routing table of its own, 5100 to 5199
LONGEST_SOCKET_PATH = 107  # octets, without the final zero (unix(7))
DEFAULT_DEVICE = "mip0"
_MOST_FLOW_BINDINGS = 64
DEFAULT_RUNTIME_DIRECTORY = "/run/mcoa"


def check_agreement(document: Table, role: str) -> Iterator[Finding]:
    """Yield what is wrong between the values of a document."""
    yield from _check_socket_path(document)
    yield from _check_correspondent(document, role)
    if role == "home-agent":
        yield from _check_home_agent(document)
    elif role == "mobile-node":
        yield from _check_mobile_node(document)


def _check_socket_path(document: Table) -> Iterator[Finding]:
    name = document.get("name", "")
    directory = document.get("runtime_directory", DEFAULT_RUNTIME_DIRECTORY)
    if not (isinstance(name, str) and isinstance(directory, str)):
        return
    path = str(PurePath(directory) / f"{name}.sock")
    if len(path.encode()) > LONGEST_SOCKET_PATH:
        yield Finding(
            path=("runtime_directory",),
            message=f"the control socket {path} has a path of {len(path.encode())} octets",
            hint=f"the system takes {LONGEST_SOCKET_PATH}; choose a shorter directory or name",
        )


def _check_correspondent(document: Table, role: str) -> Iterator[Finding]:
    table = _table(document, "correspondent")
    at: Path = ("correspondent", "interfaces")
    interfaces = table.get("interfaces")
    if role == "correspondent" and "correspondent" in document and interfaces is None:
        yield Finding(
            path=at,
            message="interfaces is missing in [correspondent]",
            hint='name those by which mobile nodes reach this host: interfaces = ["eth0"]',
        )
    if role == "mobile-node" and interfaces is not None:
        yield Finding(
            path=at,
            message="interfaces: a mobile node is a correspondent at its home address",
            hint="take it out: the uplinks of the node are what it has",
        )
    if isinstance(interfaces, list):
        for index, interface in enumerate(interfaces):
            yield from _check_not_the_device(document, (*at, index), interface)


def _check_home_agent(document: Table) -> Iterator[Finding]:
    table = _table(document, "home-agent")
    at: Path = ("home-agent",)
    yield from _check_not_the_device(document, (*at, "home_link"), table.get("home_link"))
    prefixes = _parsed(table.get("home_prefixes"), IPv6Network)
    nodes = _parsed(table.get("mobile_nodes"), IPv6Address)
    addresses = [((*at, "mobile_nodes", index), address) for index, address in nodes]
    agent = _one(table.get("address"), IPv6Address)
    yield from _check_overlaps((*at, "home_prefixes"), prefixes)
    yield from _check_nodes(addresses, agent, prefixes)
    if agent is not None:
        addresses.append(((*at, "address"), agent))
    yield from _check_rule_names(document)
    yield from _check_rule_interfaces(document)
    yield from _check_anycast(addresses, [prefix for _, prefix in prefixes])


def _check_overlaps(at: Path, prefixes: list[tuple[int, IPv6Network]]) -> Iterator[Finding]:
    for place, (index, prefix) in enumerate(prefixes):
        for _, earlier in prefixes[:place]:
            if prefix.overlaps(earlier):
                yield Finding(
                    path=(*at, index),
                    message=f"home_prefixes: {prefix} overlaps {earlier}",
                    hint="a home address shall have one home prefix; drop one of the two",
                )


def _check_nodes(
    nodes: list[tuple[Path, IPv6Address]],
    agent: IPv6Address | None,
    prefixes: list[tuple[int, IPv6Network]],
) -> Iterator[Finding]:
    seen: set[IPv6Address] = set()
    for path, address in nodes:
        if address in seen:
            yield Finding(
                path=path, message=f"mobile_nodes: {address} is given twice", hint="drop one"
            )
        elif address == agent:
            yield Finding(
                path=path,
                message=f"mobile_nodes: {address} is the address of the home agent itself",
                hint="give the mobile node another address of the home prefix",
            )
        elif prefixes and not any(address in prefix for _, prefix in prefixes):
            known = ", ".join(str(prefix) for _, prefix in prefixes)
            yield Finding(
                path=path,
                message=f"mobile_nodes: {address} is outside the home prefix",
                hint=f"an agent serves addresses of its home_prefixes alone: {known}",
            )
        seen.add(address)


def _check_anycast(
    addresses: list[tuple[Path, IPv6Address]], prefixes: list[IPv6Network]
) -> Iterator[Finding]:
    for path, address in addresses:
        for prefix in prefixes:
            if address == prefix.network_address and prefix.prefixlen < 127:
                yield Finding(
                    path=path,
                    message=f"{address} is the anycast address of all routers of {prefix}",
                    hint="choose another address of the prefix (RFC 4291 §2.6.1)",
                )


def _check_mobile_node(document: Table) -> Iterator[Finding]:
    table = _table(document, "mobile-node")
    home_address = _one(table.get("home_address"), IPv6Address)
    if home_address is not None and home_address == _one(table.get("home_agent"), IPv6Address):
        yield Finding(
            path=("mobile-node", "home_agent"),
            message=f"home_agent: {home_address} is also the home address of this node",
            hint="write the service address of the home agent, `address` in its file",
        )
    if "home_agent_ipv4" in table and "home_agent" not in table:
        yield Finding(
            path=("mobile-node", "home_agent_ipv4"),
            message="home_agent_ipv4: whose address it is stands in home_agent, which is missing",
            hint="write the service address of that agent: home_agent",
        )
    links = document.get("link")
    if not isinstance(links, list):
        return
    if len(links) > MOST_LINKS:
        yield Finding(
            path=("link", MOST_LINKS),
            message=f"link: {len(links)} uplinks are given",
            hint=f"at most {MOST_LINKS} are possible",
        )
    tables = [link if isinstance(link, dict) else {} for link in links]
    for index, link in enumerate(tables):
        path: Path = ("link", index, "interface")
        yield from _check_not_the_device(document, path, link.get("interface"))
        if link.get("family") in ("ipv4", "both") and "home_agent_ipv4" not in table:
            yield Finding(
                path=("link", index, "family"),
                message="family: nothing goes over IPv4 to an agent without such an address",
                hint="write home_agent_ipv4 in [mobile-node]",
            )
    for key, noun in (("name", "name"), ("interface", "interface"), ("bid", "BID")):
        yield from _check_repeats(tables, key, noun)
    yield from _check_rules(document, [link.get("name") for link in tables])


def _check_rule_names(document: Table) -> Iterator[Finding]:
    names: set[object] = set()
    for index, rule in _rules(document):
        name = rule.get("name")
        if isinstance(name, str) and name in names:
            yield Finding(
                path=("rule", index, "name"),
                message=f"name: {as_written(name)} is taken by an earlier rule",
                hint="every rule needs its own name",
            )
        names.add(name if isinstance(name, str) else None)


def _check_rule_interfaces(document: Table) -> Iterator[Finding]:
    for index, rule in _rules(document):
        named, at = rule.get("interface"), ("rule", index, "interface")
        if isinstance(named, list):
            for place, interface in enumerate(named):
                yield from _check_not_the_device(document, (*at, place), interface)
        else:
            yield from _check_not_the_device(document, at, named)


def _check_rules(document: Table, links: list[object]) -> Iterator[Finding]:
    for index, rule in _rules(document):
        use = rule.get("use")
        for place, link in enumerate(use if isinstance(use, list) else [use]):
            if isinstance(link, str) and link not in links:
                at: Path = ("rule", index, "use")
                yield Finding(
                    path=(*at, place) if isinstance(use, list) else at,
                    message=f"use: there is no link {as_written(link)}",
                    hint=f"the links of this file are: {', '.join(map(str, links))}",
                )
    yield from _check_rule_names(document)
    yield from _check_flow_bindings(document)


def _rules(document: Table) -> Iterator[tuple[int, Table]]:
    rules = document.get("rule")
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, dict):
            yield index, rule


def _check_flow_bindings(document: Table) -> Iterator[Finding]:
    """Find rules that a home agent cannot be told, and those that measure nothing."""
    settings = document.get("mobile-node")
    is_off = isinstance(settings, dict) and settings.get("probe_interval") == "off"
    total = 0
    for index, rule in _rules(document):
        if is_off and rule.get("how") == "lowest-latency":
            yield Finding(
                path=("rule", index, "how"),
                message="how: lowest-latency needs probes, and they are off",
                hint="delete probe_interval in [mobile-node], or write an interval",
            )
        values = [rule.get(key) for key in ("to", "port", "own_port", "protocol")]
        values += [rule.get(key) for key in ("dscp", "flow_label")]
        total += prod(len(each) or 1 for each in values if isinstance(each, list))
        if total > _MOST_FLOW_BINDINGS:
            yield Finding(
                path=("rule", index),
                message=f"rule: up to this one there are {total} combinations of values",
                hint=f"write ranges and prefixes; {_MOST_FLOW_BINDINGS} can be told the agent",
            )
            return


def _check_repeats(links: list[Table], key: str, noun: str) -> Iterator[Finding]:
    first: dict[object, int] = {}
    for index, link in enumerate(links):
        value = link.get(key)
        if isinstance(value, bool) or not isinstance(value, str | int):
            continue
        earlier = first.setdefault(value, index)
        if earlier != index:
            yield Finding(
                path=("link", index, key),
                message=f"{key}: {as_written(value)} is taken by {_title(links[earlier], earlier)}",
                hint=f"every uplink needs its own {noun}",
            )


def _title(link: Table, index: int) -> str:
    name = link.get("name")
    return f'link "{name}"' if isinstance(name, str) else f"the link number {index + 1}"


def _check_not_the_device(document: Table, path: Path, interface: object) -> Iterator[Finding]:
    device = document.get("device", DEFAULT_DEVICE)
    key = next(step for step in reversed(path) if isinstance(step, str))
    if interface == device:
        yield Finding(
            path=path,
            message=f"{key}: {device} is the device that mcoa makes itself",
            hint="write the interface of the network, or name the device otherwise: `device`",
        )


def _table(document: Table, name: str) -> Table:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _one(value: object, kind: Callable[[str], T]) -> T | None:
    if not isinstance(value, str):
        return None
    try:
        return kind(value)
    except ValueError:
        return None


def _parsed(values: object, kind: Callable[[str], T]) -> list[tuple[int, T]]:
    """Return the elements of a list that can be read, with their places."""
    if not isinstance(values, list):
        return []
    pairs = ((index, _one(value, kind)) for index, value in enumerate(values))
    return [(index, value) for index, value in pairs if value is not None]
