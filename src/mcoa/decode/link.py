"""From a captured frame to the IP packet in it."""

from typing import Final

from mcoa.wire.reader import ParseError

# Where the EtherType stands and where the packet begins, by link type.
_TYPED: Final = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
# Octets before the packet: of raw IP in its many numbers, and of BSD loopback.
_UNTYPED: Final = {12: 0, 14: 0, 101: 0, 228: 0, 229: 0, 0: 4, 108: 4}

_IPV4_TYPE: Final = 0x0800
_IPV6_TYPE: Final = 0x86DD
_IP_TYPES: Final = frozenset((_IPV4_TYPE, _IPV6_TYPE))
_VLAN_TYPES: Final = frozenset((0x8100, 0x88A8, 0x9100))
_NO_NEXT_HEADER: Final = 59


def ip_packet(link_type: int | None, data: bytes) -> bytes | None:
    """Return the IP packet of a frame; None where the frame carries something else.

    Raises:
        ParseError: the frame is shorter than its own header, or of a kind not read here.
    """
    if link_type is None:
        return _guess(data)
    if link_type in _TYPED:
        type_at, packet_at = _TYPED[link_type]
        return _by_type(data, _from(data, type_at), packet_at)
    if link_type in _UNTYPED:
        return _behind(data, _UNTYPED[link_type])
    raise ParseError(0, f"frames of link type {link_type} are not read here")


def is_bare_message(data: bytes) -> bool:
    """Tell whether text without a link type is a Mobility Header without its packet."""
    return len(data) >= 8 and data[0] == _NO_NEXT_HEADER and len(data) == 8 + 8 * data[1]


def _by_type(data: bytes, ether_type: int, offset: int) -> bytes | None:
    """Follow VLAN tags to the packet."""
    while ether_type in _VLAN_TYPES:
        ether_type = _from(data, offset + 2)
        offset += 4
    return _behind(data, offset) if ether_type in _IP_TYPES else None


def _from(data: bytes, offset: int) -> int:
    if len(data) < offset + 2:
        raise ParseError(len(data), "the frame ends in its link-layer header")
    return int.from_bytes(data[offset : offset + 2])


def _behind(data: bytes, offset: int) -> bytes:
    if len(data) <= offset:
        raise ParseError(len(data), "the frame ends in its link-layer header")
    return data[offset:]


def _guess(data: bytes) -> bytes:
    """Tell a packet from an Ethernet frame: a line of hex does not say what it holds."""
    if not data:
        raise ParseError(0, "an empty packet")
    version = data[0] >> 4
    if version == 6 and len(data) >= 40 and 40 + int.from_bytes(data[4:6]) <= len(data):
        return data
    if len(data) >= 14 and int.from_bytes(data[12:14]) in _IP_TYPES | _VLAN_TYPES:
        return _by_type(data, _from(data, 12), 14) or data
    if version in {4, 6}:
        return data
    raise ParseError(0, "neither an IP packet nor an Ethernet frame")
