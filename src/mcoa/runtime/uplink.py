"""The sockets of one uplink: tunnel packets and signalling out, and UDP over IPv4 both ways."""

from collections.abc import Callable, Iterable
from errno import EMSGSIZE
from ipaddress import IPv4Address, IPv6Address

from mcoa.dataplane.trains import Segments
from mcoa.runtime import udp_socket
from mcoa.runtime.readiness import deliver
from mcoa.runtime.sockets import Endpoint, PacketSender
from mcoa.runtime.udp_socket import Datagrams, UdpSocket

_MINIMUM_MTU = 1280


class Uplink:
    """An interface with the care-of addresses it has now; those of IPv4 are IPv4-mapped ones.

    Args:
        take_datagrams: given the care-of address, and what came there in UDP over IPv4.
        failed: told why a socket died; it is made anew once the link has been down.
        joined: have the kernel join datagrams, where there is no fast path.
    """

    def __init__(
        self,
        interface: str,
        *,
        take_datagrams: Callable[[bytes, Iterable[Datagrams]], None],
        failed: Callable[[OSError], None],
        joined: bool = True,
    ) -> None:
        self._joined = joined
        self.interface = interface
        self.mtu = _MINIMUM_MTU
        self._take_datagrams = take_datagrams
        self._failed = failed
        self._senders: dict[bytes, PacketSender] = {}
        self._datagrams: dict[bytes, tuple[UdpSocket, Callable[[], None]]] = {}

    def use(self, addresses: tuple[IPv6Address, ...], mtu: int) -> None:
        """Send from these addresses, or close everything when there are none."""
        self.mtu = max(mtu, _MINIMUM_MTU)
        by_ipv4 = {a.packed: a.ipv4_mapped for a in addresses if a.ipv4_mapped is not None}
        for packed in self._datagrams.keys() - by_ipv4.keys():
            self._close_datagrams(packed)
        for packed in by_ipv4.keys() - self._datagrams.keys():
            self._open_datagrams(packed, by_ipv4[packed])
        wanted = {each.packed: each for each in addresses if each.ipv4_mapped is None}
        for packed in self._senders.keys() - wanted.keys():
            self._senders.pop(packed).close()
        for packed in wanted.keys() - self._senders.keys():
            self._senders[packed] = PacketSender(
                interface=self.interface, source=wanted[packed]
            )

    def send(self, packet: bytes, to: Endpoint) -> int:
        """Send a packet of ours by the socket of its source.

        Returns:
            0, also for a packet that the network lost before it left; or the MTU of the
            interface, when that is less than the packet.
        """
        sender = self._senders.get(packet[8:24])
        if sender is not None and sender.send(packet, to) == EMSGSIZE:
            return self.mtu
        return 0

    def send_datagram(
        self, care_of_address: bytes, packet: bytes, to: udp_socket.Endpoint
    ) -> None:
        """Send a packet in UDP from an IPv4 address; the network may lose it before it leaves."""
        known = self._datagrams.get(care_of_address)
        if known is not None:
            known[0].send(packet, to)

    def send_datagrams(
        self, care_of_address: bytes, segments: Segments, to: udp_socket.Endpoint
    ) -> None:
        """Do so with packets in a row."""
        known = self._datagrams.get(care_of_address)
        if known is not None:
            known[0].send_segments(segments, to)

    def close(self) -> None:
        """Close all sockets."""
        self.use((), self.mtu)

    def _open_datagrams(self, packed: bytes, address: IPv4Address) -> None:
        opened = UdpSocket(address, interface=self.interface, joined=self._joined)
        undeliver = deliver(
            opened, lambda arrived: self._take_datagrams(packed, arrived), self._failed
        )
        self._datagrams[packed] = (opened, undeliver)

    def _close_datagrams(self, packed: bytes) -> None:
        opened, undeliver = self._datagrams.pop(packed)
        undeliver()
        opened.close()
