"""What mobile nodes have bound at a home agent, put where packets find it: paths and rules."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address
from typing import Final

from mcoa.binding.cache import Binding
from mcoa.dataplane.datagrams import UDP_OVERHEAD
from mcoa.dataplane.flow_selection import BoundFlow, BoundFlows
from mcoa.dataplane.home_agent import HomeAgentForwarder
from mcoa.dataplane.packet import TUNNEL_OVERHEAD
from mcoa.dataplane.path import Path
from mcoa.engine.addresses import as_written
from mcoa.engine.home_agent import HomeAgent
from mcoa.runtime.data_plane import DataPlane
from mcoa.runtime.events import Events
from mcoa.runtime.home_link import HomeLink
from mcoa.runtime.log import Level

_USUAL_MTU: Final = 1500
_WITHOUT_PRIORITY: Final = 128  # BID-PRI has seven bits


def end_of(binding: Binding) -> str:
    """Return where a binding leads, as a log has it."""
    address = as_written(binding.care_of_address)
    return f"{address}:{binding.port}" if binding.port else str(address)


class AgentPaths:
    """Keeps the forwarder in line with the binding cache.

    Args:
        rules: of the agent's file, for mobile nodes that say nothing of flows.
    """

    def __init__(
        self,
        engine: HomeAgent,
        forwarder: HomeAgentForwarder,
        data_plane: DataPlane,
        home_link: HomeLink,
        *,
        rules: Iterable[BoundFlow],
        events: Events,
    ) -> None:
        self._engine = engine
        self._forwarder = forwarder
        self._data_plane = data_plane
        self._home_link = home_link
        self._rules = tuple(rules)
        self._events = events

    def changed(self, home_address: IPv6Address, now: float) -> None:
        """Take in other bindings of a home address than before, or none."""
        # The path verified last comes first: it serves what no flow claims (RFC 5648 §3).
        bindings = sorted(
            self._engine.bindings(home_address), key=lambda each: -each.verified_at_s
        )
        self._forwarder.table.replace(home_address.packed, self._paths(home_address, bindings))
        self._flows_changed(home_address, bindings)
        has_rules = home_address.packed in self._forwarder.flow_bindings
        self._data_plane.adopt(home_address.packed, now, has_rules=has_rules)
        if not has_rules:  # else each flow is looked at with its next packet
            self._forwarder.table.obey(home_address.packed, now)
        # Every binding must be attributable (RFC 5648 §10).
        self._events.log.remote(
            "bindings-changed",
            level=Level.INFO,
            home_address=home_address,
            bindings=" ".join(f"{b.bid or '-'}:{end_of(b)}" for b in bindings),
        )

    def returned(self, home_address: bytes, now: float) -> None:
        """Send flows down a path again that are to go by it."""
        self._forwarder.table.obey(home_address, now)

    def _flows_changed(self, home_address: IPv6Address, bindings: Sequence[Binding]) -> None:
        known, bids = self._forwarder.flow_bindings, [each.bid or 0 for each in bindings]
        told = BoundFlow.told(self._engine.flows(home_address))
        flows = BoundFlows(told or self._rules, bids)
        before = known.pop(home_address.packed, None)
        if flows:
            known[home_address.packed] = flows
        if flows or before:
            self._forwarder.table.ask_anew(home_address.packed)

    def _paths(
        self, home_address: IPv6Address, bindings: Sequence[Binding]
    ) -> tuple[Path, ...]:
        """Return the paths of a home address, of which one may lead over the home link.

        A mobile node that has just come home for good has no binding; what is under way to
        it by tunnels' ways still passes here.
        """
        entry = self._engine.cache.entry(home_address)
        mac = b"" if entry is None else entry.link_layer_address
        link = self._home_link.state
        mtu = link.mtu or _USUAL_MTU
        if mac and not bindings:
            home = Path(
                bid=0,
                care_of_address=home_address.packed,
                mtu=mtu,
                home=True,
                link_layer_address=mac,
                device=link.index,
            )
            return (home,)
        return tuple(
            Path(
                bid=binding.bid or 0,
                care_of_address=binding.octets,
                mtu=mtu if binding.home else _USUAL_MTU,
                home=binding.home,
                link_layer_address=mac if binding.home else b"",
                device=link.index if binding.home else 0,
                overhead=UDP_OVERHEAD if binding.port else TUNNEL_OVERHEAD,
                port=binding.port,
                priority=self._priority(binding),
            )
            for binding in bindings
        )

    def _priority(self, binding: Binding) -> int:
        """Return the place of a binding in the order of BID-PRI (RFC 6089 §4.1, §5.1.1).

        One of a node of RFC 5648 alone has none, and comes behind those that have.
        """
        if not self._engine.policy.flow_bindings:
            return 0
        return binding.priority or _WITHOUT_PRIORITY
