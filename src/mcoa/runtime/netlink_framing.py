"""Netlink's framing: messages and attributes (linux/netlink.h), without a socket."""

import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR_TEXT = 1  # NLMSGERR_ATTR_MSG


class MessageType(IntEnum):
    """What a netlink message says."""

    ERROR = 2
    DONE = 3
    NEW_LINK = 16
    DELETE_LINK = 17
    GET_LINK = 18
    SET_LINK = 19
    NEW_ADDRESS = 20
    DELETE_ADDRESS = 21
    GET_ADDRESS = 22
    NEW_ROUTE = 24
    DELETE_ROUTE = 25
    GET_ROUTE = 26
    NEW_NEIGHBOUR = 28
    DELETE_NEIGHBOUR = 29
    GET_NEIGHBOUR = 30
    NEW_RULE = 32
    DELETE_RULE = 33
    GET_RULE = 34
    NEW_QDISC = 36
    DELETE_QDISC = 37
    GET_QDISC = 38
    NEW_FILTER = 44
    DELETE_FILTER = 45
    GET_FILTER = 46


class MessageFlag(IntFlag):
    """Flags of the netlink header; REPLACE, EXCLUSIVE and CREATE are those of requests."""

    NONE = 0
    REQUEST = 0x001
    MULTI = 0x002
    ACKNOWLEDGE = 0x004
    DUMP_INTERRUPTED = 0x010
    REPLACE = 0x100
    EXCLUSIVE = 0x200
    DUMP = 0x300
    CREATE = 0x400


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One netlink message; `body` is what follows its header."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def emit_message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Return a message; bodies are multiples of 4 octets, so messages can be joined."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def parse_messages(datagram: bytes) -> Iterator[Message]:
    """Yield the messages of a datagram; the kernel's framing is trusted up to its end."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size:
            return
        body = datagram[offset + _HEADER.size : offset + length]
        yield Message(kind=kind, flags=flags, sequence=sequence, body=body)
        offset += padded(length)


def parse_error(message: Message) -> OSError | None:
    """Return the refusal that an ERROR or DONE message carries, in the kernel's own words."""
    if message.kind not in {MessageType.ERROR, MessageType.DONE} or len(message.body) < 4:
        return None
    number = -int.from_bytes(message.body[:4], sys.byteorder, signed=True)
    if number == 0:
        return None
    # The refused request's header follows, and then what the kernel has to say about it.
    said = parse_attributes(message.body[4 + _HEADER.size :]).get(_ERROR_TEXT, b"")
    text = said.rstrip(b"\0").decode(errors="replace")
    return OSError(number, text or os.strerror(number))


def emit_attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute with its padding."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(padded(length) - length)


def parse_attributes(data: bytes) -> dict[int, bytes]:
    """Return attributes by their number; the last of equal ones counts."""
    attributes: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        attributes[kind & 0x3FFF] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += padded(length)
    return attributes


def uint32(value: int) -> bytes:
    """Return `value` in the host's order, which is netlink's."""
    return value.to_bytes(4, sys.byteorder)


def integer(value: bytes | None) -> int:
    """Return the number that an attribute holds; 0 for one that is absent."""
    return 0 if value is None else int.from_bytes(value, sys.byteorder)


def padded(length: int) -> int:
    """Return `length` rounded up to where the next message or attribute begins."""
    return (length + 3) & ~3
