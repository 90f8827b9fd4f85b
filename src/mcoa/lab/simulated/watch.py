"""Lets virtual time pass, and tells meanwhile how the links fare."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator

from mcoa.lab.demo_events import Event, LinkReading, Reading
from mcoa.lab.demo_watch import INTERVAL_S
from mcoa.lab.flows import FlowCounts
from mcoa.lab.namespaces import LabError
from mcoa.lab.sightings import Flow, flow_of
from mcoa.lab.simulated.links import DOWN, UP
from mcoa.lab.simulated.network import PacketNetwork

STEP_S = 0.001  # how exactly it is told when something came true


class Watch:
    """The clock of a demonstration, which gives readings as time passes."""

    def __init__(self, network: PacketNetwork) -> None:
        self._network, self._clock = network, network.clock
        self._read_s = self._clock.now
        self._octets = self._count_octets()

    def wait(self, duration_s: float) -> Iterator[Event]:
        """Let time pass, with readings."""
        end_s = self._clock.now + duration_s
        while (next_s := self._read_s + INTERVAL_S) <= end_s:
            self._clock.run_until(next_s)
            yield self._reading()
        self._clock.run_until(end_s)

    def wait_until(
        self, holds: Callable[[], bool], what: str, timeout_s: float
    ) -> Iterator[Event]:
        """Wait, with readings, until something holds; LabError says `what` did not."""
        end_s = self._clock.now + timeout_s
        while not holds():
            if self._clock.now > end_s:
                raise LabError(f"{what}: not within {timeout_s:.0f} s")
            yield from self.wait(STEP_S)

    def look(self, duration_s: float) -> Generator[Event, None, FlowCounts]:
        """Count for a while which uplink of the mobile node carries which flow."""
        counts: Counter[tuple[str, Flow, str]] = Counter()

        def count(link: str, way: str, packet: bytes) -> None:
            if (flow := flow_of(packet)) is not None:
                counts[link, flow, way] += 1

        self._network.taps.append(count)
        try:
            yield from self.wait(duration_s)
        finally:
            self._network.taps.remove(count)
        return FlowCounts(counts=counts)

    def _reading(self) -> Reading:
        """Return what every link does now."""
        now, bindings, octets = self._clock.now, self._network.bindings(), self._count_octets()
        megabits = 8e-6 / max(now - self._read_s, STEP_S)
        links = tuple(
            LinkReading(
                name=name,
                rate_mbit_s=link.access.rate_mbit_s,
                rtt_ms=link.access.rtt_s * 1000,
                has_carrier=link.has_carrier,
                care_of_address=str(link.address) if link.has_carrier else "",
                binding=bindings.get(name, ""),
                up_mbit_s=megabits * (octets[name, UP] - self._octets[name, UP]),
                down_mbit_s=megabits * (octets[name, DOWN] - self._octets[name, DOWN]),
            )
            for name, link in self._network.links.items()
        )
        self._read_s, self._octets = now, octets
        return Reading(elapsed_s=now, links=links)

    def _count_octets(self) -> dict[tuple[str, str], int]:
        return {
            (name, way): link.octets[way]
            for name, link in self._network.links.items()
            for way in (UP, DOWN)
        }
