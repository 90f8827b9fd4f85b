"""No acknowledgement leaves before what it promises is written."""

import asyncio
import threading
from collections.abc import Callable, Coroutine

from mcoa.runtime.outbox import Batch, Outbox

HOME, OTHER = bytes(15) + b"\1", bytes(15) + b"\2"


class Desk:
    """An outbox with a disk that the test turns by hand."""

    def __init__(self) -> None:
        self.journal: list[object] = []
        self.faults: list[OSError] = []
        self.failures = 0
        self.turn = threading.Event()
        self.turn.set()
        self.outbox = Outbox(
            commit=self.commit,
            record=lambda home: b"record of " + home[-1:],
            send=lambda packet: self.journal.append(("sent", packet)),
            failed=self.faults.append,
        )

    def commit(self, batch: Batch) -> None:
        assert self.turn.wait(10)
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        self.journal.append(("written", [home for home, _ in batch]))


def run(scenario: Callable[[Desk], Coroutine[None, None, None]]) -> Desk:
    async def main() -> Desk:
        desk = Desk()
        try:
            await asyncio.wait_for(scenario(desk), 10)
        finally:
            desk.turn.set()
            desk.outbox.close()
        return desk

    return asyncio.run(main())


def test_a_packet_without_record_leaves_at_once() -> None:
    async def scenario(desk: Desk) -> None:
        desk.outbox.post(b"refusal")
        assert desk.journal == [("sent", b"refusal")]

    run(scenario)


def test_a_packet_waits_for_the_records_marked_before_it() -> None:
    async def scenario(desk: Desk) -> None:
        desk.turn.clear()
        desk.outbox.remember(HOME)
        desk.outbox.post(b"yes")
        desk.outbox.flush()
        await asyncio.sleep(0.02)
        assert desk.journal == []
        desk.turn.set()
        await desk.outbox.drain()

    assert run(scenario).journal == [("written", [HOME]), ("sent", b"yes")]


def test_what_comes_while_the_disk_turns_shares_the_next_batch() -> None:
    async def scenario(desk: Desk) -> None:
        desk.turn.clear()
        desk.outbox.remember(HOME)
        desk.outbox.post(b"1")
        desk.outbox.flush()
        for home, packet in ((OTHER, b"2"), (HOME, b"3"), (OTHER, b"4")):
            desk.outbox.remember(home)
            desk.outbox.post(packet)
            desk.outbox.flush()
        desk.turn.set()
        await desk.outbox.drain()

    assert run(scenario).journal == [
        ("written", [HOME]),
        ("sent", b"1"),
        ("written", [OTHER, HOME]),
        ("sent", b"2"),
        ("sent", b"3"),
        ("sent", b"4"),
    ]


def test_a_packet_never_overtakes_an_earlier_one() -> None:
    async def scenario(desk: Desk) -> None:
        desk.turn.clear()
        desk.outbox.remember(HOME)
        desk.outbox.post(b"yes")
        desk.outbox.flush()
        desk.outbox.post(b"refusal")
        await asyncio.sleep(0.01)
        assert desk.journal == []
        desk.turn.set()
        await desk.outbox.drain()

    assert run(scenario).journal[1:] == [("sent", b"yes"), ("sent", b"refusal")]


def test_without_disk_nothing_is_promised_and_the_record_is_tried_again() -> None:
    async def scenario(desk: Desk) -> None:
        desk.failures = 1
        desk.outbox.remember(HOME)
        desk.outbox.post(b"yes")
        desk.outbox.flush()
        await desk.outbox.drain()

    desk = run(scenario)
    assert [fault.errno for fault in desk.faults] == [28]
    assert desk.journal == [("written", [HOME])]


def test_a_failed_disk_is_tried_once_a_second_however_many_ask() -> None:
    async def scenario(desk: Desk) -> None:
        desk.failures = 1000
        for _ in range(50):
            desk.outbox.remember(HOME)
            desk.outbox.post(b"yes")
            desk.outbox.flush()
            await asyncio.sleep(0.004)
        assert len(desk.faults) == 1

    run(scenario)


def test_waiting_for_a_disk_that_does_not_come_back_has_an_end() -> None:
    async def scenario(desk: Desk) -> None:
        desk.failures = 1 << 30
        desk.outbox.remember(HOME)
        desk.outbox.post(b"yes")
        await desk.outbox.drain(patience_s=0.05)
        assert desk.outbox.unsent == 1

    assert run(scenario).journal == []


def test_packets_do_not_pile_up_before_a_disk_that_hangs() -> None:
    async def scenario(desk: Desk) -> None:
        desk.turn.clear()
        desk.outbox.remember(HOME)
        desk.outbox.flush()
        for _ in range(70_000):
            desk.outbox.post(b"no")
        assert len(desk.outbox._waiting) == 1 << 16
        assert desk.outbox.unsent == 70_000 - (1 << 16)
        desk.turn.set()
        await desk.outbox.drain()

    assert len(run(scenario).journal) == 1 + (1 << 16)
