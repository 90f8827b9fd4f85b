"""The home agent's forwarder: from its device, and back to it (RFC 6275 10.4, RFC 5648 9).

Routed to the device are the service address and the bound home addresses. So one reader gets
tunnel packets from mobile nodes, packets for them, and the signalling; what it writes, the
kernel routes on.
"""

from collections.abc import Callable, Iterable
from random import Random
from struct import Struct
from typing import Final

from mcoa.dataplane.copies import Numbering, Windows, number_in
from mcoa.dataplane.counters import DropReason, Drops, Reporter, Snapshot, path_counters
from mcoa.dataplane.datagrams import DatagramExit, without_mark
from mcoa.dataplane.echoes import Echoes
from mcoa.dataplane.exits import Exits
from mcoa.dataplane.flow_selection import BoundFlows
from mcoa.dataplane.fragment import Reassembler, fragment_packet
from mcoa.dataplane.icmp import (
    ADDRESS_UNREACHABLE,
    PORT_UNREACHABLE,
    ErrorSource,
    echo_reply,
    says_undelivered,
)
from mcoa.dataplane.liveness import Probe
from mcoa.dataplane.on_link import OnLinkExit, nowhere
from mcoa.dataplane.packet import (
    BASE_LENGTH,
    DESTINATION_OPTIONS,
    ICMPV6,
    IPV6,
    MINIMUM_MTU,
    MOBILITY_HEADER,
    PORT_PROTOCOLS,
    FlowClassifier,
    is_forwardable,
    is_whole,
    shortcut,
    tunnel_prefix,
    upper_layer,
    with_lower_hop_limit,
    with_outer_ecn,
)
from mcoa.dataplane.path import Emit, Path, PathState
from mcoa.dataplane.path_mtu import QuotedTunnelPacket, quoted_tunnel_packet
from mcoa.dataplane.table import ForwardingTable
from mcoa.dataplane.trains import Train, uncouple
from mcoa.dataplane.tunnel import TunnelEntry
from mcoa.dataplane.tunnel_exit import may_be_skipped
from mcoa.wire.icmpv6 import EchoRequest, PacketTooBig, parse_icmpv6
from mcoa.wire.reader import ParseError

_tunnel_header: Final = Struct("!4sH34s").pack


class HomeAgentForwarder:
    """Forwards packets of mobile nodes.

    Attributes:
        table: the bindings and flows; to be kept up to date by the owner.
        drops: counts what goes no further, and tells of it.
        echoes: those between us and mobile nodes; who waits for answers is for the owner to set.
        datagrams: the way out in UDP over IPv4; its socket is for the owner to set.
        write_train: does what `write` does with a train; for the owner to set where there are any.
        flow_bindings: by home address, what mobile nodes said of flows; for the owner to set.
    """

    def __init__(
        self,
        *,
        address: bytes,
        write: Callable[[bytes], object],
        deliver: Callable[[bytes], object],
        report: Reporter,
        rng: Random,
        frame: Emit = nowhere,
        anycast: Iterable[bytes] = (),
        table: ForwardingTable | None = None,
    ) -> None:
        """Make a forwarder for one service address.

        Args:
            address: the service address, sixteen octets.
            write: gives a packet to the device, for the kernel to route.
            frame: sends a packet over a home path as it is; see Emit.
            deliver: gives a packet to the control plane: Mobility Headers, Home Address
                options, and ICMPv6 that is not about tunnel packets; whole, with its header.
            report: told of drops that an operator should know of, at a bounded rate.
            rng: draws the identification of fragments.
            anycast: addresses of all home agents of the link; who asks there for home agents
                is the control plane's business, and nothing else is.
            table: one with other limits; it must have follows_inbound and prefix_from(address).
        """
        if table is None:
            table = ForwardingTable(follows_inbound=True, prefix=prefix_from(address))
        self.table = table
        self._address = address
        self._anycast = frozenset(anycast)
        self._write = write
        self._deliver = deliver
        self._rng = rng
        self.drops = Drops(report)
        self._errors = ErrorSource(address)
        self._reassembler = Reassembler()
        self._classifier = FlowClassifier()
        self._bound = table.bindings
        self._outbound = table.outbound
        self._inbound = table.inbound
        self._entry = TunnelEntry(
            emit=self._emit, answer=self._send, errors=self._errors, drops=self.drops, rng=rng
        )
        self.datagrams = DatagramExit(
            ends=lambda state: tunnel_prefix(address, state.home_address),
            answer=self._send,
            errors=self._errors,
            drops=self.drops,
        )
        self._exits = Exits(
            tunnel=self._entry,
            home_link=OnLinkExit(
                emit=frame, answer=self._send, errors=self._errors, drops=self.drops
            ),
            datagrams=self.datagrams,
        )
        self.echoes = Echoes(self._exits)
        self.write_train: Callable[[Train], object] = self._write_segments
        self.flow_bindings: dict[bytes, BoundFlows] = {}
        self._numbering = Numbering(rng.getrandbits(24))
        self._windows = Windows()

    def from_device(self, packet: bytes, now: float, origin: str = "") -> None:
        """Take a packet that the kernel routed to the device.

        `origin` is the interface that it came in by, where a rule wants to know.
        """
        if packet[24:40] == self._address:
            if packet[6] != IPV6:
                self._to_service_address(packet, now)
                return
            flow = self._inbound.get(packet[46:84]) or self._inbound.get(shortcut(packet[40:]))
            if (
                flow is not None
                and now < flow.fresh_until_s
                and flow.path.room  # neither unbound nor down
                and packet[8:24] == flow.path.path.care_of_address
                and packet[40] & 0xF0 == 0x60
                and not (packet[1] ^ packet[41]) & 0x30  # equal ECN needs no thought
                and (packet[44] << 8 | packet[45]) + 80 == len(packet)
                and packet[64:80] not in self._bound
            ):
                path = flow.path
                path.packets_in += 1
                path.octets_in += len(packet) - 40
                self._write(packet[40:])
                return
            self._from_tunnel(packet, BASE_LENGTH, now)
            return
        flow = self._outbound.get(packet[6:44]) or self._outbound.get(shortcut(packet))
        size = len(packet)
        if flow is not None and now < flow.fresh_until_s and size <= flow.path.room:
            path = flow.path
            path.packets_out += 1
            path.octets_out += size
            self._write(_tunnel_header(packet[:4], size, path.prefix) + packet)
            return
        if self.datagrams.send_known(flow, packet, now):
            return
        self._to_home_address(packet, now, origin)

    def train_from_device(self, train: Train, now: float, origin: str = "") -> None:
        """Take a train that the kernel routed to the device, as from_device() does."""
        if self.datagrams.send_train(self._outbound.get(train.headers[6:44]), train, now):
            return
        for packet in uncouple(train).packets():
            self.from_device(packet, now, origin)

    def from_datagram(self, outer: tuple[bytes, int, int], inner: bytes, now: float) -> None:
        """Take the inside of a datagram over IPv4.

        `outer` is where it came from, an IPv4-mapped address and a port, and its traffic class.
        """
        path = self._known(outer, inner, now)
        if path is not None and (inner[4] << 8 | inner[5]) + BASE_LENGTH == len(inner):
            path.packets_in += 1
            path.octets_in += len(inner)
            self._write(inner)
            return
        source, port, traffic_class = outer
        self._inside(inner, (source, port), traffic_class & 3, None, now)

    def train_from_datagrams(
        self, outer: tuple[bytes, int, int], train: Train, now: float
    ) -> None:
        """Take a train whose segments came in datagrams, as from_datagram() does."""
        path = self._known(outer, train.headers, now)
        if path is not None:
            path.packets_in += train.segments
            path.octets_in += train.octets
            self.write_train(train)
            return
        for packet in uncouple(train).packets():
            self.from_datagram(outer, packet, now)

    def probe(self, state: PathState, probe: Probe, now: float) -> None:
        """Ask a mobile node over a path."""
        self.echoes.ask(state, probe, (self._address, state.home_address), now)

    def snapshot(self, now: float) -> Snapshot:
        """Return counters for a status view."""
        return Snapshot(
            home_addresses=len(self.table),
            flows=self.table.flow_count,
            paths=tuple(path_counters(self.table, now)),
            drops=self.drops.occurred(),
            fragments={"made": self._entry.fragments_made, **self._reassembler.counts()},
        )

    def expire(self, now: float) -> None:
        """Forget old flows and fragments; once a second is good."""
        self.table.expire(now)
        self._reassembler.expire(now)

    # --- towards mobile nodes

    def _to_home_address(self, packet: bytes, now: float, origin: str) -> None:
        if packet[24:25] == b"\xff":
            return  # the kernel's own multicast on the device
        if self.drops.refuses(packet):
            return
        home_address = packet[24:40]
        if home_address in self._anycast:
            self._to_any_agent(packet)
            return
        if packet[6] == IPV6 and packet[8:24] == self._address:
            self.drops.report(DropReason.LOOP, packet[8:24], home_address, now)
            return
        key = self._classifier.key(packet)
        flows = self.flow_bindings.get(home_address)
        rule = flows.rule_for(packet, origin) if flows else None
        path = self.table.route(home_address, key, now, rule)
        if path is None:
            self.drops.count(DropReason.NO_BINDING)
            self._answer(self._errors.unreachable(packet, ADDRESS_UNREACHABLE, now), now)
            return
        copies = self.table.copies(home_address, rule) if rule else ()
        if copies:
            self._exits.send_copies(copies, packet, self._numbering.take(), now)
            return
        if key is not None:
            self.table.shorten(home_address, key, outbound=shortcut(packet))
        self._exits.send(path, packet, now)

    def _send(self, packet: bytes, now: float) -> None:
        """Send a packet of our own; one for a mobile node has to go through its tunnel."""
        if packet[24:40] in self._bound:
            self.from_device(packet, now)
        else:
            self._write(packet)

    def _answer(self, packet: bytes | None, now: float) -> None:
        if packet is not None:
            self._send(packet, now)

    def _emit(self, _path: Path, packet: bytes) -> None:
        self._write(packet)

    def _write_segments(self, train: Train) -> None:
        for packet in uncouple(train).packets():
            self._write(packet)

    # --- from mobile nodes

    def _known(
        self, outer: tuple[bytes, int, int], inner: bytes, now: float
    ) -> PathState | None:
        """Return the path of a packet of a known flow that came in a datagram as it should."""
        flow = self._inbound.get(inner[6:44]) or self._inbound.get(shortcut(inner))
        if flow is None or now >= flow.fresh_until_s:
            return None
        state, (source, port, traffic_class) = flow.path, outer
        is_right = (
            state.outer_room > 0  # neither unbound nor down
            and (source, port) == (state.path.care_of_address, state.path.port)
            and inner[0] & 0xF0 == 0x60
            and not (inner[1] >> 4 ^ traffic_class) & 3  # equal ECN needs no thought
            and inner[24:40] not in self._bound
        )
        return state if is_right else None

    def _from_tunnel(self, packet: bytes, at: int, now: float) -> None:
        """Take a tunnel packet whose inner packet starts at `at`."""
        ecn = packet[1] >> 4 & 3
        self._inside(packet[at:], (packet[8:24], 0), ecn, number_in(packet), now)

    def _inside(
        self, inner: bytes, outer: tuple[bytes, int], ecn: int, number: int | None, now: float
    ) -> None:
        """Take what was in a tunnel packet from an address and a port, or none."""
        outer_source, port = outer
        if port and is_whole(inner):
            inner, number = without_mark(inner, self._address)
        if not is_whole(inner):
            self.drops.report(DropReason.MALFORMED, outer_source, inner[8:24], now)
            return
        inner_source = inner[8:24]
        bid = self.table.accept(outer_source, inner_source, port)
        state = None if bid is None else self.table.state(inner_source, bid)
        if bid is None or state is None:
            self.drops.report(DropReason.NOT_REGISTERED, outer_source, inner_source, now)
            return
        if not is_forwardable(inner):
            self.drops.report(DropReason.NOT_FORWARDABLE, outer_source, inner_source, now)
            return
        state.packets_in += 1
        state.octets_in += len(inner)
        if inner[24:40] == self._address and self.echoes.take(inner, state, now):
            return
        if number is not None and not self._windows.is_first(inner_source, number):
            self.drops.count(DropReason.COPY)
            return
        key = self._classifier.key(inner)
        self.table.learn(inner_source, key, bid, now)
        marked = with_outer_ecn(inner, ecn)
        if marked is None:
            self.drops.count(DropReason.CONGESTION)
            return
        self._onward(marked, key, now)

    def _onward(self, packet: bytes, key: bytes | None, now: float) -> None:
        """Forward a packet that came out of a tunnel."""
        destination = packet[24:40]
        if destination == self._address:
            self._to_service_address(packet, now, tunnelled=True)
        elif destination in self._bound:
            lowered = with_lower_hop_limit(packet)
            if key is not None:
                self.table.shorten(packet[8:24], key, inbound=shortcut(packet))
            if lowered is None:
                self.drops.count(DropReason.HOP_LIMIT)
                self._answer(self._errors.hop_limit_exceeded(packet, now), now)
            else:
                self.from_device(lowered, now)
        else:
            if key is not None:
                self.table.shorten(packet[8:24], key, inbound=shortcut(packet))
            self._write(packet)

    # --- to the agent itself

    def _to_service_address(
        self, packet: bytes, now: float, *, tunnelled: bool = False
    ) -> None:
        upper = upper_layer(packet) if is_whole(packet) else None
        if upper is None:
            self.drops.report(DropReason.MALFORMED, packet[8:24], bytes(16), now)
            return
        protocol, offset, fragment = upper
        if fragment:
            whole = self._reassembler.add(packet, now)
            if whole is not None:
                self._to_service_address(whole, now, tunnelled=tunnelled)
        elif tunnelled and protocol != ICMPV6:
            self._refuse(packet, protocol, now)
        elif protocol == IPV6:
            if offset == BASE_LENGTH or may_be_skipped(packet):
                self._from_tunnel(packet, offset, now)
            else:
                self.drops.report(DropReason.MALFORMED, packet[8:24], bytes(16), now)
        elif protocol == MOBILITY_HEADER or packet[6] == DESTINATION_OPTIONS:
            self._deliver(packet)
        elif protocol == ICMPV6:
            self._icmpv6(packet, offset, now)
        else:
            self._refuse(packet, protocol, now)

    def _to_any_agent(self, packet: bytes) -> None:
        if packet[6] == ICMPV6:
            self._deliver(packet)
        else:
            self.drops.count(DropReason.NOT_SERVED)

    def _refuse(self, packet: bytes, protocol: int, now: float) -> None:
        self.drops.count(DropReason.NOT_SERVED)
        if protocol in PORT_PROTOCOLS:
            self._answer(self._errors.unreachable(packet, PORT_UNREACHABLE, now), now)

    def _icmpv6(self, packet: bytes, offset: int, now: float) -> None:
        source = packet[8:24]
        if not is_forwardable(packet):
            self.drops.count(DropReason.NOT_FORWARDABLE)
            return
        try:
            message = parse_icmpv6(packet[offset:], source, self._address)
        except ParseError:
            self.drops.count(DropReason.MALFORMED)
            return
        quoted = self._quoted_tunnel(packet[offset + 8 :]) if packet[offset] < 128 else None
        match message:
            case EchoRequest():
                self._echo(message, source, now)
            case PacketTooBig() if quoted is not None:
                self._too_big(message.mtu, quoted, now)
            case _ if quoted is not None:
                if says_undelivered(packet[offset], packet[offset + 1]):
                    self._undelivered(quoted, now)
            case _:
                self._deliver(packet)

    def _echo(self, request: EchoRequest, source: bytes, now: float) -> None:
        reply = echo_reply(request, self._address, source)
        if len(reply) <= MINIMUM_MTU:
            self._send(reply, now)
            return
        for fragment in fragment_packet(reply, MINIMUM_MTU, self._rng.getrandbits(32)):
            self._send(fragment, now)

    def _quoted_tunnel(self, invoking_packet: bytes) -> QuotedTunnelPacket | None:
        quoted = quoted_tunnel_packet(invoking_packet)
        return quoted if quoted and quoted.outer_source == self._address else None

    def _too_big(self, mtu: int, quoted: QuotedTunnelPacket, now: float) -> None:
        """Believe that a path takes less, if the packet it quotes went to a binding of ours."""
        home_address = quoted.inner[24:40]
        bid = self.table.accept(quoted.outer_destination, home_address)
        state = None if bid is None else self.table.state(home_address, bid)
        if state is not None:
            self._entry.relay_too_big(state, mtu, quoted.inner, now)

    def _undelivered(self, quoted: QuotedTunnelPacket, now: float) -> None:
        """Tell the source of a packet that did not reach the mobile node (RFC 2473 8.3).

        Only where it is the last path: what another one can carry is none of the source's business,
        and that a path is dead is found by probes, not by hearsay.
        """
        home_address = quoted.inner[24:40]
        bid = self.table.accept(quoted.outer_destination, home_address)
        state = None if bid is None else self.table.state(home_address, bid)
        if state is not None and not self.table.has_other_way(home_address, state):
            error = self._errors.unreachable(quoted.inner, ADDRESS_UNREACHABLE, now)
            self._answer(error, now)


def prefix_from(address: bytes) -> Callable[[bytes], bytes]:
    """Return what makes the constant part of tunnel headers from the agent to care-of addresses."""
    return lambda care_of_address: tunnel_prefix(address, care_of_address)
