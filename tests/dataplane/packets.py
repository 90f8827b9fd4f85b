"""Packets, addresses and forwarders for the tests of this package."""

from dataclasses import dataclass, field
from ipaddress import IPv6Address
from random import Random
from typing import Final

from mcoa.dataplane.counters import DropReason
from mcoa.dataplane.home_agent import HomeAgentForwarder
from mcoa.dataplane.mobile_node import MobileNodeForwarder
from mcoa.dataplane.packet import (
    encapsulate,
    encapsulate_with,
    encapsulation_limit_header,
    tunnel_prefix,
)
from mcoa.dataplane.table import Path


def address(text: str) -> bytes:
    return IPv6Address(text).packed


SERVICE: Final = address("2001:db8:1::1")
HOME: Final = address("2001:db8:1::100")
OTHER_HOME: Final = address("2001:db8:1::200")
PEER: Final = address("2001:db8:9::9")
STRANGER: Final = address("2001:db8:bad::1")
CARE_OF: Final = tuple(address(f"2001:db8:a{link}::1") for link in (1, 2, 3))
OTHER_CARE_OF: Final = address("2001:db8:b1::1")
PATHS: Final = tuple(
    Path(bid=link + 1, care_of_address=CARE_OF[link], weight=weight, link=name)
    for link, (name, weight) in enumerate((("lte", 40), ("wifi", 20), ("dsl", 30)))
)


def ipv6(
    source: bytes = PEER,
    destination: bytes = HOME,
    payload: bytes = b"",
    protocol: int = 17,
    *,
    hop_limit: int = 64,
    traffic_class: int = 0,
    flow_label: int = 0,
) -> bytes:
    word = 6 << 28 | traffic_class << 20 | flow_label
    length = len(payload).to_bytes(2, "big")
    head = word.to_bytes(4, "big") + length + bytes((protocol, hop_limit))
    return head + source + destination + payload


def ports(source: int, destination: int) -> bytes:
    return source.to_bytes(2, "big") + destination.to_bytes(2, "big")


def encapsulate_limited(packet: bytes, prefix: bytes, limit: int) -> bytes:
    """Return a tunnel packet that may be put into so many more tunnels."""
    return encapsulate_with(encapsulation_limit_header(limit), packet, prefix)


def udp(
    source: bytes = PEER,
    destination: bytes = HOME,
    *,
    size: int = 100,
    port: int = 5000,
    **header: int,
) -> bytes:
    """Return a packet of `size` octets in all; `port` is the one of the peer, never of a home."""
    pair = ports(port, 80) if source == PEER else ports(80, port)
    return ipv6(source, destination, pair + bytes(size - 44), **header)


def tunnelled(inner: bytes, source: bytes = CARE_OF[0], destination: bytes = SERVICE) -> bytes:
    return encapsulate(inner, tunnel_prefix(source, destination))


def extension(following: int, body: bytes) -> bytes:
    """Return an extension header around `body`, which is padded with Pad1 options."""
    size = len(body) + 2
    body += bytes(-size % 8)
    return bytes((following, (len(body) + 2) // 8 - 1)) + body


def fragment_header(
    following: int, offset: int, *, more: bool, identification: int = 7
) -> bytes:
    return (
        bytes((following, 0))
        + (offset | more).to_bytes(2, "big")
        + identification.to_bytes(4, "big")
    )


@dataclass
class Agent:
    """A home agent's forwarder and all that came out of it."""

    written: list[bytes] = field(default_factory=list)
    delivered: list[bytes] = field(default_factory=list)
    reports: list[tuple[DropReason, bytes, bytes]] = field(default_factory=list)
    service: bytes = SERVICE

    def __post_init__(self) -> None:
        self.forwarder = HomeAgentForwarder(
            address=self.service,
            write=self.written.append,
            deliver=self.delivered.append,
            report=lambda *drop: self.reports.append(drop),
            rng=Random(1),
        )
        self.forwarder.table.replace(HOME, PATHS)

    def take(self, packet: bytes, now: float = 0.0) -> list[bytes]:
        """Hand in a packet; return what was written because of it."""
        self.written.clear()
        self.forwarder.from_device(packet, now)
        return list(self.written)

    @property
    def drops(self) -> dict[str, int]:
        return self.forwarder.snapshot(0.0).drops


@dataclass
class Node:
    """A mobile node's forwarder and all that came out of it."""

    sent: list[tuple[int, bytes]] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    reports: list[tuple[DropReason, bytes, bytes]] = field(default_factory=list)
    device_mtu: int = 1 << 16

    def __post_init__(self) -> None:
        self.forwarder = MobileNodeForwarder(
            home_address=HOME,
            home_agent=SERVICE,
            send=self._send,
            write=self.written.append,
            report=lambda *drop: self.reports.append(drop),
            rng=Random(1),
        )
        self.forwarder.table.replace(HOME, PATHS)

    def _send(self, path: Path, packet: bytes) -> int | None:
        if len(packet) > self.device_mtu:
            return self.device_mtu
        self.sent.append((path.bid, packet))
        return None

    def take(self, packet: bytes, now: float = 0.0) -> list[tuple[int, bytes]]:
        """Hand in a packet of the device; return what was sent because of it."""
        self.sent.clear()
        self.forwarder.from_device(packet, now)
        return list(self.sent)

    def receive(
        self,
        inner: bytes,
        now: float = 0.0,
        *,
        bid: int = 1,
        traffic_class: int | None = None,
        outer_source: bytes = SERVICE,
        number: int | None = None,
    ) -> list[bytes]:
        """Hand in a tunnel packet; return what was written because of it."""
        self.written.clear()
        seen = inner[1] >> 4 if traffic_class is None else traffic_class
        self.forwarder.from_tunnel(outer_source, bid, inner, seen, now, number)
        return list(self.written)

    @property
    def drops(self) -> dict[str, int]:
        return self.forwarder.snapshot(0.0).drops
