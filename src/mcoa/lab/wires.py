"""Wires between namespaces: pairs of virtual Ethernet devices that carry finished packets."""

import ctypes
import fcntl
import socket
import struct
from collections.abc import Iterator

from mcoa.lab.namespaces import Namespace

SIOCETHTOOL = 0x8946
OFFLOADS = {
    "tx checksum": 0x17,
    "scatter-gather": 0x19,
    "TSO": 0x1F,
    "GSO": 0x24,
    "GRO": 0x2C,
}


def wire(
    left: Namespace, left_name: str, right: Namespace, right_name: str, indexes: Iterator[int]
) -> None:
    """Join two namespaces, with a device of its name in each."""
    # Equal indexes at both ends delay carrier events by up to a second: no two are equal.
    left.ip(
        f"link add {left_name} index {next(indexes)} type veth"
        f" peer name {right_name} index {next(indexes)} netns {right.full_name}"
    )
    for end, name in ((left, left_name), (right, right_name)):
        end.call(lambda name=name: disable_offloads(name))  # type: ignore[misc]
        end.ip(f"link set {name} up")


def disable_offloads(interface: str) -> None:
    """Make `interface` carry finished packets only: real lengths, whole checksums.

    A packet socket would see 64 kB frames with checksums still to be computed.
    """
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        for command in OFFLOADS.values():
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
            request = struct.pack("16sQ16x", interface.encode(), ctypes.addressof(value))
            fcntl.ioctl(any_socket, SIOCETHTOOL, request)
