"""What comes in at a mobile node, told apart: for the engine, the forwarder, or the correspondent.

Three entrances: the capture below the kernel, the sockets of UDP over IPv4, and ICMPv6.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv6Address

from mcoa.dataplane.counters import DropReason
from mcoa.dataplane.direct import has_home_address, without_routing_header
from mcoa.dataplane.mobile_node import MobileNodeForwarder
from mcoa.dataplane.packet import (
    BASE_LENGTH,
    DESTINATION_OPTIONS,
    FRAGMENT,
    IPV6,
    MOBILITY_HEADER,
    ROUTING,
)
from mcoa.dataplane.trains import Train, couple
from mcoa.engine.actions import Discovery, Envelope, Received, UdpEnd
from mcoa.engine.mobile_node import MobileNode
from mcoa.runtime.correspondent_role import CorrespondentRole, ForCorrespondent
from mcoa.runtime.driver import Driver
from mcoa.runtime.events import Events
from mcoa.runtime.icmp_errors import (
    NotUnderstood,
    read_not_understood,
    read_too_big,
    read_undelivered,
)
from mcoa.runtime.signalling import SignallingError, complaint_limiter, parse_signalling
from mcoa.runtime.sockets import IcmpPacket
from mcoa.runtime.udp_socket import ENCAPSULATION_PORT, Datagrams
from mcoa.wire.icmpv6 import decode_icmpv6
from mcoa.wire.reader import ParseError
from mcoa.wire.registry import Icmpv6Type

ICMPV6_TYPES = (
    Icmpv6Type.DESTINATION_UNREACHABLE,
    Icmpv6Type.PACKET_TOO_BIG,
    Icmpv6Type.TIME_EXCEEDED,
    Icmpv6Type.PARAMETER_PROBLEM,
    Icmpv6Type.HOME_AGENT_ADDRESS_DISCOVERY_REPLY,
    Icmpv6Type.MOBILE_PREFIX_ADVERTISEMENT,
)
_NO_PATH = 0  # a BID that no path has but the plain one
_MOBILITY, _ROUTING = bytes((MOBILITY_HEADER,)), bytes((ROUTING,))
_IPV6, _FRAGMENT = bytes((IPV6,)), bytes((FRAGMENT,))
_OPTIONS = bytes((DESTINATION_OPTIONS,))
_MOST_OWN = 256
_PROTOCOL, _NEXT_PROTOCOL = slice(6, 7), slice(BASE_LENGTH, BASE_LENGTH + 1)


class Arrivals:
    """The entrances of a mobile node.

    Args:
        engine: of the mobile node, which `driver` drives.
        correspondent: what the node is besides; None where it is none.
        received: takes a message for the engine.
        pass_on: gives the kernel a packet that was taken and is not for this node.
        answer: sends a packet from one of our care-of addresses.

    Attributes:
        home_agent: sixteen octets; to be kept up to date by the owner, as is `bids`.
        home_agent_ipv4: IPv4-mapped; empty for an agent that has none.
        bids: of the paths, by care-of address.
    """

    def __init__(
        self,
        engine: MobileNode,
        driver: Driver,
        forwarder: MobileNodeForwarder,
        correspondent: CorrespondentRole | None,
        *,
        received: Callable[[Received], None],
        pass_on: Callable[[bytes], object],
        answer: Callable[[bytes], object],
        events: Events,
    ) -> None:
        self.home_agent = b""
        self.home_agent_ipv4 = b""
        self.bids: Mapping[bytes, int] = {}
        self._engine = engine
        self._driver = driver
        self._forwarder = forwarder
        self._correspondent = correspondent
        self._received = received
        self._pass_on = pass_on
        self._answer = answer
        self._complaints = complaint_limiter()
        self._own: dict[bytes, None] = {}
        self._events = events

    def own(self, addresses: Iterable[bytes]) -> None:
        """Take tunnel packets to these addresses, all that the links have, and to some former ones.

        To a former care-of address one may have been on its way when that was replaced.
        """
        for address in addresses:
            self._own.pop(address, None)
            self._own[address] = None  # the last to be forgotten
        while len(self._own) > _MOST_OWN:
            del self._own[next(iter(self._own))]

    def from_datagrams(self, care_of_address: bytes, arrivals: Iterable[Datagrams]) -> None:
        """Take what came in UDP over IPv4 to a care-of address (RFC 5555 §4)."""
        now, agent = self._driver.now, self.home_agent
        forwarder, bid = self._forwarder, self.bids.get(care_of_address, _NO_PATH)
        for segments, source, port, traffic_class in arrivals:
            if source != self.home_agent_ipv4 or port != ENCAPSULATION_PORT:
                forwarder.drops.report(DropReason.NOT_FROM_HOME_AGENT, source, bytes(16), now)
                continue
            for each in couple(segments):
                if isinstance(each, Train):
                    forwarder.train_from_tunnel(agent, bid, each, traffic_class, now)
                elif each[_PROTOCOL] == _MOBILITY:
                    end = UdpEnd(address=IPv6Address(care_of_address))
                    self._signalling(each, tunnelled=True, udp=end)
                elif self._correspondent is not None and has_home_address(each):
                    self._correspondent.take(each)
                else:
                    forwarder.from_datagram(bid, each, traffic_class, now)

    def complain(self, packet: bytes) -> None:
        """Send an error about a packet to whoever it claims to be from, not too often."""
        now = self._driver.now
        if not self._complaints.allows(now):
            return
        if packet[8:24] == self._engine.policy.home_address.packed:
            self._forwarder.from_device(packet, now)
        else:
            self._answer(packet)

    def from_capture(self, packets: Iterable[bytes]) -> None:
        """Take tunnel packets and those with a header of mobility, as they were on the wire."""
        role = self._correspondent
        for packet in packets:
            if self._is_tunnel_packet(packet):
                self._from_tunnel(packet)
            elif packet[_PROTOCOL] == _ROUTING and packet[_NEXT_PROTOCOL] != _MOBILITY:
                self._direct(packet)
            elif role is not None and has_home_address(packet):
                role.take(packet)
            else:
                self._signalling(packet)

    def _is_tunnel_packet(self, packet: bytes) -> bool:
        """Return True for a packet that has a packet in it, or a part of one of the agent's."""
        first = packet[_PROTOCOL]
        if first == _IPV6:
            return True
        if packet[8:24] != self.home_agent:
            return False  # a Home Address option may come in fragments, too
        return first == _FRAGMENT or (
            first == _OPTIONS and packet[_NEXT_PROTOCOL] in (_IPV6, _FRAGMENT)
        )

    def _from_tunnel(self, packet: bytes) -> None:
        """Take what is inside a tunnel packet, or give the kernel one of another tunnel."""
        now, role = self._driver.now, self._correspondent
        if packet[24:40] not in self._own:
            self._pass_on(packet)
            return
        if packet[8:24] != self.home_agent:
            drops = self._forwarder.drops
            drops.report(DropReason.NOT_FROM_HOME_AGENT, packet[8:24], packet[48:64], now)
            return
        opened = self._forwarder.tunnel_exit.open(packet, now)
        if opened is None:
            return
        inner, source, destination, traffic_class, number = opened
        if inner[_PROTOCOL] == _MOBILITY:
            self._signalling(inner, tunnelled=True)
        elif role is not None and has_home_address(inner):
            role.take(inner)
        else:
            bid = self.bids.get(destination, _NO_PATH)
            self._forwarder.from_tunnel(source, bid, inner, traffic_class, now, number)

    def _direct(self, packet: bytes) -> None:
        """Take user data that came straight, perhaps from another mobile node."""
        role, inner = self._correspondent, without_routing_header(packet)
        if role is not None and has_home_address(inner):
            role.take(inner)
            return
        bid = self.bids.get(packet[24:40], _NO_PATH)
        if not self._forwarder.from_capture(packet, bid, self._driver.now):
            self._signalling(packet)

    def icmp_messages(self, packets: Iterable[IcmpPacket]) -> None:
        """Take ICMPv6 messages of ICMPV6_TYPES."""
        for packet in packets:
            match packet.message[0]:
                case Icmpv6Type.PACKET_TOO_BIG:
                    self._too_big(packet.message)
                case Icmpv6Type.DESTINATION_UNREACHABLE | Icmpv6Type.TIME_EXCEEDED:
                    self._undelivered(packet.message)
                case Icmpv6Type.PARAMETER_PROBLEM:
                    self._not_understood(packet)
                case _:
                    self._discovery(packet)

    def _too_big(self, message: bytes) -> None:
        said = read_too_big(message, self.bids, self.home_agent)
        if said is not None:
            self._forwarder.packet_too_big(said.bid, said.mtu, said.inner, self._driver.now)

    def _undelivered(self, message: bytes) -> None:
        said = read_undelivered(message, self.bids, self.home_agent)
        if said is not None:
            self._forwarder.undelivered(said.bid, said.inner, self._driver.now)

    def _not_understood(self, packet: IcmpPacket) -> None:
        home_address: IPv6Address = self._engine.policy.home_address
        said, now = read_not_understood(packet, home_address.packed), self._driver.now
        match said:
            case None:
                pass
            case NotUnderstood(peer=peer, cookie=b""):
                self._driver.run(self._engine.option_unknown_to(peer, now))
            case NotUnderstood(peer=peer, cookie=cookie):
                self._driver.run(self._engine.test_unknown_to(peer, cookie, now))

    def _discovery(self, packet: IcmpPacket) -> None:
        try:
            message = decode_icmpv6(packet.message)  # the kernel has looked at the checksum
        except ParseError as error:
            self._events.no_message(str(error), packet.source.packed)
            return
        if isinstance(message, Discovery):
            envelope = Envelope(source=packet.source, destination=packet.destination)
            self._received(Received(message=message, envelope=envelope))

    def _signalling(
        self, packet: bytes, *, tunnelled: bool = False, udp: UdpEnd | None = None
    ) -> None:
        try:
            received = parse_signalling(packet, tunnelled=tunnelled, udp=udp)
        except SignallingError as error:
            self._events.no_message(str(error), packet[8:24])
            if error.answer is not None and udp is None:
                self.complain(error.answer)
            return
        role = self._correspondent
        if isinstance(received.message, ForCorrespondent) and role is not None:
            role.receive(received)
        else:
            self._events.malformed_options(received)
            self._received(received)
