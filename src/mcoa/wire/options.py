"""Mobility options of the base protocol and of RFC 5648, 3963, 5568 and 5847.

An option's `parse` reads its body (Type and Length have been consumed) and `emit` returns
Type, Length and body. Padding is the business of the list of options, see `option_list`.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from struct import Struct
from typing import ClassVar, Final, Self

from mcoa.wire.reader import ParseError, Reader, require_length, require_range
from mcoa.wire.registry import BINDING_STATUSES, BindingStatus, OptionType
from mcoa.wire.slots import slot

CareOfAddress = IPv4Address | IPv6Address
Alignment = tuple[int, int]

_H_FLAG = 0x80
_PRIORITY_MASK = 0x7F
_IDENTIFIER_LENGTHS = (4, 8, 20)
_IDENTIFIER: Final = Struct("!BBHBB")


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class BindingIdentifier:
    """Binding Identifier option (RFC 5648 §4.3, RFC 6089 §4.1).

    Attributes:
        bid: 1 to 65535; zero is reserved.
        status: overrides the acknowledgement's status for this binding alone; 0 defers to it.
        home: the H flag, a binding of the home link itself.
        priority: the lower, the more preferred; 0 from a sender that knows RFC 5648 only.
        care_of_address: None when the receiver already knows it by `bid`.
    """

    TYPE: ClassVar = OptionType.BINDING_IDENTIFIER
    ALIGNMENT: ClassVar[Alignment] = (2, 0)
    ALIGNMENT_WITH_ADDRESS: ClassVar[Alignment] = (8, 2)

    bid: int
    status: BindingStatus = BindingStatus.ACCEPTED
    home: bool = False
    priority: int = 0
    care_of_address: CareOfAddress | None = None

    def __init__(
        self,
        *,
        bid: int,
        status: BindingStatus = BindingStatus.ACCEPTED,
        home: bool = False,
        priority: int = 0,
        care_of_address: CareOfAddress | None = None,
    ) -> None:
        if not (0 < bid <= 0xFFFF and 0 <= status <= 0xFF and 0 <= priority <= _PRIORITY_MASK):
            require_range("bid", bid, 1, 0xFFFF)
            require_range("status", status, 0, 0xFF)
            require_range("priority", priority, 0, _PRIORITY_MASK)
        set_bid(self, bid)
        set_status(self, status)
        set_home(self, home)
        set_priority(self, priority)
        set_care_of_address(self, care_of_address)

    def echo(self, status: BindingStatus = BindingStatus.ACCEPTED) -> "BindingIdentifier":
        """Return the option as an acknowledgement repeats it (RFC 5648 §6.2).

        Its address stays away, as it does in all messages but an update (RFC 5648 §4.3).
        """
        if self.care_of_address is None and self.status is status:
            return self
        echo = object.__new__(BindingIdentifier)
        set_bid(echo, self.bid)
        set_status(echo, status)
        set_home(echo, self.home)
        set_priority(echo, self.priority)
        set_care_of_address(echo, None)
        return echo

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body.

        Raises:
            ParseError: a length other than 4, 8 or 20, or BID zero. A list of options keeps
                such an option as a MalformedBindingIdentifier instead.
        """
        start, length = body.offset, body.remaining
        if length not in _IDENTIFIER_LENGTHS:
            raise ParseError(start - 1, _bad_length(length))
        bid = body.uint16("BID")
        if bid == 0:
            raise ParseError(start, _BID_ZERO)
        status, flags = body.uint8("Status"), body.uint8("H and BID-PRI")
        return cls(
            bid=bid,
            status=BINDING_STATUSES[status],
            home=bool(flags & _H_FLAG),
            priority=flags & _PRIORITY_MASK,
            care_of_address=_care_of_address(body),
        )

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        address = b"" if self.care_of_address is None else self.care_of_address.packed
        flags = self.priority | _H_FLAG if self.home else self.priority
        return (
            _IDENTIFIER.pack(self.TYPE, 4 + len(address), self.bid, self.status, flags)
            + address
        )


set_bid: Final = slot(BindingIdentifier, "bid")
set_status: Final = slot(BindingIdentifier, "status")
set_home: Final = slot(BindingIdentifier, "home")
set_priority: Final = slot(BindingIdentifier, "priority")
set_care_of_address: Final = slot(BindingIdentifier, "care_of_address")


def _care_of_address(body: Reader) -> CareOfAddress | None:
    match body.remaining:
        case 0:
            return None
        case 4:
            return body.ipv4_address("IPv4 care-of address")
        case _:
            return body.address("IPv6 care-of address")


_BID_ZERO = "BID zero is reserved"


def _bad_length(length: int) -> str:
    return f"Length of Binding Identifier is {length}, not 4, 8 or 20"


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedBindingIdentifier:
    """A Binding Identifier option of a wrong length or with BID zero, as it was received.

    It is a value, not an error, because the answer to it is status 164 (RFC 5648 §6.2).

    Attributes:
        data: the body.
    """

    TYPE: ClassVar = OptionType.BINDING_IDENTIFIER
    ALIGNMENT: ClassVar[Alignment] = (2, 0)

    data: bytes

    def __post_init__(self) -> None:
        require_range("length", len(self.data), 0, 0xFF)
        if len(self.data) in _IDENTIFIER_LENGTHS and self.bid:
            raise ValueError("this Binding Identifier option is well formed")

    @property
    def bid(self) -> int | None:
        """The BID, perhaps zero; None where the body is too short to hold one."""
        return int.from_bytes(self.data[:2]) if len(self.data) >= 2 else None

    @property
    def reason(self) -> str:
        """What is wrong with it."""
        length = len(self.data)
        return _BID_ZERO if length in _IDENTIFIER_LENGTHS else _bad_length(length)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Keep the body as it is."""
        return cls(data=body.rest())

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, len(self.data))) + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRefreshAdvice:
    """Binding Refresh Advice option (RFC 6275 §6.2.4).

    Attributes:
        interval_s: after how long a new update is welcome; a multiple of 4 up to 262140.
    """

    TYPE: ClassVar = OptionType.BINDING_REFRESH_ADVICE
    ALIGNMENT: ClassVar[Alignment] = (2, 0)

    interval_s: int

    def __post_init__(self) -> None:
        require_duration("interval_s", self.interval_s)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 2, "Binding Refresh Advice")
        return cls(interval_s=4 * body.uint16("Refresh Interval"))

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, 2)) + (self.interval_s // 4).to_bytes(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternateCareOfAddress:
    """Alternate Care-of Address option (RFC 6275 §6.2.5)."""

    TYPE: ClassVar = OptionType.ALTERNATE_CARE_OF_ADDRESS
    ALIGNMENT: ClassVar[Alignment] = (8, 6)

    address: IPv6Address

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 16, "Alternate Care-of Address")
        return cls(address=body.address("Alternate Care-of Address"))

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, 16)) + self.address.packed


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceIndices:
    """Nonce Indices option (RFC 6275 §6.2.6)."""

    TYPE: ClassVar = OptionType.NONCE_INDICES
    ALIGNMENT: ClassVar[Alignment] = (2, 0)

    home: int
    care_of: int

    def __post_init__(self) -> None:
        require_range("home", self.home, 0, 0xFFFF)
        require_range("care_of", self.care_of, 0, 0xFFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 4, "Nonce Indices")
        return cls(
            home=body.uint16("Home Nonce Index"), care_of=body.uint16("Care-of Nonce Index")
        )

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, 4)) + self.home.to_bytes(2) + self.care_of.to_bytes(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingAuthorizationData:
    """Binding Authorization Data option, the last of its message (RFC 6275 §6.2.7)."""

    TYPE: ClassVar = OptionType.BINDING_AUTHORIZATION_DATA
    ALIGNMENT: ClassVar[Alignment] = (8, 2)

    authenticator: bytes

    def __post_init__(self) -> None:
        require_range("length of authenticator", len(self.authenticator), 12, 12)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 12, "Binding Authorization Data")
        return cls(authenticator=body.rest())

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, 12)) + self.authenticator


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetworkPrefix:
    """Mobile Network Prefix option (RFC 3963 §4.3); bits beyond the prefix are ignored."""

    TYPE: ClassVar = OptionType.MOBILE_NETWORK_PREFIX
    ALIGNMENT: ClassVar[Alignment] = (8, 4)

    prefix: IPv6Network

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 18, "Mobile Network Prefix")
        body.uint8("Reserved")
        length = body.uint8("Prefix Length")
        if length > 128:
            raise ParseError(body.offset - 1, f"Prefix Length {length} is more than 128")
        prefix = body.take(16, "Mobile Network Prefix")
        return cls(prefix=IPv6Network((prefix, length), strict=False))

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        header = bytes((self.TYPE, 18, 0, self.prefix.prefixlen))
        return header + self.prefix.network_address.packed


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLayerAddress:
    """Mobility Header Link-Layer Address option (RFC 5568 §6.4.4).

    Attributes:
        code: whose address it is; 2 is the mobile node's.
        address: as long as the link layer has it, six octets on Ethernet.
    """

    TYPE: ClassVar = OptionType.LINK_LAYER_ADDRESS
    ALIGNMENT: ClassVar[Alignment] = (1, 0)
    OF_MOBILE_NODE: ClassVar = 2

    code: int = OF_MOBILE_NODE
    address: bytes

    def __post_init__(self) -> None:
        require_range("code", self.code, 0, 0xFF)
        require_range("length of address", len(self.address), 0, 0xFE)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        return cls(code=body.uint8("Option-Code"), address=body.rest())

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, 1 + len(self.address), self.code)) + self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartCounter:
    """Restart Counter option of a Heartbeat response (RFC 5847 §3.4)."""

    TYPE: ClassVar = OptionType.RESTART_COUNTER
    ALIGNMENT: ClassVar[Alignment] = (4, 2)

    counter: int

    def __post_init__(self) -> None:
        require_range("counter", self.counter, 0, 0xFFFF_FFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 4, "Restart Counter")
        return cls(counter=body.uint32("Restart Counter"))

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, 4)) + self.counter.to_bytes(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownOption:
    """An option this project has no words for, kept as it is (RFC 6275 §6.2.1).

    Attributes:
        type: its number in the registry of mobility options, assigned or not.
        data: the body.
    """

    ALIGNMENT: ClassVar[Alignment] = (1, 0)

    type: int
    data: bytes

    def __post_init__(self) -> None:
        require_range("type", self.type, 2, 0xFF)
        require_range("length", len(self.data), 0, 0xFF)

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.type, len(self.data))) + self.data


def require_duration(name: str, value_s: int) -> None:
    """Refuse a duration that 16 bits of 4 seconds cannot carry.

    Raises:
        ValueError: `value_s` is negative, too long or no multiple of 4.
    """
    if not 0 <= value_s <= 4 * 0xFFFF or value_s % 4:
        raise ValueError(f"{name} {value_s} is not a multiple of 4 in 0..{4 * 0xFFFF}")
