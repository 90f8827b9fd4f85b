"""Whole signalling packets, from and to the wire without an object for every layer.

The busiest octets of a home agent: an IPv6 header, a Home Address option or a type 2 routing
header alone (RFC 6275 §6.3, §6.4), and a Mobility Header. What `parse_packet` and
`parse_message` say of such a packet is said here in half the time; tests prove that it is the
same.
"""

from ipaddress import IPv6Address
from struct import Struct
from typing import Final

from mcoa.wire.checksum import upper_layer_checksum
from mcoa.wire.extension_headers import (
    DESTINATION_OPTIONS,
    HOME_ADDRESS_LAYOUT,
    ROUTING,
    ROUTING_LAYOUT,
)
from mcoa.wire.ipv6 import HEADER_LENGTH, MOBILITY_HEADER, Ipv6Packet, emit_packet
from mcoa.wire.messages import Message, emit_message
from mcoa.wire.usual import read_usual

# Source, destination, Home Address option, home address of the routing header, message.
Signalling = tuple[IPv6Address, IPv6Address, IPv6Address | None, IPv6Address | None, Message]

_HEADER: Final = Struct("!IHBB4Q")
_EXTENSION: Final = Struct("!B7s2Q")
_BEHIND_EXTENSION: Final = HEADER_LENGTH + _EXTENSION.size
_START: Final = Struct("!IHBB")
_HOME_ADDRESS_START: Final = bytes((MOBILITY_HEADER,)) + HOME_ADDRESS_LAYOUT
_ROUTING_START: Final = bytes((MOBILITY_HEADER,)) + ROUTING_LAYOUT
_VERSION_6: Final = 6 << 28
_HOP_LIMIT: Final = 64


def read_signalling(packet: bytes) -> Signalling | None:
    """Read a Binding Update or Acknowledgement in its usual packet, checksum and all.

    Everything else gives None, broken packets too: `parse_packet` and `parse_message` then say
    what it is.
    """
    if len(packet) < _BEHIND_EXTENSION:
        return None
    word, length, protocol, _, source_1, source_2, destination_1, destination_2 = (
        _HEADER.unpack_from(packet)
    )
    # Octets of the addresses that the checksum covers.
    covered_source, covered_destination = packet[8:24], packet[24:40]
    home_address = routing_home_address = None
    start = HEADER_LENGTH
    if protocol != MOBILITY_HEADER:
        start = _BEHIND_EXTENSION
        following, layout, high, low = _EXTENSION.unpack_from(packet, HEADER_LENGTH)
        if protocol == DESTINATION_OPTIONS and layout == HOME_ADDRESS_LAYOUT:
            home_address, covered_source = IPv6Address(high << 64 | low), packet[48:64]
        elif protocol == ROUTING and layout == ROUTING_LAYOUT:
            routing_home_address = IPv6Address(high << 64 | low)
            covered_destination = packet[48:64]
        else:
            return None
        protocol = following
    if word >> 28 != 6 or protocol != MOBILITY_HEADER or len(packet) != HEADER_LENGTH + length:
        return None
    message = _usual_message(packet[start:], covered_source, covered_destination)
    if message is None:
        return None
    source = IPv6Address(source_1 << 64 | source_2)
    destination = IPv6Address(destination_1 << 64 | destination_2)
    return source, destination, home_address, routing_home_address, message


def _usual_message(header: bytes, source: bytes, destination: bytes) -> Message | None:
    if len(header) < 8 or len(header) != 8 + 8 * header[1]:
        return None
    if upper_layer_checksum(header, source, destination, MOBILITY_HEADER):
        return None
    return read_usual(header)


def emit_signalling(
    message: Message,
    source: IPv6Address,
    destination: IPv6Address,
    *,
    home_address: IPv6Address | None = None,
    routing_home_address: IPv6Address | None = None,
) -> bytes:
    """Return the packet of a message; of any message, and with both, one or no home address.

    Raises:
        ValueError: the message cannot be sent.
    """
    if home_address is not None and routing_home_address is not None:
        payload = emit_message(message, home_address, routing_home_address)
        packet = Ipv6Packet(
            source=source,
            destination=destination,
            protocol=MOBILITY_HEADER,
            payload=payload,
            home_address=home_address,
            routing_home_address=routing_home_address,
        )
        return emit_packet(packet)
    source_octets, destination_octets = source.packed, destination.packed
    protocol, extension = MOBILITY_HEADER, b""
    covered_source, covered_destination = source_octets, destination_octets
    if home_address is not None:
        covered_source = home_address.packed
        protocol, extension = DESTINATION_OPTIONS, _HOME_ADDRESS_START + covered_source
    elif routing_home_address is not None:
        covered_destination = routing_home_address.packed
        protocol, extension = ROUTING, _ROUTING_START + covered_destination
    payload = extension + emit_message(message, covered_source, covered_destination)
    start = _START.pack(_VERSION_6, len(payload), protocol, _HOP_LIMIT)
    return start + source_octets + destination_octets + payload
