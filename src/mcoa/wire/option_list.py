"""The options of one message: all kinds, their order on the wire and the padding between.

RFC 6275 §6.2; the rules for each option's place are in its ALIGNMENT.
"""

from collections.abc import Callable, Sequence
from typing import Final

from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.options import (
    Alignment,
    AlternateCareOfAddress,
    BindingAuthorizationData,
    BindingIdentifier,
    BindingRefreshAdvice,
    LinkLayerAddress,
    MalformedBindingIdentifier,
    MobileNetworkPrefix,
    NonceIndices,
    RestartCounter,
    UnknownOption,
)
from mcoa.wire.options_ipv4 import (
    Ipv4AddressAcknowledgement,
    Ipv4CareOfAddress,
    Ipv4HomeAddress,
    NatDetection,
)
from mcoa.wire.options_security import Authentication, MobileNodeIdentifier, Replay
from mcoa.wire.reader import ParseError, Reader
from mcoa.wire.registry import OptionType

AnyIdentifier = BindingIdentifier | MalformedBindingIdentifier

Option = (
    BindingIdentifier
    | MalformedBindingIdentifier
    | AlternateCareOfAddress
    | Authentication
    | BindingAuthorizationData
    | BindingRefreshAdvice
    | FlowIdentification
    | FlowSummary
    | Ipv4AddressAcknowledgement
    | Ipv4CareOfAddress
    | Ipv4HomeAddress
    | LinkLayerAddress
    | MobileNetworkPrefix
    | MobileNodeIdentifier
    | NatDetection
    | NonceIndices
    | Replay
    | RestartCounter
    | UnknownOption
)

_PARSERS: Final[dict[int, Callable[[Reader], Option]]] = {
    option.TYPE: option.parse
    for option in (
        AlternateCareOfAddress,
        Authentication,
        BindingAuthorizationData,
        BindingRefreshAdvice,
        FlowIdentification,
        FlowSummary,
        Ipv4AddressAcknowledgement,
        Ipv4CareOfAddress,
        Ipv4HomeAddress,
        LinkLayerAddress,
        MobileNetworkPrefix,
        MobileNodeIdentifier,
        NatDetection,
        NonceIndices,
        Replay,
        RestartCounter,
    )
}

_PADDINGS: Final = (b"", b"\0", *(bytes((1, n)) + bytes(n) for n in range(6)))


def parse_options(body: Reader) -> tuple[Option, ...]:
    """Read all options up to the end of `body`, without the padding between them.

    Raises:
        ParseError: an option overruns the message, or one that is known has a length that it
            cannot have. A Binding Identifier option of a wrong length is a value.
    """
    options: list[Option] = []
    while body.remaining:
        number = body.uint8("option type")
        if number == OptionType.PAD1:
            continue
        length = body.uint8("Length")
        if length > body.remaining:
            reason = f"option {number} needs {length} octets, {body.remaining} remain"
            raise ParseError(body.offset - 1, reason)
        if number == OptionType.PADN:
            body.take(length, "PadN")
            continue
        options.append(_parse_option(number, body.within(length, "option")))
    return tuple(options)


def _parse_option(number: int, body: Reader) -> Option:
    if number == OptionType.BINDING_IDENTIFIER:
        return _parse_identifier(body)
    parser = _PARSERS.get(number)
    return UnknownOption(type=number, data=body.rest()) if parser is None else parser(body)


def _parse_identifier(body: Reader) -> AnyIdentifier:
    start = body.offset
    try:
        return BindingIdentifier.parse(body)
    except ParseError:
        body.offset = start
        return MalformedBindingIdentifier.parse(body)


def emit_options(options: Sequence[Option], start: int) -> bytes:
    """Return the options with the padding that each asks for, up to a multiple of 8.

    Args:
        options: in the order in which they shall stand.
        start: octets from the start of the message to the first option.

    Raises:
        ValueError: an option follows Binding Authorization Data, which has to be the last.
    """
    parts: list[bytes] = []
    offset = start
    for option in options:
        multiple, remainder = alignment_of(option)
        padding = _PADDINGS[(remainder - offset) % multiple]
        octets = option.emit()
        parts += (padding, octets)
        offset += len(padding) + len(octets)
    parts.append(_PADDINGS[-offset % 8])
    if any(isinstance(option, BindingAuthorizationData) for option in options[:-1]):
        raise ValueError("Binding Authorization Data is the last option of a message")
    return b"".join(parts)


def alignment_of(option: Option) -> Alignment:
    """Return (x, y): the option starts x * n + y octets after the start of its message."""
    match option:
        case BindingIdentifier() if option.care_of_address is not None:
            return option.ALIGNMENT_WITH_ADDRESS
        case FlowIdentification():
            return option.alignment
        case _:
            return option.ALIGNMENT
