"""Mobility Header messages between the ends themselves (RFC 5142, RFC 5846, RFC 5847)."""

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import ClassVar, Final, Self

from mcoa.wire.messages_binding import Options, WithIdentifiers
from mcoa.wire.option_list import parse_options
from mcoa.wire.reader import Reader, require_range
from mcoa.wire.registry import (
    MessageType,
    RevocationFlag,
    RevocationStatus,
    RevocationTrigger,
    RevocationType,
)

_REVOCATION_FLAGS: Final = 0xE000
_NO_FLAGS: Final = RevocationFlag(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAgentSwitch:
    """Home Agent Switch (RFC 5142 §3); without addresses the node is to run discovery."""

    TYPE: ClassVar = MessageType.HOME_AGENT_SWITCH
    MINIMUM: ClassVar = 8

    addresses: tuple[IPv6Address, ...] = ()
    options: Options = ()

    def __post_init__(self) -> None:
        require_range("number of addresses", len(self.addresses), 0, 0x7F)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the checksum."""
        count = body.uint8("# of Addresses")
        body.uint8("Reserved")
        addresses = tuple(body.address("home agent address") for _ in range(count))
        return cls(addresses=addresses, options=parse_options(body))

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        return bytes((len(self.addresses), 0)) + b"".join(a.packed for a in self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Heartbeat (RFC 5847 §3.3), a request unless it is a response.

    Attributes:
        sequence: 32 bits.
    """

    TYPE: ClassVar = MessageType.HEARTBEAT
    MINIMUM: ClassVar = 16

    sequence: int
    response: bool = False
    unsolicited: bool = False
    options: Options = ()

    def __post_init__(self) -> None:
        require_range("sequence", self.sequence, 0, 0xFFFF_FFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the checksum."""
        flags = body.uint16("flags")
        return cls(
            sequence=body.uint32("Sequence Number"),
            response=bool(flags & 1),
            unsolicited=bool(flags & 2),
            options=parse_options(body),
        )

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        flags = self.response | self.unsolicited << 1
        return flags.to_bytes(2) + self.sequence.to_bytes(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRevocationIndication(WithIdentifiers):
    """Binding Revocation Indication (RFC 5846 §5.1)."""

    TYPE: ClassVar = MessageType.BINDING_REVOCATION
    MINIMUM: ClassVar = 16
    REVOCATION_TYPE: ClassVar = RevocationType.INDICATION

    trigger: RevocationTrigger = RevocationTrigger.UNSPECIFIED
    sequence: int
    flags: RevocationFlag = _NO_FLAGS

    def __post_init__(self) -> None:
        require_range("trigger", self.trigger, 0, 0xFF)
        require_range("sequence", self.sequence, 0, 0xFFFF)
        require_range("flags", self.flags, 0, 0xFFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the Binding Revocation Type."""
        return cls(
            trigger=RevocationTrigger(body.uint8("Revocation Trigger")),
            sequence=body.uint16("Sequence #"),
            flags=RevocationFlag(body.uint16("flags") & _REVOCATION_FLAGS),
            options=parse_options(body),
        )

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        head = bytes((self.REVOCATION_TYPE, self.trigger))
        return head + self.sequence.to_bytes(2) + self.flags.to_bytes(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRevocationAcknowledgement(WithIdentifiers):
    """Binding Revocation Acknowledgement (RFC 5846 §5.2)."""

    TYPE: ClassVar = MessageType.BINDING_REVOCATION
    MINIMUM: ClassVar = 16
    REVOCATION_TYPE: ClassVar = RevocationType.ACKNOWLEDGEMENT

    status: RevocationStatus = RevocationStatus.SUCCESS
    sequence: int
    flags: RevocationFlag = _NO_FLAGS

    def __post_init__(self) -> None:
        require_range("status", self.status, 0, 0xFF)
        require_range("sequence", self.sequence, 0, 0xFFFF)
        require_range("flags", self.flags, 0, 0xFFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the Binding Revocation Type."""
        return cls(
            status=RevocationStatus(body.uint8("Status")),
            sequence=body.uint16("Sequence #"),
            flags=RevocationFlag(body.uint16("flags") & _REVOCATION_FLAGS),
            options=parse_options(body),
        )

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        head = bytes((self.REVOCATION_TYPE, self.status))
        return head + self.sequence.to_bytes(2) + self.flags.to_bytes(2)
