"""Raw IPv6 packets: their flow, their tunnel header, their ECN field (RFC 2473, RFC 6040).

Offsets worth knowing: next header 6, hop limit 7, source 8..24, destination 24..40, and in a
packet without extension headers the ports 40..44.
"""

from struct import Struct
from typing import Final

HOP_BY_HOP: Final = 0
TCP: Final = 6
UDP: Final = 17
IPV6: Final = 41
ROUTING: Final = 43
FRAGMENT: Final = 44
ESP: Final = 50
AUTHENTICATION: Final = 51
ICMPV6: Final = 58
DESTINATION_OPTIONS: Final = 60
MOBILITY_HEADER: Final = 135

BASE_LENGTH: Final = 40
TUNNEL_OVERHEAD: Final = 40
MINIMUM_MTU: Final = 1280
DEFAULT_HOP_LIMIT: Final = 64

#: Protocols whose first four octets are two ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
PORT_PROTOCOLS: Final = frozenset((TCP, UDP, 33, 132, 136))
_PORTS: Final = 4  # octets of both
_ECHO: Final = frozenset((128, 129))
_SKIPPED: Final = frozenset((HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS, AUTHENTICATION))
#: What hides the flow; and tunnel packets, which are to be looked at each time.
_NO_SHORTCUT: Final = _SKIPPED | {FRAGMENT, IPV6}
_MOST_HEADERS: Final = 8
_ENCAPSULATION_LIMIT: Final = 4

_tunnel_header = Struct("!4sH34s").pack

Upper = tuple[int, int, int]
"""Protocol, its offset, and the offset of the Fragment header before it (0 without one)."""


def upper_layer(packet: bytes) -> Upper | None:
    """Find what an IPv6 packet carries behind its extension headers.

    A fragment that is not the first one carries no header to look at: it is returned as
    protocol 44. None means that the chain is broken, or longer than anybody needs.
    """
    protocol, offset, fragment = packet[6], BASE_LENGTH, 0
    for _ in range(_MOST_HEADERS):
        if protocol in _SKIPPED:
            if len(packet) < offset + 8:
                return None
            size = (packet[offset + 1] + 1) * 8
            if protocol == AUTHENTICATION:  # counts in words of four octets (RFC 4302 2.2)
                size = (packet[offset + 1] + 2) * 4
            protocol, offset = packet[offset], offset + size
        elif protocol == FRAGMENT:
            if fragment or len(packet) < offset + 8:
                return None
            fragment = offset
            if packet[offset + 2] or packet[offset + 3] & 0xF8:
                return FRAGMENT, offset, offset
            protocol, offset = packet[offset], offset + 8
        else:
            return (protocol, offset, fragment) if offset <= len(packet) else None
    return None


class FlowClassifier:
    """Gives packets the key of their flow, and fragments that of their first fragment.

    Both directions of a flow have the same key: the protocol and the two ends, lower first.
    An end is an address with a port, or with the identifier of an ICMPv6 echo. An ICMPv6
    error belongs to the flow of the packet that it quotes. Not more than `most_fragmented`
    packets in fragments are remembered, the oldest are forgotten first.
    """

    __slots__ = ("_first_fragments", "_most_fragmented")

    def __init__(self, most_fragmented: int = 1024) -> None:
        self._most_fragmented = most_fragmented
        self._first_fragments: dict[bytes, bytes] = {}

    def key(self, packet: bytes) -> bytes | None:
        """Return the flow's key; None when nothing tells the flow.

        That is so for a broken header chain, and for a fragment that overtook the first one.
        """
        upper = upper_layer(packet)
        if upper is None:
            return None
        protocol, _, fragment = upper
        if not fragment:
            return _key_of(packet, upper)
        identity = packet[8:40] + packet[fragment + 4 : fragment + 8]
        if protocol == FRAGMENT:
            return self._first_fragments.get(identity)
        key = _key_of(packet, upper)
        self._remember(identity, key)
        return key

    def _remember(self, identity: bytes, key: bytes) -> None:
        memory = self._first_fragments
        memory.pop(identity, None)
        if len(memory) >= self._most_fragmented:
            del memory[next(iter(memory))]
        memory[identity] = key


def flow_key(packet: bytes) -> bytes | None:
    """Return the key of the flow of a single packet, as FlowClassifier does."""
    return FlowClassifier(1).key(packet)


def _key_of(packet: bytes, upper: Upper) -> bytes:
    protocol, offset, _ = upper
    source, destination = packet[8:24], packet[24:40]
    if protocol in PORT_PROTOCOLS and len(packet) >= offset + 4:
        source += packet[offset : offset + 2]
        destination += packet[offset + 2 : offset + 4]
    elif protocol == ICMPV6 and len(packet) >= offset + 8:
        if packet[offset] in _ECHO:
            source += packet[offset + 4 : offset + 6]
            destination += packet[offset + 4 : offset + 6]
        elif packet[offset] < 128:
            return _quoted_key(packet[offset + 8 :]) or _ordered(protocol, source, destination)
    return _ordered(protocol, source, destination)


def shortcut(packet: bytes) -> bytes:
    """Return octets that tell the flow of a packet without a look at its headers.

    Mostly 6..44: next header, hop limit, addresses, ports. Empty for a packet whose flow only
    its header chain tells.
    """
    protocol = packet[6] if len(packet) >= BASE_LENGTH else FRAGMENT
    if protocol in PORT_PROTOCOLS:
        return packet[6:44]
    if protocol == ICMPV6:
        echo = len(packet) >= BASE_LENGTH + 8 and packet[40] in _ECHO
        return packet[6:41] + packet[44:46] if echo else b""
    return b"" if protocol in _NO_SHORTCUT else packet[6:40]


def key_of_shortcut(octets: bytes) -> bytes:
    """Return the key of the flow that a shortcut(), which is not empty, leads to."""
    source, destination, ports = octets[2:18], octets[18:34], octets[34:]
    if len(ports) == _PORTS:
        source, destination = source + ports[:2], destination + ports[2:]
    elif ports:  # the type of an echo, and its identifier
        source, destination = source + ports[1:], destination + ports[1:]
    return _ordered(octets[0], source, destination)


def _quoted_key(quoted: bytes) -> bytes | None:
    upper = upper_layer(quoted) if len(quoted) >= BASE_LENGTH else None
    if upper is None or upper[0] == FRAGMENT:
        return None
    if upper[0] == ICMPV6 and quoted[upper[1] : upper[1] + 1] < b"\x80":
        return None  # an error about an error does not exist (RFC 4443 2.4 e)
    return _key_of(quoted, upper)


def _ordered(protocol: int, one: bytes, other: bytes) -> bytes:
    low, high = (one, other) if one < other else (other, one)
    return bytes((protocol,)) + low + high


def tunnel_prefix(
    source: bytes, destination: bytes, hop_limit: int = DEFAULT_HOP_LIMIT
) -> bytes:
    """Return the constant 34 octets of a tunnel header: next header, hop limit, addresses."""
    return bytes((IPV6, hop_limit)) + source + destination


def encapsulate(packet: bytes, prefix: bytes) -> bytes:
    """Put the tunnel header before a packet (RFC 2473 3.1).

    The first four octets are the inner packet's: version, DSCP, ECN (RFC 6040 normal mode)
    and the flow label, so that routers that spread by label keep a flow together (RFC 6438).
    """
    return _tunnel_header(packet[:4], len(packet), prefix) + packet


def encapsulate_with(options: bytes, packet: bytes, prefix: bytes) -> bytes:
    """Do as encapsulate(), with a whole header of destination options before the packet."""
    size = len(options) + len(packet)
    header = _tunnel_header(packet[:4], size, bytes((DESTINATION_OPTIONS,)) + prefix[1:])
    return header + options + packet


def encapsulation_limit_header(limit: int) -> bytes:
    """Return destination options with a Tunnel Encapsulation Limit (RFC 2473 4.1.1)."""
    return bytes((IPV6, 0, _ENCAPSULATION_LIMIT, 1, limit, 1, 1, 0))


def encapsulation_limit(packet: bytes) -> int:
    """Return the offset of the packet's own tunnel encapsulation limit, 0 without one."""
    protocol, offset = packet[6], BASE_LENGTH
    for _ in range(_MOST_HEADERS):
        if len(packet) < offset + 8:
            return 0
        if protocol == FRAGMENT and not (packet[offset + 2] or packet[offset + 3] & 0xF8):
            protocol, offset = packet[offset], offset + 8
            continue
        if protocol not in _SKIPPED or protocol == AUTHENTICATION:
            return 0
        end = min(offset + (packet[offset + 1] + 1) * 8, len(packet))
        if protocol == DESTINATION_OPTIONS:
            found = _find_option(packet, offset + 2, end, _ENCAPSULATION_LIMIT)
            if found:
                return found
        protocol, offset = packet[offset], end
    return 0


def is_tunnel_packet(packet: bytes) -> bool:
    """Tell whether a packet, or what it is a part of, carries another one, or may do so."""
    upper = upper_layer(packet)
    if upper is None:
        return False
    protocol, offset, _ = upper
    if protocol == FRAGMENT:  # not the first: what a destination option says is in that one
        return packet[offset] in (IPV6, DESTINATION_OPTIONS)
    return protocol == IPV6


def _find_option(packet: bytes, offset: int, end: int, wanted: int) -> int:
    """Return the offset of the one octet of data of option `wanted`, 0 without one."""
    while offset + 1 < end:
        if packet[offset] == 0:  # Pad1
            offset += 1
            continue
        size = packet[offset + 1]
        if packet[offset] == wanted and size == 1 and offset + 2 < end:
            return offset + 2
        offset += 2 + size
    return 0


#: Inner ECN after the tunnel, by inner (row) and outer (column): RFC 6040 figure 4. -1 drops.
_EGRESS_ECN: Final = (
    (0, 0, 0, -1),
    (1, 1, 1, 3),
    (2, 1, 2, 3),
    (3, 3, 3, 3),
)


def with_outer_ecn(inner: bytes, outer_ecn: int) -> bytes | None:
    """Carry what routers marked on the tunnel header over to the inner packet (RFC 6040 4.2).

    None means that the packet is to be dropped: congestion was met, and its sender would not
    understand the mark.
    """
    inner_ecn = inner[1] >> 4 & 3
    ecn = _EGRESS_ECN[inner_ecn][outer_ecn]
    if ecn == inner_ecn:
        return inner
    if ecn < 0:
        return None
    return inner[:1] + bytes((inner[1] & 0xCF | ecn << 4,)) + inner[2:]


def with_lower_hop_limit(packet: bytes) -> bytes | None:
    """Return the packet as one forwarding later, or None when its hop limit is used up."""
    if packet[7] <= 1:
        return None
    return packet[:7] + bytes((packet[7] - 1,)) + packet[8:]


def is_whole(packet: bytes) -> bool:
    """Tell whether this is an IPv6 packet of just the length that it claims."""
    return (
        len(packet) >= BASE_LENGTH
        and packet[0] >> 4 == 6
        and (packet[4] << 8 | packet[5]) + BASE_LENGTH == len(packet)
    )


def is_chatter(packet: bytes) -> bool:
    """Tell whether a packet is what a kernel says on a device by itself."""
    return packet[24:25] == b"\xff" or packet[8:10] == b"\xfe\x80"


def is_forwardable(packet: bytes) -> bool:
    """Tell whether both addresses may cross a router: no multicast, link-local or `::`."""
    for address in (packet[8:24], packet[24:40]):
        if address[0] == 0xFF or (address[0] == 0xFE and address[1] & 0xC0 == 0x80):
            return False
        if address[:15] == bytes(15) and address[15] < 2:
            return False
    return True
