"""Which flow binding a packet from a correspondent belongs to (RFC 6089 §5.3, RFC 6088).

A selector describes packets towards the mobile node, as the home agent sees them. They are
compared in the order of priorities, and the first binding that matches decides; one that has
no BID which is bound matches nothing.
"""

from collections.abc import Collection, Iterable
from ipaddress import IPv6Address
from struct import Struct
from typing import Final, Self

from mcoa.binding.flow_bindings import FlowBinding
from mcoa.dataplane.flows import Home
from mcoa.dataplane.packet import (
    AUTHENTICATION,
    BASE_LENGTH,
    ESP,
    FRAGMENT,
    ICMPV6,
    PORT_PROTOCOLS,
    Upper,
    upper_layer,
)
from mcoa.dataplane.path import PathState
from mcoa.wire.selectors import Ipv6TrafficSelector

_NOT_ECN: Final = 0xFC
_ports: Final = Struct("!HH").unpack_from
_word: Final = Struct("!I").unpack_from

_Range = tuple[int, int] | None


class BoundFlows:
    """The flow bindings of one home address, in the order of comparison."""

    def __init__(self, flows: Iterable["BoundFlow"], bids: Collection[int]) -> None:
        """Take those of the flows that have one of the bound `bids`."""
        self._flows = [flow for flow in flows if any(bid in bids for bid in flow.bids)]

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._flows)

    def rule_for(self, packet: bytes, origin: str = "") -> "BoundFlow | None":
        """Return the flow binding of a whole packet; None where none matches.

        `origin` is the interface that it came in by, if that is known. An ICMPv6 error goes where the flow goes that it is about, and a fragment where its
        first one went.
        """
        upper = upper_layer(packet)
        if upper is None or upper[0] == FRAGMENT:
            return None
        if upper[0] == ICMPV6 and packet[upper[1] : upper[1] + 1] < b"\x80":
            return None
        for flow in self._flows:
            if origin in (flow.origins or (origin,)) and flow.selector.matches(packet, upper):
                return flow
        return None


class BoundFlow:
    """A flow binding as the forwarding table has it: a rule for the flows that match.

    Attributes:
        bids: in the order of preference.
        origins: interfaces that packets have to come in by; none where any will do.
    """

    def __init__(
        self,
        name: str,
        selector: Ipv6TrafficSelector,
        bids: tuple[int, ...],
        *,
        copies: bool,
        origins: tuple[str, ...] = (),
    ) -> None:
        """Make one; with `copies` packets go to all of the BIDs, else to the first that serves."""
        self.name = name
        self.selector = _Selector(selector)
        self.bids = bids
        self.origins = origins
        self._copies = copies

    @classmethod
    def told(cls, flows: Iterable[FlowBinding]) -> list[Self]:
        """Return those that a mobile node asked for: several BIDs are a wish for copies."""
        return [
            cls(f"FID {flow.fid}", flow.selector, flow.bids, copies=len(flow.bids) > 1)
            for flow in flows
            if isinstance(flow.selector, Ipv6TrafficSelector)
        ]

    def pick(self, home: Home) -> PathState | None:
        """Return the path for a flow that has none yet; None while none of the BIDs serves."""
        return next(iter(self._live(home)), None)

    def keeps(self, path: PathState, home: Home) -> bool:
        """Tell whether a flow may stay on its path."""
        wanted = self.pick(home)
        return path.live and (wanted is None or wanted is path)

    def copies(self, home: Home) -> list[PathState]:
        """Return the paths that packets are copied to; none where they are not."""
        live = self._live(home) if self._copies else []
        return live if len(live) > 1 else []

    def _live(self, home: Home) -> list[PathState]:
        found = (home.paths.get(bid) for bid in self.bids)
        return [path for path in found if path is not None and path.live]


class _Selector:
    """A traffic selector as ranges of numbers; None where anything will do."""

    def __init__(self, selector: Ipv6TrafficSelector) -> None:
        s = selector
        self._source = _addresses(s.start_source, s.end_source)
        self._destination = _addresses(s.start_destination, s.end_destination)
        self._spi = _numbers(s.start_spi, s.end_spi)
        self._label = _numbers(s.start_flow_label, s.end_flow_label)
        self._source_port = _numbers(s.start_source_port, s.end_source_port)
        self._port = _numbers(s.start_destination_port, s.end_destination_port)
        # Congestion marks change from packet to packet: they tell no flow from another.
        self._class = _numbers(s.start_traffic_class, s.end_traffic_class, mask=_NOT_ECN)
        self._protocol = _numbers(s.start_next_header, s.end_next_header)

    def matches(self, packet: bytes, upper: Upper) -> bool:
        protocol, at, _ = upper
        return (
            _is_in(int.from_bytes(packet[8:24]), self._source)
            and _is_in(int.from_bytes(packet[24:40]), self._destination)
            and _is_in(protocol, self._protocol)
            and _is_in(int.from_bytes(packet[:2]) >> 4 & _NOT_ECN, self._class)
            and _is_in(int.from_bytes(packet[1:4]) & 0xFFFFF, self._label)
            and self._has_ports(packet, protocol, at)
            and self._has_spi(packet, protocol, at)
        )

    def _has_ports(self, packet: bytes, protocol: int, at: int) -> bool:
        if self._source_port is None and self._port is None:
            return True
        if protocol not in PORT_PROTOCOLS or len(packet) < at + 4:
            return False
        source, destination = _ports(packet, at)
        return _is_in(source, self._source_port) and _is_in(destination, self._port)

    def _has_spi(self, packet: bytes, protocol: int, at: int) -> bool:
        if self._spi is None:
            return True
        if packet[6] == AUTHENTICATION:  # which the search for the upper layer passes by
            at = BASE_LENGTH + 4
        elif protocol != ESP:
            return False
        return len(packet) >= at + 4 and _is_in(_word(packet, at)[0], self._spi)


def _addresses(start: IPv6Address | None, end: IPv6Address | None) -> _Range:
    return None if start is None else (int(start), int(end or start))


def _numbers(start: int | None, end: int | None, mask: int = -1) -> _Range:
    if start is None:
        return None
    return start & mask, (start if end is None else end) & mask


def _is_in(number: int, wanted: _Range) -> bool:
    return wanted is None or wanted[0] <= number <= wanted[1]
