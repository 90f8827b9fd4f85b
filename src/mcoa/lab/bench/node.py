"""The daemon's home agent, on a device whose queue the benchmark fills beforehand."""

import asyncio
import select
import time
from dataclasses import dataclass
from ipaddress import IPv6Address

from mcoa.engine.actions import Interception
from mcoa.runtime.agent_datagrams import Enveloped
from mcoa.runtime.config_models import HomeAgentConfiguration
from mcoa.runtime.end import End
from mcoa.runtime.frames import Framed
from mcoa.runtime.home_agent import HomeAgentService
from mcoa.runtime.home_link import HomeLink
from mcoa.runtime.log import EventLog
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.outbox import Outbox
from mcoa.runtime.undo import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """How the agent worked off its queue; `pause_s` is the longest it looked at nothing new."""

    elapsed_s: float
    pause_s: float


class _Shore(HomeLink):
    """A home link without mobile nodes: the kernel does not learn of their addresses.

    A refresh changes nothing there, and the kernel takes a million proxy entries slowly.
    """

    def intercept(
        self, home_address: IPv6Address, by: Interception, *, router: bool = False
    ) -> None:
        """Do nothing."""


class _Outbox(Outbox[bytes | Framed | Enveloped]):
    """The daemon's outbox, which can be told to keep nothing."""

    is_durable = True

    def remember(self, home_address: bytes) -> None:
        """Write the record, or take it that it need not be written."""
        if self.is_durable:
            super().remember(home_address)


class MeasuredAgent(HomeAgentService):
    """The home agent as the daemon runs it, but for its home link."""

    def __init__(
        self,
        configuration: HomeAgentConfiguration,
        *,
        netlink: Netlink,
        journal: Journal,
        log: EventLog,
    ) -> None:
        super().__init__(configuration, netlink=netlink, journal=journal, log=log, end=End())
        self._home_link.close()
        self._home_link = _Shore(
            configuration.home_agent.home_link,
            address=configuration.home_agent.address,
            tun=self._tun,
            netlink=netlink,
            journal=journal,
            duplicate=self._duplicate,
        )
        self._outbox.close()
        self._switched = self._outbox = _Outbox(
            commit=self._store.commit,
            record=self._record,
            send=self._send,
            failed=self._not_written,
        )

    @property
    def descriptor(self) -> int:
        """The device."""
        return self._tun.fileno()

    @property
    def unwritten(self) -> int:
        """Packets that the kernel refused."""
        return self._tun.unwritten

    async def serve(self, *, is_durable: bool) -> Served:
        """Do all the work that waits in the device, and see to it that it is finished."""
        self._switched.is_durable = is_durable
        waiting = select.poll()
        waiting.register(self.descriptor, select.POLLIN)
        pause_s = 0.0
        begun_s = before_s = time.perf_counter()
        while waiting.poll(0):
            await asyncio.sleep(0)  # one turn of the loop: one batch of packets
            now_s = time.perf_counter()
            pause_s = max(pause_s, now_s - before_s)
            before_s = now_s
        await self.stop()
        return Served(elapsed_s=time.perf_counter() - begun_s, pause_s=pause_s)

    def tick_at(self, now: float) -> float:
        """Do what will be due at a time to come; return the seconds that took."""
        begun_s = time.perf_counter()
        self._driver.run(self.engine.handle_timer(now))
        return time.perf_counter() - begun_s
