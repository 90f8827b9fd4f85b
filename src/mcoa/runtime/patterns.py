"""Which packets a capture takes: those with certain octets, counted from their IPv6 header.

A filter looks at fixed places, so it sees the first extension header only. All that mobility
needs comes first: a type 2 routing header (RFC 6275 §6.4), and a destination options header in
which the alignment 8n+6 of the Home Address option (RFC 6275 §6.3) puts its type at octet 46.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

_NEXT_HEADER, _SOURCE, _SECOND_NEXT_HEADER, _INNER_DESTINATION = 6, 8, 40, 64
_IPV6, _FRAGMENT, _DESTINATION_OPTIONS = 41, 44, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Octet:
    """An octet that a packet must have; `offset` counts from its IPv6 header."""

    offset: int
    value: int


Pattern = tuple[Octet, ...]
"""The octets that all packets of one kind have."""

TYPE_2_ROUTING_HEADER: Final[Pattern] = (
    Octet(offset=_NEXT_HEADER, value=43),
    Octet(offset=42, value=2),
)
HOME_ADDRESS_OPTION: Final[Pattern] = (
    Octet(offset=_NEXT_HEADER, value=_DESTINATION_OPTIONS),
    Octet(offset=46, value=0xC9),
)
MOBILITY_HEADER: Final[Pattern] = (Octet(offset=_NEXT_HEADER, value=135),)

# Behind the IPv6 header of a tunnel packet: the inner packet; or first the options that mark
# copies or limit encapsulation (RFC 2473 §4.1.1); and a fragment of either.
_TUNNEL_CHAINS: Final = (
    (_IPV6, None),
    (_DESTINATION_OPTIONS, _IPV6),
    (_DESTINATION_OPTIONS, _FRAGMENT),
    (_FRAGMENT, _IPV6),
    (_FRAGMENT, _DESTINATION_OPTIONS),
)

MOST_PATTERNS: Final = 16
"""Of one capture."""


def tunnel_patterns(home_agent: IPv6Address) -> tuple[Pattern, ...]:
    """Return the patterns of the tunnel packets of a home agent, whole or in fragments.

    Those of others are left to the kernel, which may have tunnels of its own; but see tunnel_to.
    """
    source = _address(_SOURCE, home_agent)
    return tuple((*_chain(first, second), *source) for first, second in _TUNNEL_CHAINS)


def tunnel_to(home_address: IPv6Address) -> Pattern:
    """Return the pattern of tunnel packets with something for a home address.

    Only the home agent may send such: what others send, no tunnel of the kernel is to open.
    """
    return (*_chain(_IPV6, None), *_address(_INNER_DESTINATION, home_address))


def _address(offset: int, address: IPv6Address) -> Pattern:
    return tuple(
        Octet(offset=offset + place, value=value) for place, value in enumerate(address.packed)
    )


def _chain(first: int, second: int | None) -> Pattern:
    octet = Octet(offset=_NEXT_HEADER, value=first)
    if second is None:
        return (octet,)
    return (octet, Octet(offset=_SECOND_NEXT_HEADER, value=second))
