"""ICMPv6 errors and echo (RFC 4443)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from mcoa.wire.reader import Reader, require_range
from mcoa.wire.registry import Icmpv6Type


@dataclass(frozen=True, slots=True, kw_only=True)
class _WithoutNumber:
    code: int = 0
    invoking_packet: bytes = b""

    def __post_init__(self) -> None:
        require_range("code", self.code, 0, 0xFF)

    @classmethod
    def parse(cls, code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        body.uint32("unused")
        return cls(code=code, invoking_packet=body.rest())

    def body(self) -> bytes:
        """Return what follows the checksum."""
        return bytes(4) + self.invoking_packet


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationUnreachable(_WithoutNumber):
    """Destination Unreachable (RFC 4443 §3.1) with as much of the packet as fits."""

    TYPE: ClassVar = Icmpv6Type.DESTINATION_UNREACHABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeExceeded(_WithoutNumber):
    """Time Exceeded (RFC 4443 §3.3) with as much of the packet as fits."""

    TYPE: ClassVar = Icmpv6Type.TIME_EXCEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketTooBig:
    """Packet Too Big (RFC 4443 §3.2) with as much of the packet as fits."""

    TYPE: ClassVar = Icmpv6Type.PACKET_TOO_BIG

    mtu: int
    code: int = 0
    invoking_packet: bytes = b""

    def __post_init__(self) -> None:
        require_range("mtu", self.mtu, 0, 0xFFFF_FFFF)
        require_range("code", self.code, 0, 0xFF)

    @classmethod
    def parse(cls, code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        return cls(code=code, mtu=body.uint32("MTU"), invoking_packet=body.rest())

    def body(self) -> bytes:
        """Return what follows the checksum."""
        return self.mtu.to_bytes(4) + self.invoking_packet


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterProblem:
    """Parameter Problem (RFC 4443 §3.4) with as much of the packet as fits.

    Attributes:
        pointer: octets from the start of the invoking packet to the field at fault.
    """

    TYPE: ClassVar = Icmpv6Type.PARAMETER_PROBLEM
    ERRONEOUS_FIELD: ClassVar = 0
    UNRECOGNIZED_NEXT_HEADER: ClassVar = 1
    UNRECOGNIZED_OPTION: ClassVar = 2

    pointer: int
    code: int = ERRONEOUS_FIELD
    invoking_packet: bytes = b""

    def __post_init__(self) -> None:
        require_range("pointer", self.pointer, 0, 0xFFFF_FFFF)
        require_range("code", self.code, 0, 0xFF)

    @classmethod
    def parse(cls, code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        return cls(code=code, pointer=body.uint32("Pointer"), invoking_packet=body.rest())

    def body(self) -> bytes:
        """Return what follows the checksum."""
        return self.pointer.to_bytes(4) + self.invoking_packet


@dataclass(frozen=True, slots=True, kw_only=True)
class _Echo:
    identifier: int
    sequence: int
    data: bytes = b""

    def __post_init__(self) -> None:
        require_range("identifier", self.identifier, 0, 0xFFFF)
        require_range("sequence", self.sequence, 0, 0xFFFF)

    @classmethod
    def parse(cls, _code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        return cls(
            identifier=body.uint16("Identifier"),
            sequence=body.uint16("Sequence Number"),
            data=body.rest(),
        )

    def body(self) -> bytes:
        """Return what follows the checksum."""
        return self.identifier.to_bytes(2) + self.sequence.to_bytes(2) + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoRequest(_Echo):
    """Echo Request (RFC 4443 §4.1)."""

    TYPE: ClassVar = Icmpv6Type.ECHO_REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoReply(_Echo):
    """Echo Reply (RFC 4443 §4.2)."""

    TYPE: ClassVar = Icmpv6Type.ECHO_REPLY
