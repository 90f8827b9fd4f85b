"""An access router's advertisements on one interface (RFC 4861 section 6.2).

Periodic ones to all nodes, and answers to solicitations, each after a random delay: so a
mobile node gets its care-of addresses as it does from a real network. Run as a program with
an interface and its prefixes; a line of prefixes on its standard input takes their place, and
is advertised at once. A prefix with "=0" behind it is said to be at its end. Forwarding and
addresses are the namespace's business.
"""

import os
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from random import Random
from typing import Self

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertised:
    """A prefix as its router speaks of it; one that is `ending` has no time left."""

    prefix: IPv6Network
    ending: bool = False

    def argument(self) -> str:
        """Return it as one word of the command line."""
        return f"{self.prefix}=0" if self.ending else str(self.prefix)

    @classmethod
    def from_argument(cls, word: str) -> Self:
        """Read one word of the command line; ValueError if it is no prefix."""
        prefix, _, lifetime = word.partition("=")
        return cls(prefix=IPv6Network(prefix), ending=lifetime == "0")


class Router:
    """Speaks for one interface; `rng` disperses routers and answers."""

    def __init__(self, interface: str, prefixes: Sequence[Advertised], rng: Random) -> None:
        self._interface = interface
        self._rng = rng
        self._index = socket.if_nametoindex(interface)
        self._socket = _open_socket(interface, self._index)
        self.advertise(prefixes)

    def advertise(self, prefixes: Sequence[Advertised]) -> None:
        """Speak of these prefixes, soon; the interface's addresses may be others, too."""
        self._source = _link_local_address(self._index)
        self._advertisement = advertisement(prefixes, _hardware_address(self._interface))
        self._sent = 0
        self._next_s = time.monotonic()

    def run(self, commands: int) -> None:
        """Advertise for ever, and obey while `commands`, a descriptor, is not at its end."""
        heard: list[int] = [self._socket.fileno(), commands]
        while True:
            wait_s = self._next_s - time.monotonic()
            if wait_s <= 0:
                self._advertise()
                continue
            ready, _, _ = select.select(heard, [], [], wait_s)
            if self._socket.fileno() in ready and self._is_solicited():
                # One advertisement to all nodes answers everyone who asked meanwhile.
                soon = time.monotonic() + self._rng.uniform(0.0, ANSWER_DELAY_S)
                self._next_s = min(self._next_s, soon)
            if commands in ready and not self._obey(os.read(commands, 4096).decode()):
                heard.remove(commands)

    def _obey(self, text: str) -> bool:
        for line in text.splitlines():
            self.advertise([Advertised.from_argument(word) for word in line.split()])
        return bool(text)

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


def advertisement(
    prefixes: Sequence[Advertised], hardware_address: bytes
) -> RouterAdvertisement:
    """Return what the router of `prefixes` says."""
    options = tuple(
        PrefixInformation(
            prefix=each.prefix.network_address,
            prefix_length=each.prefix.prefixlen,
            on_link=True,
            autonomous=True,
            valid_lifetime_s=0 if each.ending else VALID_LIFETIME_S,
            preferred_lifetime_s=0 if each.ending else PREFERRED_LIFETIME_S,
        )
        for each in prefixes
    )
    return RouterAdvertisement(
        hop_limit=64,
        lifetime_s=ROUTER_LIFETIME_S,
        options=(SourceLinkLayerAddress(address=hardware_address), Mtu(mtu=MTU), *options),
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
    """Advertise: INTERFACE PREFIX..."""
    interface, *words = arguments
    prefixes = [Advertised.from_argument(word) for word in words]
    Router(interface, prefixes, Random()).run(sys.stdin.fileno())


if __name__ == "__main__":
    main(sys.argv[1:])
