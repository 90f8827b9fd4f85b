"""The options of one message: all kinds, their order on the wire and the padding between.

RFC 6275 §6.2; the rules for each option's place are in its ALIGNMENT.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

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
from mcoa.wire.reader import ParseError, Reader, require_range
from mcoa.wire.registry import OptionType

AnyIdentifier = BindingIdentifier | MalformedBindingIdentifier

_KnownOption = (
    AlternateCareOfAddress
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
)

_PARSERS: Final[dict[int, Callable[[Reader], _KnownOption]]] = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedOption:
    """An option of a known type and of a length that it cannot have, as it was received.

    It is a value, not an error: what is wrong with one option is no fault of the others, and no
    reason for silence. A Binding Identifier is a MalformedBindingIdentifier instead.

    Attributes:
        type: one of those that have a class here.
        data: the body.
    """

    ALIGNMENT: ClassVar[Alignment] = (1, 0)

    type: OptionType
    data: bytes

    def __post_init__(self) -> None:
        require_range("length", len(self.data), 0, 0xFF)
        if _fault(self.type, self.data) is None:
            raise ValueError(f"nothing is wrong with this option of type {self.type}")

    @property
    def reason(self) -> str:
        """What is wrong with it."""
        fault = _fault(self.type, self.data)
        return "" if fault is None else fault.reason

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.type, len(self.data))) + self.data


Option = (
    BindingIdentifier
    | MalformedBindingIdentifier
    | _KnownOption
    | MalformedOption
    | UnknownOption
)

_PADDINGS: Final = (b"", b"\0", *(bytes((1, n)) + bytes(n) for n in range(6)))


def parse_options(body: Reader) -> tuple[Option, ...]:
    """Read all options up to the end of `body`, without the padding between them.

    Raises:
        ParseError: an option overruns the message, so that nothing behind it can be read. One
            that is known and has a length that it cannot have is a value.
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
    if parser is None:
        return UnknownOption(type=number, data=body.rest())
    start = body.offset
    try:
        return parser(body)
    except ParseError:
        body.offset = start
        return MalformedOption(type=OptionType(number), data=body.rest())


def _fault(number: int, data: bytes) -> ParseError | None:
    """Return what is wrong with the body of an option; None for one that its parser takes."""
    parser = _PARSERS.get(number)
    if parser is None:
        return None
    try:
        parser(Reader(bytes((number, len(data))) + data, 2))
    except ParseError as error:
        return error
    return None


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
