"""Router advertisements heard on a link, and the solicitations that ask for them (RFC 4861)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address

from mcoa.runtime.neighbours import HOP_LIMIT, emit_on_link
from mcoa.runtime.readiness import deliver
from mcoa.runtime.sockets import IcmpPacket, IcmpSocket, PacketSender, endpoint
from mcoa.wire.icmpv6 import parse_icmpv6
from mcoa.wire.icmpv6_neighbor import RouterAdvertisement, RouterSolicitation
from mcoa.wire.neighbor_discovery import (
    HomeAgentInformation,
    PrefixInformation,
    SourceLinkLayerAddress,
)
from mcoa.wire.reader import ParseError
from mcoa.wire.registry import Icmpv6Type

ALL_ROUTERS = IPv6Address("ff02::2")

UNSPECIFIED = IPv6Address("::")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A router advertisement that came from the link itself.

    Attributes:
        router: its link-local address.
    """

    router: IPv6Address
    message: RouterAdvertisement

    @property
    def link_layer_address(self) -> bytes:
        """The router's, if it told; empty else."""
        for option in self.message.options:
            if isinstance(option, SourceLinkLayerAddress):
                return option.address
        return b""

    @property
    def prefixes(self) -> tuple[PrefixInformation, ...]:
        """What it says of the link's prefixes."""
        options = self.message.options
        return tuple(each for each in options if isinstance(each, PrefixInformation))

    @property
    def home_agent(self) -> HomeAgentInformation | None:
        """What it says of itself as a home agent; None for no home agent.

        One that gives no details has preference 0 and the lifetime of the router (RFC 6275
        §7.4).
        """
        if not self.message.home_agent:
            return None
        for option in self.message.options:
            if isinstance(option, HomeAgentInformation):
                return option
        return HomeAgentInformation(lifetime_s=self.message.lifetime_s)


def solicitation(source: IPv6Address) -> bytes:
    """Return the packet that asks all routers of a link to tell of themselves."""
    return emit_on_link(RouterSolicitation(), source, ALL_ROUTERS)


class RouterListener:
    """Hears the routers of one link; make another when the interface has been away.

    Args:
        interface: the link's.
        index: the interface's number.
        heard: told of each advertisement that is valid.
        solicited: told of each solicitation, for a router.
        malformed: told of what was not valid.
        sender: the address that routing takes for the sender's; no interface need have it.
    """

    def __init__(
        self,
        interface: str,
        index: int,
        *,
        sender: IPv6Address,
        heard: Callable[[Heard], None],
        solicited: Callable[[], None] = lambda: None,
        malformed: Callable[[str, IPv6Address], None] = lambda _why, _who: None,
    ) -> None:
        self._index = index
        self._heard = heard
        self._solicited = solicited
        self._malformed = malformed
        types = (Icmpv6Type.ROUTER_ADVERTISEMENT, Icmpv6Type.ROUTER_SOLICITATION)
        self._sender = PacketSender(interface=interface, source=sender)
        self._socket = IcmpSocket(types, interface=interface)
        self._stop = deliver(self._socket, self._packets, self._lost)

    def solicit(self) -> int:
        """Ask all routers to tell of themselves; returns 0 or an errno."""
        return self.send(RouterSolicitation(), UNSPECIFIED, ALL_ROUTERS)

    def send(
        self,
        message: RouterSolicitation | RouterAdvertisement,
        source: IPv6Address,
        destination: IPv6Address,
    ) -> int:
        """Send a message to a group of the link; returns 0 or an errno."""
        packet = emit_on_link(message, source, destination)
        return self._sender.send(packet, endpoint(destination, self._index))

    def close(self) -> None:
        """Close the sockets; a second call does nothing."""
        self._stop()
        self._socket.close()
        self._sender.close()

    def _packets(self, packets: Iterable[IcmpPacket]) -> None:
        for packet in packets:
            try:
                self._take(packet)
            except ParseError as error:
                self._malformed(str(error), packet.source)

    def _take(self, packet: IcmpPacket) -> None:
        if packet.hop_limit != HOP_LIMIT:
            return  # from another link, whatever it says (RFC 4861 §6.1)
        source, destination = packet.source.packed, packet.destination.packed
        match parse_icmpv6(packet.message, source, destination):
            case RouterAdvertisement() as message if packet.source.is_link_local:
                self._heard(Heard(router=packet.source, message=message))
            case RouterSolicitation():
                self._solicited()
            case _:
                self._malformed("router advertisement not from the link", packet.source)

    def _lost(self, _error: OSError) -> None:
        # The interface went; whoever made this learns it from the link watcher.
        self._stop()
