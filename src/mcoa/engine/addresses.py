"""Which addresses may be a care-of address (RFC 5648 §4.4, §6.2)."""

from ipaddress import IPv4Address, IPv6Address

_IPV4_MAPPED = bytes(10) + b"\xff\xff"


def is_unicast_routable(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether packets can be sent to `address` over a network.

    Global and unique local unicast are; unspecified, loopback, link-local, multicast and
    IPv4-mapped addresses are not, nor IPv4's 0/8, 127/8, 169.254/16 and 224/3.
    """
    octets = address.packed
    first, second = octets[0], octets[1]
    if len(octets) == 4:
        return 0 < first < 224 and first != 127 and (first, second) != (169, 254)
    if first == 0xFF or (first == 0xFE and second & 0xC0 == 0x80):
        return False
    return any(octets[:12]) and octets[:12] != _IPV4_MAPPED
