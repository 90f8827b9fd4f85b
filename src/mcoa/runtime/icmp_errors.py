"""What the network says about packets that a mobile node sent (RFC 6275 §11.3.5, RFC 4443)."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

from mcoa.dataplane.direct import without_home_address, without_routing_header
from mcoa.dataplane.icmp import says_undelivered
from mcoa.dataplane.packet import BASE_LENGTH, IPV6, MOBILITY_HEADER
from mcoa.runtime.sockets import IcmpPacket

_UNKNOWN_HEADER, _UNKNOWN_OPTION = 1, 2  # codes of a Parameter Problem (RFC 4443 §3.4)
_COOKIE = slice(BASE_LENGTH + 8, BASE_LENGTH + 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class TooBig:
    """A path takes less; `inner` is the start of the packet, as its application sent it."""

    bid: int
    mtu: int
    inner: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A packet did not get where its path led; `inner` as in TooBig."""

    bid: int
    inner: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NotUnderstood:
    """A node knows no mobility; `cookie` is that of our test, empty for a direct packet."""

    peer: IPv6Address
    cookie: bytes = b""


def read_too_big(message: bytes, bids: Mapping[bytes, int], home_agent: bytes) -> TooBig | None:
    """Read a Packet Too Big that quotes a packet of ours, in a tunnel or direct."""
    mtu, quoted = int.from_bytes(message[4:8]), message[8:]
    bid, inner = _quoted(quoted, bids, home_agent)
    return TooBig(bid=bid, mtu=mtu, inner=inner) if bid is not None and inner else None


def read_undelivered(
    message: bytes, bids: Mapping[bytes, int], home_agent: bytes
) -> Undelivered | None:
    """Read an error that quotes a packet of ours that did not get there, likewise."""
    if not says_undelivered(message[0], message[1]):
        return None
    bid, inner = _quoted(message[8:], bids, home_agent)
    return Undelivered(bid=bid, inner=inner) if bid is not None and inner else None


def _quoted(
    quoted: bytes, bids: Mapping[bytes, int], home_agent: bytes
) -> tuple[int | None, bytes]:
    """Return the BID of the path of a packet of ours, and what was inside."""
    is_in_tunnel = quoted[24:40] == home_agent and quoted[6:7] == bytes((IPV6,))
    plain = without_home_address(without_routing_header(quoted) or quoted)
    return bids.get(quoted[8:24]), quoted[BASE_LENGTH:] if is_in_tunnel else plain


def read_not_understood(packet: IcmpPacket, home_address: bytes) -> NotUnderstood | None:
    """Read a Parameter Problem about a test or a direct packet, if its receiver sent it."""
    code, quoted = packet.message[1], packet.message[8:]
    if len(quoted) < _COOKIE.stop or quoted[24:40] != packet.source.packed:
        return None
    if code == _UNKNOWN_HEADER and quoted[6] == MOBILITY_HEADER:
        return NotUnderstood(peer=packet.source, cookie=quoted[_COOKIE])
    if code == _UNKNOWN_OPTION and without_home_address(quoted)[8:24] == home_address:
        return NotUnderstood(peer=packet.source)
    return None
