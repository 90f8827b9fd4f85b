"""What a home agent remembers of a home address over a restart, as octets.

A monotonic clock begins anew with the machine, so a record holds times of day: the codec
converts with `offset_s`, which is the time of day minus monotonic time, in seconds.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Any

from mcoa.binding.cache import Binding, CacheEntry
from mcoa.binding.flow_bindings import FlowBinding
from mcoa.wire.flow import FlowIdentification
from mcoa.wire.reader import ParseError, Reader

_VERSION, _VERSION_WITHOUT_IPV4, _VERSION_WITHOUT_FLOWS, _VERSION_WITHOUT_HOME = 4, 3, 2, 1
_HEAD = struct.Struct(">BHIdB")  # version, sequence, lifetime, forget at, number of bindings
_OLD_BINDING = struct.Struct(">HBB16sdd")  # BID, priority, flags, address, expiry, verified
_BINDING = struct.Struct(">HBB16sddH16s")  # the same, port, address as it was told
_UNTOLD = bytes(16)
_HOME_FLAG, _DEFENDED_FLAG, _LINK_LOCAL_FLAG = 0x80, 0x40, 0x20  # the last is the entry's
_NEVER = 0.0


class RecordError(ValueError):
    """Octets that are no record of this version."""


def emit_record(entry: CacheEntry, *, offset_s: float) -> bytes:
    """Return the durable form of an entry; the home address is the record's key."""
    forget_at = _NEVER if entry.forget_at_s is None else entry.forget_at_s + offset_s
    head = _HEAD.pack(
        _VERSION, entry.sequence, entry.lifetime_s, forget_at, len(entry.bindings)
    )
    mac = entry.link_layer_address
    return (
        head
        + bytes((len(mac),))
        + mac
        + b"".join(
            _BINDING.pack(
                binding.bid or 0,
                binding.priority,
                (_HOME_FLAG if binding.home else 0)
                | (_DEFENDED_FLAG if binding.defended else 0)
                | (_LINK_LOCAL_FLAG if entry.link_local else 0),
                binding.care_of_address.packed,
                binding.expires_at_s + offset_s,
                binding.verified_at_s + offset_s,
                binding.port,
                _UNTOLD if binding.told is None else binding.told.packed,
            )
            for binding in entry.bindings
        )
        + b"".join(map(_emit_flow, entry.flows))
    )


def _emit_flow(flow: FlowBinding) -> bytes:
    """Return a flow binding as the option that would ask for it."""
    return FlowIdentification(
        fid=flow.fid, priority=flow.priority, selector=flow.selector, bids=flow.bids
    ).emit()


def _parse_flows(octets: bytes) -> Iterator[FlowBinding]:
    reader = Reader(octets)
    while reader.remaining:
        reader.uint8("type")
        length = reader.uint8("length")
        flow = FlowIdentification.parse(Reader(reader.take(length, "flow")))
        if flow.selector is None or flow.bids is None:
            raise ParseError(0, "a flow binding without selector or BID")
        yield FlowBinding(
            fid=flow.fid, priority=flow.priority, selector=flow.selector, bids=flow.bids
        )


def _binding(fields: tuple[Any, ...], offset_s: float) -> Binding:
    bid, priority, flags, address, expires_at, verified_at, port, told = (*fields, 0, _UNTOLD)[
        :8
    ]
    return Binding(
        bid=bid or None,
        care_of_address=IPv6Address(address),
        expires_at_s=expires_at - offset_s,
        verified_at_s=verified_at - offset_s,
        priority=priority,
        home=bool(flags & _HOME_FLAG),
        defended=bool(flags & _DEFENDED_FLAG),
        port=port,
        told=None if told == _UNTOLD else IPv6Address(told),
    )


def parse_record(home_address: IPv6Address, octets: bytes, *, offset_s: float) -> CacheEntry:
    """Return the entry that a record holds.

    Raises:
        RecordError: the record is of another version, or damaged.
    """
    if len(octets) < _HEAD.size or not _VERSION_WITHOUT_HOME <= octets[0] <= _VERSION:
        raise RecordError(f"record of {home_address} is not of version {_VERSION}")
    version, sequence, lifetime_s, forget_at, number = _HEAD.unpack_from(octets)
    rest, mac = octets[_HEAD.size :], b""
    if version > _VERSION_WITHOUT_HOME and rest:
        mac, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    form = _BINDING if version > _VERSION_WITHOUT_IPV4 else _OLD_BINDING
    rest, last = rest[: number * form.size], rest[number * form.size :]
    if len(rest) != number * form.size or (last and version <= _VERSION_WITHOUT_FLOWS):
        raise RecordError(f"record of {home_address} has {len(octets)} octets")
    try:
        flows = tuple(_parse_flows(last))
    except ParseError as error:
        raise RecordError(f"record of {home_address}: {error}") from error
    unpacked = list(form.iter_unpack(rest))
    bindings = tuple(_binding(fields, offset_s) for fields in unpacked)
    return CacheEntry(
        home_address=home_address,
        sequence=sequence,
        bindings=bindings,
        lifetime_s=lifetime_s,
        link_layer_address=mac,
        link_local=any(flags & _LINK_LOCAL_FLAG for _, _, flags, *_ in unpacked),
        flows=flows,
        forget_at_s=None if forget_at == _NEVER else forget_at - offset_s,
    )
