"""Which addresses may be a care-of address (RFC 5648 §4.4, §6.2)."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network

_LINK_LOCAL = b"\xfe\x80" + bytes(6)
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


def is_possible_care_of_address(address: IPv6Address) -> bool:
    """Tell whether a mobile node may be reached there; IPv4 addresses are IPv4-mapped ones."""
    return is_unicast_routable(as_written(address))


def ipv4_mapped(address: IPv4Address) -> IPv6Address:
    """Return what stands for an IPv4 address wherever a care-of address may be either."""
    return IPv6Address(_IPV4_MAPPED + address.packed)


def as_written(address: IPv6Address) -> IPv4Address | IPv6Address:
    """Return what an address stands for, which people and messages know it by."""
    return address.ipv4_mapped or address


def link_local_of(address: IPv6Address) -> IPv6Address:
    """Return the link-local address with the interface identifier of another one (RFC 4291 §2.5.6)."""
    return IPv6Address(_LINK_LOCAL + address.packed[8:])


def home_agents_anycast(prefix: IPv6Network) -> IPv6Address:
    """Return the address by which any home agent of a home link is reached (RFC 6275 §10.5).

    All ones but the last seven bits, which are 0x7E; identifiers of 64 bits say by their
    seventh bit that they are none of a manufacturer's (RFC 2526 §2).
    """
    ones = (1 << 128 - prefix.prefixlen) - 1
    host = ones & ~0x7F | 0x7E
    if prefix.prefixlen == 64:
        host &= ~(0x02 << 56)
    return prefix[host]
