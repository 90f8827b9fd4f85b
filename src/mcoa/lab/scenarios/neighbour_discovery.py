"""Who spoke of which address on a link, judged from frames with eyes of the laboratory's own."""

from dataclasses import dataclass
from ipaddress import IPv6Address

from mcoa.lab.recorder import Recorded
from mcoa.lab.sightings import ICMPV6

SOLICITATION, ADVERTISEMENT = 135, 136
_FIRST, _LAST = 133, 137  # router solicitation, redirect
_SOURCE_OPTION, _TARGET_OPTION = 1, 2
_OVERRIDE = 0x20
_ALL_NODES = IPv6Address("ff02::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourMessage:
    """A message of neighbour discovery (RFC 4861 §4).

    Attributes:
        sender_mac: out of the frame.
        target: of solicitations, advertisements and redirects.
        link_layer_address: out of the option, if there is one.
        overrides: an advertisement with the O flag.
    """

    time_s: float
    kind: int
    sender_mac: bytes
    source: IPv6Address
    destination: IPv6Address
    target: IPv6Address | None
    link_layer_address: bytes | None
    overrides: bool

    def is_about(self, address: IPv6Address) -> bool:
        """Tell whether it asks for an address, tells about it, or comes from it."""
        return address in (self.target, self.source)

    def is_announcement_of(self, address: IPv6Address) -> bool:
        """Tell whether it tells all nodes of the link, unasked, where an address is."""
        is_to_all = self.destination == _ALL_NODES and self.overrides
        return is_to_all and self.kind == ADVERTISEMENT and self.target == address


def neighbour_message(recorded: Recorded) -> NeighbourMessage | None:
    """Return the message of neighbour discovery in a frame; None if there is none."""
    packet = recorded.packet
    is_icmpv6 = len(packet) >= 48 and packet[0] >> 4 == 6 and packet[6] == ICMPV6
    if not is_icmpv6 or not _FIRST <= packet[40] <= _LAST:
        return None
    has_target = packet[40] >= SOLICITATION and len(packet) >= 64
    return NeighbourMessage(
        time_s=recorded.time_s,
        kind=packet[40],
        sender_mac=recorded.frame[6:12],
        source=IPv6Address(packet[8:24]),
        destination=IPv6Address(packet[24:40]),
        target=IPv6Address(packet[48:64]) if has_target else None,
        link_layer_address=_link_layer_address(packet[64:]) if has_target else None,
        overrides=packet[40] == ADVERTISEMENT and bool(packet[44] & _OVERRIDE),
    )


def _link_layer_address(options: bytes) -> bytes | None:
    while len(options) >= 8 and options[1]:
        if options[0] in (_SOURCE_OPTION, _TARGET_OPTION):
            return options[2:8]
        options = options[8 * options[1] :]
    return None
