"""The back end of a service: its forwarder alone, or with a fast path below it.

A service says the same things to both; without a fast path most of them do nothing.
"""

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from typing import Final, Self

from mcoa.dataplane.counters import DropReason, Drops
from mcoa.dataplane.flows import Flow
from mcoa.dataplane.table import ForwardingTable
from mcoa.runtime.config_values import BackEnd
from mcoa.runtime.errors import CommandError
from mcoa.runtime.fast_path.acceleration import Acceleration
from mcoa.runtime.fast_path.layout import DropEvent, Reason
from mcoa.runtime.fast_path.maps import Sizes
from mcoa.runtime.fast_path.shapes import Shapes
from mcoa.runtime.log import EventLog
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.readiness import deliver
from mcoa.runtime.undo import Journal

USER_SPACE: Final = "userspace"
EBPF: Final = "ebpf"

_REASONS: Final = {
    Reason.NOT_REGISTERED: DropReason.NOT_REGISTERED,
    Reason.CONGESTION: DropReason.CONGESTION,
}


class DataPlane:
    """What carries the packets of one device."""

    def __init__(
        self, acceleration: Acceleration | None, table: ForwardingTable, journal: Journal
    ) -> None:
        self._acceleration = acceleration
        self._table = table
        self._journal = journal
        self._finish_at_s = inf
        self._finishing: asyncio.TimerHandle | None = None
        self._silence: Callable[[], None] = lambda: None
        if acceleration is not None:
            table.speed_up(acceleration.fast_path)

    @classmethod
    def open(
        cls,
        choice: BackEnd,
        table: ForwardingTable,
        tun: Tun,
        *,
        shapes: Shapes,
        sizes: Sizes,
        netlink: Netlink,
        journal: Journal,
        log: EventLog,
    ) -> Self:
        """Make the back end that was chosen, or the best that this system has.

        Raises:
            CommandError: the fast path was asked for, and is not possible here.
        """
        if choice == USER_SPACE:
            return cls(None, table, journal)
        try:
            acceleration = Acceleration.open(tun, shapes=shapes, sizes=sizes, netlink=netlink)
        except OSError as error:
            if choice == EBPF:
                raise CommandError(
                    f"there can be no fast path here: {error.strerror or error}",
                    "install libbpf1 and run this as root, or write dataplane = "
                    '"auto"; `mcoa doctor FILE` tells more',
                ) from None
            log.info("no-fast-path", reason=error.strerror or str(error))
            return cls(None, table, journal)
        return cls(acceleration, table, journal)

    @property
    def name(self) -> str:
        """What a status calls it."""
        return USER_SPACE if self._acceleration is None else EBPF

    def attach(self, interface: str) -> None:
        """Take packets that come in by an interface; once more does no harm, OSError if refused."""
        if self._acceleration is not None:
            self._acceleration.attach(interface, self._journal)

    def attach_likely(self, home_link: str) -> None:
        """Do so where an agent's packets most likely come in; OSError if refused."""
        if self._acceleration is not None:
            self._acceleration.attach_likely(home_link, self._journal)

    def attach_entry(self) -> None:
        """Do so where tunnel packets have come in by way of the device; OSError if refused."""
        if self._acceleration is not None:
            self._acceleration.attach_entry(self._journal)

    def listen(self, drops: Drops, now: Callable[[], float]) -> None:
        """Take in what the fast path says of drops."""
        if self._acceleration is None:
            return

        def take(events: Iterable[DropEvent]) -> None:
            for event in events:
                reason = _REASONS[event.reason]
                drops.tell(reason, event.outer_source, event.inner_source, now())

        self._silence = deliver(self._acceleration, take, lambda _error: None)

    def adopt(self, home_address: bytes, now: float, *, has_rules: bool) -> None:
        """Go on with what a dead daemon knew of a home address, which is bound now.

        Where there are rules, a packet of each flow comes up, for its rule to be found.
        """
        if self._acceleration is None or not self._acceleration.goes_on:
            return
        taken = self._acceleration.fast_path.adopt(self._table, home_address, now)
        if taken and has_rules:
            self._table.ask_anew(home_address)

    def attend(self, now: float, patience_s: float = 0.0) -> None:
        """Have the service get what the fast path does not know.

        After `patience_s`, what a dead daemon knew and nobody has claimed is given up; sooner
        when a later call has less patience. To be called on the running loop.
        """
        if self._acceleration is None or now + patience_s >= self._finish_at_s:
            return
        self._acceleration.attend()
        self._finish_at_s = now + patience_s
        if self._finishing is not None:
            self._finishing.cancel()
        finish = self._acceleration.fast_path.finish
        self._finishing = asyncio.get_running_loop().call_later(patience_s, finish)

    def collect(self, drops: Drops, carried: Callable[[Flow, bytes], object]) -> None:
        """Take in what the fast path did since the last time; `carried` gets flows and far ends."""
        if self._acceleration is None:
            return
        for reason, number in self._acceleration.collect(carried).items():
            drops.carry_over(_REASONS[reason], number)

    def counters(self) -> dict[str, int]:
        """Return what a status tells of it besides what forwarders count."""
        if self._acceleration is None:
            return {}
        return {"fast-path-full": self._acceleration.fast_path.refused}

    def close(self) -> None:
        """Let go."""
        self._silence()
        if self._finishing is not None:
            self._finishing.cancel()
        if self._acceleration is not None:
            self._acceleration.close()
