"""The mobile node's forwarder: its own packets into tunnels, and out of them (RFC 6275 11.3).

What goes to a correspondent that has bound the care-of address of the path goes there directly,
with a Home Address option in place of a tunnel header. Which path that is, the table says for
tunnels and for the direct way alike: a flow stays where it is when the tunnel gives way.

The device takes what leaves from the home address; each path has sockets of its own, bound to
its care-of address and link, so a path goes out of its link whatever the routes say.
"""

from collections.abc import Callable, Mapping
from random import Random
from struct import Struct
from typing import Final

from mcoa.dataplane.copies import Numbering, Window
from mcoa.dataplane.counters import DropReason, Drops, Reporter, Snapshot, path_counters
from mcoa.dataplane.datagrams import DatagramExit, without_mark
from mcoa.dataplane.direct import (
    DirectExit,
    peer_of,
    with_home_address,
    without_routing_header,
)
from mcoa.dataplane.echoes import Echoes
from mcoa.dataplane.exits import Exits
from mcoa.dataplane.flows import Flow
from mcoa.dataplane.icmp import ADDRESS_UNREACHABLE, ErrorSource
from mcoa.dataplane.liveness import Probe
from mcoa.dataplane.on_link import OnLinkExit, nowhere
from mcoa.dataplane.packet import (
    BASE_LENGTH,
    FlowClassifier,
    is_chatter,
    is_forwardable,
    is_whole,
    shortcut,
    tunnel_prefix,
    with_outer_ecn,
)
from mcoa.dataplane.path import Emit, PathState
from mcoa.dataplane.rules import Rules
from mcoa.dataplane.table import ForwardingTable
from mcoa.dataplane.trains import Train, uncouple
from mcoa.dataplane.tunnel import TunnelEntry
from mcoa.dataplane.tunnel_exit import TunnelExit

DIRECT: Final = b"direct"
"""In the table, the home address of paths that lead to correspondents alone: those over visited
links while all else uses the home link (RFC 5648 3, figure 2)."""

_tunnel_header: Final = Struct("!4sH34s").pack
_TOLD_EVERY_S: Final = 1.0
_MOST_TOLD: Final = 4096


def _nobody(_peer: bytes) -> None:
    """Tell nobody who is talked to."""


class MobileNodeForwarder:
    """Forwards the packets of one home address.

    Attributes:
        table: the paths and flows; to be kept up to date by the owner.
        drops: counts what goes no further, and tells of it.
        rules: for flows, for the owner to set.
        datagrams: the way out in UDP over IPv4; its socket is for the owner to set.
        write_train: does what `write` does with a train; for the owner to set where there are any.
        tunnel_exit: opens the agent's tunnel packets, for from_tunnel().
        echoes: those between us and the agent; who waits for answers is for the owner to set.
        used: told, once a second at most, to or from whom there are packets.
        suspected: told, likewise, from whom packets come by tunnel that has something bound.
    """

    def __init__(
        self,
        *,
        home_address: bytes,
        home_agent: bytes,
        send: Emit,
        write: Callable[[bytes], object],
        report: Reporter,
        rng: Random,
        frame: Emit = nowhere,
        table: ForwardingTable | None = None,
    ) -> None:
        """Make a forwarder for a home address and the service address of its agent.

        Args:
            home_address: sixteen octets.
            home_agent: sixteen octets.
            send: sends a whole outer packet, header included, over a path; see Emit.
            frame: sends a packet over a home path as it is; likewise.
            write: gives a packet to the device, for the kernel to receive.
            report: told of drops that an operator should know of, at a bounded rate.
            rng: draws the identification of fragments.
            table: one with other limits; it must have prefix_to(home_agent).
        """
        if table is None:
            prefix = prefix_to(home_agent)
            table = ForwardingTable(
                follows_inbound=False, prefix=prefix, most_flows_a_home=1 << 16
            )
        self.table = table
        self._home_address = home_address
        self._home_agent = home_agent
        self._send = send
        self._write = write
        self.drops = Drops(report)
        self.tunnel_exit = TunnelExit(self.drops)
        # As if from the tunnel's far end, not from itself.
        self._errors = errors = ErrorSource(home_agent)
        self._classifier = FlowClassifier()
        self._direct: Mapping[bytes, frozenset[bytes]] = {}
        self.used: Callable[[bytes], object] = _nobody
        self.suspected: Callable[[bytes], object] = _nobody
        self.rules = Rules()
        self._told: dict[bytes, float] = {}
        self._outbound = table.outbound
        self._inbound = table.inbound
        self._entry = TunnelEntry(
            emit=send, answer=self._answer, errors=errors, drops=self.drops, rng=rng
        )
        self.datagrams = DatagramExit(
            ends=lambda _state: tunnel_prefix(home_address, self._home_agent),
            answer=self._answer,
            errors=errors,
            drops=self.drops,
        )
        self._exits = Exits(
            tunnel=self._entry,
            home_link=OnLinkExit(
                emit=frame, answer=self._answer, errors=errors, drops=self.drops
            ),
            datagrams=self.datagrams,
        )
        self.echoes = Echoes(self._exits)
        self.write_train: Callable[[Train], object] = self._write_segments
        self._numbering = Numbering(rng.getrandbits(24))
        self._window = Window()
        self._straight = DirectExit(
            insert=with_home_address,
            emit=send,
            answer=self._answer,
            errors=ErrorSource(home_agent),
            drops=self.drops,
            rng=rng,
        )

    @property
    def direct(self) -> Mapping[bytes, frozenset[bytes]]:
        """By correspondent, the care-of addresses that it has bound; for the owner to set."""
        return self._direct

    @direct.setter
    def direct(self, direct: Mapping[bytes, frozenset[bytes]]) -> None:
        before, self._direct = self._direct, direct
        for peer in before.keys() | direct.keys():
            if before.get(peer) != direct.get(peer):
                self.table.reconsider(peer)

    def change_agent(self, home_agent: bytes) -> None:
        """Tunnel to another home agent, over the paths that the table is given next."""
        self._home_agent = home_agent
        self._errors.speak_as(home_agent)
        self.table.retunnel(prefix_to(home_agent))

    def from_device(self, packet: bytes, now: float) -> None:
        """Take a packet that the kernel routed to the device."""
        flow = self._outbound.get(packet[6:44]) or self._outbound.get(shortcut(packet))
        size = len(packet)
        if flow is not None and now < flow.fresh_until_s and size <= flow.path.room:
            path = flow.path
            outer = self._directly(packet, path) if self._direct else b""
            refused = self._send(
                path.path, outer or _tunnel_header(packet[:4], size, path.prefix) + packet
            )
            if not refused:
                path.packets_out += 1
                path.octets_out += size
                return
            path.mtu.reduce(refused, now)
        elif not self._direct and self.datagrams.send_known(flow, packet, now):
            return
        self._into_tunnel(packet, now)

    def train_from_device(self, train: Train, now: float) -> None:
        """Take a train that the kernel routed to the device, as from_device() does."""
        flow = self._outbound.get(train.headers[6:44])
        if not self._direct and self.datagrams.send_train(flow, train, now):
            return
        for packet in uncouple(train).packets():
            self.from_device(packet, now)

    def from_tunnel(
        self,
        outer_source: bytes,
        bid: int,
        inner: bytes,
        traffic_class: int,
        now: float,
        number: int | None = None,
    ) -> None:
        """Take the inside of a tunnel packet that came to the care-of address of `bid`.

        `traffic_class` is the one of the tunnel header; its ECN field matters. `number` is
        that of a copy.
        """
        if number is not None and self._is_copy(outer_source, bid, inner, number):
            return
        flow = self._inbound.get(inner[6:44]) or self._inbound.get(shortcut(inner))
        if (
            flow is not None
            and now < flow.fresh_until_s
            and flow.path.path.bid == bid
            and outer_source == self._home_agent
            and inner[0] & 0xF0 == 0x60
            and not (inner[1] >> 4 ^ traffic_class) & 3  # equal ECN needs no thought
            and (inner[4] << 8 | inner[5]) + 40 == len(inner)
        ):
            path = flow.path
            path.packets_in += 1
            path.octets_in += len(inner)
            self._write(inner)
            return
        self._out_of_tunnel(outer_source, bid, inner, traffic_class, now)

    def from_datagram(self, bid: int, inner: bytes, traffic_class: int, now: float) -> None:
        """Take the inside of a datagram of the agent's, as from_tunnel() does that of a tunnel."""
        if not is_whole(inner):
            self.drops.report(DropReason.MALFORMED, self._home_agent, inner[8:24], now)
            return
        inner, number = without_mark(inner, self._home_address)
        self.from_tunnel(self._home_agent, bid, inner, traffic_class, now, number)

    def train_from_tunnel(
        self, outer_source: bytes, bid: int, train: Train, traffic_class: int, now: float
    ) -> None:
        """Take a train whose segments came out of the tunnel, as from_tunnel() does."""
        inner = train.headers
        flow = self._inbound.get(inner[6:44])
        if (
            flow is not None
            and now < flow.fresh_until_s
            and flow.path.path.bid == bid
            and outer_source == self._home_agent
            and not (inner[1] >> 4 ^ traffic_class) & 3  # equal ECN needs no thought
        ):
            path = flow.path
            path.packets_in += train.segments
            path.octets_in += train.octets
            self.write_train(train)
            return
        for packet in uncouple(train).packets():
            self.from_tunnel(outer_source, bid, packet, traffic_class, now)

    def _is_copy(self, outer_source: bytes, bid: int, inner: bytes, number: int) -> bool:
        """Tell whether a packet has come over another path already, and count it."""
        if outer_source != self._home_agent or self._window.is_first(number):
            return False
        self.drops.count(DropReason.COPY)
        state = self._state(bid)
        if state is not None:
            state.packets_in += 1
            state.octets_in += len(inner)
        return True

    def from_capture(self, packet: bytes, bid: int, now: float) -> bool:
        """Take a packet with a type 2 routing header that came to the care-of address of `bid`.

        False for one that is not for the home address in just this way (RFC 6275 11.3.3).
        """
        inner = without_routing_header(packet)
        if not inner or inner[24:40] != self._home_address:
            return False
        if not is_whole(inner) or not is_forwardable(inner):
            self.drops.report(DropReason.MALFORMED, packet[8:24], inner[8:24], now)
            return True
        self._tell(inner[8:24], now)
        self._learn(bid, inner, now, direct=True)
        self._write(inner)
        return True

    def into_tunnel(self, packet: bytes, link: str, now: float) -> None:
        """Send signalling from the home address through the tunnel, over a link."""
        for path in self.table.bindings.get(self._home_address, ()):
            state = self.table.state(self._home_address, path.bid)
            if state is not None and path.link == link and not path.home:
                self._exits.send(state, packet, now)
                return

    def room(self, packet: bytes, now: float) -> int:
        """Return how large a packet like this may be, in octets; 0 where it has no way."""
        state = self.table.route(self._home_address, self._classifier.key(packet), now)
        if state is None:
            return 0
        return state.mtu.path(now) if state.path.home else state.mtu.tunnel(now)

    def probe(self, state: PathState, probe: Probe, now: float) -> None:
        """Ask the agent over a path."""
        self.echoes.ask(state, probe, (self._home_address, self._home_agent), now)

    def carried(self, flow: Flow, peer: bytes, now: float) -> None:
        """Take in that a fast path carried packets of a flow, with that peer, of late."""
        self.table.carried(flow, now)
        self._tell(peer, now)

    def packet_too_big(self, bid: int, mtu: int, quoted: bytes, now: float) -> None:
        """Take what the network said about a packet of path `bid`.

        The caller knows that the outer packet was ours: the kernel matched it with the path's
        socket. `quoted` is the start of the inner packet.
        """
        state = self._state(bid)
        if state is None or len(quoted) < BASE_LENGTH or quoted[8:24] != self._home_address:
            return
        self._entry.relay_too_big(state, mtu, quoted, now)

    def undelivered(self, bid: int, quoted: bytes, now: float) -> None:
        """Take that a packet of path `bid` did not get there; the caller knows as above.

        The sender hears of it where there is no other path (RFC 2473 8.3).
        """
        state = self._state(bid)
        if state is None or len(quoted) < BASE_LENGTH or quoted[8:24] != self._home_address:
            return
        if not self.table.has_other_way(self._home_address, state):
            error = self._errors.unreachable(quoted, ADDRESS_UNREACHABLE, now)
            if error is not None:
                self._write(error)

    def snapshot(self, now: float) -> Snapshot:
        """Return counters for a status view."""
        return Snapshot(
            home_addresses=len(self.table),
            flows=self.table.flow_count,
            paths=tuple(path_counters(self.table, now)),
            drops=self.drops.occurred(),
            fragments={"made": self._entry.fragments_made, **self.tunnel_exit.counts()},
        )

    def expire(self, now: float) -> None:
        """Forget old flows and fragments; once a second is good."""
        self.table.expire(now)
        self.tunnel_exit.expire(now)

    def _into_tunnel(self, packet: bytes, now: float) -> None:
        if is_chatter(packet) or self.drops.refuses(packet):
            return
        if packet[8:24] != self._home_address:
            self.drops.count(DropReason.NOT_HOME_ADDRESS)
            return
        key, peer = self._classifier.key(packet), peer_of(packet)
        rule = self.rules.rule_for(packet) if self.rules else None
        self._tell(peer, now)
        path = self.table.route(self._home_address, key, now, rule)
        if peer in self._direct:
            # At home, packets to a correspondent may use what nothing else does.
            other = self.table.route(DIRECT, key, now, rule) or path
            if (
                other
                and self._is_direct(packet, other)
                and self._straight.send(other, packet, now)
            ):
                self._shorten(key, packet, other, direct=True)
                return
        if path is None:
            self.drops.count(DropReason.NO_BINDING)
            return
        copies = self.table.copies(self._home_address, rule) if rule else ()
        if copies:
            self._exits.send_copies(copies, packet, self._numbering.take(), now)
            return
        self._shorten(key, packet, path, direct=False)
        self._exits.send(path, packet, now)

    def _shorten(
        self, key: bytes | None, packet: bytes, path: PathState, *, direct: bool
    ) -> None:
        if key is not None:
            home = DIRECT if path.path.direct_only else self._home_address
            self.table.shorten(home, key, outbound=shortcut(packet), direct=direct)

    def _is_direct(self, packet: bytes, state: PathState) -> bool:
        return state.path.care_of_address in self._direct.get(peer_of(packet), ())

    def _directly(self, packet: bytes, state: PathState) -> bytes:
        """Return the direct packet of one that fits; empty where it takes the tunnel."""
        if not self._is_direct(packet, state):
            return b""
        return with_home_address(packet, state.path.care_of_address)

    def _tell(self, peer: bytes, now: float, *, by_tunnel: bool = False) -> None:
        """Say that there are packets to or from somebody, not too often."""
        if now - self._told.get(peer, -_TOLD_EVERY_S) < _TOLD_EVERY_S:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[peer] = now
        if by_tunnel and peer in self._direct:
            self.suspected(peer)
        else:
            self.used(peer)

    def _out_of_tunnel(
        self, outer_source: bytes, bid: int, inner: bytes, traffic_class: int, now: float
    ) -> None:
        source = inner[8:24]
        if outer_source != self._home_agent:
            self.drops.report(DropReason.NOT_FROM_HOME_AGENT, outer_source, source, now)
            return
        if not is_whole(inner):
            self.drops.report(DropReason.MALFORMED, outer_source, source, now)
            return
        if inner[24:40] != self._home_address:
            self.drops.report(DropReason.NOT_HOME_ADDRESS, outer_source, source, now)
            return
        if not is_forwardable(inner):
            self.drops.report(DropReason.NOT_FORWARDABLE, outer_source, source, now)
            return
        if source == self._home_agent and self.echoes.take(inner, self._state(bid), now):
            return
        self._tell(source, now, by_tunnel=True)
        self._learn(bid, inner, now, direct=False)
        marked = with_outer_ecn(inner, traffic_class & 3)
        if marked is None:
            self.drops.count(DropReason.CONGESTION)
        else:
            self._write(marked)

    def _state(self, bid: int) -> PathState | None:
        """Return a path, also one that leads to correspondents alone."""
        state = self.table.state(self._home_address, bid)
        return state or self.table.state(DIRECT, bid)

    def _learn(self, bid: int, inner: bytes, now: float, *, direct: bool) -> None:
        state = self._state(bid)
        if state is None:
            return  # the path was given up while the packet was on its way
        state.packets_in += 1
        state.octets_in += len(inner)
        key = self._classifier.key(inner)
        home = DIRECT if state.path.direct_only else self._home_address
        self.table.learn(home, key, bid, now)
        should_be_direct = state.path.care_of_address in self._direct.get(inner[8:24], ())
        if key is not None and (direct or not should_be_direct):
            self.table.shorten(home, key, inbound=shortcut(inner), direct=direct)

    def _answer(self, packet: bytes, _now: float) -> None:
        self._write(packet)

    def _write_segments(self, train: Train) -> None:
        for packet in uncouple(train).packets():
            self._write(packet)


def prefix_to(home_agent: bytes) -> Callable[[bytes], bytes]:
    """Return what makes the constant part of tunnel headers from care-of addresses to the agent."""
    return lambda care_of_address: tunnel_prefix(care_of_address, home_agent)
