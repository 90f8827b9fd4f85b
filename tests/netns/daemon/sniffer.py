"""What passes an interface, as packets without a header of layer 2."""

import select
import socket
import time
from collections.abc import Callable
from typing import Self

from mcoa.lab.namespaces import Namespace

_ETH_P_IPV6 = 0x86DD
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23


class Sniffer:
    """Takes a copy of every IPv6 packet that comes in by an interface."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        def open_socket() -> socket.socket:
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
            opened = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_IPV6))
            opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            opened.bind((interface, _ETH_P_IPV6))
            return opened

        self._socket = namespace.call(open_socket)

    def wait(
        self, wanted: Callable[[bytes], object], *, number: int = 1, within_s: float = 3.0
    ) -> list[bytes]:
        """Return the first packets that are wanted, or what there was when time is over."""
        found: list[bytes] = []
        end_s = time.monotonic() + within_s
        while len(found) < number and (left_s := end_s - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left_s)[0]:
                packet = self._socket.recv(65535)
                if wanted(packet):
                    found.append(packet)
        return found

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
