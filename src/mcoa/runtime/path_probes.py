"""Probes of paths at work: sent in time, and what they show told to the forwarder's table."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from ipaddress import IPv6Address
from random import SystemRandom
from typing import Final

from mcoa.dataplane.liveness import Health, Liveness, Pace, Place, Probe, Prober
from mcoa.dataplane.path import PathState
from mcoa.dataplane.table import ForwardingTable
from mcoa.runtime.events import Events
from mcoa.runtime.guard import guarded
from mcoa.runtime.log import Level

_MOST_PATHS: Final = 512
"""Looked after at a time: an agent with more active ones relies on its mobile nodes for the rest."""

_SHORTEST_REST_S: Final = 0.002
_REST_FOR_EACH_LOOK: Final = 20
_LATE_S: Final = 0.03


class PathProbes:
    """Looks after the paths of the home addresses that have traffic.

    Args:
        table: says which paths there are, and is told of those that fail and return.
        send: sends a probe over a path.
        pace: how often.
        is_always: look after paths without traffic, too; for a node with a few.
        fell: told of the link whose path is down.
        returned: told the home address whose path has come back.
        judged: told after any of that.

    Attributes:
        excluded: links that somebody else has taken out of use, and will take back.
    """

    def __init__(
        self,
        table: ForwardingTable,
        *,
        send: Callable[[PathState, Probe, float], object],
        pace: Pace,
        is_always: bool,
        events: Events,
        fell: Callable[[str], object] = lambda _link: None,
        returned: Callable[[bytes], object] = lambda _home_address: None,
        judged: Callable[[], object] = lambda: None,
    ) -> None:
        self._table = table
        self._send = send
        self._pace = pace
        self._is_always = is_always
        self._events = events
        self._fell = fell
        self._returned = returned
        self._told_judged = judged
        self._left: dict[Place, str] = {}
        self._states: dict[Place, PathState] = {}
        self._look_around_at_s = 0.0
        self._prober = Prober(pace, SystemRandom())
        self._loop = asyncio.get_running_loop()
        self._due_s, self._is_late = self._loop.time(), False
        self._timer: asyncio.TimerHandle | None = None
        self.excluded: Collection[str] = ()

    def start(self) -> None:
        """Begin."""
        self._timer = self._loop.call_later(0.0, self._turn)

    def close(self) -> None:
        """Stop; paths stay as they were judged."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def answered(self, identifier: int, sequence: int, data: bytes, now: float) -> bool:
        """Take an answer; False if nobody waits for it."""
        return self._prober.answered(identifier, sequence, data, now)

    def liveness(self, place: Place) -> Liveness | None:
        """Return what is known of a path; None for one that is not looked after."""
        return self._prober.liveness(place)

    def _turn(self) -> None:
        now = self._loop.time()
        # Once at a time: a machine that is always late has to judge all the same.
        self._is_late = not self._is_late and now > self._due_s + _LATE_S
        try:
            self._look_after(now)
        finally:
            # Answers that do not come make no event: they have to be looked for. And traffic
            # may begin at any time.
            soon = now + _SHORTEST_REST_S
            later = now + self._pace.interval_s
            due = self._prober.next_deadline(now)
            self._due_s = min(max(due, soon), later)
            self._timer = self._loop.call_at(self._due_s, self._turn)

    def _look_after(self, now: float) -> None:
        took_back = False
        if now >= self._look_around_at_s:
            with guarded():
                took_back = self._look_around(now)
        states = self._states
        for place, probe in self._prober.due(now):
            with guarded():
                self._send(states[place], probe, now)
        # Who comes late himself judges nobody: answers may still wait to be read.
        changes = [] if self._is_late else self._prober.judge(now)
        for place, health in changes:
            with guarded():
                self._judged(place, states[place], health)
        if changes or took_back:
            self._told_judged()

    def _look_around(self, now: float) -> bool:
        """Find out which paths there are to look after; True if others are used again."""
        self._states = states = self._found()
        self._prober.follow(
            {
                place: (state.path.care_of_address, state.active_flows > 0)
                for place, state in states.items()
            },
            now,
        )
        for place, state in states.items():
            liveness = self._prober.liveness(place)
            state.round_trip_s = liveness.round_trip_s if liveness else None
        # Of an agent with many home addresses this takes a while, and packets wait.
        rest_s = (self._loop.time() - now) * _REST_FOR_EACH_LOOK
        self._look_around_at_s = now + max(self._pace.interval_s, rest_s)
        return self._take_back(states)

    def _take_back(self, states: Mapping[Place, PathState]) -> bool:
        """Use paths again that were found bad and that nobody looks after any more."""
        gone = [place for place in self._left if place not in states]
        for place in gone:
            home_address, bid = place
            if self._left.pop(place) not in self.excluded:
                self._table.path_up(home_address, bid)
                self._returned(home_address)
        return bool(gone)

    def _found(self) -> dict[Place, PathState]:
        found: dict[Place, PathState] = {}
        table = self._table
        homes = table.active_homes() if self._is_always else table.homes_with_flows()
        # What was found to be down has to be found to be up again.
        left = [home_address for home_address, _ in self._left]
        for home_address in dict.fromkeys((*left, *homes)):
            if len(found) >= _MOST_PATHS:
                break
            states = [
                state
                for state in table.states_of(home_address)
                if state.bound and not state.path.home and not state.path.direct_only
            ]
            # A single path has no other to be judged beside.
            if len(states) < 2 or len(found) + len(states) > _MOST_PATHS:
                continue
            if self._is_always or any(state.active_flows or state.down for state in states):
                found.update(
                    ((home_address, state.path.bid), state)
                    for state in states
                    if state.path.link not in self.excluded
                )
        return found

    def _judged(self, place: Place, state: PathState, health: Health) -> None:
        home_address, bid = place
        if health is Health.UP:
            self._table.path_up(home_address, bid)
            self._left.pop(place, None)
            self._returned(home_address)
        else:
            self._left[place] = state.path.link
            self._table.path_down(home_address, bid)
        if health is Health.DOWN:
            self._fell(state.path.link)
        self._events.counts[f"path-{health}"] += 1
        self._events.log.remote(
            f"path-{health}",
            level=Level.INFO if health is Health.UP else Level.WARNING,
            bid=bid or "-",
            care_of_address=IPv6Address(state.path.care_of_address),
            link=state.path.link or None,
        )
