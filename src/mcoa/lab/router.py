"""An access router's advertisements on one interface (RFC 4861 section 6.2).

Periodic ones to all nodes, and answers to solicitations, each after a random delay: so a
mobile node gets its care-of addresses as it does from a real network. Run as a program with
an interface and its prefix; forwarding and addresses are the namespace's business.
"""

import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network
from random import Random

from mcoa.lab.sightings import ICMPV6
from mcoa.wire.icmpv6 import (
    Mtu,
    PrefixInformation,
    RouterAdvertisement,
    RouterSolicitation,
    SourceLinkLayerAddress,
    emit_icmpv6,
    parse_icmpv6,
)
from mcoa.wire.reader import ParseError

ALL_NODES, ALL_ROUTERS = IPv6Address("ff02::1"), IPv6Address("ff02::2")
HOP_LIMIT = 255  # proves that a message came from the link itself
INTERVAL_S = (1.0, 1.5)  # RFC 6275 section 7.5 lets routers for mobile nodes be this lively
ANSWER_DELAY_S = 0.5  # MAX_RA_DELAY_TIME
FIRST_ADVERTISEMENTS = 3  # sent quickly, in case one is lost
FIRST_INTERVAL_S = 0.3
VALID_LIFETIME_S, PREFERRED_LIFETIME_S = 3600, 1800
ROUTER_LIFETIME_S = 1800
MTU = 1500

ICMPV6_FILTER = 1


class Router:
    """Speaks for one interface; `rng` disperses routers and answers."""

    def __init__(self, interface: str, prefix: IPv6Network, rng: Random) -> None:
        self._rng = rng
        self._index = socket.if_nametoindex(interface)
        self._socket = _open_socket(interface, self._index)
        self._source = _link_local_address(self._index)
        self._advertisement = advertisement(prefix, _hardware_address(interface))
        self._sent = 0
        self._next_s = time.monotonic()

    def run(self) -> None:
        """Advertise for ever."""
        while True:
            wait_s = self._next_s - time.monotonic()
            if wait_s <= 0:
                self._advertise()
            elif select.select([self._socket], [], [], wait_s)[0] and self._is_solicited():
                # One advertisement to all nodes answers everyone who asked meanwhile.
                soon = time.monotonic() + self._rng.uniform(0.0, ANSWER_DELAY_S)
                self._next_s = min(self._next_s, soon)

    def _advertise(self) -> None:
        message = emit_icmpv6(self._advertisement, self._source, ALL_NODES)
        self._socket.sendto(message, (str(ALL_NODES), 0, 0, self._index))
        self._sent += 1
        interval = self._rng.uniform(*INTERVAL_S)
        if self._sent < FIRST_ADVERTISEMENTS:
            interval = min(interval, FIRST_INTERVAL_S)
        self._next_s = time.monotonic() + interval

    def _is_solicited(self) -> bool:
        data, ancillary, _, address = self._socket.recvmsg(2048, 256)
        hop_limit, destination = 0, ALL_ROUTERS
        for _, kind, value in ancillary:
            if kind == socket.IPV6_HOPLIMIT:
                (hop_limit,) = struct.unpack_from("=i", value)
            elif kind == socket.IPV6_PKTINFO:
                destination = IPv6Address(value[:16])
        if hop_limit != HOP_LIMIT:
            return False
        try:
            source = IPv6Address(address[0].partition("%")[0])
            return isinstance(parse_icmpv6(data, source, destination), RouterSolicitation)
        except ParseError:
            return False


def advertisement(prefix: IPv6Network, hardware_address: bytes) -> RouterAdvertisement:
    """Return what the router of `prefix` says."""
    return RouterAdvertisement(
        hop_limit=64,
        lifetime_s=ROUTER_LIFETIME_S,
        options=(
            SourceLinkLayerAddress(address=hardware_address),
            Mtu(mtu=MTU),
            PrefixInformation(
                prefix=prefix.network_address,
                prefix_length=prefix.prefixlen,
                on_link=True,
                autonomous=True,
                valid_lifetime_s=VALID_LIFETIME_S,
                preferred_lifetime_s=PREFERRED_LIFETIME_S,
            ),
        ),
    )


def _open_socket(interface: str, index: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, ICMPV6)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    ipv6 = socket.IPPROTO_IPV6
    opened.setsockopt(
        ipv6, socket.IPV6_JOIN_GROUP, ALL_ROUTERS.packed + struct.pack("=I", index)
    )
    opened.setsockopt(ipv6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
    opened.setsockopt(ipv6, socket.IPV6_MULTICAST_LOOP, 0)
    opened.setsockopt(ipv6, socket.IPV6_RECVHOPLIMIT, 1)
    opened.setsockopt(ipv6, socket.IPV6_RECVPKTINFO, 1)
    blocked = [0xFFFFFFFF] * 8
    blocked[RouterSolicitation.TYPE // 32] &= ~(1 << RouterSolicitation.TYPE % 32)
    opened.setsockopt(ICMPV6, ICMPV6_FILTER, struct.pack("=8I", *blocked))
    return opened


def _link_local_address(index: int) -> IPv6Address:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
        asking.connect((str(ALL_NODES), 9, 0, index))
        return IPv6Address(asking.getsockname()[0].partition("%")[0])


def _hardware_address(interface: str) -> bytes:
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as asking:
        asking.bind((interface, 0))
        address: bytes = asking.getsockname()[4]
        return address


def main(arguments: Sequence[str]) -> None:
    """Advertise: INTERFACE PREFIX."""
    interface, prefix = arguments
    Router(interface, IPv6Network(prefix), Random()).run()


if __name__ == "__main__":
    main(sys.argv[1:])
