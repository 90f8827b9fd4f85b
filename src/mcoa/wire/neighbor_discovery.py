"""Options of neighbor discovery (RFC 4861 §4.6) with those of Mobile IPv6 (RFC 6275 §7).

Lengths on the wire are in units of 8 octets, Type and Length included.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import ClassVar, Final, Self

from mcoa.wire.reader import ParseError, Reader, require_length, require_range
from mcoa.wire.registry import NeighborOptionType

INFINITE: Final = 0xFFFF_FFFF

_ON_LINK = 0x80
_AUTONOMOUS = 0x40
_ROUTER_ADDRESS = 0x20
_MOBILE_ROUTERS = 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class _LinkLayerOption:
    address: bytes

    def __post_init__(self) -> None:
        require_range("length of address", len(self.address), 6, 0xFF * 8 - 2)
        if len(self.address) % 8 != 6:
            raise ValueError(f"{len(self.address)} octets do not fill a link-layer option")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLinkLayerAddress(_LinkLayerOption):
    """Source Link-Layer Address option (RFC 4861 §4.6.1), six octets on Ethernet."""

    TYPE: ClassVar = NeighborOptionType.SOURCE_LINK_LAYER_ADDRESS

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        return cls(address=body.rest())

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return _emit(self.TYPE, self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLinkLayerAddress(_LinkLayerOption):
    """Target Link-Layer Address option (RFC 4861 §4.6.1), six octets on Ethernet."""

    TYPE: ClassVar = NeighborOptionType.TARGET_LINK_LAYER_ADDRESS

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        return cls(address=body.rest())

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return _emit(self.TYPE, self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixInformation:
    """Prefix Information option (RFC 4861 §4.6.2, RFC 6275 §7.2).

    Attributes:
        prefix: with `router_address` set, the whole address of the router.
        router_address: the R flag.
        valid_lifetime_s: INFINITE never ends.
        preferred_lifetime_s: likewise.
    """

    TYPE: ClassVar = NeighborOptionType.PREFIX_INFORMATION

    prefix: IPv6Address
    prefix_length: int = 64
    on_link: bool = False
    autonomous: bool = False
    router_address: bool = False
    valid_lifetime_s: int
    preferred_lifetime_s: int

    def __post_init__(self) -> None:
        require_range("prefix_length", self.prefix_length, 0, 128)
        require_range("valid_lifetime_s", self.valid_lifetime_s, 0, INFINITE)
        require_range("preferred_lifetime_s", self.preferred_lifetime_s, 0, INFINITE)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 30, "Prefix Information")
        prefix_length, flags = body.uint8("Prefix Length"), body.uint8("flags")
        if prefix_length > 128:
            reason = f"Prefix Length {prefix_length} is more than 128"
            raise ParseError(body.offset - 2, reason)
        valid, preferred = body.uint32("Valid Lifetime"), body.uint32("Preferred Lifetime")
        body.uint32("Reserved")
        return cls(
            prefix=body.address("Prefix"),
            prefix_length=prefix_length,
            on_link=bool(flags & _ON_LINK),
            autonomous=bool(flags & _AUTONOMOUS),
            router_address=bool(flags & _ROUTER_ADDRESS),
            valid_lifetime_s=valid,
            preferred_lifetime_s=preferred,
        )

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        flags = (
            (_ON_LINK if self.on_link else 0)
            | (_AUTONOMOUS if self.autonomous else 0)
            | (_ROUTER_ADDRESS if self.router_address else 0)
        )
        lifetimes = self.valid_lifetime_s.to_bytes(4) + self.preferred_lifetime_s.to_bytes(4)
        head = bytes((self.prefix_length, flags))
        return _emit(self.TYPE, head + lifetimes + bytes(4) + self.prefix.packed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mtu:
    """MTU option (RFC 4861 §4.6.4)."""

    TYPE: ClassVar = NeighborOptionType.MTU

    mtu: int

    def __post_init__(self) -> None:
        require_range("mtu", self.mtu, 0, 0xFFFF_FFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 6, "MTU")
        body.uint16("Reserved")
        return cls(mtu=body.uint32("MTU"))

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return _emit(self.TYPE, bytes(2) + self.mtu.to_bytes(4))


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvertisementInterval:
    """Advertisement Interval option (RFC 6275 §7.3): the longest pause between two."""

    TYPE: ClassVar = NeighborOptionType.ADVERTISEMENT_INTERVAL

    interval_ms: int

    def __post_init__(self) -> None:
        require_range("interval_ms", self.interval_ms, 0, 0xFFFF_FFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 6, "Advertisement Interval")
        body.uint16("Reserved")
        return cls(interval_ms=body.uint32("Advertisement Interval"))

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return _emit(self.TYPE, bytes(2) + self.interval_ms.to_bytes(4))


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAgentInformation:
    """Home Agent Information option (RFC 6275 §7.4, RFC 3963 §4.4).

    Attributes:
        preference: the higher, the more preferred; RFC 3775 had it signed.
        lifetime_s: of this home agent, at least 1.
        mobile_routers: the R flag, mobile routers are served.
    """

    TYPE: ClassVar = NeighborOptionType.HOME_AGENT_INFORMATION

    preference: int = 0
    lifetime_s: int
    mobile_routers: bool = False

    def __post_init__(self) -> None:
        require_range("preference", self.preference, 0, 0xFFFF)
        require_range("lifetime_s", self.lifetime_s, 0, 0xFFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        require_length(body, 6, "Home Agent Information")
        flags = body.uint16("flags")
        preference = body.uint16("Home Agent Preference")
        return cls(
            preference=preference,
            lifetime_s=body.uint16("Home Agent Lifetime"),
            mobile_routers=bool(flags & _MOBILE_ROUTERS),
        )

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        flags = _MOBILE_ROUTERS if self.mobile_routers else 0
        preference = self.preference.to_bytes(2)
        return _emit(self.TYPE, flags.to_bytes(2) + preference + self.lifetime_s.to_bytes(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownNeighborOption:
    """An option not listed here, kept as it is; its body fills a multiple of 8 with 2 more."""

    type: int
    data: bytes

    def __post_init__(self) -> None:
        require_range("type", self.type, 0, 0xFF)
        require_range("length", len(self.data), 6, 0xFF * 8 - 2)
        if len(self.data) % 8 != 6:
            raise ValueError(f"{len(self.data)} octets do not fill an option")

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return _emit(self.type, self.data)


KnownNeighborOption = (
    SourceLinkLayerAddress
    | TargetLinkLayerAddress
    | PrefixInformation
    | Mtu
    | AdvertisementInterval
    | HomeAgentInformation
)
NeighborOption = KnownNeighborOption | UnknownNeighborOption

_PARSERS: Final[dict[int, Callable[[Reader], NeighborOption]]] = {
    option.TYPE: option.parse
    for option in (
        SourceLinkLayerAddress,
        TargetLinkLayerAddress,
        PrefixInformation,
        Mtu,
        AdvertisementInterval,
        HomeAgentInformation,
    )
}


def _emit(kind: int, body: bytes) -> bytes:
    return bytes((kind, (2 + len(body)) // 8)) + body


def parse_neighbor_options(body: Reader) -> tuple[NeighborOption, ...]:
    """Read all options up to the end of `body`.

    Raises:
        ParseError: an option has length zero, overruns the message, or has a length that its
            type does not allow.
    """
    options: list[NeighborOption] = []
    while body.remaining:
        kind, length = body.uint8("option type"), body.uint8("Length")
        if length == 0:
            raise ParseError(body.offset - 1, f"Length of option {kind} is zero")
        option = body.within(8 * length - 2, f"option {kind}")
        if kind in _PARSERS:
            options.append(_PARSERS[kind](option))
        else:
            options.append(UnknownNeighborOption(type=kind, data=option.rest()))
    return tuple(options)


def emit_neighbor_options(options: tuple[NeighborOption, ...]) -> bytes:
    """Return the options back to back; each is a multiple of 8 octets."""
    return b"".join(option.emit() for option in options)
