"""Joining things that can be read to the event loop."""

import asyncio
import os

from mcoa.runtime.readiness import deliver


class Pipe:
    """Yields octets; dead once its writer has closed."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def fileno(self) -> int:
        return self.reader

    def receive(self) -> list[int]:
        octets = os.read(self.reader, 2)
        if not octets:
            raise OSError(77, "gone")
        return list(octets)


def test_what_comes_is_delivered_until_the_source_dies() -> None:
    pipe = Pipe()
    batches: list[list[int]] = []

    async def scenario() -> OSError:
        lost: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
        deliver(pipe, lambda items: batches.append([*items]), lost.set_result)
        os.write(pipe.writer, bytes((1, 2, 3)))
        os.close(pipe.writer)
        return await lost

    error = asyncio.run(scenario())
    os.close(pipe.reader)
    assert batches == [[1, 2], [3]]
    assert error.errno == 77


def test_stopping_twice_leaves_the_next_user_of_the_number_alone() -> None:
    async def scenario() -> list[list[int]]:
        first, batches = Pipe(), [[0]]
        stop = deliver(first, lambda items: batches.append([*items]), lambda _: None)
        stop()
        os.close(first.reader)
        os.close(first.writer)
        second = Pipe()
        assert second.reader == first.reader
        stop_second = deliver(second, lambda items: batches.append([*items]), lambda _: None)
        stop()
        os.write(second.writer, b"\x07")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stop_second()
        os.close(second.reader)
        os.close(second.writer)
        return batches

    assert asyncio.run(scenario()) == [[0], [7]]
