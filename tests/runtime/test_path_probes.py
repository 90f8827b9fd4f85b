"""Probes at work: what they find moves flows, and is taken back when nobody looks any more."""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable

from mcoa.dataplane.liveness import Health, Pace, Probe
from mcoa.dataplane.path import Path, PathState
from mcoa.dataplane.table import ForwardingTable
from mcoa.runtime.events import Events
from mcoa.runtime.log import EventLog
from mcoa.runtime.path_probes import PathProbes

HOME = bytes(15) + b"\1"
PACE = Pace(interval_s=0.01, idle_interval_s=0.02, multiplier=3)


def paths(*bids: int) -> tuple[Path, ...]:
    return tuple(
        Path(bid=bid, care_of_address=bytes(15) + bytes((bid,)), link=f"link{bid}")
        for bid in bids
    )


class Field:
    """A table whose paths answer probes, but for those that are dead."""

    def __init__(self, *, is_always: bool = True) -> None:
        self.table = ForwardingTable(follows_inbound=False)
        self.table.replace(HOME, paths(1, 2, 3))
        self.dead: set[int] = set()
        self.asked: list[int] = []
        self.told: list[str] = []
        self.probes = PathProbes(
            self.table,
            send=self._send,
            pace=PACE,
            is_always=is_always,
            events=Events(
                EventLog(io.StringIO(), monotonic=time.monotonic, wall_clock=time.time)
            ),
            fell=lambda link: self.told.append(f"{link} fell"),
            returned=lambda _home: self.told.append("returned"),
            judged=lambda: self.told.append("judged"),
        )

    def _send(self, state: PathState, probe: Probe, _now: float) -> None:
        self.asked.append(state.path.bid)
        if state.path.bid not in self.dead:
            loop = asyncio.get_running_loop()
            answer = (probe.identifier, probe.sequence, probe.nonce)
            loop.call_later(
                0.002, lambda: self.probes.answered(*answer, asyncio.get_running_loop().time())
            )

    def down(self) -> set[int]:
        return {state.path.bid for state in self.table.states_of(HOME) if state.down}

    async def until(self, claim: Callable[[], bool]) -> None:
        for _ in range(500):
            if claim():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"down: {self.down()}, told: {self.told}")


def run(scenario: Callable[[Field], Awaitable[None]], *, is_always: bool = True) -> Field:
    async def play() -> Field:
        field = Field(is_always=is_always)
        field.table.route(HOME, b"a flow", 0.0)  # there is no looking at who has no traffic
        field.probes.start()
        try:
            await scenario(field)
        finally:
            field.probes.close()
        return field

    return asyncio.run(play())


async def _settled(field: Field) -> None:
    await field.until(lambda: len(field.asked) >= 9)


def test_a_silent_path_is_left_and_used_again_when_it_answers() -> None:
    async def scenario(field: Field) -> None:
        await _settled(field)
        field.dead = {2}
        await field.until(lambda: field.down() == {2})
        assert field.told == ["link2 fell", "judged"]
        field.dead = set()
        await field.until(lambda: field.down() == set())
        assert field.told[2:] == ["returned", "judged"]

    run(scenario)


def test_where_all_are_silent_no_path_is_to_blame() -> None:
    async def scenario(field: Field) -> None:
        await _settled(field)
        field.dead = {1, 2, 3}
        await asyncio.sleep(0.3)
        assert field.down() == set()

    run(scenario)


def test_the_last_path_that_nobody_can_be_judged_beside_is_used_again() -> None:
    async def scenario(field: Field) -> None:
        await _settled(field)
        field.dead = {2}
        await field.until(lambda: field.down() == {2})
        field.table.replace(HOME, paths(2))
        await field.until(lambda: field.down() == set())

    run(scenario)


def test_what_an_operator_takes_out_stays_out() -> None:
    async def scenario(field: Field) -> None:
        await _settled(field)
        field.dead = {2}
        await field.until(lambda: field.down() == {2})
        field.probes.excluded = {"link2"}
        field.dead = set()
        await asyncio.sleep(0.3)
        assert field.down() == {2}

    run(scenario)


def test_round_trips_are_known_to_the_table() -> None:
    async def scenario(field: Field) -> None:
        await _settled(field)
        await field.until(
            lambda: all(state.round_trip_s for state in field.table.states_of(HOME))
        )
        liveness = field.probes.liveness((HOME, 1))
        assert liveness is not None
        assert liveness.health is Health.UP

    run(scenario)


def test_an_agent_does_not_probe_who_has_no_traffic() -> None:
    async def scenario(field: Field) -> None:
        for flow in list(field.table.flows_of(HOME)):
            assert flow.counted
        field.table.expire(1e6)
        field.asked.clear()
        await asyncio.sleep(0.1)
        assert field.asked == []

    run(scenario, is_always=False)


def test_a_machine_that_is_always_late_judges_all_the_same() -> None:
    async def scenario(field: Field) -> None:
        await _settled(field)
        field.dead = {2}
        for _ in range(40):
            time.sleep(0.05)  # noqa: ASYNC251 - this is what makes the turns late
            await asyncio.sleep(0.004)
            if field.down():
                break
        assert field.down() == {2}

    run(scenario)
