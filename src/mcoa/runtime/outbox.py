"""Holds acknowledgements back until what they promise is on disk.

Records are written by a thread of their own, a batch at a time: the event loop goes on
forwarding packets while a disk turns, and what arrives meanwhile shares the next batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

Batch = Sequence[tuple[bytes, bytes]]

RETRY_S = 1.0


class Outbox:
    """Sends packets in order, each after the records that were marked before it.

    Args:
        commit: writes records durably before it returns; may raise OSError.
        record: returns the present record of a home address, given in octets.
        send: sends a packet at once.
        failed: told why records could not be written. Their packets are not sent: the
            mobile nodes will ask again.
    """

    def __init__(
        self,
        *,
        commit: Callable[[Batch], None],
        record: Callable[[bytes], bytes],
        send: Callable[[bytes], object],
        failed: Callable[[OSError], None],
    ) -> None:
        self._commit = commit
        self._record = record
        self._send = send
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._writer = ThreadPoolExecutor(1, "store")
        self._unwritten: dict[bytes, None] = {}
        self._waiting: list[bytes] = []
        self._is_writing = False
        self._retry: asyncio.TimerHandle | None = None

    def remember(self, home_address: bytes) -> None:
        """Write the record of a home address before any packet that comes after."""
        self._unwritten[home_address] = None

    def post(self, packet: bytes) -> None:
        """Send a packet, now or when the records marked so far are written."""
        if self._unwritten or self._is_writing:
            self._waiting.append(packet)
        else:
            self._send(packet)

    def flush(self) -> None:
        """Begin to write; to be called at the end of a batch of events."""
        if self._is_writing or not self._unwritten:
            return
        homes, self._unwritten = list(self._unwritten), {}
        packets, self._waiting = self._waiting, []
        batch = [(home, self._record(home)) for home in homes]
        self._is_writing = True
        written = self._loop.run_in_executor(self._writer, self._commit, batch)
        written.add_done_callback(lambda done: self._written(done, homes, packets))

    async def drain(self) -> None:
        """Wait until everything is written and sent."""
        while self._is_writing or self._unwritten:
            self.flush()
            await asyncio.sleep(0.001)

    def close(self) -> None:
        """End the thread; what is still unwritten is given up."""
        if self._retry is not None:
            self._retry.cancel()
        self._writer.shutdown()

    def _written(
        self, done: "asyncio.Future[None]", homes: list[bytes], packets: list[bytes]
    ) -> None:
        self._is_writing = False
        if done.cancelled():
            return
        match done.exception():
            case None:
                for packet in packets:
                    self._send(packet)
                self._release()
            case OSError() as error:
                self._failed(error)
                self._unwritten.update(dict.fromkeys(homes))
                self._retry = self._loop.call_later(RETRY_S, self.flush)
            case other:
                raise other

    def _release(self) -> None:
        if self._unwritten:
            self.flush()
            return
        packets, self._waiting = self._waiting, []
        for packet in packets:
            self._send(packet)
