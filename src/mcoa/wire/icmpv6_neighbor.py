"""ICMPv6 messages of neighbor discovery (RFC 4861 §4, RFC 6275 §7.1).

The packet's hop limit, which has to be 255, is for the receiver to check.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import ClassVar, Self

from mcoa.wire.neighbor_discovery import NeighborOption, parse_neighbor_options
from mcoa.wire.neighbor_discovery import emit_neighbor_options as emit_options
from mcoa.wire.reader import Reader, require_range
from mcoa.wire.registry import Icmpv6Type

_MANAGED = 0x80
_OTHER = 0x40
_HOME_AGENT = 0x20
_ROUTER = 0x8000_0000
_SOLICITED = 0x4000_0000
_OVERRIDE = 0x2000_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSolicitation:
    """Router Solicitation (RFC 4861 §4.1)."""

    TYPE: ClassVar = Icmpv6Type.ROUTER_SOLICITATION

    options: tuple[NeighborOption, ...] = ()

    @classmethod
    def parse(cls, _code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        body.uint32("Reserved")
        return cls(options=parse_neighbor_options(body))

    def body(self) -> bytes:
        """Return what follows the checksum."""
        return bytes(4) + emit_options(self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterAdvertisement:
    """Router Advertisement (RFC 4861 §4.2, RFC 6275 §7.1).

    Attributes:
        hop_limit: for the host to use; 0 says nothing.
        home_agent: the H flag.
        lifetime_s: as a default router; 0 is none.
        reachable_time_ms: 0 says nothing.
        retransmit_timer_ms: 0 says nothing.
    """

    TYPE: ClassVar = Icmpv6Type.ROUTER_ADVERTISEMENT

    hop_limit: int = 0
    managed: bool = False
    other: bool = False
    home_agent: bool = False
    lifetime_s: int
    reachable_time_ms: int = 0
    retransmit_timer_ms: int = 0
    options: tuple[NeighborOption, ...] = ()

    def __post_init__(self) -> None:
        require_range("hop_limit", self.hop_limit, 0, 0xFF)
        require_range("lifetime_s", self.lifetime_s, 0, 0xFFFF)
        require_range("reachable_time_ms", self.reachable_time_ms, 0, 0xFFFF_FFFF)
        require_range("retransmit_timer_ms", self.retransmit_timer_ms, 0, 0xFFFF_FFFF)

    @classmethod
    def parse(cls, _code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        hop_limit, flags = body.uint8("Cur Hop Limit"), body.uint8("flags")
        return cls(
            hop_limit=hop_limit,
            managed=bool(flags & _MANAGED),
            other=bool(flags & _OTHER),
            home_agent=bool(flags & _HOME_AGENT),
            lifetime_s=body.uint16("Router Lifetime"),
            reachable_time_ms=body.uint32("Reachable Time"),
            retransmit_timer_ms=body.uint32("Retrans Timer"),
            options=parse_neighbor_options(body),
        )

    def body(self) -> bytes:
        """Return what follows the checksum."""
        flags = (
            (_MANAGED if self.managed else 0)
            | (_OTHER if self.other else 0)
            | (_HOME_AGENT if self.home_agent else 0)
        )
        return (
            bytes((self.hop_limit, flags))
            + self.lifetime_s.to_bytes(2)
            + self.reachable_time_ms.to_bytes(4)
            + self.retransmit_timer_ms.to_bytes(4)
            + emit_options(self.options)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborSolicitation:
    """Neighbor Solicitation (RFC 4861 §4.3)."""

    TYPE: ClassVar = Icmpv6Type.NEIGHBOR_SOLICITATION

    target: IPv6Address
    options: tuple[NeighborOption, ...] = ()

    @classmethod
    def parse(cls, _code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        body.uint32("Reserved")
        return cls(target=body.address("Target"), options=parse_neighbor_options(body))

    def body(self) -> bytes:
        """Return what follows the checksum."""
        return bytes(4) + self.target.packed + emit_options(self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborAdvertisement:
    """Neighbor Advertisement (RFC 4861 §4.4).

    Attributes:
        override: what neighbors remember of the target gives way to this.
    """

    TYPE: ClassVar = Icmpv6Type.NEIGHBOR_ADVERTISEMENT

    target: IPv6Address
    router: bool = False
    solicited: bool = False
    override: bool = False
    options: tuple[NeighborOption, ...] = ()

    @classmethod
    def parse(cls, _code: int, body: Reader) -> Self:
        """Read what follows the checksum."""
        flags = body.uint32("flags")
        return cls(
            target=body.address("Target"),
            router=bool(flags & _ROUTER),
            solicited=bool(flags & _SOLICITED),
            override=bool(flags & _OVERRIDE),
            options=parse_neighbor_options(body),
        )

    def body(self) -> bytes:
        """Return what follows the checksum."""
        flags = (
            (_ROUTER if self.router else 0)
            | (_SOLICITED if self.solicited else 0)
            | (_OVERRIDE if self.override else 0)
        )
        return flags.to_bytes(4) + self.target.packed + emit_options(self.options)
