"""What a home agent says and hears in neighbour discovery on its home link (RFC 4861, 4862).

The kernel answers solicitations for proxied addresses. What it does not do is here: to
announce that an address is now found at our link-layer address, and to ask whether another
node has one already.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import IPv6Address

from mcoa.runtime.readiness import deliver
from mcoa.runtime.sockets import IcmpPacket, IcmpSocket, PacketSender, endpoint
from mcoa.wire.icmpv6 import Icmpv6Message, emit_icmpv6, parse_icmpv6
from mcoa.wire.icmpv6_neighbor import NeighborAdvertisement, NeighborSolicitation
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from mcoa.wire.neighbor_discovery import (
    NeighborOption,
    TargetLinkLayerAddress,
    UnknownNeighborOption,
)
from mcoa.wire.reader import ParseError
from mcoa.wire.registry import Icmpv6Type

ALL_NODES = IPv6Address("ff02::1")
HOP_LIMIT = 255
"""Proves that a message comes from the link itself (RFC 4861 §7.1)."""

_UNSPECIFIED = IPv6Address("::")
_ICMPV6 = 58
_NONCE = 14  # RFC 7527
_HEARD = (Icmpv6Type.NEIGHBOR_SOLICITATION, Icmpv6Type.NEIGHBOR_ADVERTISEMENT)


def solicited_node_group(address: IPv6Address) -> IPv6Address:
    """Return the multicast group where neighbours look for `address` (RFC 4291 §2.7.1)."""
    return IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + address.packed[13:])


def emit_on_link(
    message: Icmpv6Message, source: IPv6Address, destination: IPv6Address
) -> bytes:
    """Return the packet of a message that does not leave its link (RFC 4861 §4)."""
    packet = Ipv6Packet(
        source=source,
        destination=destination,
        protocol=_ICMPV6,
        payload=emit_icmpv6(message, source.packed, destination.packed),
        hop_limit=HOP_LIMIT,
    )
    return emit_packet(packet)


class Neighbours:
    """Neighbour discovery on one link, for addresses that are not the kernel's own.

    Args:
        interface: the link's; make another Neighbours when it has been away.
        index: the interface's number.
        mac: its link-layer address; empty where there are none.
        sender: the address that routing takes for the sender's; no interface need have it.
        claimed: told of an address asked for by `probe` that another node has, or tries to
            get at the same time.
    """

    def __init__(
        self,
        interface: str,
        index: int,
        mac: bytes,
        *,
        sender: IPv6Address,
        claimed: Callable[[IPv6Address], None],
    ) -> None:
        self._index = index
        self._mac = mac
        self._claimed = claimed
        # Ours is known by it, should a loop in the link bring it back (RFC 7527).
        self._nonce = secrets.token_bytes(6)
        self._probed: set[IPv6Address] = set()
        self._groups: Counter[IPv6Address] = Counter()  # of those probed
        # Without it the kernel would look for one of the link's, and refuse to send while
        # those are still under detection themselves.
        self._sender = PacketSender(interface=interface, source=sender)
        self._socket = IcmpSocket(_HEARD, interface=interface)
        self._stop = deliver(self._socket, self._heard, self._lost)

    def announce(self, address: IPv6Address, source: IPv6Address, *, router: bool) -> int:
        """Tell all nodes that `address` is found here; returns 0 or an errno.

        Args:
            address: what is proxied.
            source: our own address on the link.
            router: the address is a mobile router's (RFC 3963 §6.5).
        """
        options: tuple[NeighborOption, ...] = ()
        if self._mac:
            options = (TargetLinkLayerAddress(address=self._mac),)
        advertisement = NeighborAdvertisement(
            target=address, router=router, override=True, options=options
        )
        return self._send(advertisement, source, ALL_NODES)

    def probe(self, address: IPv6Address) -> int:
        """Ask whether a neighbour has `address`; returns 0 or an errno.

        Answers count until release().
        """
        group = solicited_node_group(address)
        if address not in self._probed:
            self._probed.add(address)
            self._groups[group] += 1
            # In too many groups, it still hears the one who has the address, and misses only
            # one who begins to want it.
            if self._groups[group] == 1:
                with suppress(OSError):
                    self._socket.join(group, self._index)
        nonce = UnknownNeighborOption(type=_NONCE, data=self._nonce)
        solicitation = NeighborSolicitation(target=address, options=(nonce,))
        return self._send(solicitation, _UNSPECIFIED, group)

    def release(self, address: IPv6Address) -> None:
        """Take no more answers about `address`."""
        if address in self._probed:
            self._probed.discard(address)
            group = solicited_node_group(address)
            self._groups[group] -= 1
            if not self._groups[group]:
                del self._groups[group]
                with suppress(OSError):
                    self._socket.leave(group, self._index)

    def close(self) -> None:
        """Close the sockets; a second call does nothing."""
        self._stop()
        self._socket.close()
        self._sender.close()

    def _send(
        self,
        message: NeighborAdvertisement | NeighborSolicitation,
        source: IPv6Address,
        destination: IPv6Address,
    ) -> int:
        packet = emit_on_link(message, source, destination)
        return self._sender.send(packet, endpoint(destination, self._index))

    def _heard(self, packets: Iterable[IcmpPacket]) -> None:
        for packet in packets:
            if packet.hop_limit != HOP_LIMIT or not self._probed:
                continue
            with suppress(ParseError):
                self._judge(packet)

    def _judge(self, packet: IcmpPacket) -> None:
        message = parse_icmpv6(packet.message, packet.source.packed, packet.destination.packed)
        match message:
            case NeighborAdvertisement(target=target) if target in self._probed:
                self._claimed(target)
            case NeighborSolicitation(target=target, options=options) if (
                target in self._probed and packet.source == _UNSPECIFIED
            ):
                if UnknownNeighborOption(type=_NONCE, data=self._nonce) not in options:
                    self._claimed(target)
            case _:
                pass

    def _lost(self, _error: OSError) -> None:
        # The interface went; whoever made this learns it from the link watcher.
        self._stop()
