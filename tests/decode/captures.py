"""Capture files made for tests, octet by octet."""

from collections.abc import Iterable
from struct import pack

RAW_IP = 101
ETHERNET = 1


def pcap(
    packets: Iterable[bytes],
    link_type: int = RAW_IP,
    *,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
) -> bytes:
    header = pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link_type)
    records = (
        pack(order + "IIII", 0, 0, len(packet), len(packet)) + packet for packet in packets
    )
    return header + b"".join(records)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = 12 + len(body)
    return pack(order + "II", kind, length) + body + pack(order + "I", length)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int = RAW_IP, order: str = "<", snapshot: int = 0) -> bytes:
    return block(1, pack(order + "HHI", link_type, 0, snapshot), order)


def enhanced(packet: bytes, number: int = 0, order: str = "<") -> bytes:
    head = pack(order + "IIIII", number, 0, 0, len(packet), len(packet))
    return block(6, head + packet, order)


def simple(packet: bytes, order: str = "<") -> bytes:
    return block(3, pack(order + "I", len(packet)) + packet, order)


def obsolete(packet: bytes, order: str = "<") -> bytes:
    head = pack(order + "HHIIII", 0, 0, 0, 0, len(packet), len(packet))
    return block(2, head + packet, order)
