"""Puts packets into a TUN device's queue, and looks at what comes out of it."""

import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from mcoa.lab.namespaces import LabError

_ALL_PACKETS = 0x86DD  # IPv6
_TIMEOUT_S = 2.0
_BUFFER_OCTETS = 1 << 22


class Sender:
    """Sends whole IPv6 packets, of any source, by the routes of this namespace."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_OCTETS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, packets: Iterable[bytes], destination: str) -> int:
        """Send packets; return their number."""
        number = 0
        for packet in packets:
            self._socket.sendto(packet, (destination, 0))
            number += 1
        return number


class Tap:
    """Sees the packets that a process writes to a device of this namespace."""

    def __init__(self, device: str) -> None:
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PACKETS)
        )
        self._socket.bind((device, _ALL_PACKETS))
        self._socket.settimeout(_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def written(self) -> bytes:
        """Return the next packet that was written.

        Raises:
            LabError: there is none.
        """
        while True:
            try:
                packet, (_, _, kind, _, _) = self._socket.recvfrom(2048)
            except TimeoutError:
                raise LabError("the home agent did not answer") from None
            if kind != socket.PACKET_OUTGOING:
                return packet
