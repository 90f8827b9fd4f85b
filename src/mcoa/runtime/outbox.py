"""Holds acknowledgements back until what they promise is on disk.

Records are written by a thread of their own, a batch at a time: the event loop goes on
forwarding packets while a disk turns, and what arrives meanwhile shares the next batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv6Address

from mcoa.engine.actions import Send

Batch = Sequence[tuple[bytes, bytes]]

RETRY_S = 1.0


class Outbox:
    """Sends messages in order, each after the records that were marked before it.

    Args:
        commit: writes records durably before it returns; may raise OSError.
        record: returns the present record of a home address.
        send: sends a message at once.
        failed: told why records could not be written. Their messages are not sent: the
            mobile nodes will ask again.
    """

    def __init__(
        self,
        *,
        commit: Callable[[Batch], None],
        record: Callable[[IPv6Address], bytes],
        send: Callable[[Send], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._commit = commit
        self._record = record
        self._send = send
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._writer = ThreadPoolExecutor(1, "store")
        self._unwritten: dict[IPv6Address, None] = {}
        self._waiting: list[Send] = []
        self._is_writing = False
        self._retry: asyncio.TimerHandle | None = None

    def remember(self, home_address: IPv6Address) -> None:
        """Write the record of a home address before any message that comes after."""
        self._unwritten[home_address] = None

    def post(self, send: Send) -> None:
        """Send a message, now or when the records marked so far are written."""
        if self._unwritten or self._is_writing:
            self._waiting.append(send)
        else:
            self._send(send)

    def flush(self) -> None:
        """Begin to write; to be called at the end of a batch of events."""
        if self._is_writing or not self._unwritten:
            return
        homes, self._unwritten = list(self._unwritten), {}
        sends, self._waiting = self._waiting, []
        batch = [(home.packed, self._record(home)) for home in homes]
        self._is_writing = True
        written = self._loop.run_in_executor(self._writer, self._commit, batch)
        written.add_done_callback(lambda done: self._written(done, homes, sends))

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
        self, done: "asyncio.Future[None]", homes: list[IPv6Address], sends: list[Send]
    ) -> None:
        self._is_writing = False
        if done.cancelled():
            return
        match done.exception():
            case None:
                for send in sends:
                    self._send(send)
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
        sends, self._waiting = self._waiting, []
        for send in sends:
            self._send(send)
