"""Mobility options that say who speaks and prove it (RFC 4283, RFC 4285)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from mcoa.wire.options import Alignment
from mcoa.wire.reader import Reader, require_length, require_range
from mcoa.wire.registry import OptionType


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNodeIdentifier:
    """Mobile Node Identifier option (RFC 4283 §3).

    Attributes:
        subtype: the kind of identifier; 1 is a network access identifier.
        identifier: as it stands on the wire, without a terminator.
    """

    TYPE: ClassVar = OptionType.MOBILE_NODE_IDENTIFIER
    ALIGNMENT: ClassVar[Alignment] = (1, 0)
    NETWORK_ACCESS_IDENTIFIER: ClassVar = 1

    subtype: int = NETWORK_ACCESS_IDENTIFIER
    identifier: bytes

    def __post_init__(self) -> None:
        require_range("subtype", self.subtype, 0, 0xFF)
        require_range("length of identifier", len(self.identifier), 0, 0xFE)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        return cls(subtype=body.uint8("Subtype"), identifier=body.rest())

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, 1 + len(self.identifier), self.subtype)) + self.identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """Mobility Message Authentication option (RFC 4285 §5).

    Attributes:
        subtype: between whom; 1 is mobile node and home agent, 2 mobile node and AAA server.
        spi: names the security association, 32 bits.
        data: the authentication data, usually 12 octets.
    """

    TYPE: ClassVar = OptionType.AUTHENTICATION
    ALIGNMENT: ClassVar[Alignment] = (4, 1)

    subtype: int
    spi: int
    data: bytes

    def __post_init__(self) -> None:
        require_range("subtype", self.subtype, 0, 0xFF)
        require_range("spi", self.spi, 0, 0xFFFF_FFFF)
        require_range("length of data", len(self.data), 0, 0xFA)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        return cls(
            subtype=body.uint8("Subtype"), spi=body.uint32("Mobility SPI"), data=body.rest()
        )

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        header = bytes((self.TYPE, 5 + len(self.data), self.subtype))
        return header + self.spi.to_bytes(4) + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Mobility message replay protection option (RFC 4285 §6).

    Attributes:
        timestamp: 64 bits in the format of NTP.
    """

    TYPE: ClassVar = OptionType.REPLAY_PROTECTION
    ALIGNMENT: ClassVar[Alignment] = (8, 2)

    timestamp: int

    def __post_init__(self) -> None:
        require_range("timestamp", self.timestamp, 0, 0xFFFF_FFFF_FFFF_FFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 8, "Replay protection")
        return cls(timestamp=body.uint64("Timestamp"))

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, 8)) + self.timestamp.to_bytes(8)
