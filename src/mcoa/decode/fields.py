"""Options of a message as what JSON can say."""

from dataclasses import fields

from mcoa.wire.flow import RawSubOption
from mcoa.wire.icmpv6 import (
    NeighborOption,
    SourceLinkLayerAddress,
    TargetLinkLayerAddress,
    UnknownNeighborOption,
)
from mcoa.wire.messages import Message, UnknownMessage
from mcoa.wire.option_list import MalformedOption, Option, parse_options
from mcoa.wire.options import LinkLayerAddress, MalformedBindingIdentifier, UnknownOption
from mcoa.wire.options_security import MobileNodeIdentifier
from mcoa.wire.reader import ParseError, Reader
from mcoa.wire.registry import MessageType, NeighborOptionType, OptionType
from mcoa.wire.selectors import (
    Ipv4TrafficSelector,
    Ipv6TrafficSelector,
    TrafficSelector,
    UnknownTrafficSelector,
)

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]

_Value = Option | NeighborOption | TrafficSelector | RawSubOption

_COMMON_HEADER = 6
_OPTIONS_START = {0: 8, 1: 16, 2: 16, 3: 24, 4: 24, 5: 12, 6: 12, 7: 24, 13: 12, 16: 12}


def option_objects(message: Message, header: bytes) -> list[JsonObject]:
    """Describe the options of a message that was read from `header`, without padding."""
    if isinstance(message, UnknownMessage):
        return []
    lengths = _lengths(header, _COMMON_HEADER + len(message.fixed()))
    pairs = zip(message.options, lengths, strict=True)
    return [_option(option, length) for option, length in pairs]


def _lengths(header: bytes, start: int) -> list[int]:
    """Return the Length of every option but padding; the header is known to be well formed.

    An option's value does not hold it: padding between sub-options is not kept.
    """
    lengths, at = [], start
    while at < len(header):
        if header[at] == OptionType.PAD1:
            at += 1
            continue
        if header[at] != OptionType.PADN:
            lengths.append(header[at + 1])
        at += 2 + header[at + 1]
    return lengths


def _option(option: Option, length: int) -> JsonObject:
    number = option.type if isinstance(option, UnknownOption | MalformedOption) else option.TYPE
    head: JsonObject = {"type": int(number), "name": OptionType(number).label, "length": length}
    match option:
        case UnknownOption():
            return head | {"data": option.data.hex()}
        case MalformedOption():
            return head | {"malformed": option.reason, "data": option.data.hex()}
        case MalformedBindingIdentifier():
            nothing: JsonObject = dict.fromkeys(
                ("status", "home", "priority", "care_of_address")
            )
            why: JsonObject = {"malformed": option.reason, "data": option.data.hex()}
            return head | {"bid": option.bid} | nothing | why
        case _:
            return head | _fields(option)


def without_broken_options(header: bytes) -> bytes:
    """Return a Mobility Header with padding from its first broken option on."""
    at = _options_start(header)
    while at < len(header):
        if header[at] == OptionType.PAD1:
            at += 1
            continue
        end = at + 2 + int.from_bytes(header[at + 1 : at + 2])
        try:
            parse_options(Reader(header, at, min(end, len(header))))
        except ParseError:
            return header[:at] + bytes(len(header) - at)
        at = end
    return header


def _options_start(header: bytes) -> int:
    """Return where options start; the end of the header where that is not known."""
    if len(header) >= 8 and header[2] == MessageType.HOME_AGENT_SWITCH:
        return 8 + 16 * header[6]
    return _OPTIONS_START.get(header[2], len(header)) if len(header) >= 8 else len(header)


def neighbor_option_objects(options: tuple[NeighborOption, ...]) -> list[JsonObject]:
    """Describe options of neighbor discovery; their lengths count units of 8 octets."""
    return [_neighbor_option(option) for option in options]


def _neighbor_option(option: NeighborOption) -> JsonObject:
    number = option.type if isinstance(option, UnknownNeighborOption) else option.TYPE
    name, length = NeighborOptionType(number).label, option.emit()[1]
    head: JsonObject = {"type": int(number), "name": name, "length": length}
    if isinstance(option, UnknownNeighborOption):
        return head | {"data": option.data.hex()}
    return head | _fields(option)


def _fields(value: _Value) -> JsonObject:
    """Return the fields of a frozen value under their own names."""
    objects = {field.name: _json(getattr(value, field.name)) for field in fields(value)}
    match value:
        case LinkLayerAddress() | SourceLinkLayerAddress() | TargetLinkLayerAddress():
            objects["address"] = value.address.hex(":")
        case MobileNodeIdentifier(subtype=MobileNodeIdentifier.NETWORK_ACCESS_IDENTIFIER):
            objects["identifier"] = value.identifier.decode("utf-8", "backslashreplace")
        case _:
            pass
    return objects


def _json(value: object) -> Json:
    match value:
        case None | bool():
            return value
        case bytes() | int():
            return value.hex() if isinstance(value, bytes) else int(value)
        case tuple():
            return [_json(item) for item in value]
        case Ipv4TrafficSelector() | Ipv6TrafficSelector():
            return {"format": value.FORMAT} | _fields(value)
        case UnknownTrafficSelector() | RawSubOption():
            return _fields(value)
        case _:
            return str(value)
