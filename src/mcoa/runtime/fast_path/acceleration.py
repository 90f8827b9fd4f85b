"""The fast path of one device: loaded, hung on the devices, attended, and let go of."""

from collections.abc import Callable
from typing import Self

from mcoa.dataplane.flows import Flow
from mcoa.runtime import ingress
from mcoa.runtime.fast_path.kernel import KernelFastPath
from mcoa.runtime.fast_path.layout import DropEvent, Reason
from mcoa.runtime.fast_path.maps import Maps, Programs, Sizes
from mcoa.runtime.fast_path.shapes import Shapes
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.rtnetlink import DEFAULT_ROUTE, MAIN_TABLE, Link
from mcoa.runtime.traffic_control import Hook
from mcoa.runtime.undo import Journal
from mcoa.runtime.undo_entries import IngressFilters, IngressHook

PRIORITY = 5130
"""Of our filters; before those that take packets off for the daemon."""


class Acceleration:
    """What a service has of the fast path.

    Attributes:
        fast_path: to be told what the table decides.
    """

    def __init__(
        self, maps: Maps, programs: Programs, *, shapes: Shapes, netlink: Netlink
    ) -> None:
        self.fast_path = KernelFastPath(maps, shapes)
        self.fileno = maps.exceptions.fileno
        self._maps = maps
        self._programs = programs
        self._netlink = netlink
        self._entries: set[int] = set()
        self._dropped = maps.dropped()
        self.is_attended = False

    @classmethod
    def open(
        cls,
        tun: Tun,
        *,
        shapes: Shapes,
        sizes: Sizes,
        netlink: Netlink,
    ) -> Self:
        """Load the programs and hang the first one on the device.

        Where a dead daemon's program hangs there, its maps are gone on with, and packets with
        them; until attend() nothing comes up that the programs can carry.

        Raises:
            OSError: libbpf is not there, or the kernel does not do this.
        """
        ingress.ensure_hook(tun.index, netlink)
        maps, programs = Maps.load(sizes, old_program=_old_program(tun.index, netlink))
        try:
            maps.set(shapes.settings(tun.index))
            made = cls(maps, programs, shapes=shapes, netlink=netlink)
            made._run(tun.index, Hook.OUT, programs.from_device, "from_device")
        except BaseException:
            maps.close()
            programs.close()
            raise
        return made

    @property
    def goes_on(self) -> bool:
        """Whether a dead daemon's flows are carried on."""
        return self._maps.is_old

    def attach(self, interface: str, journal: Journal) -> None:
        """Take packets that come in by an interface; once more does no harm."""
        link = self._netlink.link(interface)
        if link is not None:
            self._attach(link, journal)

    def attach_likely(self, home_link: str, journal: Journal) -> None:
        """Take packets that come in by the home link, or from everywhere else.

        Now, because a device that gets its first hook loses what it would send meanwhile.
        """
        outward = {
            route.index
            for route in self._netlink.routes(table=MAIN_TABLE)
            if route.destination == DEFAULT_ROUTE
        }
        for link in self._netlink.links():
            if link.name == home_link or link.index in outward:
                self._attach(link, journal)
                self._entries.add(link.index)

    def attach_entry(self, journal: Journal) -> None:
        """Take tunnel packets where they come in, not only where routing sends them."""
        entry = self._maps.entry()
        if entry in self._entries or not entry:
            return
        self._entries.add(entry)
        for link in self._netlink.links():
            if link.index == entry:
                self._attach(link, journal)

    def _attach(self, link: Link, journal: Journal) -> None:
        interface = link.name
        if not ingress.has_hook(link.index, self._netlink):
            journal.record(IngressHook(device=interface))
        journal.record(IngressFilters(device=interface, first=PRIORITY, last=PRIORITY))
        ingress.ensure_hook(link.index, self._netlink)
        programs = self._programs
        if link.is_ethernet:
            self._run(link.index, Hook.IN, programs.from_ethernet, "from_ethernet")
        else:
            self._run(link.index, Hook.IN, programs.from_bare_link, "from_bare_link")

    def attend(self) -> None:
        """Have the daemon get what the programs do not know, from now on."""
        if not self.is_attended:
            self._maps.attend(self._programs)
            self.is_attended = True

    def receive(self) -> list[DropEvent]:
        """Return what the programs say of drops."""
        return [DropEvent.parse(octets) for octets in self._maps.exceptions.receive()]

    def collect(self, carried: Callable[[Flow, bytes], object]) -> dict[Reason, int]:
        """Take in what was carried; return the drops since the last time, by reason."""
        for flow, far_end in self.fast_path.collect():
            carried(flow, far_end)
        before, self._dropped = self._dropped, self._maps.dropped()
        return {reason: count - before[reason] for reason, count in self._dropped.items()}

    def close(self) -> None:
        """Let go; what hangs on the devices goes on by itself."""
        self._maps.close()
        self._programs.close()

    def _run(self, index: int, hook: Hook, program: int, name: str) -> None:
        ingress.run_program(index, hook, PRIORITY, (program, name), self._netlink)


def _old_program(index: int, netlink: Netlink) -> int | None:
    found = [each for each in ingress.filters(index, netlink, Hook.OUT) if each.program]
    return next((each.program for each in found if each.priority == PRIORITY), None)
