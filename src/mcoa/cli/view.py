"""Draws a status object as text: aligned tables, and nothing for what is unset.

The object is read with care for what it lacks: the daemon may be older or newer than this.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from click import style

from mcoa.runtime.units import human_duration, human_size

Entry = Mapping[str, Any]
Column = tuple[str, Callable[[Entry], str]]

_COLOURS = {
    "registered": "green",
    "up": "green",
    "home": "green",
    "registering": "yellow",
    "deregistering": "yellow",
    "waiting": "yellow",
    "rejected": "red",
    "revoked": "red",
    "router silent": "red",
    "silent": "red",
    "lossy": "yellow",
    "disabled": "yellow",
    "no carrier": "red",
    "missing": "red",
}
_RIGHT = {"BID", "WEIGHT", "MTU", "FLOWS"}


def render(status: Entry) -> str:
    """Return the text of a status; colours are in it as terminal sequences."""
    sections = [
        _heading(status),
        _addresses(status),
        _bindings(status),
        _table(_LINK_COLUMNS, status.get("links") or ()),
        _table(_RULE_COLUMNS, status.get("rules") or ()),
        _totals(status),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def flow_table(answer: Entry) -> str:
    """Return the answer to the command `flows` as a table."""
    flows: Sequence[Entry] = answer.get("flows") or ()
    lines = _table(_FLOW_COLUMNS, flows) if flows else ["no flows"]
    more = int(answer.get("flows_total") or 0) - len(flows)
    return "\n".join(lines + ([f"... and {more} more"] if more > 0 else []))


def _heading(status: Entry) -> list[str]:
    device = status.get("device") or {}
    parts = [
        f"{str(status.get('role', 'node')).replace('-', ' ')} {status.get('name', '')}".rstrip(),
        f"up {human_duration(status.get('uptime_s') or 0)}",
        f"device {device['name']}" if device.get("name") else "",
        f"{status['data_plane']} data plane" if status.get("data_plane") else "",
    ]
    lines = [style(", ".join(part for part in parts if part), bold=True)]
    security = status.get("security")
    if security == "none":
        loud = "SECURITY: NONE. Signalling is not protected; use this in tests alone."
        lines.append(style(loud, fg="red", bold=True))
    elif security:
        lines.append(f"security: {security}")
    lines.extend(
        style(f"warning: {warning}", fg="yellow")
        for warning in status.get("warnings") or ()
        if not str(warning).startswith("security is none")
    )
    return lines


def _addresses(status: Entry) -> list[str]:
    is_agent = status.get("role") == "home-agent"
    label = "serves" if is_agent else "home address"
    lines = [(label, str(address)) for address in status.get("home_addresses") or ()]
    for peer in status.get("peers") or ():
        facts = [
            str(peer.get("address", "")),
            str(peer.get("state") or "") + _over(peer),
            _knowledge(peer.get("multiple_care_of")),
            _ago("heard", peer.get("last_heard_s")),
        ]
        role = str(peer.get("role", "peer")).replace("-", " ")
        lines.append((role, ", ".join(fact for fact in facts if fact)))
    width = max((len(name) for name, _ in lines), default=0)
    return [f"{name:{width}}  {text}" for name, text in lines]


def _over(peer: Entry) -> str:
    """Return over which links a correspondent is talked to directly."""
    bindings: Sequence[Entry] = peer.get("bindings") or ()
    links = [str(each["link"]) for each in bindings if each.get("state") == "registered"]
    return f" over {', '.join(links)}" if links else ""


def _knowledge(multiple_care_of: bool | None) -> str:
    match multiple_care_of:
        case True:
            return "takes several care-of addresses"
        case False:
            return "takes one care-of address"
        case None:
            return ""


def _bindings(status: Entry) -> list[str]:
    bindings: Sequence[Entry] = status.get("bindings") or ()
    columns = _BINDING_COLUMNS
    homes = {each.get("home_address") for each in bindings}
    if status.get("role") != "mobile-node" or len(homes) > 1:
        columns = (("HOME ADDRESS", _text("home_address")), *columns)
    lines = _table(columns, bindings) or ["no bindings"]
    total = int(status.get("bindings_total") or 0)
    if total > len(bindings):
        lines.append(f"... and {total - len(bindings)} more")
    return lines


def _totals(status: Entry) -> list[str]:
    flows = status.get("flows") or {}
    by_path = flows.get("by_path") or {}
    counters = status.get("counters") or {}
    lines = []
    if flows.get("total"):
        spread = ", ".join(f"{count} {name}" for name, count in by_path.items())
        moved = f", {flows['moved']} moved" if flows.get("moved") else ""
        lines.append(f"flows  {flows['total']}" + (f" ({spread})" if spread else "") + moved)
    shown = {name.replace("_", " "): count for name, count in counters.items() if count}
    width = max(map(len, shown), default=0)
    return lines + [f"{name:{width}}  {count}" for name, count in shown.items()]


def _table(columns: Iterable[Column], entries: Sequence[Entry]) -> list[str]:
    """Return an aligned table without the columns that are empty throughout."""
    shown = []
    for title, cell in columns:
        cells = [cell(entry) for entry in entries]
        if any(cells):
            shown.append(_column(title, cells))
    return ["  ".join(row).rstrip() for row in zip(*shown, strict=True)]


def _column(title: str, cells: list[str]) -> list[str]:
    width = max(map(len, (title, *cells)))
    align = str.rjust if title in _RIGHT else str.ljust
    return [align(title, width), *(_painted(cell, align(cell, width)) for cell in cells)]


def _painted(cell: str, padded: str) -> str:
    """Colour the text of a padded cell but not its padding."""
    colour = _COLOURS.get(cell)
    return padded if colour is None else padded.replace(cell, style(cell, fg=colour))


def _text(key: str) -> Callable[[Entry], str]:
    def cell(entry: Entry) -> str:
        value = entry.get(key)
        return "" if value is None else str(value)

    return cell


def _duration(key: str) -> Callable[[Entry], str]:
    def cell(entry: Entry) -> str:
        value = entry.get(key)
        return "" if value is None else human_duration(value)

    return cell


def _size(key: str) -> Callable[[Entry], str]:
    def cell(entry: Entry) -> str:
        value = entry.get(key)
        return "" if value is None else human_size(value)

    return cell


def _ago(what: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{what} {human_duration(seconds)} ago"


def _weight(entry: Entry) -> str:
    weight = entry.get("weight")
    return "" if weight is None else f"{weight:g}"


def _last_status(entry: Entry) -> str:
    status, phrase = entry.get("last_status"), entry.get("last_status_phrase")
    return str(phrase or ("" if status is None else status))


def _care_of_address(entry: Entry) -> str:
    address, port = entry.get("care_of_address"), entry.get("port")
    end = str(address or "") + (f":{port}" if port else "")
    return f"{end} (NAT)" if entry.get("nat") else end


def _loss(entry: Entry) -> str:
    loss = entry.get("loss")
    return f"{loss:.0%}" if loss else ""


def _carried(entry: Entry) -> str:
    by_link = entry.get("by_link") or {}
    return ", ".join(f"{count} {link}" for link, count in by_link.items())


_RULE_COLUMNS: tuple[Column, ...] = (
    ("RULE", _text("name")),
    ("HOW", _text("how")),
    ("USE", lambda entry: ", ".join(entry.get("links") or ())),
    ("AGENT", _text("agent")),
    ("FLOWS", _text("flows")),
    ("NOW OVER", _carried),
)
_FLOW_COLUMNS: tuple[Column, ...] = (
    ("FLOW", _text("flow")),
    ("PROTOCOL", _text("protocol")),
    ("FAR END", _text("far_address")),
    ("PORT", _text("far_port")),
    ("OWN PORT", _text("own_port")),
    ("LINK", _text("link")),
    ("RULE", _text("rule")),
    ("IDLE", _duration("idle_s")),
)
_BINDING_COLUMNS: tuple[Column, ...] = (
    ("BID", _text("bid")),
    ("LINK", _text("link")),
    ("CARE-OF ADDRESS", _care_of_address),
    ("STATE", _text("state")),
    ("EXPIRES IN", _duration("remaining_lifetime_s")),
    ("LAST STATUS", _last_status),
)
_LINK_COLUMNS: tuple[Column, ...] = (
    ("LINK", _text("name")),
    ("INTERFACE", _text("interface")),
    ("STATE", _text("state")),
    ("WEIGHT", _weight),
    ("MTU", _text("mtu")),
    ("FLOWS", _text("flows")),
    ("SENT", _size("sent_octets")),
    ("RECEIVED", _size("received_octets")),
    ("ROUND TRIP", _duration("round_trip_s")),
    ("LOSS", _loss),
    ("HEARD", lambda entry: _ago("", entry.get("last_heard_s")).strip()),
)
