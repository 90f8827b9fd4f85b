"""A fault of the program, once at each entrance of the daemon: what comes after it is served."""

import asyncio
import io
import os
from collections.abc import Callable, Coroutine, Iterable
from random import Random
from typing import Any

import pytest

from mcoa.engine.actions import BindingsChanged, Report
from mcoa.runtime import daemon, links
from mcoa.runtime.at_home import AtHome
from mcoa.runtime.correspondent import CorrespondentService
from mcoa.runtime.guard import Faults, guarded, run_each
from mcoa.runtime.home_agent import HomeAgentService
from mcoa.runtime.home_finder import HomeFinder
from mcoa.runtime.home_link import HomeLink
from mcoa.runtime.home_routers import HomeRouters
from mcoa.runtime.links import LinkState, LinkWatcher
from mcoa.runtime.log import EventLog
from mcoa.runtime.mobile_node import MobileNodeService
from mcoa.runtime.outbox import Outbox
from mcoa.runtime.path_probes import PathProbes
from mcoa.runtime.readiness import deliver
from mcoa.runtime.several import SeveralRoles

HOME = bytes(15) + b"\1"


class FlawError(Exception):
    """What goes wrong once."""


class Flawed:
    """Something that fails the first time that it is called, and counts its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any, **_: Any) -> None:
        self.calls.append(arguments)
        if len(self.calls) == 1:
            raise FlawError


class Part:
    """Does nothing, whatever is asked of it; stands for any part of a service."""

    now, is_stopped, state, index = 0.0, False, None, 7

    def __getattr__(self, _name: str) -> Any:
        return Part()

    def __call__(self, *_: object, **__: object) -> Any:
        return self


def faults_in(scenario: Callable[[], Coroutine[None, None, None]]) -> int:
    """Play a scenario, and return the number of faults that the loop was told of."""
    faults = Faults(EventLog(io.StringIO(), monotonic=lambda: 0.0, wall_clock=lambda: 0.0))

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(faults.handle)
        await scenario()

    asyncio.run(play())
    return faults.count


async def until(claim: Callable[[], bool]) -> None:
    for _ in range(2000):
        if claim():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not go on")


def bare(kind: type, **parts: object) -> Any:
    """Return an object whose parts are all Part, but for those given."""

    class Bare(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            self.__dict__.update(parts)

        def __getattr__(self, _name: str) -> Any:
            return Part()

    return Bare()


def test_the_tick_goes_on() -> None:
    ticked, log = Flawed(), Flawed()
    node = Part()
    node.tick = ticked  # type: ignore[attr-defined]
    log.flush = lambda: None  # type: ignore[attr-defined]

    async def scenario() -> None:
        task = asyncio.create_task(daemon._tick(node, log, 0.001))  # type: ignore[arg-type]
        await until(lambda: len(ticked.calls) >= 3)
        task.cancel()

    assert faults_in(scenario) == 1


def test_a_fault_is_among_the_counters_of_the_status() -> None:
    class Node:
        def status(self) -> Any:
            return self

    node, faults = Node(), Faults(Part())  # type: ignore[arg-type]
    node.counters = {"x": 1}  # type: ignore[attr-defined]
    faults.count = 2
    seen: list[Any] = []

    def replaced(_status: object, **values: Any) -> Any:
        seen.append(values)
        return Part()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(daemon, "replace", replaced)
        daemon._status(node, faults)  # type: ignore[arg-type]
    assert seen == [{"counters": {"x": 1, "internal-faults": 2}}]


@pytest.mark.parametrize("kind", [HomeAgentService, MobileNodeService, CorrespondentService])
def test_what_is_due_every_second_is_done_beside_a_fault(kind: type) -> None:
    expired = Flawed()
    expired.calls.append(())
    forwarder = Part()
    forwarder.expire = expired  # type: ignore[attr-defined]
    role = Part()
    role.forwarder = forwarder  # type: ignore[attr-defined]
    service = bare(kind, _collect=Flawed(), _forwarder=forwarder, _role=role)
    service.__dict__ |= {"_correspondent": None, "_fit_device": Part()}

    async def scenario() -> None:
        service.tick()

    assert faults_in(scenario) == 1
    assert len(expired.calls) == 2


def test_each_role_has_its_tick() -> None:
    first, second = Part(), Part()
    first.tick, second.tick = Flawed(), Flawed()  # type: ignore[attr-defined]

    async def scenario() -> None:
        SeveralRoles(first, second).tick()  # type: ignore[arg-type]

    assert faults_in(scenario) == 2


@pytest.mark.parametrize("kind", [HomeAgentService, MobileNodeService])
def test_the_other_actions_of_an_engine_are_performed(kind: type) -> None:
    report = Flawed()
    events = Part()
    events.report = report  # type: ignore[attr-defined]
    service = bare(kind, _events=events)

    async def scenario() -> None:
        service._perform([Report(event="x"), Report(event="y")])

    assert faults_in(scenario) == 1
    assert len(report.calls) == 2


def test_all_that_follows_from_changed_bindings_is_done() -> None:
    converge = Flawed()
    converge.calls.append(())
    steering = Part()
    steering.converge = converge  # type: ignore[attr-defined]
    service = bare(MobileNodeService, _paths_changed=Flawed(), _steering=steering)

    async def scenario() -> None:
        service._perform([BindingsChanged(home_address=None)])  # type: ignore[arg-type]

    assert faults_in(scenario) == 1
    assert len(converge.calls) == 2


class Pipe:
    """A source of batches of numbers."""

    def __init__(self, *batches: list[int]) -> None:
        self.batches = list(batches)
        self._end, begin = os.pipe()
        os.write(begin, b"x")
        os.close(begin)

    def fileno(self) -> int:
        return self._end

    def receive(self) -> list[int]:
        return self.batches.pop(0) if self.batches else []

    def close(self) -> None:
        os.close(self._end)


@pytest.mark.parametrize("place", ["before all", "in the middle", "behind all"])
def test_a_batch_loses_no_more_than_the_item_with_the_fault(place: str) -> None:
    taken: list[int] = []
    faulty = ["yes"]

    def fail(here: str) -> None:
        if here == place and faulty:
            faulty.clear()
            raise FlawError

    def take(items: Iterable[int]) -> None:
        fail("before all")
        for item in items:
            if item == 2:
                fail("in the middle")
            taken.append(item)
        fail("behind all")

    async def scenario() -> None:
        source = Pipe([1, 2, 3], [4])
        stop = deliver(source, take, lambda _error: None)
        await until(lambda: 4 in taken)
        stop()
        source.close()

    assert faults_in(scenario) == 1
    expected = {"before all": [4], "in the middle": [1, 3, 4], "behind all": [1, 2, 3, 4]}
    assert taken == expected[place]


def test_a_link_is_told_again_and_others_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "Monitor", lambda *_, **__: Part())
    monkeypatch.setattr(links, "_AFTER_FAULT_S", 0.001)
    told = Flawed()

    async def scenario() -> None:
        watcher: Any = LinkWatcher({"lte": "a", "wifi": "b"}, told, netlink=Part())  # type: ignore[arg-type]
        watcher._table = Part()
        watcher._table.state = lambda name, **_: LinkState(index=ord(name))
        watcher._loop = asyncio.get_running_loop()
        watcher._tell()
        await until(lambda: len(told.calls) >= 3)
        watcher._loop = None

    assert faults_in(scenario) == 1
    assert [name for name, _ in told.calls] == ["lte", "wifi", "lte"]


def test_an_announcement_that_nobody_understands_is_made_good_by_a_dump(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links, "Monitor", lambda *_, **__: Part())

    async def scenario() -> None:
        watcher: Any = LinkWatcher({}, Flawed(), netlink=Part())  # type: ignore[arg-type]
        watcher._table = Part()
        watcher._table.apply, watcher._table.reload = Flawed(), Flawed()
        watcher._table.reload.calls.append(())
        watcher._apply(None)
        assert len(watcher._table.reload.calls) == 2

    assert faults_in(scenario) == 1


def test_other_paths_are_probed_and_judged() -> None:
    """A link whose probe cannot be sent must not hide that another link is dead."""
    prober, send, judged = Part(), Flawed(), Flawed()
    prober.due = lambda _now: [("a", None), ("b", None)]  # type: ignore[attr-defined]
    prober.judge = lambda _now: [("a", None), ("b", None)]  # type: ignore[attr-defined]
    probes = bare(
        PathProbes,
        _look_around_at_s=0.0,
        _look_around=Flawed(),
        _is_late=False,
        _states={"a": None, "b": None},
        _prober=prober,
        _send=send,
        _judged=judged,
    )

    async def scenario() -> None:
        probes._look_after(1.0)

    assert faults_in(scenario) == 3
    assert (len(send.calls), len(judged.calls)) == (2, 2)


def test_a_packet_that_cannot_be_sent_holds_no_other_back() -> None:
    sent = Flawed()

    async def scenario() -> None:
        outbox: Outbox[bytes] = Outbox(
            commit=lambda _batch: None,
            record=lambda home: home,
            send=sent,
            failed=lambda _error: None,
        )
        outbox.remember(HOME)
        outbox.post(b"first")
        outbox.post(b"second")
        outbox.flush()
        await outbox.drain()
        outbox.close()

    assert faults_in(scenario) == 1
    assert [packet for (packet,) in sent.calls] == [b"first", b"second"]


def test_records_that_failed_for_any_reason_are_written_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mcoa.runtime.outbox.RETRY_S", 0.001)
    commit = Flawed()

    async def scenario() -> None:
        outbox: Outbox[bytes] = Outbox(
            commit=commit, record=lambda home: home, send=Flawed(), failed=Flawed()
        )
        outbox.remember(HOME)
        outbox.flush()
        await until(lambda: len(commit.calls) >= 2)
        await outbox.drain()
        outbox.close()

    assert faults_in(scenario) == 1


async def _fails(step: Callable[[], object]) -> None:
    with pytest.raises(FlawError):
        step()


def test_advertisements_go_on() -> None:
    routers = bare(HomeRouters, _send=Flawed(), _next=None, _make=Part())
    later = Flawed()
    later.calls.append(())
    routers.__dict__["_advertise_within"] = later

    async def scenario() -> None:
        await _fails(routers._advertise)

    assert faults_in(scenario) == 0
    assert len(later.calls) == 2


def test_the_home_link_is_asked_for_and_judged_again() -> None:
    listener = Part()
    listener.solicit = Flawed()  # type: ignore[attr-defined]
    seen = Part()
    seen.routers = {}  # type: ignore[attr-defined]
    armed = Flawed()
    armed.calls.append(())
    finder = bare(
        HomeFinder,
        _asking={},
        _listeners={"home": listener},
        _seen={"home": seen},
        _interfaces={"home": "eth0"},
        _candidate=Flawed(),
        _arm=armed,
    )

    async def scenario() -> None:
        await _fails(lambda: finder._ask("home", 3))
        finder._asking["home"].cancel()
        await _fails(finder._judge)

    assert faults_in(scenario) == 0
    assert len(armed.calls) == 2


@pytest.mark.parametrize("kind", [AtHome, HomeLink])
def test_announcements_are_repeated(kind: type) -> None:
    neighbours = Part()
    neighbours.announce = Flawed()  # type: ignore[attr-defined]
    link = bare(kind, _neighbours=neighbours, _announcements={}, _homes={}, _timer=None)

    async def scenario() -> None:
        if kind is AtHome:
            await _fails(link.announce)
            timer = link._timer
        else:
            link.__dict__["_rng"] = Random(0)
            await _fails(lambda: link._announce("home", 3))
            timer = link._announcements["home"]
        timer.cancel()

    assert faults_in(scenario) == 0


def test_steps_are_run_each_and_only_faults_are_held_up() -> None:
    async def scenario() -> None:
        second = Flawed()
        second.calls.append(())
        run_each(Flawed(), second)
        assert len(second.calls) == 2
        with pytest.raises(KeyboardInterrupt), guarded():
            raise KeyboardInterrupt

    assert faults_in(scenario) == 1
