"""Mobility Header messages that manage bindings (RFC 6275 §6.1.2, §6.1.7-6.1.9).

`parse` reads what follows the checksum and `fixed` returns the octets between the checksum
and the options; the header around both is the business of `messages`.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import ClassVar, Final, Self

from mcoa.wire.option_list import AnyIdentifier, Option, parse_options
from mcoa.wire.options import BindingIdentifier, MalformedBindingIdentifier, require_duration
from mcoa.wire.reader import Reader, require_range
from mcoa.wire.registry import (
    BINDING_STATUSES,
    AcknowledgementFlag,
    BindingErrorStatus,
    BindingStatus,
    MessageType,
    UpdateFlag,
)
from mcoa.wire.slots import slot

Options = tuple[Option, ...]

# Bits below these are reserved or belong to Proxy Mobile IPv6, and count for nothing here.
_UPDATE_FLAGS: Final = 0xFFC0
_ACKNOWLEDGEMENT_FLAGS: Final = 0xF0
_NO_FLAGS: Final = AcknowledgementFlag(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithIdentifiers:
    """A message in which Binding Identifier options may stand."""

    options: Options = ()

    @property
    def identifiers(self) -> tuple[AnyIdentifier, ...]:
        """The Binding Identifier options, well formed or not, in their order."""
        return tuple(
            option
            for option in self.options
            if isinstance(option, BindingIdentifier | MalformedBindingIdentifier)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRefreshRequest(WithIdentifiers):
    """Binding Refresh Request (RFC 6275 §6.1.2)."""

    TYPE: ClassVar = MessageType.BINDING_REFRESH_REQUEST
    MINIMUM: ClassVar = 8

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the checksum."""
        body.uint16("Reserved")
        return cls(options=parse_options(body))

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        return bytes(2)


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class BindingUpdate(WithIdentifiers):
    """Binding Update (RFC 6275 §6.1.7).

    Attributes:
        lifetime_s: a multiple of 4 up to 262140; 0 de-registers.
    """

    TYPE: ClassVar = MessageType.BINDING_UPDATE
    MINIMUM: ClassVar = 16

    sequence: int
    flags: UpdateFlag
    lifetime_s: int

    def __init__(
        self, *, sequence: int, flags: UpdateFlag, lifetime_s: int, options: Options = ()
    ) -> None:
        if not (0 <= sequence <= 0xFFFF and 0 <= flags <= 0xFFFF):
            require_range("sequence", sequence, 0, 0xFFFF)
            require_range("flags", flags, 0, 0xFFFF)
        require_duration("lifetime_s", lifetime_s)
        set_options(self, options)
        set_update_sequence(self, sequence)
        set_update_flags(self, flags)
        set_update_lifetime(self, lifetime_s)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the checksum."""
        return cls(
            sequence=body.uint16("Sequence #"),
            flags=UpdateFlag(body.uint16("flags") & _UPDATE_FLAGS),
            lifetime_s=4 * body.uint16("Lifetime"),
            options=parse_options(body),
        )

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        lifetime = self.lifetime_s // 4
        return self.sequence.to_bytes(2) + self.flags.to_bytes(2) + lifetime.to_bytes(2)


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class BindingAcknowledgement(WithIdentifiers):
    """Binding Acknowledgement (RFC 6275 §6.1.8).

    Attributes:
        lifetime_s: what is granted, a multiple of 4 up to 262140.
    """

    TYPE: ClassVar = MessageType.BINDING_ACKNOWLEDGEMENT
    MINIMUM: ClassVar = 16

    status: BindingStatus = BindingStatus.ACCEPTED
    flags: AcknowledgementFlag = _NO_FLAGS
    sequence: int
    lifetime_s: int

    def __init__(
        self,
        *,
        status: BindingStatus = BindingStatus.ACCEPTED,
        flags: AcknowledgementFlag = _NO_FLAGS,
        sequence: int,
        lifetime_s: int,
        options: Options = (),
    ) -> None:
        if not (0 <= sequence <= 0xFFFF and 0 <= status <= 0xFF and 0 <= flags <= 0xFF):
            require_range("status", status, 0, 0xFF)
            require_range("flags", flags, 0, 0xFF)
            require_range("sequence", sequence, 0, 0xFFFF)
        require_duration("lifetime_s", lifetime_s)
        set_options(self, options)
        _set_status(self, status)
        _set_flags(self, flags)
        _set_sequence(self, sequence)
        _set_lifetime(self, lifetime_s)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the checksum."""
        return cls(
            status=BINDING_STATUSES[body.uint8("Status")],
            flags=AcknowledgementFlag(body.uint8("flags") & _ACKNOWLEDGEMENT_FLAGS),
            sequence=body.uint16("Sequence #"),
            lifetime_s=4 * body.uint16("Lifetime"),
            options=parse_options(body),
        )

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        lifetime = self.lifetime_s // 4
        head = bytes((self.status, self.flags))
        return head + self.sequence.to_bytes(2) + lifetime.to_bytes(2)


set_options: Final = slot(WithIdentifiers, "options")
set_update_sequence: Final = slot(BindingUpdate, "sequence")
set_update_flags: Final = slot(BindingUpdate, "flags")
set_update_lifetime: Final = slot(BindingUpdate, "lifetime_s")
_set_status: Final = slot(BindingAcknowledgement, "status")
_set_flags: Final = slot(BindingAcknowledgement, "flags")
_set_sequence: Final = slot(BindingAcknowledgement, "sequence")
_set_lifetime: Final = slot(BindingAcknowledgement, "lifetime_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingError:
    """Binding Error (RFC 6275 §6.1.9).

    Attributes:
        home_address: of the Home Address option that caused it; :: without one.
    """

    TYPE: ClassVar = MessageType.BINDING_ERROR
    MINIMUM: ClassVar = 24

    status: BindingErrorStatus
    home_address: IPv6Address
    options: Options = ()

    def __post_init__(self) -> None:
        require_range("status", self.status, 0, 0xFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the checksum."""
        status = BindingErrorStatus(body.uint8("Status"))
        body.uint8("Reserved")
        home_address = body.address("Home Address")
        return cls(status=status, home_address=home_address, options=parse_options(body))

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        return bytes((self.status, 0)) + self.home_address.packed


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMessage:
    """A message of a type that is not spoken here, to be answered with a Binding Error.

    Attributes:
        type: its MH Type.
        data: all that follows the checksum; two octets more than a multiple of eight.
    """

    type: int
    data: bytes

    def __post_init__(self) -> None:
        require_range("type", self.type, 0, 0xFF)
        require_range("length", len(self.data), 2, 8 * 0xFF + 2)
        if len(self.data) % 8 != 2:
            raise ValueError(f"{len(self.data)} octets do not fill a Mobility Header")
