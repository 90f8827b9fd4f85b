"""Packets of whatever source, and their way into the network."""

import struct
from ipaddress import IPv6Address

from mcoa.lab.namespaces import Namespace
from mcoa.runtime.sockets import PacketSender, endpoint
from mcoa.wire.checksum import internet_checksum
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet

IPV6, UDP = 41, 17
STRANGER = IPv6Address("2001:db8:1::ffff")
"""The core's own address on the home link."""


def datagram(source: IPv6Address, destination: IPv6Address, port: int) -> bytes:
    """Return a whole UDP packet that says "hello"."""
    body = struct.pack("!HHHH", 9999, port, 13, 0) + b"hello"
    pseudo = source.packed + destination.packed + struct.pack("!II", len(body), UDP)
    checksum = internet_checksum(pseudo + body) or 0xFFFF
    payload = body[:6] + checksum.to_bytes(2) + body[8:]
    return emit_packet(
        Ipv6Packet(source=source, destination=destination, protocol=UDP, payload=payload)
    )


def tunnelled(source: IPv6Address, destination: IPv6Address, inner: bytes) -> bytes:
    return emit_packet(
        Ipv6Packet(source=source, destination=destination, protocol=IPV6, payload=inner)
    )


def send(start: Namespace, packet: bytes) -> None:
    """Let a node send a packet, whatever source it claims."""
    sender = start.call(PacketSender)
    assert sender.send(packet, endpoint(IPv6Address(packet[24:40]))) == 0
    sender.close()
