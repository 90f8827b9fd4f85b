"""Raw IPv6 sockets: whole packets out, ICMPv6 in.

The kernel chooses only the route and the neighbour; addresses, extension headers and
checksums are ours. All sockets are non-blocking.
"""

import errno
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address

IPV6_IN_IPV6 = 41
ICMPV6 = 58

Endpoint = tuple[str, int, int, int]
"""How Python's sockets name an IPv6 address."""

TunnelPacket = tuple[bytes, bytes, bytes, int, int | None]
"""Inner packet, outer source, outer destination, outer traffic class, and the number of a copy;
a plain tuple, because one is made for every packet."""

_PACKETS_A_WAKE_UP = 64
_LARGEST_PACKET = 65535
_BUFFER_OCTETS = 4 << 20
_ANCILLARY_OCTETS = socket.CMSG_SPACE(20) + 2 * socket.CMSG_SPACE(4) + socket.CMSG_SPACE(64)
_KNOWN_SOURCES = 1024

_IPV6_MTU_DISCOVER, _IPV6_MTU, _IPV6_FREEBIND, _ICMPV6_FILTER = 23, 24, 78, 1
_OMIT = 5  # IPV6_PMTUDISC_OMIT: fragments by our figures, not by Packet Too Big messages
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 26, 33, 32
_ACCEPT_NOTHING = struct.pack("=HBBI", 0x06, 0, 0, 0)  # classic BPF: ret #0
_INTEGER = struct.Struct("=i")


def endpoint(address: IPv6Address, index: int = 0) -> Endpoint:
    """Return where to send; `index` is the device's for link-local and multicast addresses."""
    return (str(address), 0, 0, index)


class PacketSender:
    """Sends whole IPv6 packets, headers and all.

    Args:
        interface: the device they must leave by; None leaves it to the routes.
        source: the local address whose routing rules apply; what the packet's header says
            need not be it.
    """

    def __init__(
        self, *, interface: str | None = None, source: IPv6Address | None = None
    ) -> None:
        self._socket = _raw_socket(socket.IPPROTO_RAW, interface, source)
        # A probe for a duplicate must not come back to us as somebody else's.
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        self._send = self._socket.sendto

    def send(self, packet: bytes, to: Endpoint) -> int:
        """Send a packet towards `to`: its destination, or the first one on its way.

        Returns:
            0, or why not: EMSGSIZE when it is larger than the device passes, which nobody
            but the caller fragments; ENETUNREACH without a route; ENOBUFS or EAGAIN when
            the device is busy.
        """
        try:
            self._send(packet, to)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class IcmpPacket:
    """An ICMPv6 message that came in; its checksum was right.

    Attributes:
        hop_limit: neighbour discovery takes none below 255 (RFC 4861 §7.1).
        index: of the device it came by.
    """

    message: bytes
    source: IPv6Address
    destination: IPv6Address
    hop_limit: int
    index: int


class IcmpSocket:
    """Receives ICMPv6 messages of some types; the kernel goes on handling them as well.

    Args:
        types: ICMPv6 type numbers.
        interface: the device; None for all.
    """

    def __init__(self, types: Iterable[int], *, interface: str | None = None) -> None:
        self._socket = _raw_socket(ICMPV6, interface, None)
        blocked = bytearray(b"\xff" * 32)
        for number in types:
            blocked[number >> 3] &= ~(1 << (number & 7))
        # Words of 32 bits in the host's order: octets would be swapped on big-endian hosts.
        words = struct.pack("=8I", *struct.unpack("<8I", blocked))
        self._socket.setsockopt(ICMPV6, _ICMPV6_FILTER, words)
        for option in (socket.IPV6_RECVPKTINFO, socket.IPV6_RECVHOPLIMIT):
            self._socket.setsockopt(socket.IPPROTO_IPV6, option, 1)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def receive(self) -> list[IcmpPacket]:
        """Return up to 64 messages that have come."""
        packets: list[IcmpPacket] = []
        try:
            for _ in range(_PACKETS_A_WAKE_UP):
                message, ancillary, _, address = self._socket.recvmsg(
                    _LARGEST_PACKET, _ANCILLARY_OCTETS
                )
                packets.append(_icmp_packet(message, ancillary, address[0]))
        except BlockingIOError:
            pass
        return packets

    def join(self, group: IPv6Address, index: int) -> None:
        """Listen to a multicast group; OSError when the socket is in too many."""
        membership = group.packed + struct.pack("@I", index)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)

    def leave(self, group: IPv6Address, index: int) -> None:
        """Cease to listen to a multicast group; OSError when not in it."""
        membership = group.packed + struct.pack("@I", index)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, membership)

    def close(self) -> None:
        """Close the socket, and leave all groups."""
        self._socket.close()


def _raw_socket(
    protocol: int, interface: str | None, source: IPv6Address | None
) -> socket.socket:
    opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    try:
        enlarge_buffers(opened)
        # Path MTUs are the data plane's business: anybody could forge the kernel's.
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _OMIT)
        if interface is not None:
            name = interface.encode()
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
        if source is not None:
            # The address may still be under duplicate address detection.
            opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
            opened.bind(endpoint(source))
    except BaseException:
        opened.close()
        raise
    return opened


def enlarge_buffers(opened: socket.socket) -> None:
    """Give a socket room for many packets, as much as the system lets us have."""
    for usual, forced in (
        (socket.SO_RCVBUF, _SO_RCVBUFFORCE),
        (socket.SO_SNDBUF, _SO_SNDBUFFORCE),
    ):
        try:
            opened.setsockopt(socket.SOL_SOCKET, forced, _BUFFER_OCTETS)
        except PermissionError:
            # Only root may pass the limit of the system; others get what it allows.
            opened.setsockopt(socket.SOL_SOCKET, usual, _BUFFER_OCTETS)


def _icmp_packet(
    message: bytes, ancillary: list[tuple[int, int, bytes]], source: str
) -> IcmpPacket:
    destination, index, hop_limit = bytes(16), 0, 0
    for _, kind, value in ancillary:
        if kind == socket.IPV6_PKTINFO:
            destination, index = value[:16], _INTEGER.unpack_from(value, 16)[0]
        elif kind == socket.IPV6_HOPLIMIT:
            hop_limit = _INTEGER.unpack(value)[0]
    return IcmpPacket(
        message=message,
        source=IPv6Address(source.partition("%")[0]),
        destination=IPv6Address(destination),
        hop_limit=hop_limit,
        index=index,
    )
