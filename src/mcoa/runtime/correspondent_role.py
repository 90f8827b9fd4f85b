"""What makes a node a correspondent: engine and forwarder, joined (RFC 6275 §9).

How packets reach the network, and the kernel, is the business of the service around it.
"""

from collections.abc import Callable, Iterator
from ipaddress import IPv6Address
from random import SystemRandom
from typing import Protocol

from mcoa.dataplane.correspondent import CorrespondentForwarder
from mcoa.dataplane.direct import DIRECT_OVERHEAD
from mcoa.dataplane.icmp import RateLimiter
from mcoa.dataplane.packet import BASE_LENGTH, MINIMUM_MTU
from mcoa.dataplane.path import Path
from mcoa.engine.actions import Action, BindingsChanged, Received, Report, Send
from mcoa.engine.authorization import authorization_of
from mcoa.engine.correspondent_node import CorrespondentNode
from mcoa.engine.policy import CorrespondentPolicy
from mcoa.runtime.driver import Driver
from mcoa.runtime.events import Events
from mcoa.runtime.log import Level
from mcoa.runtime.signalling import (
    SignallingError,
    complaint_limiter,
    emit_signalling,
    parse_signalling,
)
from mcoa.runtime.status import BindingLine
from mcoa.wire.ipv6 import DESTINATION_OPTIONS, MOBILITY_HEADER
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
)

# Whoever gets these has proven nothing; tests are as large as what asks for them.
_TESTS_A_SECOND, _TESTS_AT_ONCE = 5000.0, 1000.0

ForCorrespondent = HomeTestInit | CareOfTestInit | BindingUpdate
"""What a mobile node says to a correspondent."""


class Surroundings(Protocol):
    """What a correspondent needs of the service around it; octets are whole packets."""

    def is_own(self, address: IPv6Address) -> bool:
        """Tell whether an address is one of this node's."""
        ...

    def mtu(self, own: IPv6Address) -> int:
        """Return the MTU of packets from one of our addresses; octets."""
        ...

    def device(self, own: IPv6Address) -> int:
        """Return the index of the interface of one of our addresses; 0 where that says nothing."""
        ...

    def send_direct(self, packet: bytes) -> int:
        """Send to a care-of address; return 0, or how many octets fit instead."""
        ...

    def send_plain(self, packet: bytes) -> object:
        """Send to an address as it is, be it a home address that is bound here."""
        ...

    def write(self, packet: bytes) -> object:
        """Give a packet to the kernel."""
        ...

    def home_addresses_changed(self) -> None:
        """Route to the device what is bound now, and nothing else."""
        ...


class AtHomeAddress:
    """What surrounds the correspondent that a mobile node is at its home address.

    All that it sends takes the mobile node's own ways, be it to another one's care-of address.

    Args:
        mtu: of the links; octets that fit into a tunnel.
        room: tells how large a packet like this may be on its way; 0 where that is unknown.
        send: takes a packet as if the kernel had routed it to the device.
        write: gives a packet to the kernel.
    """

    def __init__(
        self,
        home_address: IPv6Address,
        *,
        mtu: Callable[[], int],
        room: Callable[[bytes], int],
        send: Callable[[bytes], object],
        write: Callable[[bytes], object],
    ) -> None:
        self._home_address = home_address
        self._mtu = mtu
        self._room = room
        self.send_plain = send
        self.write = write

    def is_own(self, address: IPv6Address) -> bool:
        """Tell whether an address is the one at which we are a correspondent."""
        return address == self._home_address

    def mtu(self, own: IPv6Address) -> int:
        """Return the MTU of packets from the home address; octets."""
        del own
        return self._mtu()

    def device(self, own: IPv6Address) -> int:
        """Return 0: packets go by the mobile node's own ways."""
        del own
        return 0

    def send_direct(self, packet: bytes) -> int:
        """Send to another mobile node's care-of address; return 0, or how many octets fit.

        What is not above 1280 octets goes in any case, in fragments of the tunnel perhaps.
        """
        if len(packet) > MINIMUM_MTU and 0 < (room := self._room(packet)) < len(packet):
            return room
        self.send_plain(packet)
        return 0

    def home_addresses_changed(self) -> None:
        """Do nothing: all that this host sends goes to the device anyway."""


class CorrespondentRole:
    """A correspondent at work.

    Args:
        policy: what the operator decided.
        around: the service.
        events: counts and logs.
    """

    def __init__(
        self, policy: CorrespondentPolicy, around: Surroundings, events: Events
    ) -> None:
        rng = SystemRandom()
        self._around = around
        self._events = events
        self.engine = CorrespondentNode(
            policy, rng=rng, is_own=around.is_own, in_use=self._in_use
        )
        self.forwarder = CorrespondentForwarder(
            emit=lambda _path, packet: around.send_direct(packet),
            plain=around.send_plain,
            write=around.write,
            unbound=self._unbound,
            report=events.drop,
            rng=rng,
        )
        self._complaints = complaint_limiter()
        self._tests = RateLimiter(_TESTS_A_SECOND, _TESTS_AT_ONCE)
        self._driver = Driver(self.engine, self._perform)

    def close(self) -> None:
        """Stop the timer."""
        self._driver.close()

    def bound(self) -> dict[IPv6Address, IPv6Address]:
        """Return the home addresses that are bound, each with one of ours that it is bound for."""
        pairs = self.forwarder.table.bindings
        return {IPv6Address(pair[16:]): IPv6Address(pair[:16]) for pair in pairs}

    def holds(self, packet: bytes) -> bool:
        """Tell whether the destination of a packet of ours is bound for its source."""
        return packet[8:40] in self.forwarder.table.bindings

    def from_device(self, packet: bytes) -> None:
        """Take a packet of this host for a home address."""
        self.forwarder.from_device(packet, self._driver.now)

    def take(self, packet: bytes) -> None:
        """Take a packet to one of our addresses that has a Mobility Header or Home Address option."""
        if len(packet) <= BASE_LENGTH or not self._around.is_own(IPv6Address(packet[24:40])):
            return
        protocol = packet[BASE_LENGTH] if packet[6] == DESTINATION_OPTIONS else packet[6]
        if protocol != MOBILITY_HEADER and self.forwarder.from_network(
            packet, self._driver.now
        ):
            return
        try:
            received = parse_signalling(packet)
        except SignallingError as error:
            self._events.no_message(str(error), packet[8:24])
            if error.answer is not None and self._complaints.allows(self._driver.now):
                self._around.send_plain(error.answer)
            if error.claim is not None:
                self._unbound(packet[24:40], *(each.packed for each in error.claim))
            return
        self.receive(received)

    def receive(self, received: Received) -> None:
        """Take in one message, which is none of ours if it was to another address."""
        if not self._around.is_own(received.envelope.destination):
            return
        self._events.malformed_options(received)
        self._driver.run(self.engine.receive(received, self._driver.now))

    def bindings(self) -> Iterator[BindingLine]:
        """Yield what is bound."""
        now = self._driver.now
        for own, entry in self.engine.cache:
            for binding in entry.bindings:
                yield BindingLine(
                    home_address=entry.home_address,
                    bid=binding.bid,
                    care_of_address=binding.care_of_address,
                    state="registered",
                    remaining_lifetime_s=max(0.0, binding.expires_at_s - now),
                    correspondent=own,
                )

    def _unbound(self, own: bytes, source: bytes, home_address: bytes) -> None:
        addresses = (IPv6Address(octets) for octets in (own, source, home_address))
        self._driver.run(self.engine.claimed(*addresses))

    def _in_use(self, own: IPv6Address, home_address: IPv6Address) -> bool:
        states = self.forwarder.table.states_of(own.packed + home_address.packed)
        return any(state.active_flows for state in states)

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send():
                    self._send(action)
                case BindingsChanged(
                    home_address=home_address, own_address=IPv6Address() as own
                ):
                    self._bindings_changed(own, home_address)
                case Report():
                    self._events.report(action)
                case _:
                    raise ValueError(f"a correspondent does not ask for {action}")

    def _send(self, send: Send) -> None:
        limit = self._limit_of(send)
        if limit is not None and not limit.allows(self._driver.now):
            self._events.counts["answers-withheld"] += 1
            return
        packet = emit_signalling(send)
        if send.envelope.routing_header_home_address is None:
            self._around.send_plain(packet)
        else:
            self._around.send_direct(packet)

    def _limit_of(self, send: Send) -> RateLimiter | None:
        """Return what bounds answers to those who have proven nothing; None for all else."""
        match send.message:
            case HomeTest() | CareOfTest():
                return self._tests
            case BindingError():
                return self._complaints
            case BindingAcknowledgement() as message if authorization_of(message) is None:
                return self._complaints
            case _:
                return None

    def _bindings_changed(self, own: IPv6Address, home_address: IPv6Address) -> None:
        bindings = sorted(
            self.engine.bindings(own, home_address), key=lambda each: -each.verified_at_s
        )
        paths = tuple(
            Path(
                bid=binding.bid or 0,
                care_of_address=binding.octets,
                mtu=self._around.mtu(own),
                overhead=DIRECT_OVERHEAD,
                device=self._around.device(own),
            )
            for binding in bindings
        )
        self.forwarder.table.replace(own.packed + home_address.packed, paths)
        self._around.home_addresses_changed()
        # Every binding must be attributable (RFC 5648 §10).
        self._events.log.remote(
            "bindings-changed",
            level=Level.INFO,
            home_address=home_address,
            own_address=own,
            bindings=" ".join(f"{b.bid or '-'}:{b.care_of_address}" for b in bindings),
        )
