"""How large a packet a path takes, and whom to believe about it (RFC 2473 6.7, 7 and 8).

Anybody can send an ICMPv6 Packet Too Big. One is believed only if the packet that it quotes is
one that our tunnel could have sent: our outer source, and a care-of address together with the
home address that is bound to it.
"""

from dataclasses import dataclass
from typing import Final

from mcoa.dataplane.packet import (
    BASE_LENGTH,
    IPV6,
    MINIMUM_MTU,
    TUNNEL_OVERHEAD,
    upper_layer,
)

LEARNED_MTU_LIFETIME_S: Final = 600.0


class PathMtu:
    """The MTU of one path: its first link's, or for ten minutes what the network said.

    Attributes:
        link: MTU of the path as configured or as the interface has it; octets.
    """

    __slots__ = ("_learned", "_overhead", "_until", "link")

    def __init__(self, link: int, overhead: int = TUNNEL_OVERHEAD) -> None:
        self.link = link
        self._overhead = overhead
        self._learned = 0
        self._until = 0.0

    def path(self, now: float) -> int:
        """Return the octets that an outer packet may have."""
        if self._learned and now >= self._until:
            self._learned = 0  # routes change; RFC 8201 4 asks to probe again
        return min(self._learned or self.link, self.link)

    def tunnel(self, now: float) -> int:
        """Return the octets that an inner packet may have to need no fragmentation."""
        return self.path(now) - self._overhead

    def reduce(self, mtu: int, now: float) -> bool:
        """Take in a believed Packet Too Big; False when it says nothing new.

        Nothing below 1280 exists in IPv6, so a smaller value counts as 1280 (RFC 8201 4).
        """
        mtu = max(mtu, MINIMUM_MTU)
        if mtu > self.path(now) or mtu == self.link:
            return False
        changed = mtu != self._learned
        self._learned, self._until = mtu, now + LEARNED_MTU_LIFETIME_S
        return changed


def advertised_mtu(tunnel_mtu: int) -> int:
    """Return what an inner source is told: never less than 1280 (RFC 2473 7.1 a)."""
    return max(tunnel_mtu, MINIMUM_MTU)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedTunnelPacket:
    """The start of a tunnel packet as an ICMPv6 error quotes it; `inner` has 40 octets or more."""

    outer_source: bytes
    outer_destination: bytes
    inner: bytes


def quoted_tunnel_packet(quoted: bytes) -> QuotedTunnelPacket | None:
    """Read the packet that an ICMPv6 error quotes; None unless it shows a tunnel packet."""
    if len(quoted) < BASE_LENGTH or quoted[0] >> 4 != 6:
        return None
    upper = upper_layer(quoted)
    if upper is None or upper[0] != IPV6:
        return None
    inner = quoted[upper[1] :]
    if len(inner) < BASE_LENGTH or inner[0] >> 4 != 6:
        return None
    return QuotedTunnelPacket(
        outer_source=quoted[8:24], outer_destination=quoted[24:40], inner=inner
    )
