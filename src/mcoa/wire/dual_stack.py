"""IPv4 and UDP headers, as far as tunnels need them (RFC 791, RFC 768, RFC 5555 §4)."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from struct import Struct
from typing import ClassVar, Final

from mcoa.wire.checksum import PackedAddress, internet_checksum, is_intact, upper_layer_checksum
from mcoa.wire.reader import ParseError, require_range

UDP: Final = 17
DSMIPV6_PORT: Final = 4191

_IPV4: Final = Struct("!BBHHHBBH4s4s")
_UDP: Final = Struct("!HHHH")
_DONT_FRAGMENT = 0x4000
_MORE_FRAGMENTS = 0x2000
_OFFSET = 0x1FFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv4Packet:
    """An IPv4 packet; options are skipped.

    Attributes:
        fragment_offset: in octets, a multiple of 8.
    """

    LARGEST_PAYLOAD: ClassVar = 0xFFFF - 20

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    payload: bytes = b""
    ttl: int = 64
    traffic_class: int = 0
    identification: int = 0
    dont_fragment: bool = False
    more_fragments: bool = False
    fragment_offset: int = 0

    def __post_init__(self) -> None:
        require_range("protocol", self.protocol, 0, 0xFF)
        require_range("ttl", self.ttl, 0, 0xFF)
        require_range("traffic_class", self.traffic_class, 0, 0xFF)
        require_range("identification", self.identification, 0, 0xFFFF)
        require_range("fragment_offset", self.fragment_offset, 0, 8 * _OFFSET)
        require_range("length of payload", len(self.payload), 0, self.LARGEST_PAYLOAD)
        if self.fragment_offset % 8:
            raise ValueError(f"fragment_offset {self.fragment_offset} is not a multiple of 8")


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpDatagram:
    """A UDP datagram."""

    LARGEST_PAYLOAD: ClassVar = 0xFFFF - 8

    source_port: int
    destination_port: int
    payload: bytes = b""

    def __post_init__(self) -> None:
        require_range("source_port", self.source_port, 0, 0xFFFF)
        require_range("destination_port", self.destination_port, 0, 0xFFFF)
        require_range("length of payload", len(self.payload), 0, self.LARGEST_PAYLOAD)


def parse_ipv4(data: bytes) -> Ipv4Packet:
    """Read an IPv4 packet; what follows its Total Length is ignored.

    Raises:
        ParseError: it is cut short, or its header's length or checksum is wrong.
    """
    if len(data) < _IPV4.size:
        raise ParseError(len(data), f"an IPv4 header has 20 octets, {len(data)} are there")
    fields = _IPV4.unpack_from(data)
    first, traffic_class, total, identification, where, ttl, protocol = fields[:7]
    if first >> 4 != 4:
        raise ParseError(0, f"IP version is {first >> 4}, not 4")
    header = 4 * (first & 0x0F)
    if header < _IPV4.size or total < header:
        raise ParseError(0, f"a header of {header} octets in a packet of {total}")
    if total > len(data):
        raise ParseError(2, f"Total Length is {total}, {len(data)} octets are there")
    if internet_checksum(data[:header]):
        raise ParseError(10, "the checksum of the IPv4 header is wrong")
    return Ipv4Packet(
        source=IPv4Address(fields[8]),
        destination=IPv4Address(fields[9]),
        protocol=protocol,
        payload=data[header:total],
        ttl=ttl,
        traffic_class=traffic_class,
        identification=identification,
        dont_fragment=bool(where & _DONT_FRAGMENT),
        more_fragments=bool(where & _MORE_FRAGMENTS),
        fragment_offset=8 * (where & _OFFSET),
    )


def emit_ipv4(packet: Ipv4Packet) -> bytes:
    """Return the packet with the checksum of its header."""
    where = (
        (_DONT_FRAGMENT if packet.dont_fragment else 0)
        | (_MORE_FRAGMENTS if packet.more_fragments else 0)
        | packet.fragment_offset // 8
    )
    fields = (
        0x45,
        packet.traffic_class,
        _IPV4.size + len(packet.payload),
        packet.identification,
        where,
        packet.ttl,
        packet.protocol,
    )
    addresses = (packet.source.packed, packet.destination.packed)
    checksum = internet_checksum(_IPV4.pack(*fields, 0, *addresses))
    return _IPV4.pack(*fields, checksum, *addresses) + packet.payload


Endpoint = PackedAddress | IPv4Address


def parse_udp(data: bytes, source: Endpoint, destination: Endpoint) -> UdpDatagram:
    """Read a UDP datagram; what follows its Length is ignored.

    A checksum of zero says that there is none, which tunnels use (RFC 6935 for IPv6).

    Raises:
        ParseError: it is cut short, or its checksum is wrong.
    """
    if len(data) < _UDP.size:
        raise ParseError(len(data), f"a UDP header has 8 octets, {len(data)} are there")
    source_port, destination_port, length, checksum = _UDP.unpack_from(data)
    if not _UDP.size <= length <= len(data):
        raise ParseError(4, f"Length is {length}, {len(data)} octets are there")
    datagram = data[:length]
    if checksum and not is_intact(datagram, _packed(source), _packed(destination), UDP):
        raise ParseError(6, "the UDP checksum is wrong")
    payload = datagram[_UDP.size :]
    return UdpDatagram(
        source_port=source_port, destination_port=destination_port, payload=payload
    )


def emit_udp(datagram: UdpDatagram, source: Endpoint, destination: Endpoint) -> bytes:
    """Return the datagram with its checksum, over addresses of either version."""
    ports = (datagram.source_port, datagram.destination_port)
    length = _UDP.size + len(datagram.payload)
    blank = _UDP.pack(*ports, length, 0) + datagram.payload
    checksum = upper_layer_checksum(blank, _packed(source), _packed(destination), UDP)
    # RFC 768: a checksum that comes out as zero is sent as its other form, all ones.
    return _UDP.pack(*ports, length, checksum or 0xFFFF) + datagram.payload


def _packed(address: Endpoint) -> bytes:
    return address if isinstance(address, bytes) else address.packed
