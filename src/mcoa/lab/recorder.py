"""Records frames as they pass interfaces of several namespaces, for judging them afterwards."""

import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mcoa.lab.capture import (
    ETHERNET_OCTETS,
    PACKET_OUTGOING,
    SO_TIMESTAMPNS,
    Tap,
    attach_filter,
    open_tap,
    signalling_filter,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A frame on a wire.

    Attributes:
        place: the label of the tap.
        outbound: it left the interface.
        time_s: of the real-time clock.
        frame: from the Ethernet header on.
    """

    place: str
    outbound: bool
    time_s: float
    frame: bytes

    @property
    def packet(self) -> bytes:
        """What is behind the Ethernet header."""
        return self.frame[ETHERNET_OCTETS:]


class Recorder:
    """Records signalling and ICMPv6, tunnelled too, from its entry to its exit."""

    def __init__(self, taps: Sequence[Tap]) -> None:
        self._sockets = {open_tap(tap): tap.label for tap in taps}
        for each in self._sockets:
            attach_filter(each, signalling_filter(ETHERNET_OCTETS))
        self._seen: list[Recorded] = []
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._record)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        for each in self._sockets:
            each.close()

    def seen(self, since_s: float = 0.0) -> list[Recorded]:
        """Return what has passed since a moment of the real-time clock, in order."""
        return sorted(
            (each for each in list(self._seen) if each.time_s >= since_s),
            key=lambda each: each.time_s,
        )

    def _record(self) -> None:
        while True:
            ready, _, _ = select.select([*self._sockets, self._stopped], [], [])
            for each in ready:
                if each is self._stopped:
                    return
                self._take(each)

    def _take(self, tapped: socket.socket) -> None:
        try:
            frame, ancillary, _, address = tapped.recvmsg(65535, 64)
        except OSError:  # the interface just went down
            return
        time_s = time.time()
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack_from("=qq", data)
                time_s = seconds + nanoseconds / 1e9
        self._seen.append(
            Recorded(
                place=self._sockets[tapped],
                outbound=address[2] == PACKET_OUTGOING,
                time_s=time_s,
                frame=frame,
            )
        )
