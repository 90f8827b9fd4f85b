"""Finds out which link carries which flow by counting packets on the wires."""

import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

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

    def carriers_of(self, flow: Flow, way: str | None = None) -> set[str]:
        """Return all interfaces that carried packets of `flow`."""
        return {
            interface
            for interface, seen, seen_way in self.counts
            if seen == flow and way in (None, seen_way)
        }

    def carrier_of(self, flow: Flow, way: str | None = None) -> str | None:
        """Return the interface that carried most of `flow`; None if it was not seen."""
        totals: Counter[str] = Counter()
        for (interface, seen, seen_way), number in self.counts.items():
            if seen == flow and way in (None, seen_way):
                totals[interface] += number
        return totals.most_common(1)[0][0] if totals else None


class FlowTally:
    """Counts the packets of each flow on interfaces of a namespace until it is closed."""

    def __init__(self, namespace: Namespace, interfaces: Sequence[str]) -> None:
        self._taps = {
            open_tap(Tap(namespace=namespace.path, interface=name, label=name)): name
            for name in interfaces
        }
        self._counts: Counter[tuple[str, Flow, str]] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for tap in self._taps:
            tap.close()

    def wait(self, duration_s: float) -> None:
        """Count for a while."""
        end = time.monotonic() + duration_s
        while (left_s := end - time.monotonic()) > 0:
            for tap in select.select(list(self._taps), [], [], left_s)[0]:
                self._count(tap)

    def counts(self) -> FlowCounts:
        """Return what has passed so far."""
        while ready := select.select(list(self._taps), [], [], 0)[0]:
            for tap in ready:
                self._count(tap)
        return FlowCounts(counts=self._counts.copy())

    def _count(self, tap: socket.socket) -> None:
        try:
            packet, address = tap.recvfrom(SNAP_OCTETS)
        except OSError:  # the interface just went down
            return
        if (flow := flow_of(packet[ETHERNET_OCTETS:])) is not None:
            way = "up" if address[2] == PACKET_OUTGOING else "down"
            self._counts[self._taps[tap], flow, way] += 1


def observe(namespace: Namespace, interfaces: Sequence[str], duration_s: float) -> FlowCounts:
    """Count the packets of each flow on `interfaces` of a namespace for a while."""
    with FlowTally(namespace, interfaces) as tally:
        tally.wait(duration_s)
        return tally.counts()
