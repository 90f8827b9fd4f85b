"""Home agent and mobile node: the real engine and the real forwarder of each, joined.

What `runtime` does with devices, sockets and the event loop is here a call: a packet comes in
by one method and leaves by the function that was given.
"""

from collections.abc import Callable
from ipaddress import IPv6Address
from random import Random

from mcoa.dataplane.counters import DropReason
from mcoa.dataplane.home_agent import HomeAgentForwarder
from mcoa.dataplane.mobile_node import MobileNodeForwarder
from mcoa.dataplane.packet import BASE_LENGTH, IPV6, MOBILITY_HEADER
from mcoa.dataplane.path import Path
from mcoa.engine.actions import Action, BindingsChanged, Send
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.policy import HomeAgentPolicy, MobileNodePolicy
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
        if packet[6] != IPV6:
            self._signalling(packet, link)
        elif len(inner) > BASE_LENGTH and inner[6] == MOBILITY_HEADER:
            self._signalling(inner, link)
        elif (bid := self._bids.get(packet[24:40])) is not None:
            traffic_class = (packet[0] << 4 | packet[1] >> 4) & 0xFF
            self._forwarder.from_tunnel(
                packet[8:24], bid, inner, traffic_class, self._clock.now
            )

    def _signalling(self, packet: bytes, link: str) -> None:
        self._driver.run(self.engine.receive(parse_signalling(packet, link), self._clock.now))

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
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
        self._forwarder.table.replace(home_address.packed, paths)

    def _send_over(self, path: Path, packet: bytes) -> None:
        self._send(path.link, packet)

    def _expire(self) -> None:
        if not self._is_closed:
            self._forwarder.expire(self._clock.now)
            self._clock.after(EXPIRY_INTERVAL_S, self._expire)


def _say_nothing(_reason: DropReason, _outer_source: bytes, _inner_source: bytes) -> None:
    """Drops stand in the counters."""
