"""All signalling and ICMPv6 of the laboratory, recorded as it passes the wires."""

import struct
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path

from decode.agreement import compare, descriptions
from decode.captures import ETHERNET, pcap
from decode.tshark import opinions
from mcoa.dataplane.copies import number_in
from mcoa.lab.capture import Tap
from mcoa.lab.recorder import Recorded, Recorder
from mcoa.lab.sightings import (
    DESTINATION_OPTIONS,
    ETHERTYPE_IPV6,
    ICMPV6,
    IPV6,
    MOBILITY,
    ROUTING,
    header_chain,
)
from mcoa.lab.topology import HOME_AGENT, Network
from mcoa.wire.ipv6 import parse_packet
from mcoa.wire.messages import Message, decode_message
from mcoa.wire.reader import ParseError

HOME_LINK = "home"


class Sighting(Recorded):
    """A frame on a wire, with what it says.

    `place` is the name of the link, at its access router; or HOME_LINK, at the agent.
    """

    __slots__ = ()

    @property
    def source(self) -> IPv6Address:
        return IPv6Address(self.packet[8:24])

    @property
    def destination(self) -> IPv6Address:
        return IPv6Address(self.packet[24:40])

    @property
    def message(self) -> Message | None:
        try:
            parsed = parse_packet(self.packet)
            return decode_message(parsed.payload) if parsed.protocol == MOBILITY else None
        except ParseError:
            return None

    @property
    def icmpv6_type(self) -> int | None:
        """The type of an ICMPv6 message, in a tunnel too."""
        protocol, offset = header_chain(self.packet)[-1]
        return self.packet[offset] if protocol == ICMPV6 and offset < len(self.packet) else None

    @property
    def is_mobility(self) -> bool:
        chain = {protocol for protocol, _ in header_chain(self.packet)}
        return bool(chain & {MOBILITY, ROUTING, DESTINATION_OPTIONS})


class Wire(Recorder):
    """Records at every access router's radio, and at the agent's home link."""

    def __init__(self, network: Network) -> None:
        taps = [
            Tap(namespace=network[link.router].path, interface="radio", label=link.name)
            for link in network.topology.links
        ]
        taps.append(Tap(namespace=network[HOME_AGENT].path, interface="eth0", label=HOME_LINK))
        super().__init__(taps)

    def seen(self, since_s: float = 0.0) -> list[Sighting]:
        """Return what has passed since a moment of the real-time clock."""
        return [
            Sighting(
                place=each.place,
                outbound=each.outbound,
                time_s=each.time_s,
                frame=each.frame,
            )
            for each in super().seen(since_s)
        ]

    def messages(self, since_s: float = 0.0) -> Iterator[tuple[Sighting, Message]]:
        """Yield messages since a moment, with where each was seen."""
        for each in self.seen(since_s):
            if (message := each.message) is not None:
                yield each, message

    def errors(self, *expected: int) -> list[Sighting]:
        """Return the ICMPv6 errors seen, but those of expected types.

        A router may say that a care-of address has gone before the agent knows.
        """
        return [
            each
            for each in self.seen()
            if (kind := each.icmpv6_type) is not None
            and kind < 128
            and kind not in expected
            and not _is_of_tunnel_to_nobody(each.packet)
        ]

    def judge(self, directory: Path) -> Counter[str]:
        """Have Wireshark and scapy look at every message; returns their names, counted."""
        packets = [each.packet for each in self.seen() if each.is_mobility]
        capture = directory / "wire.pcap"
        ethernet = bytes(12) + struct.pack("!H", ETHERTYPE_IPV6)
        capture.write_bytes(pcap((ethernet + each for each in packets), ETHERNET))
        ours = descriptions(capture.read_bytes())
        theirs = opinions(capture)
        assert len(theirs) == len(packets)
        for number, (packet, opinion) in enumerate(zip(packets, theirs, strict=True), 1):
            assert not opinion.malformed, packet.hex()
            if number_in(packet) is not None:  # a copy of somebody's packet, which says nothing
                continue
            assert number in ours, packet.hex()
            assert ours[number]["error"] is None, packet.hex()
            compare(ours[number], opinion)
            _check_sum(packet)
        return Counter(str(each["message"]) for each in ours.values())


def _is_of_tunnel_to_nobody(packet: bytes) -> bool:
    """Tell whether this says that a tunnel packet has no route or reaches nobody."""
    return packet[40:42] in {b"\x01\x00", b"\x01\x03"} and packet[54:55] == bytes((IPV6,))


def _check_sum(packet: bytes) -> None:
    """Have scapy verify the checksum, over the addresses that count."""
    from scapy.layers.inet6 import IPv6, in6_chksum  # noqa: PLC0415 - slow to import

    for protocol, offset in header_chain(packet):
        inner = packet[offset:]
        if protocol != 41 and offset:
            continue
        try:
            parsed = parse_packet(inner)
        except ParseError:
            continue
        if parsed.protocol == MOBILITY:
            header = IPv6(src=str(parsed.checksum_source), dst=str(parsed.checksum_destination))
            assert in6_chksum(MOBILITY, header, parsed.payload) == 0, packet.hex()
