"""rtnetlink's messages as values (linux/rtnetlink.h, neighbour.h, if_link.h, fib_rules.h).

Each value parses the body of the message that announces it and emits the body of the message
that asks for it.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from ipaddress import IPv6Address, IPv6Network
from socket import AF_INET6, AF_UNSPEC
from typing import ClassVar, Self

from mcoa.runtime.netlink_framing import (
    Message,
    MessageType,
    emit_attribute,
    integer,
    padded,
    parse_attributes,
    uint32,
)

PROTOCOL = 135
"""Marks our routes, rules and proxy entries in the kernel: the Mobility Header's number."""

MAIN_TABLE = 254
NO_METRIC = 0xFFFFFFFF
DEFAULT_ROUTE = IPv6Network("::/0")

_IFINFO = struct.Struct("=BxHiII")
_ETHERNET = 1  # ARPHRD_ETHER
_IFADDR = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_RULE = struct.Struct("=BBBBBxxBI")
_NEXT_HOP = struct.Struct("=HBBi")
_CACHE_INFO = struct.Struct("=4I")
_ON_LINK = 4  # RTNH_F_ONLINK: the gateway need not be covered by a route
_TO_TABLE = 1  # FR_ACT_TO_TBL
_LOCK, _MTU = 1, 2  # RTAX_LOCK, RTAX_MTU
_EVER = 0xFFFFFFFF


class LinkFlag(IntFlag):
    """Flags of a network device."""

    NONE = 0
    UP = 0x1
    LOOPBACK = 0x8
    RUNNING = 0x40
    MULTICAST = 0x1000
    LOWER_UP = 0x10000


class AddressFlag(IntFlag):
    """Flags of an IPv6 address."""

    NONE = 0
    TEMPORARY = 0x01
    NO_DETECTION = 0x02
    OPTIMISTIC = 0x04
    DETECTION_FAILED = 0x08
    DEPRECATED = 0x20
    TENTATIVE = 0x40
    PERMANENT = 0x80
    NO_PREFIX_ROUTE = 0x200


class RouteType(IntEnum):
    """What a route does with a packet."""

    UNICAST = 1
    UNREACHABLE = 7


_PROBE, _FAILED = 0x10, 0x20  # NUD_PROBE, NUD_FAILED


class NeighbourFlag(IntFlag):
    """Flags of a neighbour entry."""

    NONE = 0
    USE = 0x01
    PROXY = 0x08
    ROUTER = 0x80


class _LinkAttribute(IntEnum):
    MAC = 1
    NAME = 3
    MTU = 4
    PROTOCOL_INFORMATION = 12
    AF_SPEC = 26
    CARRIER_UP_COUNT = 47


class _AddressAttribute(IntEnum):
    ADDRESS = 1
    LOCAL = 2
    CACHE_INFO = 6
    FLAGS = 8


class _RouteAttribute(IntEnum):
    DESTINATION = 1
    OUTPUT = 4
    GATEWAY = 5
    PRIORITY = 6
    PREFERRED_SOURCE = 7
    METRICS = 8
    MULTIPATH = 9
    TABLE = 15
    PREFERENCE = 20


class _RuleAttribute(IntEnum):
    SOURCE = 2
    INCOMING = 3
    PRIORITY = 6
    TABLE = 15
    PROTOCOL = 21


class _NeighbourAttribute(IntEnum):
    DESTINATION = 1
    MAC = 2
    PROTOCOL = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network device.

    Attributes:
        ipv6_mtu: what IPv6 uses, perhaps lowered by a router advertisement; octets.
        mac: empty for a device without link-layer addresses.
        is_ethernet: packets have Ethernet's header.
        carrier_ups: how often it has got its carrier.
    """

    index: int
    name: str
    flags: LinkFlag
    mtu: int
    ipv6_mtu: int
    mac: bytes
    is_ethernet: bool = True
    carrier_ups: int = 0

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the body of NEW_LINK or DELETE_LINK."""
        _, hardware, index, flags, _ = _IFINFO.unpack_from(body)
        found = parse_attributes(body[_IFINFO.size :])
        mtu = integer(found.get(_LinkAttribute.MTU))
        return cls(
            index=index,
            name=found.get(_LinkAttribute.NAME, b"").rstrip(b"\0").decode(errors="replace"),
            flags=LinkFlag(flags),
            mtu=mtu,
            ipv6_mtu=_ipv6_mtu(found) or mtu,
            mac=found.get(_LinkAttribute.MAC, b""),
            is_ethernet=hardware == _ETHERNET,
            carrier_ups=integer(found.get(_LinkAttribute.CARRIER_UP_COUNT)),
        )


def emit_link_selector(index: int) -> bytes:
    """Return the body of a GET_LINK or DELETE_LINK for one device; 0 asks for all."""
    return _IFINFO.pack(AF_UNSPEC, 0, index, 0, 0)


def emit_link_change(index: int, set_flags: LinkFlag, clear_flags: LinkFlag, mtu: int) -> bytes:
    """Return the body of a SET_LINK; `mtu` 0 leaves it alone."""
    body = _IFINFO.pack(AF_UNSPEC, 0, index, set_flags, set_flags | clear_flags)
    return body + (emit_attribute(_LinkAttribute.MTU, uint32(mtu)) if mtu else b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An IPv6 address of a device.

    Attributes:
        forever: its valid lifetime does not end, as for one set by hand.
        refreshed_cs: when its lifetimes were last set; hundredths of a second since boot.
    """

    NEW: ClassVar = MessageType.NEW_ADDRESS
    DELETE: ClassVar = MessageType.DELETE_ADDRESS

    index: int
    address: IPv6Address
    prefix_length: int
    flags: AddressFlag = AddressFlag.NONE
    forever: bool = True
    refreshed_cs: int = 0

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the body of NEW_ADDRESS or DELETE_ADDRESS."""
        _, prefix_length, flags, _, index = _IFADDR.unpack_from(body)
        found = parse_attributes(body[_IFADDR.size :])
        # With a peer address (point to point), LOCAL is ours and ADDRESS the peer's.
        address = found.get(_AddressAttribute.LOCAL) or found[_AddressAttribute.ADDRESS]
        lifetimes = found.get(_AddressAttribute.CACHE_INFO, bytes(_CACHE_INFO.size))
        _, valid_s, _, refreshed_cs = _CACHE_INFO.unpack_from(lifetimes)
        return cls(
            index=index,
            address=IPv6Address(address),
            prefix_length=prefix_length,
            flags=AddressFlag(integer(found.get(_AddressAttribute.FLAGS)) or flags),
            forever=valid_s == _EVER,
            refreshed_cs=refreshed_cs,
        )

    def emit(self) -> bytes:
        """Return the body that adds or removes the address."""
        header = _IFADDR.pack(AF_INET6, self.prefix_length, 0, 0, self.index)
        return (
            header
            + emit_attribute(_AddressAttribute.ADDRESS, self.address.packed)
            + emit_attribute(_AddressAttribute.FLAGS, uint32(self.flags))
        )


def emit_address_selector() -> bytes:
    """Return the body of a GET_ADDRESS dump."""
    return _IFADDR.pack(AF_INET6, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An IPv6 route with one next hop.

    Attributes:
        index: of the device packets leave by; 0 for a route that refuses them.
        mtu: 0 for none; octets.
        mtu_locked: the kernel then also tells senders whose packets it forwards, and no
            longer believes a smaller figure from elsewhere.
        source: what an unbound socket takes as its address.
        preference: of the router that advertised it (RFC 4191): 1 high, 0 medium, 3 low.
    """

    NEW: ClassVar = MessageType.NEW_ROUTE
    DELETE: ClassVar = MessageType.DELETE_ROUTE

    destination: IPv6Network
    index: int = 0
    gateway: IPv6Address | None = None
    table: int = MAIN_TABLE
    metric: int = 1024
    mtu: int = 0
    mtu_locked: bool = False
    source: IPv6Address | None = None
    protocol: int = PROTOCOL
    kind: int = RouteType.UNICAST
    preference: int = 0

    @classmethod
    def parse(cls, body: bytes) -> tuple[Self, ...]:
        """Read the body of NEW_ROUTE or DELETE_ROUTE: one route for each next hop."""
        _, length, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(body)
        found = parse_attributes(body[_ROUTE.size :])
        destination = found.get(_RouteAttribute.DESTINATION, bytes(16))
        metrics = parse_attributes(found.get(_RouteAttribute.METRICS, b""))
        source = found.get(_RouteAttribute.PREFERRED_SOURCE)
        return tuple(
            cls(
                destination=IPv6Network((destination, length)),
                index=index if kind == RouteType.UNICAST else 0,
                gateway=gateway,
                table=integer(found.get(_RouteAttribute.TABLE)) or table,
                metric=integer(found.get(_RouteAttribute.PRIORITY)),
                mtu=integer(metrics.get(_MTU)),
                mtu_locked=bool(integer(metrics.get(_LOCK)) & 1 << _MTU),
                source=None if source is None else IPv6Address(source),
                protocol=protocol,
                kind=kind,
                preference=integer(found.get(_RouteAttribute.PREFERENCE)),
            )
            for index, gateway in _next_hops(found)
        )

    def emit(self) -> bytes:
        """Return the body that adds or removes the route."""
        # Router advertisements give link-local gateways; those set by hand may be global
        # and covered by no route of this table.
        flags = 0 if self.gateway is None else _ON_LINK
        length = self.destination.prefixlen
        header = _ROUTE.pack(AF_INET6, length, 0, 0, 0, self.protocol, 0, self.kind, flags)
        parts = [header, emit_attribute(_RouteAttribute.TABLE, uint32(self.table))]
        destination = self.destination.network_address.packed
        parts.append(emit_attribute(_RouteAttribute.DESTINATION, destination))
        parts.append(emit_attribute(_RouteAttribute.PRIORITY, uint32(self.metric)))
        if self.index:
            parts.append(emit_attribute(_RouteAttribute.OUTPUT, uint32(self.index)))
        if self.gateway is not None:
            parts.append(emit_attribute(_RouteAttribute.GATEWAY, self.gateway.packed))
        if self.source is not None:
            source = self.source.packed
            parts.append(emit_attribute(_RouteAttribute.PREFERRED_SOURCE, source))
        if self.mtu:
            metrics = emit_attribute(_MTU, uint32(self.mtu))
            if self.mtu_locked:
                metrics += emit_attribute(_LOCK, uint32(1 << _MTU))
            parts.append(emit_attribute(_RouteAttribute.METRICS, metrics))
        return b"".join(parts)


def emit_route_selector(table: int, protocol: int) -> bytes:
    """Return the body of a GET_ROUTE dump; 0 stands for every table or protocol."""
    header = _ROUTE.pack(AF_INET6, 0, 0, 0, 0, protocol, 0, 0, 0)
    return header + (emit_attribute(_RouteAttribute.TABLE, uint32(table)) if table else b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that sends packets to a table.

    Attributes:
        source: of the packets; None for any.
        incoming: the device that they came in by; "lo" means what this host itself sends.
    """

    NEW: ClassVar = MessageType.NEW_RULE
    DELETE: ClassVar = MessageType.DELETE_RULE

    priority: int
    table: int
    source: IPv6Network | None = None
    incoming: str = ""
    protocol: int = PROTOCOL

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the body of NEW_RULE or DELETE_RULE."""
        _, _, source_length, _, table, _, _ = _RULE.unpack_from(body)
        found = parse_attributes(body[_RULE.size :])
        source = found.get(_RuleAttribute.SOURCE)
        return cls(
            priority=integer(found.get(_RuleAttribute.PRIORITY)),
            table=integer(found.get(_RuleAttribute.TABLE)) or table,
            source=None if source is None else IPv6Network((source, source_length)),
            incoming=found.get(_RuleAttribute.INCOMING, b"").rstrip(b"\0").decode(),
            protocol=integer(found.get(_RuleAttribute.PROTOCOL)),
        )

    def emit(self) -> bytes:
        """Return the body that adds or removes the rule."""
        length = 0 if self.source is None else self.source.prefixlen
        body = _RULE.pack(AF_INET6, 0, length, 0, 0, _TO_TABLE, 0)
        if self.source is not None:
            body += emit_attribute(_RuleAttribute.SOURCE, self.source.network_address.packed)
        if self.incoming:
            body += emit_attribute(_RuleAttribute.INCOMING, self.incoming.encode() + b"\0")
        return (
            body
            + emit_attribute(_RuleAttribute.PRIORITY, uint32(self.priority))
            + emit_attribute(_RuleAttribute.TABLE, uint32(self.table))
            + emit_attribute(_RuleAttribute.PROTOCOL, bytes((self.protocol,)))
        )


def emit_rule_selector() -> bytes:
    """Return the body of a GET_RULE dump."""
    return _RULE.pack(AF_INET6, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """What a device knows of a neighbour, or an address it answers for (flag PROXY).

    Attributes:
        mac: empty while unknown, and for a proxied address.
        failed: it does not answer (FAILED of RFC 4861 §7.3.2).
        asked: in a request, ask now whether it is there (PROBE, likewise).
    """

    NEW: ClassVar = MessageType.NEW_NEIGHBOUR
    DELETE: ClassVar = MessageType.DELETE_NEIGHBOUR

    index: int
    address: IPv6Address
    flags: NeighbourFlag = NeighbourFlag.PROXY
    mac: bytes = b""
    protocol: int = PROTOCOL
    failed: bool = False
    asked: bool = False

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the body of NEW_NEIGHBOUR or DELETE_NEIGHBOUR."""
        _, index, state, flags, _ = _NEIGHBOUR.unpack_from(body)
        found = parse_attributes(body[_NEIGHBOUR.size :])
        return cls(
            index=index,
            address=IPv6Address(found[_NeighbourAttribute.DESTINATION]),
            flags=NeighbourFlag(flags),
            mac=found.get(_NeighbourAttribute.MAC, b""),
            protocol=integer(found.get(_NeighbourAttribute.PROTOCOL)),
            failed=bool(state & _FAILED),
        )

    def emit(self) -> bytes:
        """Return the body that adds or removes the entry."""
        state = _PROBE if self.asked else 0
        body = _NEIGHBOUR.pack(AF_INET6, self.index, state, self.flags, 0)
        body += emit_attribute(_NeighbourAttribute.DESTINATION, self.address.packed)
        if self.mac:
            body += emit_attribute(_NeighbourAttribute.MAC, self.mac)
        return body + emit_attribute(_NeighbourAttribute.PROTOCOL, bytes((self.protocol,)))


def emit_neighbour_selector(flags: NeighbourFlag) -> bytes:
    """Return the body of a GET_NEIGHBOUR dump; with PROXY it lists the proxied addresses."""
    return _NEIGHBOUR.pack(AF_INET6, 0, 0, flags, 0)


def is_ipv6(body: bytes) -> bool:
    """Tell whether a body of any of these messages speaks of IPv6."""
    return body[0] == AF_INET6


def is_about_device(body: bytes) -> bool:
    """Tell whether a NEW_LINK or DELETE_LINK concerns the device, not its place in a bridge."""
    return body[0] in {AF_UNSPEC, AF_INET6}


def is_default_route(body: bytes) -> bool:
    """Tell whether a NEW_ROUTE or DELETE_ROUTE is for all destinations of IPv6."""
    return is_ipv6(body) and body[1] == 0


def is_our_loss(message: Message) -> bool:
    """Tell whether a route or rule that carries our mark has been removed."""
    body = message.body
    match message.kind:
        case MessageType.DELETE_ROUTE:
            return is_ipv6(body) and body[5] == PROTOCOL
        case MessageType.DELETE_RULE:
            return is_ipv6(body) and Rule.parse(body).protocol == PROTOCOL
        case _:
            return False


def _ipv6_mtu(found: dict[int, bytes]) -> int:
    """Return IPv6's own MTU out of a device's attributes; 0 when they do not say."""
    families = parse_attributes(found.get(_LinkAttribute.AF_SPEC, b""))
    ours = families.get(AF_INET6) or found.get(_LinkAttribute.PROTOCOL_INFORMATION, b"")
    settings = parse_attributes(ours).get(2, b"")  # IFLA_INET6_CONF: 32-bit integers
    return integer(settings[8:12])  # DEVCONF_MTU6


def next_hops(found: dict[int, bytes]) -> list[int]:
    """Return the devices that a route of any family leads to, out of its attributes."""
    return [index for index, _ in _hops(found)]


def _next_hops(found: dict[int, bytes]) -> list[tuple[int, IPv6Address | None]]:
    return [(index, _gateway(attributes)) for index, attributes in _hops(found)]


def _hops(found: dict[int, bytes]) -> list[tuple[int, dict[int, bytes]]]:
    """Return device and attributes of each next hop."""
    several = found.get(_RouteAttribute.MULTIPATH)
    if several is None:
        return [(integer(found.get(_RouteAttribute.OUTPUT)), found)]
    hops: list[tuple[int, dict[int, bytes]]] = []
    offset = 0
    while offset + _NEXT_HOP.size <= len(several):
        length, _, _, index = _NEXT_HOP.unpack_from(several, offset)
        if length < _NEXT_HOP.size:
            break
        inner = several[offset + _NEXT_HOP.size : offset + length]
        hops.append((index, parse_attributes(inner)))
        offset += padded(length)
    return hops


def _gateway(found: dict[int, bytes]) -> IPv6Address | None:
    gateway = found.get(_RouteAttribute.GATEWAY)
    return None if gateway is None else IPv6Address(gateway)
