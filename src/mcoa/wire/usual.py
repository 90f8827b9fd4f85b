"""The usual Binding Updates and Acknowledgements, read and written at a stroke.

A home agent spends its day on messages whose only options are Binding Identifiers. Here each
of these costs one unpacking, and values come into being without the checks of their
constructors: what a field of so many bits brings cannot be outside its range. Whatever is not
usual gives None, and the general parser has it; tests prove that both say the same.
"""

from ipaddress import IPv6Address
from struct import Struct
from typing import Final

from mcoa.wire.messages_binding import (
    BindingAcknowledgement,
    BindingUpdate,
    set_options,
    set_update_flags,
    set_update_lifetime,
    set_update_sequence,
)
from mcoa.wire.option_list import emit_options
from mcoa.wire.options import (
    BindingIdentifier,
    set_bid,
    set_care_of_address,
    set_home,
    set_priority,
    set_status,
)
from mcoa.wire.registry import BINDING_STATUSES, OptionType, UpdateFlag

_UPDATE: Final = Struct("!HHH")
_ACKNOWLEDGEMENT: Final = Struct("!BBHH")
_IDENTIFIER: Final = Struct("!HBB")
_IDENTIFIER_WITH_ADDRESS: Final = Struct("!HBBQQ")

_NO_NEXT_HEADER: Final = 59
_SHORTEST: Final = 16
_FIXED_PART: Final = 6
_OPTIONS: Final = 12
_PADN: Final = int(OptionType.PADN)
_BINDING_IDENTIFIER: Final = int(OptionType.BINDING_IDENTIFIER)
_WITHOUT_ADDRESS: Final = 4
_WITH_ADDRESS: Final = 20
_HEAD_WITHOUT_ADDRESS: Final = bytes((_BINDING_IDENTIFIER, _WITHOUT_ADDRESS))
_HEAD_WITH_ADDRESS: Final = bytes((_BINDING_IDENTIFIER, _WITH_ADDRESS))
_HOME: Final = 0x80
_PRIORITY: Final = 0x7F

# Making a flag costs as much as all the rest of an option.
_UNUSUAL_FLAGS: Final = int(UpdateFlag.MAP | UpdateFlag.PROXY | UpdateFlag.TLV)
_UPDATE_FLAGS: Final = {
    bits: UpdateFlag(bits) for bits in range(0, 0x10000, 0x40) if not bits & _UNUSUAL_FLAGS
}

# All that padding can be behind the last place where an option still has room.
_PADDINGS: Final = frozenset(bytes(n) for n in range(6)) | frozenset(
    bytes((1, n)) + bytes(n) for n in range(4)
)

# An acknowledgement of so many bindings: its layout, and the padding that fills it up.
_MOST: Final = 16
_ACKNOWLEDGEMENTS: Final = tuple(Struct("!BBHH" + n * "2sHBB") for n in range(_MOST + 1))
_TRAILERS: Final = tuple(emit_options((), 12 + 6 * n) for n in range(_MOST + 1))


_new: Final = object.__new__


def read_usual(header: bytes) -> BindingUpdate | BindingAcknowledgement | None:
    """Read what almost every received message is.

    Args:
        header: a whole Mobility Header, whatever is in it, of 8 octets or more.
    """
    if header[0] != _NO_NEXT_HEADER or len(header) < _SHORTEST:
        return None
    match header[2]:
        case 5:
            return _read_update(header)
        case 6:
            return _read_acknowledgement(header)
        case _:
            return None


def _read_update(header: bytes) -> BindingUpdate | None:
    """Read a Binding Update whose options are well-formed Binding Identifiers."""
    options = _identifiers(header)
    sequence, bits, units = _UPDATE.unpack_from(header, _FIXED_PART)
    flags = _UPDATE_FLAGS.get(bits)
    if options is None or flags is None:
        return None
    update = _new(BindingUpdate)
    set_options(update, options)
    set_update_sequence(update, sequence)
    set_update_flags(update, flags)
    set_update_lifetime(update, 4 * units)
    return update


def _read_acknowledgement(header: bytes) -> BindingAcknowledgement | None:
    """Read a Binding Acknowledgement without flags whose options are Binding Identifiers."""
    options = _identifiers(header)
    status, bits, sequence, units = _ACKNOWLEDGEMENT.unpack_from(header, _FIXED_PART)
    if options is None or bits:
        return None
    return BindingAcknowledgement(
        status=BINDING_STATUSES[status],
        sequence=sequence,
        lifetime_s=4 * units,
        options=options,
    )


def _identifiers(header: bytes) -> tuple[BindingIdentifier, ...] | None:
    """Read the options; None unless each is a Binding Identifier of length 4 or 20."""
    options = []
    at, end = _OPTIONS, len(header)
    while at + _WITHOUT_ADDRESS + 2 <= end:
        head = header[at : at + 2]
        if head == _HEAD_WITH_ADDRESS and at + _WITH_ADDRESS + 2 <= end:
            bid, status, flags, high, low = _IDENTIFIER_WITH_ADDRESS.unpack_from(header, at + 2)
            address = IPv6Address(high << 64 | low)
            at += _WITH_ADDRESS + 2
        elif head == _HEAD_WITHOUT_ADDRESS:
            bid, status, flags = _IDENTIFIER.unpack_from(header, at + 2)
            address = None
            at += _WITHOUT_ADDRESS + 2
        elif head[0] == _PADN:
            at += 2 + head[1]
            continue
        else:
            return None
        if not bid:
            return None
        option = _new(BindingIdentifier)
        set_bid(option, bid)
        set_status(option, BINDING_STATUSES[status])
        set_home(option, flags >= _HOME)
        set_priority(option, flags & _PRIORITY)
        set_care_of_address(option, address)
        options.append(option)
    return tuple(options) if header[at:] in _PADDINGS and at <= end else None


def emit_acknowledgement(message: BindingAcknowledgement) -> bytes | None:
    """Return what follows the checksum, if all options are identifiers without address."""
    numbers: list[bytes | int] = []
    for option in message.options:
        if type(option) is not BindingIdentifier or option.care_of_address is not None:
            return None
        flags = option.priority | _HOME if option.home else option.priority
        numbers += (_HEAD_WITHOUT_ADDRESS, option.bid, option.status, flags)
    count = len(message.options)
    if count > _MOST:
        return None
    units = message.lifetime_s // 4
    fixed = (message.status, message.flags, message.sequence, units)
    return _ACKNOWLEDGEMENTS[count].pack(*fixed, *numbers) + _TRAILERS[count]
