"""The chain of IPv6 extension headers, read from its first to its last (RFC 8200 §4)."""

from dataclasses import dataclass
from ipaddress import IPv6Address
from struct import Struct
from typing import ClassVar, Final

from mcoa.wire.reader import Disposition, ParseError, Reader, require_range

HOP_BY_HOP: Final = 0
ROUTING: Final = 43
FRAGMENT: Final = 44
DESTINATION_OPTIONS: Final = 60
EXTENSIONS: Final = frozenset((HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS))

PAD1: Final = 0
PADN: Final = 1
TUNNEL_ENCAPSULATION_LIMIT: Final = 4
HOME_ADDRESS: Final = 201
TYPE_2: Final = 2
FRAGMENT_HEADER: Final = Struct("!BBHI")

# Between the Next Header and the address, where a header says nothing else.
HOME_ADDRESS_LAYOUT: Final = bytes((2, PADN, 2, 0, 0, HOME_ADDRESS, 16))
ROUTING_LAYOUT: Final = bytes((2, TYPE_2, 1, 0, 0, 0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """Fragment header (RFC 8200 §4.5).

    Attributes:
        offset: of this fragment's payload in the whole, in octets, a multiple of 8.
        more: whether others follow it.
    """

    LARGEST_OFFSET: ClassVar = 8 * 0x1FFF

    identification: int
    offset: int = 0
    more: bool = False

    def __post_init__(self) -> None:
        require_range("identification", self.identification, 0, 0xFFFF_FFFF)
        require_range("offset", self.offset, 0, self.LARGEST_OFFSET)
        if self.offset % 8:
            raise ValueError(f"fragment offset {self.offset} is not a multiple of 8")

    @property
    def is_whole(self) -> bool:
        """True when it holds all of its packet."""
        return self.offset == 0 and not self.more


class Chain:
    """What the extension headers of one packet said so far.

    Attributes:
        multicast: the packet goes to many, who do not all complain.
        lenient: what a receiver would refuse is skipped.
    """

    __slots__ = (
        "fragment",
        "home_address",
        "lenient",
        "multicast",
        "routing_home_address",
        "tunnel_limit",
    )

    def __init__(self, *, multicast: bool, lenient: bool) -> None:
        self.multicast = multicast
        self.lenient = lenient
        self.home_address: IPv6Address | None = None
        self.routing_home_address: IPv6Address | None = None
        self.fragment: Fragment | None = None
        self.tunnel_limit: int | None = None


def walk(body: Reader, protocol: int, chain: Chain) -> int:
    """Read extension headers until the payload begins; return the payload's protocol."""
    first = body.offset
    while protocol in EXTENSIONS:
        if protocol == FRAGMENT:
            protocol = _parse_fragment(body, chain)
            if chain.fragment is not None and not chain.fragment.is_whole:
                break
            continue
        if protocol == HOP_BY_HOP and body.offset != first:
            # RFC 8200 §4.1: only right behind the IPv6 header.
            reason = "a Hop-by-Hop Options header stands behind another one"
            raise ParseError(body.offset, reason, Disposition.PARAMETER_PROBLEM, code=1)
        start = body.offset
        following, length = body.uint8("Next Header"), body.uint8("Hdr Ext Len")
        extension = body.within(6 + 8 * length, "extension header")
        if protocol == ROUTING:
            _parse_routing(extension, start, chain)
        else:
            _parse_options(extension, chain)
        protocol = following
    return protocol


def _parse_fragment(body: Reader, chain: Chain) -> int:
    start = body.offset
    fields = FRAGMENT_HEADER.unpack(body.take(FRAGMENT_HEADER.size, "Fragment header"))
    protocol, _, where, identification = fields
    if chain.fragment is not None:
        raise ParseError(start, "a second Fragment header")
    chain.fragment = Fragment(
        identification=identification, offset=where & 0xFFF8, more=bool(where & 1)
    )
    return int(protocol)


def _parse_routing(body: Reader, start: int, chain: Chain) -> None:
    """Read a routing header; the reader stands at its Routing Type (RFC 6275 §6.4.1)."""
    kind, segments_left = body.uint8("Routing Type"), body.uint8("Segments Left")
    if kind != TYPE_2:
        if segments_left and not chain.lenient:
            # RFC 8200 §4.4; the addresses that remain are not for us to visit.
            reason = f"routing type {kind} with {segments_left} segments left"
            raise ParseError(start + 2, reason, Disposition.PARAMETER_PROBLEM)
        return
    if body.remaining != 20:
        raise ParseError(start + 1, "the type 2 routing header has not 24 octets")
    if segments_left != 1:
        raise ParseError(start + 3, f"Segments Left is {segments_left}, not 1")
    if chain.routing_home_address is not None:
        raise ParseError(start, "a second type 2 routing header")
    body.uint32("Reserved")
    chain.routing_home_address = body.address("Home Address")


def _parse_options(body: Reader, chain: Chain) -> None:
    while body.remaining:
        start, kind = body.offset, body.uint8("option type")
        if kind == PAD1:
            continue
        option = body.within(body.uint8("Opt Data Len"), f"option {kind}")
        length = option.remaining
        if kind == HOME_ADDRESS and length == 16:
            if chain.home_address is not None:
                raise ParseError(start, "a second Home Address option")
            chain.home_address = option.address("Home Address")
        elif kind == TUNNEL_ENCAPSULATION_LIMIT and length == 1:
            chain.tunnel_limit = option.uint8("Tunnel Encapsulation Limit")
        elif kind != PADN and not chain.lenient:
            _refuse_unknown_option(kind, start, chain)


def _refuse_unknown_option(kind: int, start: int, chain: Chain) -> None:
    """Do what the top two bits of an option's type ask for (RFC 8200 §4.2)."""
    reason = f"destination option {kind} is unknown or of a wrong length"
    match kind >> 6:
        case 0:
            return
        case 1:
            raise ParseError(start, reason)
        case 3 if chain.multicast:
            raise ParseError(start, reason)
        case _:
            raise ParseError(start, reason, Disposition.PARAMETER_PROBLEM, code=2)
