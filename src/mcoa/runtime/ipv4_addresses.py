"""IPv4 addresses that can be care-of addresses, as the kernel has them (linux/rtnetlink.h).

The kernel takes IPv4 routes down with a device or an address, and says nothing of it. So it is
asked for all of them whenever anything has changed.
"""

import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address
from socket import AF_INET

from mcoa.engine.addresses import is_unicast_routable
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.netlink_framing import Message, MessageType, integer, parse_attributes
from mcoa.runtime.rtnetlink import MAIN_TABLE, RouteType, next_hops

GROUPS = ("ipv4-address", "ipv4-route")

_IFADDR = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ADDRESS, _LOCAL, _TABLE = 1, 2, 15
_SECONDARY = 0x01  # IFA_F_SECONDARY
_CONCERNED = frozenset(
    {
        MessageType.NEW_LINK,
        MessageType.DELETE_LINK,
        MessageType.NEW_ADDRESS,
        MessageType.DELETE_ADDRESS,
        MessageType.NEW_ROUTE,
        MessageType.DELETE_ROUTE,
    }
)
_ABOUT_LINKS = frozenset({MessageType.NEW_LINK, MessageType.DELETE_LINK})


def concerns_ipv4(message: Message) -> bool:
    """Tell whether IPv4 addresses or routes may be others after an announcement."""
    if message.kind in _ABOUT_LINKS:
        return True
    return message.kind in _CONCERNED and message.body[0] == AF_INET


def ask_for_ipv4(netlink: Netlink) -> dict[int, tuple[IPv4Address, ...]]:
    """Return the addresses of each device, by its index, that leads to other networks."""
    addresses = netlink.dump(MessageType.GET_ADDRESS, _IFADDR.pack(AF_INET, 0, 0, 0, 0))
    routes = netlink.dump(MessageType.GET_ROUTE, _ROUTE.pack(AF_INET, 0, 0, 0, 0, 0, 0, 0, 0))
    return usable_by_device(addresses, routes)


def interface_with(address: IPv4Address, netlink: Netlink) -> str | None:
    """Return the name of the interface that leads to other networks from an address."""
    usable = ask_for_ipv4(netlink)
    names = (link.name for link in netlink.links() if address in usable.get(link.index, ()))
    return next(names, None)


def usable_by_device(
    addresses: Iterable[bytes], routes: Iterable[bytes]
) -> dict[int, tuple[IPv4Address, ...]]:
    """Do so with the bodies of such messages."""
    ways_out = {index for body in routes for index in _ways_out(body)}
    usable: dict[int, tuple[IPv4Address, ...]] = {}
    for body in addresses:
        _, _, flags, _, index = _IFADDR.unpack_from(body)
        address = _address(body)
        # Of those of one network, the first one is as good as all.
        is_needed = index in ways_out and not flags & _SECONDARY
        if is_needed and is_unicast_routable(address):
            usable[index] = (*usable.get(index, ()), address)
    return usable


def _address(body: bytes) -> IPv4Address:
    found = parse_attributes(body[_IFADDR.size :])
    # With a peer address (point to point), LOCAL is ours and ADDRESS the peer's.
    return IPv4Address(found.get(_LOCAL) or found[_ADDRESS])


def _ways_out(body: bytes) -> Iterator[int]:
    """Yield the devices of a default route of the main table."""
    family, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    found = parse_attributes(body[_ROUTE.size :])
    table = integer(found.get(_TABLE)) or table
    if (family, length, table, kind) == (AF_INET, 0, MAIN_TABLE, RouteType.UNICAST):
        yield from next_hops(found)
