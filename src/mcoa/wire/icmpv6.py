"""All ICMPv6 messages that are spoken here, and the header around them (RFC 4443 §2.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcoa.wire.checksum import PackedAddress, is_intact, upper_layer_checksum
from mcoa.wire.icmpv6_errors import (
    DestinationUnreachable,
    EchoReply,
    EchoRequest,
    PacketTooBig,
    ParameterProblem,
    TimeExceeded,
)
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
)
from mcoa.wire.icmpv6_neighbor import (
    NeighborAdvertisement,
    NeighborSolicitation,
    RouterAdvertisement,
    RouterSolicitation,
)
from mcoa.wire.neighbor_discovery import (
    AdvertisementInterval,
    HomeAgentInformation,
    Mtu,
    NeighborOption,
    PrefixInformation,
    SourceLinkLayerAddress,
    TargetLinkLayerAddress,
    UnknownNeighborOption,
)
from mcoa.wire.reader import ParseError, Reader, require_range

__all__ = [
    "AdvertisementInterval",
    "DestinationUnreachable",
    "EchoReply",
    "EchoRequest",
    "HomeAgentAddressDiscoveryReply",
    "HomeAgentAddressDiscoveryRequest",
    "HomeAgentInformation",
    "Icmpv6Message",
    "MobilePrefixAdvertisement",
    "MobilePrefixSolicitation",
    "Mtu",
    "NeighborAdvertisement",
    "NeighborOption",
    "NeighborSolicitation",
    "PacketTooBig",
    "ParameterProblem",
    "PrefixInformation",
    "RouterAdvertisement",
    "RouterSolicitation",
    "SourceLinkLayerAddress",
    "TargetLinkLayerAddress",
    "TimeExceeded",
    "UnknownIcmpv6",
    "UnknownNeighborOption",
    "decode_icmpv6",
    "emit_icmpv6",
    "parse_icmpv6",
]

ICMPV6: Final = 58


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownIcmpv6:
    """A message of a type that is not listed here, kept as it is."""

    type: int
    code: int
    data: bytes

    def __post_init__(self) -> None:
        require_range("type", self.type, 0, 0xFF)
        require_range("code", self.code, 0, 0xFF)

    def body(self) -> bytes:
        """Return what follows the checksum."""
        return self.data


KnownIcmpv6 = (
    DestinationUnreachable
    | PacketTooBig
    | TimeExceeded
    | ParameterProblem
    | EchoRequest
    | EchoReply
    | RouterSolicitation
    | RouterAdvertisement
    | NeighborSolicitation
    | NeighborAdvertisement
    | HomeAgentAddressDiscoveryRequest
    | HomeAgentAddressDiscoveryReply
    | MobilePrefixSolicitation
    | MobilePrefixAdvertisement
)
Icmpv6Message = KnownIcmpv6 | UnknownIcmpv6

_PARSERS: Final[dict[int, Callable[[int, Reader], Icmpv6Message]]] = {
    message.TYPE: message.parse
    for message in (
        DestinationUnreachable,
        PacketTooBig,
        TimeExceeded,
        ParameterProblem,
        EchoRequest,
        EchoReply,
        RouterSolicitation,
        RouterAdvertisement,
        NeighborSolicitation,
        NeighborAdvertisement,
        HomeAgentAddressDiscoveryRequest,
        HomeAgentAddressDiscoveryReply,
        MobilePrefixSolicitation,
        MobilePrefixAdvertisement,
    )
}


def parse_icmpv6(
    data: bytes, source: PackedAddress, destination: PackedAddress
) -> Icmpv6Message:
    """Read a received message; the addresses are those that its checksum covers.

    Raises:
        ParseError: its checksum is wrong, or it is cut short.
    """
    if not is_intact(data, source, destination, ICMPV6):
        raise ParseError(2, "the checksum is wrong")
    return decode_icmpv6(data)


def decode_icmpv6(data: bytes) -> Icmpv6Message:
    """Read a message like `parse_icmpv6`, but whatever its checksum says.

    Raises:
        ParseError: it is cut short, or an option in it makes no sense.
    """
    body = Reader(data)
    kind, code = body.uint8("Type"), body.uint8("Code")
    body.uint16("Checksum")
    if kind in _PARSERS:
        return _PARSERS[kind](code, body)
    return UnknownIcmpv6(type=kind, code=code, data=body.rest())


def emit_icmpv6(
    message: Icmpv6Message, source: PackedAddress, destination: PackedAddress
) -> bytes:
    """Return the message with its checksum, over the addresses as in `parse_icmpv6`."""
    header = bytes(_type_and_code(message))
    body = message.body()
    checksum = upper_layer_checksum(header + b"\0\0" + body, source, destination, ICMPV6)
    return header + checksum.to_bytes(2) + body


def _type_and_code(message: Icmpv6Message) -> tuple[int, int]:
    match message:
        case UnknownIcmpv6():
            return message.type, message.code
        case DestinationUnreachable() | PacketTooBig() | TimeExceeded() | ParameterProblem():
            return message.TYPE, message.code
        case _:
            return message.TYPE, 0
