"""Rules for flows: which links a flow may choose from, and how it chooses.

The mobile node's wish decides for both directions: the home agent is told what a flow binding can
say, and sends other flows down the path over which their last packet came up. Where no rule
matches, new flows are spread over all links.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Network
from math import inf
from typing import Final

from mcoa.dataplane.flows import Home
from mcoa.dataplane.packet import (
    BASE_LENGTH,
    FRAGMENT,
    ICMPV6,
    PORT_PROTOCOLS,
    upper_layer,
)
from mcoa.dataplane.path import PathState

_ALL_ONES: Final = (1 << 128) - 1
_LEAST_GAIN, _LEAST_GAIN_S = 0.2, 0.005


class Verb(StrEnum):
    """How a flow chooses among the links of its rule."""

    STICK = "stick"
    """The first one that is there; back to it when it returns."""

    SPREAD = "spread"
    """The least loaded one, and then no other."""

    LOWEST_LATENCY = "lowest-latency"
    """The one whose probes return soonest; another one when that is clearly sooner."""

    DUPLICATE = "duplicate"
    """All of them: a copy of each packet goes over each, and the other end keeps the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a packet of the mobile node has to be like; what is empty or None matches all.

    Attributes:
        to: prefixes that the far end is in.
        ports: of the far end.
        own_ports: of the mobile node.
        protocols: numbers of the upper layer.
        dscp: values of the six bits of differentiated services.
        flow_labels: values of the twenty bits.
    """

    to: tuple[IPv6Network, ...] = ()
    ports: tuple[range, ...] = ()
    own_ports: tuple[range, ...] = ()
    protocols: frozenset[int] = frozenset()
    dscp: frozenset[int] = frozenset()
    flow_labels: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A wish for the flows that match; `links` in order of preference."""

    name: str
    match: Match
    verb: Verb
    links: tuple[str, ...]

    def pick(self, home: Home) -> PathState | None:
        """Return the path for a flow that has none yet; None while none of the links serves."""
        allowed = self._allowed(home)
        match self.verb:
            case Verb.SPREAD:
                return min(allowed, key=_load, default=None)
            case Verb.LOWEST_LATENCY:
                return min(allowed, key=_round_trip, default=None)
            case Verb.STICK | Verb.DUPLICATE:
                ranks = {link: rank for rank, link in enumerate(self.links)}
                return min(
                    allowed,
                    key=lambda path: (ranks[path.path.link], path.load),
                    default=None,
                )

    def keeps(self, path: PathState, home: Home) -> bool:
        """Tell whether a flow may stay on its path."""
        if not path.live:
            return False
        if self.verb is Verb.SPREAD and path.path.link in self.links:
            return True
        wanted = self.pick(home)
        if wanted is None or wanted.path.link == path.path.link:
            return True
        is_measured = self.verb is Verb.LOWEST_LATENCY and path.path.link in self.links
        return is_measured and not _is_clearly_sooner(wanted, path)

    def copies(self, home: Home) -> list[PathState]:
        """Return the paths that packets are copied to; none where they are not."""
        if self.verb is not Verb.DUPLICATE:
            return []
        first_of = {path.path.link: path for path in reversed(self._allowed(home))}
        return list(first_of.values()) if len(first_of) > 1 else []

    def _allowed(self, home: Home) -> list[PathState]:
        paths = home.paths.values()
        return [path for path in paths if path.live and path.path.link in self.links]


class _Matcher:
    """A Match as numbers and masks."""

    def __init__(self, match: Match) -> None:
        self._match = match
        self._prefixes = [
            (int(prefix.network_address), _ALL_ONES << (128 - prefix.prefixlen) & _ALL_ONES)
            for prefix in match.to
        ]
        self._has_ports = bool(match.ports or match.own_ports)

    def matches(self, packet: bytes) -> bool:
        match = self._match
        if self._prefixes:
            far = int.from_bytes(packet[24:40])
            if not any(far & mask == network for network, mask in self._prefixes):
                return False
        if match.dscp and int.from_bytes(packet[:2]) >> 6 & 0x3F not in match.dscp:
            return False
        if match.flow_labels and int.from_bytes(packet[1:4]) & 0xFFFFF not in match.flow_labels:
            return False
        if not match.protocols and not self._has_ports:
            return True
        return self._matches_upper_layer(packet)

    def _matches_upper_layer(self, packet: bytes) -> bool:
        match, upper = self._match, upper_layer(packet)
        if upper is None:
            return False
        protocol, offset, _ = upper
        if protocol == FRAGMENT:  # it follows its first, which has its flow
            return False
        if match.protocols and protocol not in match.protocols:
            return False
        if not self._has_ports:
            return True
        if protocol not in PORT_PROTOCOLS or len(packet) < offset + 4:
            return False
        own = int.from_bytes(packet[offset : offset + 2])
        far = int.from_bytes(packet[offset + 2 : offset + 4])
        return _is_in(own, match.own_ports) and _is_in(far, match.ports)


class Rules:
    """Rules in order; the first that matches decides."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._matchers = [(_Matcher(rule.match), rule) for rule in self.rules]

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.rules)

    @property
    def measure(self) -> bool:
        """Whether where flows belong may change with the round trips of paths."""
        return any(rule.verb is Verb.LOWEST_LATENCY for rule in self.rules)

    def rule_for(self, packet: bytes) -> Rule | None:
        """Return the rule for a whole packet of the mobile node; None where none matches.

        An ICMPv6 error has the rule of the flow that it is about.
        """
        if packet[6] == ICMPV6 and packet[BASE_LENGTH : BASE_LENGTH + 1] < b"\x80":
            return None
        for matcher, rule in self._matchers:
            if matcher.matches(packet):
                return rule
        return None


def _is_in(port: int, ranges: Iterable[range]) -> bool:
    return not ranges or any(port in each for each in ranges)


def _load(path: PathState) -> float:
    return path.load


def _round_trip(path: PathState) -> tuple[float, float]:
    """Return what to compare paths by; those without probes come last, by their loads."""
    return (inf if path.round_trip_s is None else path.round_trip_s, path.load)


def _is_clearly_sooner(one: PathState, other: PathState) -> bool:
    """Tell whether to change paths is worth it: packets overtake each other then."""
    if one.round_trip_s is None:
        return False
    if other.round_trip_s is None:
        return True
    gain_s = other.round_trip_s - one.round_trip_s
    return gain_s > max(_LEAST_GAIN * other.round_trip_s, _LEAST_GAIN_S)


PROTOCOLS: Final = {"tcp": 6, "udp": 17, "icmpv6": ICMPV6, "esp": 50, "sctp": 132}
"""Names that a file may use for numbers."""
