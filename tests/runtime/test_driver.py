"""The driver calls an engine when it is due, and not before."""

import asyncio
from typing import Any

import pytest

from mcoa.engine.actions import Action, Received, Report
from mcoa.runtime import driver as driver_module
from mcoa.runtime.driver import Driver


class Clockwork:
    """An engine that is due at given times and reports when it was called."""

    def __init__(self, deadlines: list[float]) -> None:
        self.deadlines = deadlines
        self.calls: list[float] = []

    def receive(self, received: Received, now: float) -> list[Action]:
        raise AssertionError(received, now)

    def next_deadline(self) -> float | None:
        return self.deadlines[0] if self.deadlines else None

    def handle_timer(self, now: float) -> list[Action]:
        assert now >= self.deadlines.pop(0)
        self.calls.append(now)
        return [Report(event="tick")]


def test_an_engine_is_called_at_each_of_its_deadlines() -> None:
    performed: list[Action] = []

    async def scenario() -> Clockwork:
        now = asyncio.get_running_loop().time()
        engine = Clockwork([now + 0.01, now + 0.02, now + 0.02, now + 0.05])
        driver = Driver(engine, performed.extend)
        driver.run([])
        await asyncio.sleep(0.1)
        driver.close()
        return engine

    engine = asyncio.run(scenario())
    assert len(engine.calls) == 4
    assert performed == [Report(event="tick")] * 4


def test_a_closed_driver_calls_nobody() -> None:
    async def scenario() -> Clockwork:
        engine = Clockwork([asyncio.get_running_loop().time() + 0.01])
        driver = Driver(engine, lambda _actions: None)
        driver.run([])
        driver.close()
        await asyncio.sleep(0.03)
        return engine

    assert asyncio.run(scenario()).calls == []


class Faulty(Clockwork):
    """An engine that fails at first when it is called."""

    def handle_timer(self, now: float) -> list[Action]:
        super().handle_timer(now)
        if len(self.calls) == 1:
            raise ValueError("a fault")
        return [Report(event="tick")]


def test_a_fault_stops_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "_AFTER_FAULT_S", 0.01)
    faults: list[dict[str, Any]] = []

    def refuse(_actions: list[Action]) -> None:
        raise ValueError("another fault")

    async def scenario() -> Clockwork:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: faults.append(context))
        now = loop.time()
        engine = Faulty([now + 0.01, now + 0.02, now + 0.03])
        driver = Driver(engine, refuse)
        driver.run([])
        await asyncio.sleep(0.1)
        driver.close()
        return engine

    assert len(asyncio.run(scenario()).calls) == 3
    assert [str(context["exception"]) for context in faults] == [
        "a fault",
        "another fault",
        "another fault",
    ]
