"""What one captured packet says of mobility, looked for through tunnels."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mcoa.decode.facts import (
    Content,
    flags_of,
    lifetime_of,
    message_name,
    sequence_of,
    status_of,
)
from mcoa.decode.fields import (
    Json,
    JsonObject,
    neighbor_option_objects,
    option_objects,
    without_broken_options,
)
from mcoa.decode.frames import Captured, Damage, Frame
from mcoa.decode.link import ip_packet, is_bare_message
from mcoa.wire.checksum import is_intact
from mcoa.wire.dual_stack import DSMIPV6_PORT
from mcoa.wire.icmpv6 import MobilePrefixAdvertisement, decode_icmpv6
from mcoa.wire.ipv6 import (
    HEADER_LENGTH,
    ICMPV6,
    IPV4_ENCAPSULATION,
    IPV6_ENCAPSULATION,
    MOBILITY_HEADER,
    UDP,
    Ipv6Packet,
    decode_packet,
)
from mcoa.wire.messages import decode_message
from mcoa.wire.reader import ParseError
from mcoa.wire.registry import Icmpv6Type

_DEEPEST_TUNNEL: Final = 8
# 62 is what drafts before RFC 3775 used; old captures have it.
_MOBILITY_HEADERS: Final = frozenset((MOBILITY_HEADER, 62))
_MOBILE_ICMPV6: Final = range(144, 148)
_UDP_HEADER: Final = 8

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a packet.

    Attributes:
        offset: octets from the start of the Mobility Header or ICMPv6 message where that is
            at fault, else from the start of its packet, frame or file.
    """

    offset: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a packet says; None and () where it says nothing.

    Attributes:
        packet: its number in the capture, from 1.
        outer_source: of the outermost header of a tunnel.
        content: the message, as far as it could be read.
        options: None without a message.
    """

    packet: int
    outer_source: Address | None = None
    outer_destination: Address | None = None
    source: IPv6Address | None = None
    destination: IPv6Address | None = None
    home_address_option: IPv6Address | None = None
    routing_header_home_address: IPv6Address | None = None
    message: str | None = None
    type: int | None = None
    checksum_ok: bool | None = None
    content: Content | None = None
    options: tuple[JsonObject, ...] | None = None
    error: Fault | None = None

    def as_json(self) -> JsonObject:
        """Return the description as an object of plain values."""
        options: Json = None if self.options is None else list(self.options)
        error: Json = None
        if self.error is not None:
            error = {"offset": self.error.offset, "reason": self.error.reason}
        return {
            "packet": self.packet,
            "outer_source": _text(self.outer_source),
            "outer_destination": _text(self.outer_destination),
            "source": _text(self.source),
            "destination": _text(self.destination),
            "home_address_option": _text(self.home_address_option),
            "routing_header_home_address": _text(self.routing_header_home_address),
            "message": self.message,
            "type": self.type,
            "sequence": sequence_of(self.content),
            "status": status_of(self.content),
            "flags": flags_of(self.content),
            "lifetime_s": lifetime_of(self.content),
            "checksum_ok": self.checksum_ok,
            "options": options,
            "error": error,
        }


def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)


def describe(captured: Captured) -> Description | None:
    """Return what a frame says; None where it has nothing to do with mobility."""
    match captured:
        case Damage():
            fault = Fault(offset=captured.offset, reason=captured.reason)
            return Description(packet=captured.number, error=fault)
        case Frame():
            return _frame(captured)


def _frame(frame: Frame) -> Description | None:
    nothing_yet = Description(packet=frame.number)
    if frame.link_type is None and is_bare_message(frame.data):
        return _mobility_header(nothing_yet, frame.data, None)
    try:
        packet = ip_packet(frame.link_type, frame.data)
        return None if packet is None else _packet(nothing_yet, packet, 0)
    except ParseError as error:
        return _broken(nothing_yet, error)


def _broken(description: Description, error: ParseError) -> Description:
    return replace(description, error=Fault(offset=error.offset, reason=error.reason))


def _packet(known: Description, data: bytes, depth: int) -> Description | None:
    """Describe an IP packet; `known` says in which tunnel it was found.

    Raises:
        ParseError: it is not even an IP packet.
    """
    version = data[0] >> 4 if data else 0
    if depth > _DEEPEST_TUNNEL:
        return None
    match version:
        case 4:
            return _ipv4_packet(known, data, depth)
        case 6 if len(data) >= HEADER_LENGTH:
            return _ipv6_packet(known, data, depth)
        case 6:
            raise ParseError(len(data), f"an IPv6 header has 40 octets, {len(data)} are there")
        case _:
            raise ParseError(0, f"IP version is {version}, neither 4 nor 6")


def _ipv4_packet(known: Description, data: bytes, depth: int) -> Description | None:
    """Look for a tunnel in an IPv4 packet, whose own checksum is not our business."""
    header = 4 * (data[0] & 0x0F)
    if header < 20 or len(data) < header:
        raise ParseError(0, f"an IPv4 header of {header} octets, {len(data)} are there")
    if int.from_bytes(data[6:8]) & 0x1FFF:
        return None
    payload = data[header : max(header, int.from_bytes(data[2:4]))]
    source, destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
    return _tunnel(known, source, destination, data[9], payload, depth)


def _tunnel(
    known: Description,
    source: Address,
    destination: Address,
    protocol: int,
    payload: bytes,
    depth: int,
) -> Description | None:
    """Describe what is inside, if `protocol` is that of a tunnel."""
    inner = _tunnelled(protocol, payload)
    if inner is None:
        return None
    if known.outer_source is None:
        known = replace(known, outer_source=source, outer_destination=destination)
    try:
        return _packet(known, inner, depth + 1)
    except ParseError as error:
        return _broken(known, error)


def _tunnelled(protocol: int, payload: bytes) -> bytes | None:
    if protocol in {IPV6_ENCAPSULATION, IPV4_ENCAPSULATION}:
        return payload
    if protocol != UDP or len(payload) <= _UDP_HEADER:
        return None
    if DSMIPV6_PORT not in {int.from_bytes(payload[:2]), int.from_bytes(payload[2:4])}:
        return None
    inner = payload[_UDP_HEADER:]
    if inner[0] >> 4 == 0:
        inner = inner[4:]  # the TLV header of RFC 5845
    # Anything else on this port is a keepalive or not for Mobile IPv6.
    return inner if inner and inner[0] >> 4 in {4, 6} else None


def _ipv6_packet(known: Description, data: bytes, depth: int) -> Description | None:
    source, destination = IPv6Address(data[8:24]), IPv6Address(data[24:40])
    here = replace(known, source=source, destination=destination)
    cut: ParseError | None = None
    try:
        packet = decode_packet(data)
    except ParseError as error:
        cut = error
        try:
            packet = decode_packet(_as_captured(data))
        except ParseError as error_of_chain:
            return _broken(here, error_of_chain)
    if packet.fragment is None or packet.fragment.offset == 0:
        inner = _tunnel(known, source, destination, packet.protocol, packet.payload, depth)
        if inner is not None:
            return inner
    description = _mobile_packet(here, packet, whole=cut is None)
    if description is not None and cut is not None:
        return _broken(description, cut)
    return description


def _as_captured(data: bytes) -> bytes:
    """Return a packet that was cut off, with the Payload Length of what there is of it."""
    there = len(data) - HEADER_LENGTH
    length = min(int.from_bytes(data[4:6]), there)
    return data[:4] + length.to_bytes(2) + data[6:]


def _mobile_packet(here: Description, packet: Ipv6Packet, *, whole: bool) -> Description | None:
    here = replace(
        here,
        home_address_option=packet.home_address,
        routing_header_home_address=packet.routing_home_address,
    )
    fragment = packet.fragment
    later_fragment = fragment is not None and fragment.offset > 0
    if packet.protocol in _MOBILITY_HEADERS:
        if later_fragment:
            return _broken(here, ParseError(0, "a later fragment of a Mobility Header"))
        return _mobility_header(here, packet.payload, packet)
    mobile_icmpv6 = packet.payload[:1] and packet.payload[0] in _MOBILE_ICMPV6
    if packet.protocol == ICMPV6 and mobile_icmpv6 and not later_fragment:
        return _icmpv6(here, packet, whole=whole and (fragment is None or fragment.is_whole))
    if packet.home_address is None and packet.routing_home_address is None:
        return None
    return here


def _mobility_header(here: Description, data: bytes, packet: Ipv6Packet | None) -> Description:
    """Describe a Mobility Header; without its packet nothing is known of its checksum."""
    length = 8 + 8 * data[1] if len(data) > 1 else 8
    header = data[:length]
    if len(data) > 2:
        here = replace(here, type=data[2], message=message_name(data[2], None))
    if packet is not None and len(header) == length:
        addresses = (packet.checksum_source, packet.checksum_destination)
        here = replace(here, checksum_ok=is_intact(header, *addresses, packet.protocol))
    try:
        return _message(here, header)
    except ParseError as error:
        fault = error
    try:
        return _broken(_message(here, without_broken_options(header)), fault)
    except ParseError:
        return _broken(here, fault)


def _message(here: Description, header: bytes) -> Description:
    message = decode_message(header)
    return replace(
        here,
        content=message,
        message=message_name(header[2], message),
        options=tuple(option_objects(message, header)),
    )


def _icmpv6(here: Description, packet: Ipv6Packet, *, whole: bool) -> Description:
    data = packet.payload
    addresses = (packet.checksum_source, packet.checksum_destination)
    here = replace(
        here,
        message=Icmpv6Type(data[0]).label,
        type=data[0],
        checksum_ok=is_intact(data, *addresses, ICMPV6) if whole else None,
    )
    try:
        message = decode_icmpv6(data)
    except ParseError as error:
        return _broken(here, error)
    options: tuple[JsonObject, ...] = ()
    if isinstance(message, MobilePrefixAdvertisement):
        options = tuple(neighbor_option_objects(message.options))
    return replace(here, content=message, options=options)
