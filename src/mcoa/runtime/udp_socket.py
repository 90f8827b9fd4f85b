"""A UDP socket over IPv4 that carries IPv6 packets, many of equal size with one call (RFC 5555).

The kernel makes datagrams of what it is given in a row (UDP_SEGMENT), as late as it can, and joins
what comes in from one sender (UDP_GRO).
"""

import errno
import socket
from ipaddress import IPv4Address
from struct import Struct
from typing import Final, NamedTuple

from mcoa.dataplane.trains import Segments
from mcoa.runtime.sockets import enlarge_buffers
from mcoa.wire.dual_stack import DSMIPV6_PORT

ENCAPSULATION_PORT: Final = DSMIPV6_PORT
"""Where a home agent takes such datagrams, and sends them from (RFC 5555 §8)."""

Endpoint = tuple[str, int]

_PACKETS_A_WAKE_UP: Final = 64
_LARGEST: Final = 65535
_ANCILLARY_OCTETS: Final = 2 * socket.CMSG_SPACE(4)
_MOST_SEGMENTS: Final = 64  # older kernels take no more at once
_MOST_OCTETS: Final = 65507 - 40  # as much as a datagram, with room for options of IPv4
_UDP_SEGMENT, _UDP_GRO = 103, 104
_NO_SEGMENTS: Final = (errno.EMSGSIZE, errno.EINVAL)
"""What kernels say where segments would need fragments."""
_IP_MTU_DISCOVER, _OMIT = (
    10,
    5,
)  # fragments by our figures, not by errors that anybody can forge
_IP_RECVTOS, _IP_FREEBIND = 13, 15
_MAPPED: Final = bytes(10) + b"\xff\xff"
_SIZE, _INTEGER = Struct("=H"), Struct("=i")


class Datagrams(NamedTuple):
    """What came from one sender at once.

    Attributes:
        segments: the insides of datagrams.
        source: an IPv4-mapped address, sixteen octets.
        traffic_class: that of the datagrams.
    """

    segments: Segments
    source: bytes
    port: int
    traffic_class: int


class UdpSocket:
    """IPv6 packets in datagrams, in and out.

    Args:
        address: to send from and be reached at.
        port: of ours; 0 takes any.
        interface: the device that all leave and come by; None leaves it to the routes.
        joined: have the kernel join what comes in, which a fast path would not understand.
        early: the address may be one that this machine has not got yet.

    Raises:
        OSError: EADDRINUSE, or EADDRNOTAVAIL for an address that is not ours.
    """

    def __init__(
        self,
        address: IPv4Address,
        port: int = ENCAPSULATION_PORT,
        *,
        interface: str | None = None,
        joined: bool = True,
        early: bool = False,
    ) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            enlarge_buffers(self._socket)
            if interface is not None:
                name = interface.encode()
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
            for level, option, value in (
                (socket.IPPROTO_IP, _IP_MTU_DISCOVER, _OMIT),
                (socket.IPPROTO_IP, _IP_RECVTOS, 1),
                (socket.IPPROTO_IP, _IP_FREEBIND, int(early)),
                (socket.IPPROTO_UDP, _UDP_GRO, int(joined)),
            ):
                self._socket.setsockopt(level, option, value)
            self._socket.bind((str(address), port))
        except BaseException:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """The port of ours."""
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def receive(self) -> list[Datagrams]:
        """Return what has come, of up to 64 times."""
        received: list[Datagrams] = []
        try:
            for _ in range(_PACKETS_A_WAKE_UP):
                octets, said, _, (host, port) = self._socket.recvmsg(
                    _LARGEST, _ANCILLARY_OCTETS
                )
                size, traffic_class = len(octets), 0
                for level, _, value in said:
                    if level == socket.IPPROTO_UDP:
                        size = _INTEGER.unpack_from(value)[0]
                    else:
                        traffic_class = value[0]
                segments = Segments(octets, max(size, 1))
                source = _MAPPED + socket.inet_aton(host)
                received.append(Datagrams(segments, source, port, traffic_class))
        except BlockingIOError:
            pass
        return received

    def send(self, packet: bytes, to: Endpoint) -> int:
        """Send a packet in a datagram of its traffic class; returns 0, or the error's number."""
        return self._send(packet, to, packet[0] << 4 & 0xF0 | packet[1] >> 4)

    def send_segments(self, segments: Segments, to: Endpoint) -> int:
        """Send each packet in a datagram of its own, all of the first one's traffic class.

        Returns 0, or the number of an error that kept some from leaving.
        """
        octets, size = segments
        traffic_class = octets[0] << 4 & 0xF0 | octets[1] >> 4
        step = min(_MOST_SEGMENTS, _MOST_OCTETS // size) * size
        for at in range(0, len(octets), step):
            part = octets[at : at + step]
            refused = self._send(part, to, traffic_class, size if len(part) > size else 0)
            if refused in _NO_SEGMENTS:
                for packet in Segments(part, size).packets():
                    refused = self.send(packet, to)
            if refused:
                return refused
        return 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(
        self, octets: bytes | memoryview, to: Endpoint, traffic_class: int, size: int = 0
    ) -> int:
        said = []
        if traffic_class:
            value = _INTEGER.pack(traffic_class)
            said.append((socket.IPPROTO_IP, socket.IP_TOS, value))
        if size:
            said.append((socket.IPPROTO_UDP, _UDP_SEGMENT, _SIZE.pack(size)))
        try:
            self._socket.sendmsg((octets,), said, 0, to)
        except OSError as error:
            return error.errno or errno.EIO
        return 0
