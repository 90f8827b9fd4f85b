"""Writes the pcapng format: the section header, interfaces with their names, packets."""

import struct

LINK_TYPE_ETHERNET, LINK_TYPE_RAW = 1, 101
NANOSECONDS = 9  # if_tsresol: timestamps count 10^-9 s

_SECTION_HEADER, _INTERFACE_DESCRIPTION, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL, _SHB_USERAPPL, _EPB_FLAGS = 2, 3, 9, 4, 2


def section_header(application: str) -> bytes:
    """Return the block that opens a file; its length is left open."""
    body = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    return _block(_SECTION_HEADER, body + _option(_SHB_USERAPPL, application.encode()) + _END)


def interface_description(name: str, link_type: int, description: str = "") -> bytes:
    """Return the block of one interface; they are numbered from 0 in order."""
    options = _option(_IF_NAME, name.encode()) + _option(_IF_TSRESOL, bytes([NANOSECONDS]))
    if description:
        options += _option(_IF_DESCRIPTION, description.encode())
    return _block(_INTERFACE_DESCRIPTION, struct.pack("<HHI", link_type, 0, 0) + options + _END)


def enhanced_packet(
    interface: int, timestamp_ns: int, data: bytes, original_octets: int, *, outbound: bool
) -> bytes:
    """Return the block of one packet, of which `data` may be the beginning only."""
    head = struct.pack(
        "<IIIII",
        interface,
        timestamp_ns >> 32,
        timestamp_ns & 0xFFFFFFFF,
        len(data),
        original_octets,
    )
    flags = _option(_EPB_FLAGS, struct.pack("<I", 2 if outbound else 1))
    return _block(_ENHANCED_PACKET, head + _padded(data) + flags + _END)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


_END = _option(0, b"")
