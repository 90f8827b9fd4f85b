"""The correspondent's forwarder: directly to mobile nodes, and from them (RFC 6275 §9.3).

The device takes what this host sends to home addresses that are bound; what comes back from
care-of addresses is taken below the kernel's IPv6, which gets it as from the home address.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from mcoa.dataplane.counters import DropReason, Drops, Reporter, Snapshot, path_counters
from mcoa.dataplane.direct import (
    DirectExit,
    with_routing_header,
    without_home_address,
    without_routing_header,
)
from mcoa.dataplane.icmp import ErrorSource
from mcoa.dataplane.packet import (
    FlowClassifier,
    is_chatter,
    is_forwardable,
    is_whole,
    shortcut,
)
from mcoa.dataplane.path import Emit, PathState
from mcoa.dataplane.table import ForwardingTable
from mcoa.wire.ipv6 import emit_packet, parse_packet
from mcoa.wire.reader import ParseError

_NOBODY: Final = bytes(16)


class CorrespondentForwarder:
    """Forwards the packets between this host and mobile nodes.

    In its table, a home address is what both ends are together: our address and the home
    address, sixteen octets each (RFC 6275 §9.1).

    Attributes:
        table: the bindings and flows; to be kept up to date by the owner.
        drops: counts what goes no further, and tells of it.
    """

    def __init__(
        self,
        *,
        emit: Emit,
        plain: Callable[[bytes], object],
        write: Callable[[bytes], object],
        unbound: Callable[[bytes, bytes, bytes], object],
        report: Reporter,
        rng: Random,
    ) -> None:
        """Make a forwarder.

        Args:
            emit: sends a whole packet to the care-of address that it goes to; see Emit.
            plain: sends a packet to a home address as it is, by way of the home agent.
            write: gives a packet to the device, for the kernel to receive.
            unbound: told our address, the source and the home address of a packet that came
                from where the home address is not bound.
            report: told of drops that an operator should know of, at a bounded rate.
            rng: draws the identification of fragments.
        """
        self.table = ForwardingTable(follows_inbound=True)
        self._emit = emit
        self._plain = plain
        self._write = write
        self._unbound = unbound
        self.drops = Drops(report)
        self._classifier = FlowClassifier()
        self._straight = DirectExit(
            insert=with_routing_header,
            emit=emit,
            answer=self._answer,
            errors=ErrorSource(_NOBODY),
            drops=self.drops,
            rng=rng,
        )

    def from_device(self, packet: bytes, now: float) -> None:
        """Take a packet of this host that the kernel routed to the device."""
        table = self.table
        flow = table.outbound.get(packet[6:44]) or table.outbound.get(shortcut(packet))
        size = len(packet)
        if flow is not None and now < flow.fresh_until_s and size <= flow.path.room:
            path = flow.path
            outer = with_routing_header(packet, path.path.care_of_address)
            if outer and not self._emit(path.path, outer):
                path.packets_out += 1
                path.octets_out += size
                return
        self._to_home_address(packet, now)

    def from_network(self, packet: bytes, now: float) -> bool:
        """Take a packet with a Home Address option for this host; False if it has none."""
        inner = without_home_address(packet) or _without_options(packet)
        if not inner:
            return False
        source, pair = packet[8:24], inner[24:40] + inner[8:24]
        if not is_whole(inner) or not is_forwardable(inner):
            self.drops.report(DropReason.MALFORMED, source, inner[8:24], now)
            return True
        table = self.table
        flow = table.inbound.get(inner[6:44]) or table.inbound.get(shortcut(inner))
        if (
            flow is not None
            and now < flow.fresh_until_s
            and flow.path.room  # neither unbound nor down
            and flow.path.path.care_of_address == source
        ):
            flow.path.packets_in += 1
            flow.path.octets_in += len(inner)
            self._write(inner)
            return True
        bid = table.accept(source, pair)
        state = None if bid is None else table.state(pair, bid)
        if bid is None or state is None:
            self.drops.report(DropReason.NOT_BOUND, source, inner[8:24], now)
            self._unbound(inner[24:40], source, inner[8:24])
            return True
        state.packets_in += 1
        state.octets_in += len(inner)
        key = self._classifier.key(inner)
        table.learn(pair, key, bid, now)
        if key is not None:
            table.shorten(pair, key, inbound=shortcut(inner), direct=True)
        self._write(inner)
        return True

    def packet_too_big(self, mtu: int, quoted: bytes, now: float) -> None:
        """Take what the network said about a packet that began so, if it may be one of ours."""
        inner, state = self._quoted(quoted)
        if state is not None:
            self._straight.relay_too_big(state, mtu, inner, now)

    def undelivered(self, quoted: bytes, now: float) -> None:
        """Take that such a packet did not get there; likewise (RFC 6275 9.3.4)."""
        inner, state = self._quoted(quoted)
        if state is not None and not self.table.has_other_way(inner[8:40], state):
            self._straight.tell_undelivered(inner, now)

    def _quoted(self, quoted: bytes) -> tuple[bytes, PathState | None]:
        """Return a packet as its application sent it, and the path that it took."""
        inner = without_routing_header(quoted)
        pair = inner[8:40]
        bid = self.table.accept(quoted[24:40], pair) if inner else None
        return inner, None if bid is None else self.table.state(pair, bid)

    def snapshot(self, now: float) -> Snapshot:
        """Return counters for a status view; paths have our address before the home address."""
        return Snapshot(
            home_addresses=len(self.table),
            flows=self.table.flow_count,
            paths=tuple(path_counters(self.table, now)),
            drops=self.drops.occurred(),
            fragments={"made": self._straight.fragments_made},
        )

    def expire(self, now: float) -> None:
        """Forget old flows; once a second is good."""
        self.table.expire(now)

    def _to_home_address(self, packet: bytes, now: float) -> None:
        if is_chatter(packet) or self.drops.refuses(packet):
            return
        pair = packet[8:40]
        key = self._classifier.key(packet)
        state = self.table.route(pair, key, now)
        if state is None or not self._straight.send(state, packet, now):
            self._plain(packet)  # not bound for this address of ours
        elif key is not None:
            self.table.shorten(pair, key, outbound=shortcut(packet), direct=True)

    def _answer(self, packet: bytes, _now: float) -> None:
        self._write(packet)


def _without_options(packet: bytes) -> bytes:
    """Do as without_home_address() where other options stand beside it; they go with it."""
    try:
        parsed = parse_packet(packet)
    except ParseError:
        return b""
    if parsed.home_address is None:
        return b""
    return emit_packet(replace(parsed, source=parsed.home_address, home_address=None))
