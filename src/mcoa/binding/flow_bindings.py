"""Flow bindings of a home address (RFC 6089 §4.1): which packets go to which of its BIDs."""

from dataclasses import dataclass

from mcoa.wire.selectors import TrafficSelector


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowBinding:
    """One entry of the list that packets are compared with.

    Attributes:
        fid: names it.
        priority: FID-PRI; packets are compared with the lowest first.
        selector: the packets from correspondents that it is for.
        bids: where they go; a copy to each of several. One that is not bound does not count,
            and an entry without any that is matches nothing.
    """

    fid: int
    priority: int
    selector: TrafficSelector
    bids: tuple[int, ...]
