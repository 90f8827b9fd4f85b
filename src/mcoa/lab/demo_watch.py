"""Keeps an eye on the links while the demonstration waits."""

import time
from collections.abc import Callable, Iterator

from mcoa.lab.demo_events import Event, LinkReading, Reading
from mcoa.lab.namespaces import LabError
from mcoa.lab.nodes import NodesLike
from mcoa.lab.topology import MOBILE_NODE, Network

INTERVAL_S = 0.25

Octets = dict[str, tuple[int, int]]  # by interface: received, sent


class Watch:
    """Reads the mobile node's counters and bindings several times a second."""

    def __init__(self, network: Network, nodes: NodesLike) -> None:
        self._network, self._nodes = network, nodes
        self._started_s = self._read_s = time.monotonic()
        self._octets: Octets = {}

    def wait(self, duration_s: float) -> Iterator[Event]:
        """Let time pass, with readings."""
        end = time.monotonic() + duration_s
        while (left_s := end - time.monotonic()) > 0:
            time.sleep(min(INTERVAL_S, left_s))
            if time.monotonic() - self._read_s >= INTERVAL_S:
                yield self.reading()

    def wait_until(
        self, holds: Callable[[], bool], what: str, timeout_s: float
    ) -> Iterator[Event]:
        """Wait, with readings, until something holds; LabError says `what` did not."""
        end = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > end:
                raise LabError(f"{what}: not within {timeout_s:.0f} s")
            yield from self.wait(0.05)

    def reading(self) -> Reading:
        """Return what every link does now."""
        now = time.monotonic()
        octets = self._network[MOBILE_NODE].call(_interface_octets)
        span_s = max(now - self._read_s, 1e-3)
        bindings = self._nodes.bindings()
        addresses = self._network.care_of_addresses()
        links = []
        for link in self._network.topology.links:
            before, after = self._octets.get(link.name), octets.get(link.name, (0, 0))
            down, up = (
                (8e-6 * (new - old) / span_s for old, new in zip(before, after, strict=True))
                if before
                else (0.0, 0.0)
            )
            links.append(
                LinkReading(
                    name=link.name,
                    rate_mbit_s=link.rate_mbit_s,
                    rtt_ms=link.rtt_s * 1000,
                    has_carrier=self._network.has_carrier(link.name),
                    care_of_address=str(addresses.get(link.name, "")),
                    binding=bindings.get(link.name, ""),
                    up_mbit_s=up,
                    down_mbit_s=down,
                )
            )
        self._octets, self._read_s = octets, now
        return Reading(elapsed_s=now - self._started_s, links=tuple(links))


def _interface_octets() -> Octets:
    # /proc/net shows the namespace of the process, this one that of the thread
    with open("/proc/thread-self/net/dev", encoding="ascii") as file:  # noqa: PTH123
        rows = [line.replace(":", " ").split() for line in file.readlines()[2:]]
    return {row[0]: (int(row[1]), int(row[9])) for row in rows}
