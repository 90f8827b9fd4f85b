"""The Internet checksum (RFC 1071) and its IPv6 pseudo-header (RFC 8200 §8.1).

One's complement addition of 16-bit words is addition modulo 65535, so the whole sum of any
string of octets is its remainder as one large number. That division is the fastest checksum
that plain Python has.
"""

from ipaddress import IPv6Address

MOBILITY_HEADER = 135

PackedAddress = bytes | IPv6Address


def internet_checksum(data: bytes) -> int:
    """Return the checksum of `data`, whose checksum field must hold zero."""
    value = int.from_bytes(data)
    return -(value << 8 if len(data) & 1 else value) % 65535


def upper_layer_checksum(
    data: bytes, source: PackedAddress, destination: PackedAddress, protocol: int
) -> int:
    """Return the checksum of an upper-layer message whose checksum field holds zero.

    The addresses are those that the checksum covers: a Home Address option takes the place of
    the source and a type 2 routing header that of the destination (RFC 6275 §6.1.1).
    """
    length = len(data)
    if length & 1:
        data += b"\0"
    if not isinstance(source, bytes):
        source = source.packed
    if not isinstance(destination, bytes):
        destination = destination.packed
    return -(int.from_bytes(source + destination + data) + length + protocol) % 65535


def is_intact(
    data: bytes, source: PackedAddress, destination: PackedAddress, protocol: int
) -> bool:
    """Tell whether the checksum inside `data` is right."""
    return upper_layer_checksum(data, source, destination, protocol) == 0
