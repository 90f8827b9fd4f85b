"""The packets of a transfer: UDP with two numbers in front of the payload.

Towards the receiver they are the number of the segment and that of the transmission; back
come the number of the first segment that is missing, and the transmission that is confirmed.
"""

from struct import Struct

from mcoa.dataplane.packet import DEFAULT_HOP_LIMIT, UDP
from mcoa.wire.checksum import upper_layer_checksum

_IPV6 = Struct("!IHBB16s16s")
_PORTS_AND_LENGTH = Struct("!HHH")
_CHECKSUM_AND_NUMBERS = Struct("!HII")
_NUMBERS_AT = 48
_NUMBERS = Struct("!II")
HEADER_OCTETS = 8 + _NUMBERS.size


class Segments:
    """Makes the packets of one direction of one connection: all alike but for the numbers.

    Both ends use the same port. `octets` is the length of the payload, which is all zeros.
    """

    def __init__(self, source: bytes, destination: bytes, port: int, octets: int = 0) -> None:
        length = HEADER_OCTETS + octets
        udp = _PORTS_AND_LENGTH.pack(port, port, length)
        self._head = (
            _IPV6.pack(6 << 28, length, UDP, DEFAULT_HOP_LIMIT, source, destination) + udp
        )
        self._payload = bytes(octets)
        empty = udp + bytes(length - len(udp))
        self._complement = upper_layer_checksum(empty, source, destination, UDP)

    def packet(self, first: int, second: int) -> bytes:
        """Return the packet with these numbers, its checksum included."""
        # Modulo 65535 a number of 32 bits and the sum of its halves are the same.
        checksum = (self._complement - first - second) % 0xFFFF or 0xFFFF
        return self._head + _CHECKSUM_AND_NUMBERS.pack(checksum, first, second) + self._payload


def numbers(packet: bytes) -> tuple[int, int]:
    """Return the two numbers of a packet."""
    first, second = _NUMBERS.unpack_from(packet, _NUMBERS_AT)
    return first, second
