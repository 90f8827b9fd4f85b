"""The sockets of one uplink: tunnel packets and signalling, out by it and in by it."""

from collections.abc import Callable
from errno import EMSGSIZE
from ipaddress import IPv6Address

from mcoa.runtime.readiness import deliver
from mcoa.runtime.sockets import Endpoint, PacketSender, TunnelPacket, TunnelSocket

_MINIMUM_MTU = 1280


class Uplink:
    """An interface with the care-of addresses it has now.

    Args:
        take: given tunnel packets that came in by the interface.
        failed: told why a socket died; reopen() makes new ones.
    """

    def __init__(
        self,
        interface: str,
        *,
        take: Callable[[list[TunnelPacket]], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self.interface = interface
        self.mtu = _MINIMUM_MTU
        self._take = take
        self._failed = failed
        self._senders: dict[bytes, PacketSender] = {}
        self._tunnel: TunnelSocket | None = None
        self._undeliver: Callable[[], None] = lambda: None

    def use(self, addresses: tuple[IPv6Address, ...], mtu: int) -> None:
        """Send from these addresses and listen, or close everything when there are none."""
        self.mtu = max(mtu, _MINIMUM_MTU)
        wanted = {address.packed: address for address in addresses}
        for packed in self._senders.keys() - wanted.keys():
            self._senders.pop(packed).close()
        for packed in wanted.keys() - self._senders.keys():
            self._senders[packed] = PacketSender(
                interface=self.interface, source=wanted[packed]
            )
        if wanted and self._tunnel is None:
            self._tunnel = TunnelSocket(interface=self.interface)
            self._undeliver = deliver(self._tunnel, self._take, self._failed)
        elif not wanted:
            self._silence()

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

    def close(self) -> None:
        """Close all sockets."""
        self.use((), self.mtu)

    def _silence(self) -> None:
        self._undeliver()
        self._undeliver = lambda: None
        if self._tunnel is not None:
            self._tunnel.close()
            self._tunnel = None
