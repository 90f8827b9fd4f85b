"""Words of tc: filters that redirect packets, most of them on their way in, below IPv6.

A u32 filter compares 32-bit words of a packet, counted from its IPv6 header.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from socket import htons, ntohs
from typing import Self

from mcoa.runtime.netlink_framing import emit_attribute, integer, parse_attributes, uint32
from mcoa.runtime.patterns import Pattern

_TCMSG = struct.Struct("=BxxxiIII")
_SELECTOR = struct.Struct("=BBBxHHhhI")
_KEY = struct.Struct("=4s4sii")
_MIRRED = struct.Struct("=IIiiiiI")

_CLSACT_HANDLE, _CLSACT_PARENT = 0xFFFF0000, 0xFFFFFFF1
_ETH_P_ALL, _ETH_P_IPV6 = 0x0003, 0x86DD
_BPF_PROGRAM, _BPF_NAME, _BPF_FLAGS, _BPF_NUMBER = 6, 7, 8, 11
_DIRECT_ACTION = 1  # what the program returns is what happens
_ONLY = 1  # the handle of a filter that is alone with its priority
_KIND, _OPTIONS = 1, 2  # TCA_KIND, TCA_OPTIONS, and the same for an action
_U32_SELECTOR, _U32_ACTION, _U32_ORIGIN = 5, 7, 8
_MIRRED_PARAMETERS = 2
_TERMINAL = 1
_STOLEN, _EGRESS_REDIRECT = 4, 1


class Hook(IntEnum):
    """Where on a device filters hang."""

    IN = 0xFFFFFFF2
    OUT = 0xFFFFFFF3


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter that is installed; `priority` is its name on its device.

    Attributes:
        protocol: as in Ethernet's header; 3 for all.
        program: the kernel's number of the program that it runs; 0 without one.
    """

    priority: int
    kind: str
    protocol: int = _ETH_P_IPV6
    program: int = 0

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the body of NEW_FILTER."""
        *_, information = _TCMSG.unpack_from(body)
        attributes = parse_attributes(body[_TCMSG.size :])
        options = parse_attributes(attributes.get(_OPTIONS, b""))
        kind = _kind(body)
        return cls(
            priority=information >> 16,
            kind=kind,
            protocol=ntohs(information & 0xFFFF),
            program=integer(options.get(_BPF_NUMBER)) if kind == "bpf" else 0,
        )


def emit_clsact(index: int) -> bytes:
    """Return the body that adds or removes the place where filters hang."""
    header = _TCMSG.pack(0, index, _CLSACT_HANDLE, _CLSACT_PARENT, 0)
    return header + emit_attribute(_KIND, b"clsact\0")


def emit_redirect(index: int, priority: int, pattern: Pattern, target: int) -> bytes:
    """Return the body that redirects packets of `pattern` from one device to another."""
    keys = _keys(pattern)
    selector = _SELECTOR.pack(_TERMINAL, 0, len(keys), 0, 0, 0, 0, 0)
    options = emit_attribute(_U32_SELECTOR, selector + b"".join(keys)) + _redirect(target)
    return emit_filters(index, priority) + _u32(options)


def emit_redirect_of_origin(index: int, priority: int, origin: str, target: int) -> bytes:
    """Return the body that redirects what came in by `origin` and is on its way out."""
    options = (
        emit_attribute(_U32_SELECTOR, _SELECTOR.pack(_TERMINAL, 0, 0, 0, 0, 0, 0, 0))
        + emit_attribute(_U32_ORIGIN, origin.encode() + b"\0")
        + _redirect(target)
    )
    return emit_filters(index, priority, hook=Hook.OUT) + _u32(options)


def emit_program(index: int, hook: Hook, priority: int, program: int, name: str) -> bytes:
    """Return the body that has a program, by its descriptor, look at all packets."""
    options = (
        emit_attribute(_BPF_PROGRAM, uint32(program))
        + emit_attribute(_BPF_NAME, name.encode() + b"\0")
        + emit_attribute(_BPF_FLAGS, uint32(_DIRECT_ACTION))
    )
    return (
        _TCMSG.pack(0, index, _ONLY, hook, priority << 16 | htons(_ETH_P_ALL))
        + emit_attribute(_KIND, b"bpf\0")
        + emit_attribute(_OPTIONS, options)
    )


def emit_filters(
    index: int, priority: int = 0, *, hook: Hook = Hook.IN, protocol: int = _ETH_P_IPV6
) -> bytes:
    """Return the body that removes the filters of a priority, or dumps them all."""
    information = priority << 16 | htons(protocol) if priority else 0
    return _TCMSG.pack(0, index, 0, hook, information)


def is_clsact(body: bytes, index: int) -> bool:
    """Tell whether the body of NEW_QDISC is of that place on that device."""
    _, found, *_ = _TCMSG.unpack_from(body)
    return found == index and _kind(body) == "clsact"


def emit_qdiscs() -> bytes:
    """Return the body of a GET_QDISC dump."""
    return _TCMSG.pack(0, 0, 0, 0, 0)


def _kind(body: bytes) -> str:
    return parse_attributes(body[_TCMSG.size :]).get(_KIND, b"").rstrip(b"\0").decode()


def _u32(options: bytes) -> bytes:
    return emit_attribute(_KIND, b"u32\0") + emit_attribute(_OPTIONS, options)


def _redirect(target: int) -> bytes:
    mirred = _MIRRED.pack(0, 0, _STOLEN, 0, 0, _EGRESS_REDIRECT, target)
    action = emit_attribute(_KIND, b"mirred\0") + emit_attribute(
        _OPTIONS, emit_attribute(_MIRRED_PARAMETERS, mirred)
    )
    return emit_attribute(_U32_ACTION, emit_attribute(1, action))


def _keys(pattern: Pattern) -> list[bytes]:
    """Return the keys that compare the words of a packet in which `pattern` has octets."""
    words: dict[int, tuple[bytearray, bytearray]] = {}
    for octet in pattern:
        place = octet.offset % 4
        mask, value = words.setdefault(octet.offset - place, (bytearray(4), bytearray(4)))
        mask[place], value[place] = 0xFF, octet.value
    return [
        _KEY.pack(bytes(mask), bytes(value), offset, 0)
        for offset, (mask, value) in words.items()
    ]
