"""Home agent, mobile node, correspondent: the real engine and forwarder of each, joined.

What `runtime` does with devices, sockets and the event loop is here a call: a packet comes in
by one method and leaves by the function that was given.
"""

from collections.abc import Callable
from ipaddress import IPv6Address
from random import Random

from mcoa.dataplane.correspondent import CorrespondentForwarder
from mcoa.dataplane.counters import DropReason
from mcoa.dataplane.direct import DIRECT_OVERHEAD
from mcoa.dataplane.home_agent import HomeAgentForwarder
from mcoa.dataplane.mobile_node import MobileNodeForwarder
from mcoa.dataplane.packet import (
    BASE_LENGTH,
    DESTINATION_OPTIONS,
    IPV6,
    MOBILITY_HEADER,
    ROUTING,
)
from mcoa.dataplane.path import Path
from mcoa.engine.actions import Action, BindingsChanged, Envelope, Send
from mcoa.engine.correspondent_node import CorrespondentNode
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.policy import CorrespondentPolicy, HomeAgentPolicy, MobileNodePolicy
from mcoa.lab.simulated.clock import Clock
from mcoa.lab.simulated.driver import Driver
from mcoa.runtime.signalling import emit_signalling, parse_signalling

EXPIRY_INTERVAL_S = 1.0

Take = Callable[[bytes], object]


class SimulatedAgent:
    """A home agent; nobody else on its home link uses the home addresses.

    Args:
        send: takes a whole packet that leaves the agent.
    """

    def __init__(
        self, clock: Clock, policy: HomeAgentPolicy, *, send: Take, rng: Random
    ) -> None:
        self._clock, self._send = clock, send
        self.engine = HomeAgent(policy, in_use=self._in_use)
        self._forwarder = HomeAgentForwarder(
            address=policy.address.packed,
            write=send,
            deliver=self._signalling,
            report=_say_nothing,
            rng=rng,
        )
        self._driver = Driver(clock, self.engine, self._perform)
        clock.after(EXPIRY_INTERVAL_S, self._expire)

    def take(self, packet: bytes) -> None:
        """Take a packet for the service address or for a home address."""
        self._forwarder.from_device(packet, self._clock.now)

    def _signalling(self, packet: bytes) -> None:
        self._driver.run(self.engine.receive(parse_signalling(packet), self._clock.now))

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send():
                    self._emit(emit_signalling(action))
                case BindingsChanged(home_address=home_address):
                    self._bindings_changed(home_address)
                case _:
                    pass  # there is neither a disk nor a home link, and nobody to report to

    def _emit(self, packet: bytes) -> None:
        if packet[24:40] in self._forwarder.table.bindings:
            self.take(packet)
        else:
            self._send(packet)

    def _bindings_changed(self, home_address: IPv6Address) -> None:
        # The path verified last comes first: it serves what no flow claims (RFC 5648 §3).
        bindings = sorted(
            self.engine.bindings(home_address), key=lambda each: -each.verified_at_s
        )
        paths = tuple(
            Path(bid=binding.bid or 0, care_of_address=binding.care_of_address.packed)
            for binding in bindings
        )
        self._forwarder.table.replace(home_address.packed, paths)

    def _in_use(self, home_address: IPv6Address) -> bool:
        states = self._forwarder.table.states_of(home_address.packed)
        return any(state.active_flows for state in states)

    def _expire(self) -> None:
        self._forwarder.expire(self._clock.now)
        self._clock.after(EXPIRY_INTERVAL_S, self._expire)


class SimulatedCorrespondent:
    """A correspondent.

    Args:
        own: its address.
        send: takes a whole packet that leaves it.
        deliver: takes a packet for its applications.
    """

    def __init__(
        self,
        clock: Clock,
        policy: CorrespondentPolicy,
        own: IPv6Address,
        *,
        send: Take,
        deliver: Take,
        rng: Random,
    ) -> None:
        self._clock, self._send, self._deliver = clock, send, deliver
        self.engine = CorrespondentNode(policy, rng=rng, is_own=own.__eq__)
        self._forwarder = CorrespondentForwarder(
            emit=self._emit,
            plain=send,
            write=deliver,
            unbound=self._unbound,
            report=_say_nothing,
            rng=rng,
        )
        self._driver = Driver(clock, self.engine, self._perform)

    def close(self) -> None:
        """Be gone: the clock calls no more."""
        self._driver.close()

    def take(self, packet: bytes) -> None:
        """Take a packet that its applications send."""
        if packet[8:40] in self._forwarder.table.bindings:
            self._forwarder.from_device(packet, self._clock.now)
        else:
            self._send(packet)

    def arrive(self, packet: bytes) -> None:
        """Take a packet that came in."""
        has_option = packet[6] == DESTINATION_OPTIONS
        if MOBILITY_HEADER in (packet[6], packet[40] if has_option else 0):
            received = parse_signalling(packet)
            self._driver.run(self.engine.receive(received, self._clock.now))
        elif has_option:
            self._forwarder.from_network(packet, self._clock.now)
        else:
            self._deliver(packet)

    def _emit(self, _path: Path, packet: bytes) -> None:
        self._send(packet)

    def _unbound(self, own: bytes, source: bytes, home_address: bytes) -> None:
        addresses = (IPv6Address(octets) for octets in (own, source, home_address))
        self._driver.run(self.engine.claimed(*addresses))

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send():
                    self._send(emit_signalling(action))
                case BindingsChanged(
                    home_address=home_address, own_address=IPv6Address() as own
                ):
                    paths = tuple(
                        Path(
                            bid=binding.bid or 0,
                            care_of_address=binding.octets,
                            overhead=DIRECT_OVERHEAD,
                        )
                        for binding in self.engine.bindings(own, home_address)
                    )
                    pair = own.packed + home_address.packed
                    self._forwarder.table.replace(pair, paths)
                case _:
                    pass  # nobody to report to


class SimulatedNode:
    """A mobile node.

    Args:
        weights: of the links, by name.
        send: takes the name of a link and a whole packet that leaves by it.
        deliver: takes a packet that came to the home address.
    """

    def __init__(
        self,
        clock: Clock,
        policy: MobileNodePolicy,
        *,
        weights: dict[str, float],
        send: Callable[[str, bytes], object],
        deliver: Take,
        rng: Random,
    ) -> None:
        self._clock, self._weights, self._send = clock, weights, send
        self.engine = MobileNode(policy, rng=rng)
        self._forwarder = MobileNodeForwarder(
            home_address=policy.home_address.packed,
            home_agent=b"" if policy.home_agent is None else policy.home_agent.packed,
            send=self._send_over,
            write=deliver,
            report=_say_nothing,
            rng=rng,
        )
        self._forwarder.used = self._used
        self._forwarder.suspected = self._suspected
        self._driver = Driver(clock, self.engine, self._perform)
        self._bids: dict[bytes, int] = {}
        self._is_closed = False
        clock.after(EXPIRY_INTERVAL_S, self._expire)

    def link_changed(self, link: str, *addresses: IPv6Address) -> None:
        """Notice that a link has these addresses; none when it is down."""
        if not self._is_closed:
            self._driver.run(self.engine.links_changed(link, addresses, self._clock.now))

    def stop(self) -> None:
        """De-register; `engine.is_stopped` tells when that is done."""
        self._driver.run(self.engine.stop(self._clock.now))

    def close(self) -> None:
        """Be gone: the clock calls no more."""
        self._is_closed = True
        self._driver.close()

    def take(self, packet: bytes) -> None:
        """Take a packet that leaves from the home address."""
        self._forwarder.from_device(packet, self._clock.now)

    def arrive(self, link: str, packet: bytes) -> None:
        """Take a packet that came to the care-of address of a link."""
        inner = packet[BASE_LENGTH:]
        if packet[6] == ROUTING and packet[40] != MOBILITY_HEADER:
            to = self._bids.get(packet[24:40], 0)
            self._forwarder.from_capture(packet, to, self._clock.now)
        elif packet[6] != IPV6:
            self._signalling(packet, link)
        elif len(inner) > BASE_LENGTH and inner[6] == MOBILITY_HEADER:
            self._signalling(inner, link, tunnelled=True)
        elif (bid := self._bids.get(packet[24:40])) is not None:
            traffic_class = (packet[0] << 4 | packet[1] >> 4) & 0xFF
            self._forwarder.from_tunnel(
                packet[8:24], bid, inner, traffic_class, self._clock.now
            )

    def _signalling(self, packet: bytes, link: str, *, tunnelled: bool = False) -> None:
        received = parse_signalling(packet, link, tunnelled=tunnelled)
        self._driver.run(self.engine.receive(received, self._clock.now))

    def _used(self, peer: bytes) -> None:
        now = self._clock.now
        self._driver.run(self.engine.correspondent_used(IPv6Address(peer), now))

    def _suspected(self, peer: bytes) -> None:
        now = self._clock.now
        self._driver.run(self.engine.correspondent_suspected(IPv6Address(peer), now))

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(envelope=Envelope(tunnelled=True, link=str(link))):
                    packet = emit_signalling(action)
                    self._forwarder.into_tunnel(packet, link, self._clock.now)
                case Send(envelope=envelope) if envelope.link is not None:
                    self._send(envelope.link, emit_signalling(action))
                case BindingsChanged(home_address=home_address):
                    self._paths_changed(home_address)
                case _:
                    pass  # nobody to report to

    def _paths_changed(self, home_address: IPv6Address) -> None:
        paths = tuple(
            Path(
                bid=path.bid or 0,
                care_of_address=path.care_of_address.packed,
                weight=self._weights[path.link],
                link=path.link,
            )
            for path in self.engine.paths()
        )
        self._bids = {path.care_of_address: path.bid for path in paths}
        self._forwarder.direct = self.engine.optimization.direct()
        self._forwarder.table.replace(home_address.packed, paths)

    def _send_over(self, path: Path, packet: bytes) -> None:
        self._send(path.link, packet)

    def _expire(self) -> None:
        if not self._is_closed:
            self._forwarder.expire(self._clock.now)
            self._clock.after(EXPIRY_INTERVAL_S, self._expire)


def _say_nothing(_reason: DropReason, _outer_source: bytes, _inner_source: bytes) -> None:
    """Drops stand in the counters."""
