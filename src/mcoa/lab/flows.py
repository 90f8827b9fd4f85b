"""Finds out which link carries which flow by counting packets on the wires."""

import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mcoa.lab.capture import ETHERNET_OCTETS, PACKET_OUTGOING, Tap, open_tap
from mcoa.lab.namespaces import Namespace
from mcoa.lab.sightings import Flow, flow_of

SNAP_OCTETS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowCounts:
    """Packets seen, by interface, flow and way ("up" left the interface, "down" came in)."""

    counts: Counter[tuple[str, Flow, str]]

    def of(self, flow: Flow, interface: str) -> int:
        """Return how many packets of `flow` passed `interface`, both ways."""
        return sum(self.counts[interface, flow, way] for way in ("up", "down"))

    def carrier_of(self, flow: Flow, way: str | None = None) -> str | None:
        """Return the interface that carried most of `flow`; None if it was not seen."""
        totals: Counter[str] = Counter()
        for (interface, seen, seen_way), number in self.counts.items():
            if seen == flow and way in (None, seen_way):
                totals[interface] += number
        return totals.most_common(1)[0][0] if totals else None


def observe(namespace: Namespace, interfaces: Sequence[str], duration_s: float) -> FlowCounts:
    """Count the packets of each flow on `interfaces` of a namespace for a while."""
    taps = {
        open_tap(Tap(namespace=namespace.path, interface=name, label=name)): name
        for name in interfaces
    }
    counts: Counter[tuple[str, Flow, str]] = Counter()
    end = time.monotonic() + duration_s
    try:
        while (left_s := end - time.monotonic()) > 0:
            for tap in select.select(list(taps), [], [], left_s)[0]:
                _count(tap, taps[tap], counts)
    finally:
        for tap in taps:
            tap.close()
    return FlowCounts(counts=counts)


def _count(tap: socket.socket, name: str, counts: Counter[tuple[str, Flow, str]]) -> None:
    try:
        packet, address = tap.recvfrom(SNAP_OCTETS)
    except OSError:  # the interface just went down
        return
    if (flow := flow_of(packet[ETHERNET_OCTETS:])) is not None:
        counts[name, flow, "up" if address[2] == PACKET_OUTGOING else "down"] += 1
