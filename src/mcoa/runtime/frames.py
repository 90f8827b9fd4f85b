"""IPv6 packets in frames to a neighbour whose link-layer address we know (RFC 5648 §5.6.2).

On its home link a mobile node must not be asked for its home address, and may not ask. So both
ends write the link-layer header themselves, and the kernel has no say in where a frame goes.
"""

import errno
import socket
from dataclasses import dataclass

_ETH_P_IPV6 = 0x86DD


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """A packet with the link-layer address that it is for."""

    packet: bytes
    to: bytes


class Frames:
    """Sends packets by one interface to link-layer addresses.

    Attributes:
        refused: packets that the device did not take.
    """

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.refused = 0
        # Of no protocol: it only sends.
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_PACKET, kind, 0)

    def send(self, packet: bytes, link_layer_address: bytes) -> int:
        """Send a whole IPv6 packet; a device that is away or busy loses it.

        Returns:
            0, or EMSGSIZE for a packet that is larger than the device takes.
        """
        to = (self.interface, _ETH_P_IPV6, 0, 0, link_layer_address)
        try:
            self._socket.sendto(packet, to)
        except OSError as error:
            self.refused += 1
            return errno.EMSGSIZE if error.errno == errno.EMSGSIZE else 0
        return 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
