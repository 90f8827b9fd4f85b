"""Holds acknowledgements back until what they promise is on disk.

Records are written by a thread of their own, a batch at a time: the event loop goes on
forwarding packets while a disk turns, and what arrives meanwhile shares the next batch.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from mcoa.runtime.guard import guarded

Packet = TypeVar("Packet")

Batch = Sequence[tuple[bytes, bytes]]

RETRY_S = 1.0
PATIENCE_S = 3.0

_MOST_WAITING = 1 << 16  # packets; while a disk hangs, mobile nodes go on asking


class Outbox(Generic[Packet]):
    """Sends packets in order, each after the records that were marked before it.

    Args:
        commit: writes records durably before it returns; may raise OSError.
        record: returns the present record of a home address, given in octets.
        send: sends a packet at once.
        failed: told why records could not be written. Their packets are not sent: the
            mobile nodes will ask again.

    Attributes:
        unsent: packets given up, for a disk that failed or was too slow.
    """

    def __init__(
        self,
        *,
        commit: Callable[[Batch], None],
        record: Callable[[bytes], bytes],
        send: Callable[[Packet], object],
        failed: Callable[[OSError], None],
    ) -> None:
        self._commit = commit
        self._record = record
        self._send = send
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._writer = ThreadPoolExecutor(1, "store")
        self._unwritten: dict[bytes, None] = {}
        self._waiting: list[Packet] = []
        self._is_writing = False
        self._retry: asyncio.TimerHandle | None = None
        self.unsent = 0

    def remember(self, home_address: bytes) -> None:
        """Write the record of a home address before any packet that comes after."""
        self._unwritten[home_address] = None

    def post(self, packet: Packet) -> None:
        """Send a packet, now or when the records marked so far are written."""
        if not self._unwritten and not self._is_writing:
            self._send(packet)
        elif len(self._waiting) < _MOST_WAITING:
            self._waiting.append(packet)
        else:
            self.unsent += 1

    def flush(self) -> None:
        """Begin to write; to be called at the end of a batch of events.

        A disk that has just failed is left in peace for a second.
        """
        if self._is_writing or self._retry is not None or not self._unwritten:
            return
        homes, self._unwritten = list(self._unwritten), {}
        packets, self._waiting = self._waiting, []
        batch = [(home, self._record(home)) for home in homes]
        self._is_writing = True
        written = self._loop.run_in_executor(self._writer, self._commit, batch)
        written.add_done_callback(lambda done: self._written(done, homes, packets))

    async def drain(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until everything is written and sent, or the patience is at its end."""
        end_s = self._loop.time() + patience_s
        while (self._is_writing or self._unwritten) and self._loop.time() < end_s:
            self.flush()
            await asyncio.sleep(0.001)

    def close(self) -> None:
        """End the thread; what is still unwritten is given up."""
        if self._retry is not None:
            self._retry.cancel()
        self._writer.shutdown()

    def _written(
        self, done: "asyncio.Future[None]", homes: list[bytes], packets: list[Packet]
    ) -> None:
        self._is_writing = False
        if done.cancelled():
            return
        match done.exception():
            case None:
                self._send_each(packets)
                self._release()
            case error:
                self.unsent += len(packets)
                self._unwritten.update(dict.fromkeys(homes))
                self._retry = self._loop.call_later(RETRY_S, self._try_again)
                if not isinstance(error, OSError):
                    raise error
                self._failed(error)

    def _try_again(self) -> None:
        self._retry = None
        self.flush()

    def _release(self) -> None:
        if self._unwritten:
            self.flush()
            return
        packets, self._waiting = self._waiting, []
        self._send_each(packets)

    def _send_each(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            with guarded():
                self._send(packet)
