"""Takes tunnel packets apart that came as they were on the wire (RFC 2473 3.3, RFC 8200 4.5).

A home agent's come to its device, a mobile node's are taken below the kernel's IPv6: neither has
a kernel that puts fragments together or skips extension headers for it.
"""

from typing import Final

from mcoa.dataplane.copies import number_in
from mcoa.dataplane.counters import DropReason, Drops
from mcoa.dataplane.fragment import Reassembler
from mcoa.dataplane.packet import BASE_LENGTH, IPV6, upper_layer
from mcoa.wire.ipv6 import parse_packet
from mcoa.wire.reader import ParseError

_TRAFFIC_CLASS: Final = 0xFF

TunnelPacket = tuple[bytes, bytes, bytes, int, int | None]
"""Inner packet, outer source, outer destination, outer traffic class, and the number of a copy;
a plain tuple, because one is made for every packet."""


class TunnelExit:
    """Opens tunnel packets, and puts together those that came in fragments.

    Args:
        drops: counts those that cannot be opened.
    """

    def __init__(self, drops: Drops) -> None:
        self._reassembler = Reassembler()
        self._drops = drops

    def open(self, packet: bytes, now: float) -> TunnelPacket | None:
        """Return what a packet contains; None for a fragment whose others are still to come."""
        if packet[6] == IPV6:
            return _opened(packet, BASE_LENGTH, None)
        upper = upper_layer(packet)
        if upper is not None and upper[2]:
            whole = self._reassembler.add(packet, now)
            return None if whole is None else self.open(whole, now)
        if upper is None or upper[0] != IPV6 or not may_be_skipped(packet):
            self._drops.report(DropReason.MALFORMED, packet[8:24], bytes(16), now)
            return None
        return _opened(packet, upper[1], number_in(packet))

    def expire(self, now: float) -> None:
        """Give up fragments whose others have not come; once a second is good."""
        self._reassembler.expire(now)

    def counts(self) -> dict[str, int]:
        """Return how many packets were put together, and why others were not."""
        return self._reassembler.counts()


def may_be_skipped(packet: bytes) -> bool:
    """Return True if the extension headers of a tunnel packet are harmless.

    A tunnel encapsulation limit is; a home address has no place there.
    """
    try:
        parsed = parse_packet(packet)
    except ParseError:
        return False
    return not parsed.home_address and not parsed.routing_home_address


def _opened(packet: bytes, at: int, number: int | None) -> TunnelPacket:
    end = BASE_LENGTH + (packet[4] << 8 | packet[5])  # a link may have padded it
    traffic_class = (packet[0] << 4 | packet[1] >> 4) & _TRAFFIC_CLASS
    return packet[at:end], packet[8:24], packet[24:40], traffic_class, number
