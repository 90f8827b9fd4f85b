"""IPv6 packets and the extension headers that mobility uses (RFC 8200, RFC 6275 §6.3, §6.4)."""

from dataclasses import dataclass
from ipaddress import IPv6Address
from struct import Struct
from typing import ClassVar, Final

from mcoa.wire.reader import Disposition, ParseError, Reader, require_range

HOP_BY_HOP: Final = 0
IPV4_ENCAPSULATION: Final = 4
UDP: Final = 17
IPV6_ENCAPSULATION: Final = 41
ROUTING: Final = 43
FRAGMENT: Final = 44
ICMPV6: Final = 58
NO_NEXT_HEADER: Final = 59
DESTINATION_OPTIONS: Final = 60
MOBILITY_HEADER: Final = 135
HEADER_LENGTH: Final = 40

_HEADER: Final = Struct("!IHBB16s16s")
_FRAGMENT: Final = Struct("!BBHI")
_EXTENSIONS: Final = frozenset((HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS))

_PAD1 = 0
_PADN = 1
_TUNNEL_ENCAPSULATION_LIMIT = 4
_HOME_ADDRESS = 201
_TYPE_2 = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """Fragment header (RFC 8200 §4.5).

    Attributes:
        offset: of this fragment's payload in the whole, in octets, a multiple of 8.
        more: whether others follow it.
    """

    LARGEST_OFFSET: ClassVar = 8 * 0x1FFF

    identification: int
    offset: int = 0
    more: bool = False

    def __post_init__(self) -> None:
        require_range("identification", self.identification, 0, 0xFFFF_FFFF)
        require_range("offset", self.offset, 0, self.LARGEST_OFFSET)
        if self.offset % 8:
            raise ValueError(f"fragment offset {self.offset} is not a multiple of 8")

    @property
    def is_whole(self) -> bool:
        """True when it holds all of its packet."""
        return self.offset == 0 and not self.more


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def __post_init__(self) -> None:
        require_range("protocol", self.protocol, 0, 0xFF)
        require_range("hop_limit", self.hop_limit, 0, 0xFF)
        require_range("traffic_class", self.traffic_class, 0, 0xFF)
        require_range("flow_label", self.flow_label, 0, 0xF_FFFF)
        require_range("tunnel limit", self.tunnel_encapsulation_limit or 0, 0, 0xFF)
        whole = self.fragment is None or self.fragment.is_whole
        if whole and self.protocol in _EXTENSIONS:
            raise ValueError(f"protocol {self.protocol} is an extension header")

    @property
    def checksum_source(self) -> IPv6Address:
        """The source that checksums of the payload cover (RFC 6275 §6.1.1)."""
        return self.home_address or self.source

    @property
    def checksum_destination(self) -> IPv6Address:
        """The destination that checksums of the payload cover (RFC 6275 §6.1.1)."""
        return self.routing_home_address or self.destination


class _Chain:
    """What the extension headers of one packet said so far."""

    __slots__ = (
        "fragment",
        "home_address",
        "lenient",
        "multicast",
        "routing_home_address",
        "tunnel_limit",
    )

    def __init__(self, destination: IPv6Address, *, lenient: bool) -> None:
        self.multicast = destination.is_multicast
        self.lenient = lenient
        self.home_address: IPv6Address | None = None
        self.routing_home_address: IPv6Address | None = None
        self.fragment: Fragment | None = None
        self.tunnel_limit: int | None = None


def parse_packet(data: bytes) -> Ipv6Packet:
    """Read a packet; what follows its Payload Length is ignored.

    Other extension headers and unknown destination options are skipped where their type
    allows it.

    Raises:
        ParseError: it is cut short, or a header in its chain is not what its RFC allows.
    """
    return _parse(data, lenient=False)


def decode_packet(data: bytes) -> Ipv6Packet:
    """Read a packet like `parse_packet`, but skip also what a receiver would refuse.

    Unknown options and routing headers say to a receiver that the packet is not for it; they
    do not make it unreadable.

    Raises:
        ParseError: it is cut short, or a header in its chain is malformed.
    """
    return _parse(data, lenient=True)


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
    chain = _Chain(IPv6Address(destination), lenient=lenient)
    protocol = _walk(body, protocol, chain)
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


def _walk(body: Reader, protocol: int, chain: _Chain) -> int:
    """Read extension headers until the payload begins; return the payload's protocol."""
    first = body.offset
    while protocol in _EXTENSIONS:
        if protocol == FRAGMENT:
            protocol = _parse_fragment(body, chain)
            if chain.fragment is not None and not chain.fragment.is_whole:
                break
            continue
        if protocol == HOP_BY_HOP and body.offset != first:
            # RFC 8200 §4.1: only right behind the IPv6 header.
            reason = "a Hop-by-Hop Options header stands behind another one"
            raise ParseError(body.offset, reason, Disposition.PARAMETER_PROBLEM, code=1)
        start = body.offset
        following, length = body.uint8("Next Header"), body.uint8("Hdr Ext Len")
        extension = body.within(6 + 8 * length, "extension header")
        if protocol == ROUTING:
            _parse_routing(extension, start, chain)
        else:
            _parse_options(extension, chain)
        protocol = following
    return protocol


def _parse_fragment(body: Reader, chain: _Chain) -> int:
    start = body.offset
    fields = _FRAGMENT.unpack(body.take(_FRAGMENT.size, "Fragment header"))
    protocol, _, where, identification = fields
    if chain.fragment is not None:
        raise ParseError(start, "a second Fragment header")
    chain.fragment = Fragment(
        identification=identification, offset=where & 0xFFF8, more=bool(where & 1)
    )
    return int(protocol)


def _parse_routing(body: Reader, start: int, chain: _Chain) -> None:
    """Read a routing header; the reader stands at its Routing Type (RFC 6275 §6.4.1)."""
    kind, segments_left = body.uint8("Routing Type"), body.uint8("Segments Left")
    if kind != _TYPE_2:
        if segments_left and not chain.lenient:
            # RFC 8200 §4.4; the addresses that remain are not for us to visit.
            reason = f"routing type {kind} with {segments_left} segments left"
            raise ParseError(start + 2, reason, Disposition.PARAMETER_PROBLEM)
        return
    if body.remaining != 20:
        raise ParseError(start + 1, "the type 2 routing header has not 24 octets")
    if segments_left != 1:
        raise ParseError(start + 3, f"Segments Left is {segments_left}, not 1")
    if chain.routing_home_address is not None:
        raise ParseError(start, "a second type 2 routing header")
    body.uint32("Reserved")
    chain.routing_home_address = body.address("Home Address")


def _parse_options(body: Reader, chain: _Chain) -> None:
    while body.remaining:
        start, kind = body.offset, body.uint8("option type")
        if kind == _PAD1:
            continue
        option = body.within(body.uint8("Opt Data Len"), f"option {kind}")
        length = option.remaining
        if kind == _HOME_ADDRESS and length == 16:
            if chain.home_address is not None:
                raise ParseError(start, "a second Home Address option")
            chain.home_address = option.address("Home Address")
        elif kind == _TUNNEL_ENCAPSULATION_LIMIT and length == 1:
            chain.tunnel_limit = option.uint8("Tunnel Encapsulation Limit")
        elif kind != _PADN and not chain.lenient:
            _refuse_unknown_option(kind, start, chain)


def _refuse_unknown_option(kind: int, start: int, chain: _Chain) -> None:
    """Do what the top two bits of an option's type ask for (RFC 8200 §4.2)."""
    reason = f"destination option {kind} is unknown or of a wrong length"
    match kind >> 6:
        case 0:
            return
        case 1:
            raise ParseError(start, reason)
        case 3 if chain.multicast:
            raise ParseError(start, reason)
        case _:
            raise ParseError(start, reason, Disposition.PARAMETER_PROBLEM, code=2)


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
        parts.insert(0, bytes((protocol, 2, _TYPE_2, 1, 0, 0, 0, 0)) + address)
        protocol = ROUTING
    body = b"".join(parts)
    require_range("Payload Length", len(body), 0, 0xFFFF)
    word = 6 << 28 | packet.traffic_class << 20 | packet.flow_label
    addresses = (packet.source.packed, packet.destination.packed)
    return _HEADER.pack(word, len(body), protocol, packet.hop_limit, *addresses) + body


def _emit_fragment(protocol: int, fragment: Fragment) -> bytes:
    where = fragment.offset | fragment.more
    return _FRAGMENT.pack(protocol, 0, where, fragment.identification)


def _emit_destination_options(protocol: int, packet: Ipv6Packet) -> bytes:
    """Return one header of 8 or 24 octets; a Home Address option sits at octet 6 of it."""
    limit = packet.tunnel_encapsulation_limit
    start = bytes((_PADN, 2, 0, 0))
    if limit is not None:
        start = bytes((_TUNNEL_ENCAPSULATION_LIMIT, 1, limit, _PAD1))
    if packet.home_address is None:
        return bytes((protocol, 0)) + start + bytes((_PADN, 0))
    option = bytes((_HOME_ADDRESS, 16)) + packet.home_address.packed
    return bytes((protocol, 2)) + start + option
