"""All Mobility Header messages and the header around them (RFC 6275 §6.1.1, §9.2).

Offsets in errors count from the first octet of the Mobility Header. The addresses that its
checksum covers are not part of a message: they come with it.
"""

from collections.abc import Callable
from typing import Final

from mcoa.wire.checksum import MOBILITY_HEADER, PackedAddress, upper_layer_checksum
from mcoa.wire.messages_binding import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    UnknownMessage,
)
from mcoa.wire.messages_management import (
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    Heartbeat,
    HomeAgentSwitch,
)
from mcoa.wire.messages_routability import CareOfTest, CareOfTestInit, HomeTest, HomeTestInit
from mcoa.wire.option_list import emit_options
from mcoa.wire.reader import Disposition, ParseError, Reader
from mcoa.wire.registry import MessageType, RevocationType
from mcoa.wire.usual import emit_acknowledgement, read_usual

__all__ = [
    "BindingAcknowledgement",
    "BindingError",
    "BindingRefreshRequest",
    "BindingRevocationAcknowledgement",
    "BindingRevocationIndication",
    "BindingUpdate",
    "CareOfTest",
    "CareOfTestInit",
    "Heartbeat",
    "HomeAgentSwitch",
    "HomeTest",
    "HomeTestInit",
    "Message",
    "UnknownMessage",
    "decode_message",
    "emit_message",
    "parse_message",
]

KnownMessage = (
    BindingRefreshRequest
    | HomeTestInit
    | CareOfTestInit
    | HomeTest
    | CareOfTest
    | BindingUpdate
    | BindingAcknowledgement
    | BindingError
    | HomeAgentSwitch
    | Heartbeat
    | BindingRevocationIndication
    | BindingRevocationAcknowledgement
)
Message = KnownMessage | UnknownMessage

_NO_NEXT_HEADER: Final = 59
_COMMON_HEADER: Final = 6
_SHORTEST: Final = 8
_LONGEST: Final = 8 * 256


def _parse_revocation(body: Reader) -> Message:
    start = body.offset
    match body.uint8("B.R. Type"):
        case RevocationType.INDICATION:
            return BindingRevocationIndication.parse(body)
        case RevocationType.ACKNOWLEDGEMENT:
            return BindingRevocationAcknowledgement.parse(body)
        case unknown:
            raise ParseError(start, f"B.R. Type {unknown} is neither 1 nor 2")


_PARSERS: Final[dict[int, tuple[int, Callable[[Reader], Message]]]] = {
    message.TYPE: (message.MINIMUM, message.parse)
    for message in (
        BindingRefreshRequest,
        HomeTestInit,
        CareOfTestInit,
        HomeTest,
        CareOfTest,
        BindingUpdate,
        BindingAcknowledgement,
        BindingError,
        HomeAgentSwitch,
        Heartbeat,
    )
} | {MessageType.BINDING_REVOCATION: (16, _parse_revocation)}


def parse_message(data: bytes, source: PackedAddress, destination: PackedAddress) -> Message:
    """Read a received Mobility Header and all that RFC 6275 §9.2 wants checked of it.

    Args:
        data: the packet from its Mobility Header on; what follows that header is ignored.
        source: the home address of a Home Address option, else the packet's source.
        destination: the home address of a type 2 routing header, else the destination.

    Raises:
        ParseError: the first thing that is wrong, in the order of RFC 6275 §9.2.
    """
    header = _whole_header(data)
    if upper_layer_checksum(header, source, destination, MOBILITY_HEADER):
        raise ParseError(4, "the checksum is wrong")
    return read_usual(header) or _parse(header)


def decode_message(data: bytes) -> Message:
    """Read a Mobility Header like `parse_message`, but whatever its checksum says.

    Raises:
        ParseError: the first thing that is wrong.
    """
    return _parse(_whole_header(data))


def _whole_header(data: bytes) -> bytes:
    """Return the octets that Header Len speaks of.

    Raises:
        ParseError: there are less.
    """
    if len(data) < _SHORTEST:
        raise ParseError(len(data), f"a Mobility Header has 8 octets or more, not {len(data)}")
    length = 8 + 8 * data[1]
    if length > len(data):
        raise ParseError(1, f"Header Len says {length} octets, {len(data)} are there")
    return data if length == len(data) else data[:length]


def _parse(header: bytes) -> Message:
    protocol, number = header[0], header[2]
    if number not in _PARSERS:
        return UnknownMessage(type=number, data=header[_COMMON_HEADER:])
    if protocol != _NO_NEXT_HEADER:
        reason = f"Payload Proto is {protocol}, not 59"
        raise ParseError(0, reason, Disposition.PARAMETER_PROBLEM)
    minimum, parse = _PARSERS[number]
    if len(header) < minimum:
        name = MessageType(number).label
        reason = f"{name} has {minimum} octets or more, not {len(header)}"
        raise ParseError(1, reason, Disposition.PARAMETER_PROBLEM)
    return parse(Reader(header, _COMMON_HEADER))


def emit_message(message: Message, source: PackedAddress, destination: PackedAddress) -> bytes:
    """Return the Mobility Header with its checksum; the addresses are as in `parse_message`.

    Raises:
        ValueError: the options do not fit into one header, or stand in an order they must not.
    """
    data: bytes | None = None
    if type(message) is BindingAcknowledgement:
        data = emit_acknowledgement(message)
    if data is None:
        data = emit_data(message)
    length = _COMMON_HEADER + len(data)
    if length > _LONGEST:
        raise ValueError(f"{length} octets are more than a Mobility Header can have")
    kind = message.type if isinstance(message, UnknownMessage) else message.TYPE
    header = bytes((_NO_NEXT_HEADER, length // 8 - 1, kind, 0))
    blank = header + b"\0\0" + data
    checksum = upper_layer_checksum(blank, source, destination, MOBILITY_HEADER)
    return header + checksum.to_bytes(2) + data


def emit_data(message: Message) -> bytes:
    """Return what follows the checksum of any message, usual or not."""
    if isinstance(message, UnknownMessage):
        return message.data
    fixed = message.fixed()
    return fixed + emit_options(message.options, _COMMON_HEADER + len(fixed))
