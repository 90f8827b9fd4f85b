"""Words of tc: filters that redirect packets on their way in, below the kernel's IPv6.

A u32 filter compares 32-bit words of a packet, counted from its IPv6 header, so it sees the
first extension header only. Both that Mobile IPv6 needs come first: a type 2 routing header
(RFC 6275 §6.4), and a destination options header, in which the alignment 8n+6 of the Home
Address option (RFC 6275 §6.3) puts its type at octet 46.
"""

import struct
from dataclasses import dataclass
from enum import Enum
from socket import htons
from typing import Self

from mcoa.runtime.netlink_framing import emit_attribute, parse_attributes

_TCMSG = struct.Struct("=BxxxiIII")
_SELECTOR = struct.Struct("=BBBxHHhhI")
_KEY = struct.Struct("=4s4sii")
_MIRRED = struct.Struct("=IIiiiiI")

_CLSACT_HANDLE, _CLSACT_PARENT = 0xFFFF0000, 0xFFFFFFF1
_INGRESS = 0xFFFFFFF2
_ETH_P_IPV6 = 0x86DD
_KIND, _OPTIONS = 1, 2  # TCA_KIND, TCA_OPTIONS, and the same for an action
_U32_SELECTOR, _U32_ACTION = 5, 7
_MIRRED_PARAMETERS = 2
_TERMINAL = 1
_STOLEN, _EGRESS_REDIRECT = 4, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Octet:
    """An octet that a packet must have; `offset` counts from its IPv6 header."""

    offset: int
    value: int


class Match(Enum):
    """Packets that IPv6 below Mobile IPv6 must not see."""

    TYPE_2_ROUTING_HEADER = (Octet(offset=6, value=43), Octet(offset=42, value=2))
    HOME_ADDRESS_OPTION = (Octet(offset=6, value=60), Octet(offset=46, value=0xC9))
    MOBILITY_HEADER = (Octet(offset=6, value=135),)
    IPV6_IN_IPV6 = (Octet(offset=6, value=41),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter that is installed; `priority` is its name on its device."""

    priority: int
    kind: str

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the body of NEW_FILTER."""
        *_, information = _TCMSG.unpack_from(body)
        return cls(priority=information >> 16, kind=_kind(body))


def emit_clsact(index: int) -> bytes:
    """Return the body that adds or removes the place where filters hang."""
    header = _TCMSG.pack(0, index, _CLSACT_HANDLE, _CLSACT_PARENT, 0)
    return header + emit_attribute(_KIND, b"clsact\0")


def emit_redirect(index: int, priority: int, match: Match, target: int) -> bytes:
    """Return the body that redirects packets of `match` from one device to another."""
    selector = _SELECTOR.pack(_TERMINAL, 0, len(match.value), 0, 0, 0, 0, 0)
    keys = b"".join(map(_key, match.value))
    mirred = _MIRRED.pack(0, 0, _STOLEN, 0, 0, _EGRESS_REDIRECT, target)
    action = emit_attribute(_KIND, b"mirred\0") + emit_attribute(
        _OPTIONS, emit_attribute(_MIRRED_PARAMETERS, mirred)
    )
    options = emit_attribute(_U32_SELECTOR, selector + keys) + emit_attribute(
        _U32_ACTION, emit_attribute(1, action)
    )
    return (
        emit_filters(index, priority)
        + emit_attribute(_KIND, b"u32\0")
        + emit_attribute(_OPTIONS, options)
    )


def emit_filters(index: int, priority: int = 0) -> bytes:
    """Return the body that removes the filters of a priority, or dumps them all."""
    information = priority << 16 | htons(_ETH_P_IPV6) if priority else 0
    return _TCMSG.pack(0, index, 0, _INGRESS, information)


def is_clsact(body: bytes, index: int) -> bool:
    """Tell whether the body of NEW_QDISC is of that place on that device."""
    _, found, *_ = _TCMSG.unpack_from(body)
    return found == index and _kind(body) == "clsact"


def emit_qdiscs() -> bytes:
    """Return the body of a GET_QDISC dump."""
    return _TCMSG.pack(0, 0, 0, 0, 0)


def _kind(body: bytes) -> str:
    return parse_attributes(body[_TCMSG.size :]).get(_KIND, b"").rstrip(b"\0").decode()


def _key(octet: Octet) -> bytes:
    before = octet.offset % 4
    mask = bytes(0xFF if position == before else 0 for position in range(4))
    value = bytes(octet.value if position == before else 0 for position in range(4))
    return _KEY.pack(mask, value, octet.offset - before, 0)
