"""What the forwarder did: drops by reason, packets by path, and who is told of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mcoa.dataplane.icmp import RateLimiter
from mcoa.dataplane.packet import is_forwardable, is_whole
from mcoa.dataplane.path import PathState
from mcoa.dataplane.table import ForwardingTable

_REPORTS_A_SECOND: Final = 1.0
_REPORTS_AT_ONCE: Final = 10.0


class DropReason(StrEnum):
    """Why a packet went no further."""

    NOT_REGISTERED = "outer source is not registered for the inner source"
    NOT_FROM_HOME_AGENT = "tunnel packet is not from the home agent"
    NOT_HOME_ADDRESS = "not from or to the home address"
    NO_BINDING = "home address has no binding"
    TOO_BIG = "larger than the tunnel carries"
    MALFORMED = "malformed"
    NOT_FORWARDABLE = "multicast, link-local or unspecified address"
    HOP_LIMIT = "hop limit used up"
    CONGESTION = "congestion mark on a packet that does not know marks"
    ENCAPSULATION_LIMIT = "tunnel encapsulation limit used up"
    LOOP = "tunnel packet back at its entry"
    NOT_BOUND = "home address is not bound to the source of the packet"
    COPY = "copy of a packet that came over another path"
    NOT_SERVED = "no such service at this address"


Reporter = Callable[[DropReason, bytes, bytes], object]
"""Called with the reason, the outer source and the inner source, not too often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCounters:
    """One path as an operator sees it; packets and octets are those of inner packets."""

    home_address: bytes
    bid: int
    care_of_address: bytes
    link: str
    bound: bool
    down: bool
    active_flows: int
    tunnel_mtu: int
    packets_in: int
    octets_in: int
    packets_out: int
    octets_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The forwarder at one moment.

    Attributes:
        drops: packets by reason, without the reasons that never occurred.
        fragments: outer fragments made, packets put together again, and fragments dropped.
    """

    home_addresses: int
    flows: int
    paths: tuple[PathCounters, ...]
    drops: dict[str, int]
    fragments: dict[str, int]


class Drops:
    """Counts drops, and reports those that an operator should hear of."""

    def __init__(self, report: Reporter) -> None:
        self.counts = dict.fromkeys(DropReason, 0)
        self._report = report
        # One bucket a reason, so that a flood of one kind does not hide the others.
        self._limits = {
            reason: RateLimiter(_REPORTS_A_SECOND, _REPORTS_AT_ONCE) for reason in DropReason
        }

    def count(self, reason: DropReason) -> None:
        """Count a drop that is nobody's fault."""
        self.counts[reason] += 1

    def refuses(self, packet: bytes) -> bool:
        """Tell whether a packet is none that could go anywhere; count it then."""
        if not is_whole(packet):
            self.count(DropReason.MALFORMED)
        elif not is_forwardable(packet):
            self.count(DropReason.NOT_FORWARDABLE)
        else:
            return False
        return True

    def report(self, reason: DropReason, outer: bytes, inner: bytes, now: float) -> None:
        """Count a drop, and tell of it unless that was told too often of late."""
        self.counts[reason] += 1
        self.tell(reason, outer, inner, now)

    def carry_over(self, reason: DropReason, number: int) -> None:
        """Count what a fast path dropped."""
        self.counts[reason] += number

    def tell(self, reason: DropReason, outer: bytes, inner: bytes, now: float) -> None:
        """Tell of a drop that is counted elsewhere, unless that was done too often of late."""
        if self._limits[reason].allows(now):
            self._report(reason, outer, inner)

    def occurred(self) -> dict[str, int]:
        """Return the drops by reason, without zeros."""
        return {str(reason): count for reason, count in self.counts.items() if count}


def path_counters(table: ForwardingTable, now: float) -> Iterator[PathCounters]:
    """Yield every path that has counters."""
    for home_address in list(table.active_homes()):
        for state in table.states_of(home_address):
            yield _counters_of(home_address, state, now)


def _counters_of(home_address: bytes, state: PathState, now: float) -> PathCounters:
    return PathCounters(
        home_address=home_address,
        bid=state.path.bid,
        care_of_address=state.path.care_of_address,
        link=state.path.link,
        bound=state.bound,
        down=state.down,
        active_flows=state.active_flows,
        tunnel_mtu=state.mtu.tunnel(now),
        packets_in=state.packets_in,
        octets_in=state.octets_in,
        packets_out=state.packets_out,
        octets_out=state.octets_out,
    )
