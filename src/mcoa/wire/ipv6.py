"""IPv6 packets with the extension headers that mobility uses (RFC 8200, RFC 6275 §6.3, §6.4)."""

from dataclasses import dataclass
from ipaddress import IPv6Address
from struct import Struct
from typing import Final

from mcoa.wire.extension_headers import (
    DESTINATION_OPTIONS,
    EXTENSIONS,
    FRAGMENT,
    FRAGMENT_HEADER,
    HOME_ADDRESS,
    HOME_ADDRESS_LAYOUT,
    HOP_BY_HOP,
    PAD1,
    PADN,
    ROUTING,
    ROUTING_LAYOUT,
    TUNNEL_ENCAPSULATION_LIMIT,
    TYPE_2,
    Chain,
    Fragment,
    walk,
)
from mcoa.wire.reader import ParseError, Reader, require_range
from mcoa.wire.slots import slot

__all__ = [
    "DESTINATION_OPTIONS",
    "FRAGMENT",
    "HEADER_LENGTH",
    "HOP_BY_HOP",
    "ICMPV6",
    "IPV4_ENCAPSULATION",
    "IPV6_ENCAPSULATION",
    "MOBILITY_HEADER",
    "NO_NEXT_HEADER",
    "ROUTING",
    "UDP",
    "Fragment",
    "Ipv6Packet",
    "decode_packet",
    "emit_packet",
    "parse_packet",
]

IPV4_ENCAPSULATION: Final = 4
UDP: Final = 17
IPV6_ENCAPSULATION: Final = 41
ICMPV6: Final = 58
NO_NEXT_HEADER: Final = 59
MOBILITY_HEADER: Final = 135
HEADER_LENGTH: Final = 40

_HEADER: Final = Struct("!IHBB16s16s")
_HEADER_IN_WORDS: Final = Struct("!IHBB4Q")
_EXTENSION_WITH_ADDRESS: Final = Struct("!B7s2Q")
_LENGTH_OF_EXTENSION: Final = _EXTENSION_WITH_ADDRESS.size


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Ipv6Packet:
    """A packet with the extension headers that mean something to mobility.

    Attributes:
        protocol: of the payload: the first next header that is none of those below.
        home_address: of the Home Address option (RFC 6275 §6.3).
        routing_home_address: of the type 2 routing header (RFC 6275 §6.4).
        tunnel_encapsulation_limit: of that destination option (RFC 2473 §4.1.1).
    """

    source: IPv6Address
    destination: IPv6Address
    protocol: int
    payload: bytes = b""
    home_address: IPv6Address | None = None
    routing_home_address: IPv6Address | None = None
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0
    fragment: Fragment | None = None
    tunnel_encapsulation_limit: int | None = None

    def __init__(  # noqa: PLR0913 - one argument a field
        self,
        *,
        source: IPv6Address,
        destination: IPv6Address,
        protocol: int,
        payload: bytes = b"",
        home_address: IPv6Address | None = None,
        routing_home_address: IPv6Address | None = None,
        hop_limit: int = 64,
        traffic_class: int = 0,
        flow_label: int = 0,
        fragment: Fragment | None = None,
        tunnel_encapsulation_limit: int | None = None,
    ) -> None:
        if not (0 <= protocol <= 0xFF and 0 <= hop_limit <= 0xFF):
            require_range("protocol", protocol, 0, 0xFF)
            require_range("hop_limit", hop_limit, 0, 0xFF)
        if not (0 <= traffic_class <= 0xFF and 0 <= flow_label <= 0xF_FFFF):
            require_range("traffic_class", traffic_class, 0, 0xFF)
            require_range("flow_label", flow_label, 0, 0xF_FFFF)
        if tunnel_encapsulation_limit is not None:
            require_range("tunnel limit", tunnel_encapsulation_limit, 0, 0xFF)
        if protocol in EXTENSIONS and (fragment is None or fragment.is_whole):
            raise ValueError(f"protocol {protocol} is an extension header")
        _set_source(self, source)
        _set_destination(self, destination)
        _set_protocol(self, protocol)
        _set_payload(self, payload)
        _set_home_address(self, home_address)
        _set_routing_home_address(self, routing_home_address)
        _set_hop_limit(self, hop_limit)
        _set_traffic_class(self, traffic_class)
        _set_flow_label(self, flow_label)
        _set_fragment(self, fragment)
        _set_tunnel_encapsulation_limit(self, tunnel_encapsulation_limit)

    @property
    def checksum_source(self) -> IPv6Address:
        """The source that checksums of the payload cover (RFC 6275 §6.1.1)."""
        return self.home_address or self.source

    @property
    def checksum_destination(self) -> IPv6Address:
        """The destination that checksums of the payload cover (RFC 6275 §6.1.1)."""
        return self.routing_home_address or self.destination


_set_source: Final = slot(Ipv6Packet, "source")
_set_destination: Final = slot(Ipv6Packet, "destination")
_set_protocol: Final = slot(Ipv6Packet, "protocol")
_set_payload: Final = slot(Ipv6Packet, "payload")
_set_home_address: Final = slot(Ipv6Packet, "home_address")
_set_routing_home_address: Final = slot(Ipv6Packet, "routing_home_address")
_set_hop_limit: Final = slot(Ipv6Packet, "hop_limit")
_set_traffic_class: Final = slot(Ipv6Packet, "traffic_class")
_set_flow_label: Final = slot(Ipv6Packet, "flow_label")
_set_fragment: Final = slot(Ipv6Packet, "fragment")
_set_tunnel_encapsulation_limit: Final = slot(Ipv6Packet, "tunnel_encapsulation_limit")


def parse_packet(data: bytes) -> Ipv6Packet:
    """Read a packet; what follows its Payload Length is ignored.

    Other extension headers and unknown destination options are skipped where their type
    allows it.

    Raises:
        ParseError: it is cut short, or a header in its chain is not what its RFC allows.
    """
    return _parse_usual(data) or _parse(data, lenient=False)


def decode_packet(data: bytes) -> Ipv6Packet:
    """Read a packet like `parse_packet`, but skip also what a receiver would refuse.

    Unknown options and routing headers say to a receiver that the packet is not for it; they
    do not make it unreadable.

    Raises:
        ParseError: it is cut short, or a header in its chain is malformed.
    """
    return _parse(data, lenient=True)


def _parse_usual(data: bytes) -> Ipv6Packet | None:
    """Read a packet without extension headers, or with one that holds a home address alone.

    What is not usual gives None; tests prove that the rest reads as `_parse` would read it.
    """
    if len(data) < HEADER_LENGTH:
        return None
    word, length, protocol, hop_limit, source_1, source_2, destination_1, destination_2 = (
        _HEADER_IN_WORDS.unpack_from(data)
    )
    start, end = HEADER_LENGTH, HEADER_LENGTH + length
    home_address = routing_home_address = None
    if protocol in EXTENSIONS:
        if min(end, len(data)) < start + _LENGTH_OF_EXTENSION:
            return None
        header = protocol
        protocol, layout, high, low = _EXTENSION_WITH_ADDRESS.unpack_from(data, start)
        if header == DESTINATION_OPTIONS and layout == HOME_ADDRESS_LAYOUT:
            home_address = IPv6Address(high << 64 | low)
        elif header == ROUTING and layout == ROUTING_LAYOUT:
            routing_home_address = IPv6Address(high << 64 | low)
        else:
            return None
        start += _LENGTH_OF_EXTENSION
    if word >> 28 != 6 or end > len(data) or protocol in EXTENSIONS:
        return None
    return Ipv6Packet(
        source=IPv6Address(source_1 << 64 | source_2),
        destination=IPv6Address(destination_1 << 64 | destination_2),
        protocol=protocol,
        payload=data[start:end],
        home_address=home_address,
        routing_home_address=routing_home_address,
        hop_limit=hop_limit,
        traffic_class=word >> 20 & 0xFF,
        flow_label=word & 0xF_FFFF,
    )


def _parse(data: bytes, *, lenient: bool) -> Ipv6Packet:
    if len(data) < HEADER_LENGTH:
        raise ParseError(len(data), f"an IPv6 header has 40 octets, {len(data)} are there")
    word, length, protocol, hop_limit, source, destination = _HEADER.unpack_from(data)
    if word >> 28 != 6:
        raise ParseError(0, f"IP version is {word >> 28}, not 6")
    if HEADER_LENGTH + length > len(data):
        there = len(data) - HEADER_LENGTH
        raise ParseError(4, f"Payload Length is {length}, {there} octets are there")
    body = Reader(data, HEADER_LENGTH, HEADER_LENGTH + length)
    chain = Chain(multicast=destination[0] == 0xFF, lenient=lenient)
    protocol = walk(body, protocol, chain)
    return Ipv6Packet(
        source=IPv6Address(source),
        destination=IPv6Address(destination),
        protocol=protocol,
        payload=body.rest(),
        home_address=chain.home_address,
        routing_home_address=chain.routing_home_address,
        hop_limit=hop_limit,
        traffic_class=word >> 20 & 0xFF,
        flow_label=word & 0xF_FFFF,
        fragment=chain.fragment,
        tunnel_encapsulation_limit=chain.tunnel_limit,
    )


def emit_packet(packet: Ipv6Packet) -> bytes:
    """Return the packet, its extension headers in the order of RFC 6275 §6.3 and §6.4.

    Raises:
        ValueError: it is longer than a Payload Length can say.
    """
    protocol, parts = packet.protocol, [packet.payload]
    if packet.fragment is not None:
        parts.insert(0, _emit_fragment(protocol, packet.fragment))
        protocol = FRAGMENT
    if packet.home_address is not None or packet.tunnel_encapsulation_limit is not None:
        parts.insert(0, _emit_destination_options(protocol, packet))
        protocol = DESTINATION_OPTIONS
    if packet.routing_home_address is not None:
        address = packet.routing_home_address.packed
        parts.insert(0, bytes((protocol, 2, TYPE_2, 1, 0, 0, 0, 0)) + address)
        protocol = ROUTING
    body = b"".join(parts)
    require_range("Payload Length", len(body), 0, 0xFFFF)
    word = 6 << 28 | packet.traffic_class << 20 | packet.flow_label
    addresses = (packet.source.packed, packet.destination.packed)
    return _HEADER.pack(word, len(body), protocol, packet.hop_limit, *addresses) + body


def _emit_fragment(protocol: int, fragment: Fragment) -> bytes:
    where = fragment.offset | fragment.more
    return FRAGMENT_HEADER.pack(protocol, 0, where, fragment.identification)


def _emit_destination_options(protocol: int, packet: Ipv6Packet) -> bytes:
    """Return one header of 8 or 24 octets; a Home Address option sits at octet 6 of it."""
    limit = packet.tunnel_encapsulation_limit
    start = bytes((PADN, 2, 0, 0))
    if limit is not None:
        start = bytes((TUNNEL_ENCAPSULATION_LIMIT, 1, limit, PAD1))
    if packet.home_address is None:
        return bytes((protocol, 0)) + start + bytes((PADN, 0))
    option = bytes((HOME_ADDRESS, 16)) + packet.home_address.packed
    return bytes((protocol, 2)) + start + option
