"""What a packet on a wire shows from outside: its headers, tunnels opened, and its flow.

The laboratory judges the data plane, so it looks at packets with eyes of its own.
"""

import struct
from dataclasses import dataclass

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
TCP, UDP, IPV6, ROUTING, FRAGMENT, ESP, ICMPV6, DESTINATION_OPTIONS, MOBILITY = (
    6, 17, 41, 43, 44, 50, 58, 60, 135,
)  # fmt: skip
ECHO_REQUEST, ECHO_REPLY = 128, 129
DUAL_STACK_PORT = 4191
MOST_HEADERS = 16

_PORTS = struct.Struct("!HH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A transport flow, the same for both ways; `ports` is sorted.

    Of an echo train the only "port" is its identifier.
    """

    protocol: int
    ports: tuple[int, ...]

    @classmethod
    def tcp(cls, one: int, other: int) -> "Flow":
        """Return the TCP flow between two ports."""
        return cls(protocol=TCP, ports=tuple(sorted((one, other))))

    @classmethod
    def udp(cls, one: int, other: int) -> "Flow":
        """Return the UDP flow between two ports."""
        return cls(protocol=UDP, ports=tuple(sorted((one, other))))

    @classmethod
    def echo(cls, identifier: int) -> "Flow":
        """Return the flow of an ICMPv6 echo train."""
        return cls(protocol=ICMPV6, ports=(identifier,))


def header_chain(packet: bytes) -> list[tuple[int, int]]:
    """Return (protocol, offset) of each header of an IPv6 packet, tunnels included.

    The offset is that of the header which the protocol number announces. The chain ends
    where the packet does, or at a header that hides what follows.
    """
    if not packet or packet[0] >> 4 != 6:
        return []
    chain = [(IPV6, 0)]
    while len(chain) < MOST_HEADERS:
        protocol, offset = chain[-1]
        if protocol == IPV6:
            step, field = 40, 6
        elif protocol in (0, ROUTING, DESTINATION_OPTIONS):
            if len(packet) < offset + 2:
                break
            step, field = 8 * packet[offset + 1] + 8, 0
        elif protocol == FRAGMENT and len(packet) >= offset + 4:
            if int.from_bytes(packet[offset + 2 : offset + 4], "big") >> 3:
                break  # not the first fragment: the upper header is elsewhere
            step, field = 8, 0
        else:
            break
        if len(packet) < offset + step:
            break
        chain.append((packet[offset + field], offset + step))
    return chain


def is_signalling(packet: bytes) -> bool:
    """Tell whether an IP packet carries mobility signalling or ICMPv6, tunnelled or not."""
    if packet and packet[0] >> 4 == 4:
        start = (packet[0] & 15) * 4
        return packet[9:10] == b"\x11" and DUAL_STACK_PORT in _ports_at(packet, start)
    telling = {MOBILITY, ICMPV6, ROUTING, DESTINATION_OPTIONS}
    return any(
        protocol in telling
        or (protocol == UDP and DUAL_STACK_PORT in _ports_at(packet, offset))
        for protocol, offset in header_chain(packet)
    )


def flow_of(packet: bytes) -> Flow | None:
    """Return the innermost TCP, UDP or echo flow of an IPv6 packet; None if it has none."""
    chain = header_chain(packet)
    if not chain:
        return None
    protocol, offset = chain[-1]
    if protocol in (TCP, UDP) and (ports := _ports_at(packet, offset)):
        return Flow(protocol=protocol, ports=tuple(sorted(ports)))
    is_echo = packet[offset : offset + 1] in (bytes([ECHO_REQUEST]), bytes([ECHO_REPLY]))
    if protocol == ICMPV6 and is_echo and len(packet) >= offset + 6:
        return Flow.echo(int.from_bytes(packet[offset + 4 : offset + 6], "big"))
    return None


def _ports_at(packet: bytes, offset: int) -> tuple[int, ...]:
    return _PORTS.unpack_from(packet, offset) if len(packet) >= offset + 4 else ()
