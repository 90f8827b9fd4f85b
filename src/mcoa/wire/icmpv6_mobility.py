"""ICMPv6 messages of Mobile IPv6 (RFC 6275 §6.5-6.8, with the R flag of RFC 3963 §4.5)."""

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import ClassVar, Self

from mcoa.wire.neighbor_discovery import (
    NeighborOption,
    emit_neighbor_options,
    parse_neighbor_options,
)
from mcoa.wire.reader import Reader, require_range
from mcoa.wire.registry import Icmpv6Type

_MOBILE_ROUTER = 0x8000
_MANAGED = 0x8000
_OTHER = 0x4000


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAgentAddressDiscoveryRequest:
    """Home Agent Address Discovery Request (RFC 6275 §6.5), to the anycast address.

    Attributes:
        mobile_routers: the R flag, only home agents that serve mobile routers are wanted.
    """

    TYPE: ClassVar = Icmpv6Type.HOME_AGENT_ADDRESS_DISCOVERY_REQUEST

    identifier: int
    mobile_routers: bool = False

    def __post_init__(self) -> None:
        require_range("identifier", self.identifier, 0, 0xFFFF)

    @classmethod
    def parse(cls, _code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        identifier, flags = body.uint16("Identifier"), body.uint16("flags")
        return cls(identifier=identifier, mobile_routers=bool(flags & _MOBILE_ROUTER))

    def body(self) -> bytes:
        """Return what follows the checksum."""
        return _head(self.identifier, _MOBILE_ROUTER if self.mobile_routers else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAgentAddressDiscoveryReply:
    """Home Agent Address Discovery Reply (RFC 6275 §6.6).

    Attributes:
        addresses: of home agents, the most preferred first.
        mobile_routers: the R flag, these serve mobile routers.
    """

    TYPE: ClassVar = Icmpv6Type.HOME_AGENT_ADDRESS_DISCOVERY_REPLY

    identifier: int
    mobile_routers: bool = False
    addresses: tuple[IPv6Address, ...] = ()

    def __post_init__(self) -> None:
        require_range("identifier", self.identifier, 0, 0xFFFF)

    @classmethod
    def parse(cls, _code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        identifier, flags = body.uint16("Identifier"), body.uint16("flags")
        addresses = []
        while body.remaining:
            addresses.append(body.address("home agent address"))
        return cls(
            identifier=identifier,
            mobile_routers=bool(flags & _MOBILE_ROUTER),
            addresses=tuple(addresses),
        )

    def body(self) -> bytes:
        """Return what follows the checksum."""
        head = _head(self.identifier, _MOBILE_ROUTER if self.mobile_routers else 0)
        return head + b"".join(address.packed for address in self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobilePrefixSolicitation:
    """Mobile Prefix Solicitation (RFC 6275 §6.7); its packet has a Home Address option."""

    TYPE: ClassVar = Icmpv6Type.MOBILE_PREFIX_SOLICITATION

    identifier: int

    def __post_init__(self) -> None:
        require_range("identifier", self.identifier, 0, 0xFFFF)

    @classmethod
    def parse(cls, _code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        identifier = body.uint16("Identifier")
        body.uint16("Reserved")
        return cls(identifier=identifier)

    def body(self) -> bytes:
        """Return what follows the checksum."""
        return _head(self.identifier, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobilePrefixAdvertisement:
    """Mobile Prefix Advertisement (RFC 6275 §6.8); its packet has a type 2 routing header."""

    TYPE: ClassVar = Icmpv6Type.MOBILE_PREFIX_ADVERTISEMENT

    identifier: int
    managed: bool = False
    other: bool = False
    options: tuple[NeighborOption, ...] = ()

    def __post_init__(self) -> None:
        require_range("identifier", self.identifier, 0, 0xFFFF)

    @classmethod
    def parse(cls, _code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        identifier, flags = body.uint16("Identifier"), body.uint16("flags")
        return cls(
            identifier=identifier,
            managed=bool(flags & _MANAGED),
            other=bool(flags & _OTHER),
            options=parse_neighbor_options(body),
        )

    def body(self) -> bytes:
        """Return what follows the checksum."""
        flags = (_MANAGED if self.managed else 0) | (_OTHER if self.other else 0)
        return _head(self.identifier, flags) + emit_neighbor_options(self.options)


def _head(identifier: int, flags: int) -> bytes:
    return identifier.to_bytes(2) + flags.to_bytes(2)
