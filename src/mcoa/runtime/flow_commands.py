"""The flows of a mobile node as an operator sees them, and the moving of one by hand."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from ipaddress import IPv6Address
from itertools import islice
from typing import Any, Final

from mcoa.dataplane.flows import Flow
from mcoa.dataplane.rules import PROTOCOLS, Match, Rule, Verb
from mcoa.dataplane.table import ForwardingTable
from mcoa.runtime.control import Command
from mcoa.runtime.errors import CommandError

_MOST_SHOWN: Final = 200
_ADDRESS: Final = 16
_IDENTITY_OCTETS: Final = 5
_NAMES: Final = {number: name for name, number in PROTOCOLS.items()}
_BY_HAND: Final = "by hand"
_NO_LINK: Final = "auto"


class FlowCommands:
    """The commands `flows` and `flow-move` of the control socket."""

    def __init__(
        self,
        table: ForwardingTable,
        home_address: bytes,
        links: Collection[str],
        now: Callable[[], float],
    ) -> None:
        """Make the commands for the flows of one home address, over links of these names."""
        self._table = table
        self._home_address = home_address
        self._links = links
        self._now = now

    def table(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {"flows": self._list, "flow-move": self._move}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return flows, the one that was used last first; with "all" those that rest as well."""
        shown = [flow for flow in self._latest_first() if flow.counted or request.get("all")]
        lines = [self._line(flow) for flow in islice(shown, _MOST_SHOWN)]
        return {"flows": lines, "flows_total": len(shown)}

    def _move(self, request: dict[str, Any]) -> dict[str, Any]:
        link = request.get("link")
        if link != _NO_LINK and (not isinstance(link, str) or link not in self._links):
            known = ", ".join((*self._links, _NO_LINK))
            raise CommandError(f"there is no link {link!r:.60}", f"there are: {known}")
        flow = self._found(str(request.get("flow")))
        if link == _NO_LINK:
            self._table.ask_anew_about(flow)
        else:
            before = flow.rule
            flow.rule = Rule(name=_BY_HAND, match=Match(), verb=Verb.STICK, links=(link,))
            self._table.obey(self._home_address, self._now())
            if flow.path.path.link != link:
                flow.rule = before
                raise CommandError(
                    f"{link} carries nothing now", "`mcoa show` tells how links are"
                )
        return {"flow": self._line(flow)}

    def _found(self, identity: str) -> Flow:
        for flow in self._latest_first():
            if _identity(flow) == identity:
                return flow
        raise CommandError(
            f"there is no flow {identity!r:.60}", "`mcoa flow list --all` names those there are"
        )

    def _latest_first(self) -> Iterator[Flow]:
        flows = list(self._table.flows_of(self._home_address))
        return reversed(flows)

    def _line(self, flow: Flow) -> dict[str, Any]:
        own, far = _ends(flow.key, self._home_address)
        return {
            "flow": _identity(flow),
            "protocol": _NAMES.get(flow.key[0], str(flow.key[0])),
            "far_address": str(IPv6Address(far[:_ADDRESS])),
            "far_port": _port(far),
            "own_port": _port(own),
            "link": flow.path.path.link,
            "bid": flow.path.path.bid or None,
            "rule": None if flow.rule is None else flow.rule.name,
            "idle_s": max(0.0, self._now() - flow.touched_at_s),
        }


def _identity(flow: Flow) -> str:
    """Return a name for a flow that is the same as long as there is the flow, and after."""
    return hashlib.blake2s(flow.key, digest_size=_IDENTITY_OCTETS).hexdigest()


def _ends(key: bytes, home_address: bytes) -> tuple[bytes, bytes]:
    """Return the own end and the far one of a flow's key."""
    middle = (len(key) - 1) // 2 + 1
    low, high = key[1:middle], key[middle:]
    return (low, high) if low[:_ADDRESS] == home_address else (high, low)


def _port(end: bytes) -> int | None:
    """Return a port, or the identifier of an echo."""
    return int.from_bytes(end[_ADDRESS:]) if len(end) > _ADDRESS else None
