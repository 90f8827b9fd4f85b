"""Writes what passes the mobile node's uplinks to a pcapng file, as `lab.capture` does.

Mobility signalling and ICMPv6 are kept whole, of other packets the headers, up to a bound on
the file. Its times are virtual: the run begins with the year 1970.
"""

from collections.abc import Iterable
from pathlib import Path

from mcoa.lab.capture import ETHERNET_OCTETS, HEADER_OCTETS
from mcoa.lab.capture_control import LIMIT_OCTETS
from mcoa.lab.namespaces import LabError
from mcoa.lab.pcapng import (
    LINK_TYPE_RAW,
    enhanced_packet,
    interface_description,
    section_header,
)
from mcoa.lab.sightings import is_signalling
from mcoa.lab.simulated.clock import Clock
from mcoa.lab.simulated.links import UP
from mcoa.lab.topology import MOBILE_NODE

KEPT_OCTETS = HEADER_OCTETS - ETHERNET_OCTETS


class PacketFile:
    """An open file; `show` is a tap for the links that are named.

    Attributes:
        takes_data: whether packets other than signalling are written.
    """

    def __init__(self, path: Path, clock: Clock, links: Iterable[str]) -> None:
        """Begin the file; LabError if it cannot be written."""
        self._clock = clock
        self._numbers = {name: number for number, name in enumerate(links)}
        self.takes_data = False
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise LabError(f"{path} cannot be written: {error.strerror}") from None
        self._write(section_header("mcoa"))
        for name in self._numbers:
            self._write(interface_description(f"{MOBILE_NODE}:{name}", LINK_TYPE_RAW))

    def show(self, link: str, way: str, packet: bytes) -> None:
        """Write a packet, or what is wanted of it."""
        kept = packet
        if not is_signalling(packet):
            if not self.takes_data or self._file.tell() > LIMIT_OCTETS * 9 // 10:
                return
            kept = packet[:KEPT_OCTETS]
        timestamp_ns = round(self._clock.now * 1e9)
        self._write(
            enhanced_packet(
                self._numbers[link], timestamp_ns, kept, len(packet), outbound=way == UP
            )
        )

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def _write(self, block: bytes) -> None:
        if self._file.tell() + len(block) <= LIMIT_OCTETS:
            self._file.write(block)
