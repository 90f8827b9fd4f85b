"""A mobile node's radio link: two channels, a carrier, and what passes its interface."""

from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address
from random import Random

from mcoa.lab.simulated.channel import Channel, Quality
from mcoa.lab.simulated.clock import Clock
from mcoa.lab.simulated.nodes import Take
from mcoa.lab.topology import QUEUE_MS, AccessLink

UP, DOWN = "up", "down"

Tap = Callable[[str, str, bytes], object]
"""Called with the link's name, UP or DOWN, and a packet at the mobile node's interface."""


class RadioLink:
    """One access network as the mobile node has it.

    Args:
        tap: is shown every packet at the mobile node's interface.

    Attributes:
        octets: that came down and that went up.
        on_down, on_up: take what arrives at the mobile node, and at the access router.
    """

    def __init__(
        self,
        clock: Clock,
        access: AccessLink,
        *,
        on_down: Take,
        on_up: Take,
        tap: Tap,
        rng: Random,
    ) -> None:
        quality = Quality(
            delay_s=access.rtt_s / 2,
            rate_mbit_s=access.rate_mbit_s,
            queue_s=QUEUE_MS / 1000,
        )
        self.access = access
        self.address: IPv6Address = access.prefix[0x100 + access.bid]
        self.has_carrier = True
        self.octets = {DOWN: 0, UP: 0}
        self._clock, self._tap = clock, tap
        self._on_down, self._on_up = on_down, on_up
        self._up, self._down = Channel(quality, rng), Channel(quality, rng)
        self._cuts = 0

    def cut(self) -> None:
        """Lose the carrier, and with it all that is on its way."""
        self.has_carrier = False
        self._cuts += 1
        self._up.clear(self._clock.now)
        self._down.clear(self._clock.now)

    def restore(self) -> None:
        """Have the carrier back."""
        self.has_carrier = True

    def send_up(self, packet: bytes) -> None:
        """Send a packet of the mobile node."""
        self.octets[UP] += len(packet)
        self._tap(self.access.name, UP, packet)
        if self.has_carrier:
            for time_s in self._up.arrivals(len(packet), self._clock.now):
                self._clock.at(time_s, partial(self._arrive_up, self._cuts, packet))

    def send_down(self, packet: bytes) -> None:
        """Send a packet to the mobile node, if it is for its address."""
        if self.has_carrier and packet[24:40] == self.address.packed:
            for time_s in self._down.arrivals(len(packet), self._clock.now):
                self._clock.at(time_s, partial(self._arrive_down, self._cuts, packet))

    def _arrive_up(self, cuts: int, packet: bytes) -> None:
        if cuts == self._cuts:
            self._on_up(packet)

    def _arrive_down(self, cuts: int, packet: bytes) -> None:
        if cuts == self._cuts:
            self.octets[DOWN] += len(packet)
            self._tap(self.access.name, DOWN, packet)
            self._on_down(packet)
