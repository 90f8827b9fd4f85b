"""Mobility options of dual-stack Mobile IPv6 (RFC 5555 §3.1, §3.2)."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar, Self

from mcoa.wire.options import Alignment
from mcoa.wire.reader import ParseError, Reader, require_length, require_range
from mcoa.wire.registry import Ipv4AddressStatus, OptionType

_WANTS_PREFIX = 0x0200
_FORCE_UDP = 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv4HomeAddress:
    """IPv4 Home Address option (RFC 5555 §3.1.1).

    Attributes:
        prefix_length: 1 to 32; 32 is a single address.
        wants_prefix: the P flag.
        address: 0.0.0.0 asks for one to be assigned.
    """

    TYPE: ClassVar = OptionType.IPV4_HOME_ADDRESS
    ALIGNMENT: ClassVar[Alignment] = (4, 0)

    prefix_length: int = 32
    wants_prefix: bool = False
    address: IPv4Address

    def __post_init__(self) -> None:
        require_range("prefix_length", self.prefix_length, 1, 32)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 6, "IPv4 Home Address")
        start, flags = body.offset, body.uint16("Prefix-len")
        length = flags >> 10
        if not 1 <= length <= 32:
            raise ParseError(start, f"Prefix-len {length} is outside 1..32")
        address = body.ipv4_address("IPv4 home address")
        return cls(
            prefix_length=length, wants_prefix=bool(flags & _WANTS_PREFIX), address=address
        )

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        flags = self.prefix_length << 10 | (_WANTS_PREFIX if self.wants_prefix else 0)
        return bytes((self.TYPE, 6)) + flags.to_bytes(2) + self.address.packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv4AddressAcknowledgement:
    """IPv4 Address Acknowledgement option (RFC 5555 §3.2.1).

    Attributes:
        prefix_length: 0 where the request failed, else 1 to 32.
    """

    TYPE: ClassVar = OptionType.IPV4_ADDRESS_ACKNOWLEDGEMENT
    ALIGNMENT: ClassVar[Alignment] = (4, 0)

    status: Ipv4AddressStatus = Ipv4AddressStatus.ACCEPTED
    prefix_length: int = 32
    address: IPv4Address

    def __post_init__(self) -> None:
        require_range("status", self.status, 0, 0xFF)
        require_range("prefix_length", self.prefix_length, 0, 32)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 6, "IPv4 Address Acknowledgement")
        status = Ipv4AddressStatus(body.uint8("Status"))
        start, length = body.offset, body.uint8("Pref-len") >> 2
        if length > 32:
            raise ParseError(start, f"Pref-len {length} is more than 32")
        address = body.ipv4_address("IPv4 home address")
        return cls(status=status, prefix_length=length, address=address)

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        header = bytes((self.TYPE, 6, self.status, self.prefix_length << 2))
        return header + self.address.packed


@dataclass(frozen=True, slots=True, kw_only=True)
class NatDetection:
    """NAT Detection option (RFC 5555 §3.2.2).

    Attributes:
        force_udp: the F flag, UDP encapsulation even without a NAT.
        refresh_time_s: the longest silence the NAT may see; 0 stands for USUAL_S, NO_KEEPALIVE
            says that there is no NAT.
    """

    TYPE: ClassVar = OptionType.NAT_DETECTION
    ALIGNMENT: ClassVar[Alignment] = (4, 0)
    NO_KEEPALIVE: ClassVar = 0xFFFF_FFFF
    USUAL_S: ClassVar = 110  # NATKATIMEOUT

    force_udp: bool = False
    refresh_time_s: int = 0

    def __post_init__(self) -> None:
        require_range("refresh_time_s", self.refresh_time_s, 0, self.NO_KEEPALIVE)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 6, "NAT Detection")
        return cls(
            force_udp=bool(body.uint16("F") & _FORCE_UDP),
            refresh_time_s=body.uint32("Refresh time"),
        )

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        flags = _FORCE_UDP if self.force_udp else 0
        return bytes((self.TYPE, 6)) + flags.to_bytes(2) + self.refresh_time_s.to_bytes(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv4CareOfAddress:
    """IPv4 Care-of Address option (RFC 5555 §3.1.2), never beside a Binding Identifier."""

    TYPE: ClassVar = OptionType.IPV4_CARE_OF_ADDRESS
    ALIGNMENT: ClassVar[Alignment] = (4, 0)

    address: IPv4Address

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 6, "IPv4 Care-of Address")
        body.uint16("Reserved")
        return cls(address=body.ipv4_address("IPv4 care-of address"))

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.TYPE, 6, 0, 0)) + self.address.packed
