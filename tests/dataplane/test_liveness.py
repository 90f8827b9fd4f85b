"""Paths judged by probes, in virtual time."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.dataplane.liveness import Health, Pace, Place, Prober

HOME = bytes(15) + b"\x01"
LTE, WIFI = (HOME, 1), (HOME, 2)
PACE = Pace(interval_s=0.05, multiplier=3)
STEP_S = 0.005

Loses = Callable[[Place, float], bool]


class World:
    """Paths with delays, and what the prober makes of them."""

    def __init__(self, delays: dict[Place, float], *, busy: bool = True) -> None:
        self.prober = Prober(PACE, Random(7))
        self.delays = delays
        self.held: dict[Place, float] = {}  # until when a path's queue does not move
        self.busy = busy
        self.now = 100.0
        self.changes: list[tuple[float, Place, Health]] = []
        self.probes = 0
        self._answers: list[tuple[float, int, int, bytes]] = []

    def run(self, duration_s: float, loses: Loses = lambda *_: False) -> None:
        end_s = self.now + duration_s
        while self.now < end_s:
            self.now += STEP_S
            care_of = {place: (bytes((place[1],)), self.busy) for place in self.delays}
            self.prober.follow(care_of, self.now)
            for place, probe in self.prober.due(self.now):
                self.probes += 1
                if not loses(place, self.now):
                    at_s = max(self.now, self.held.get(place, 0.0)) + self.delays[place]
                    answer = (at_s, probe.identifier, probe.sequence, probe.nonce)
                    self._answers.append(answer)
            for answer in [each for each in self._answers if each[0] <= self.now]:
                self._answers.remove(answer)
                assert self.prober.answered(*answer[1:], self.now)
            for place, health in self.prober.judge(self.now):
                self.changes.append((self.now, place, health))


@pytest.mark.parametrize("delay_s", [0.001, 0.02, 0.06, 0.6])
def test_a_path_that_falls_silent_is_down_soon(delay_s: float) -> None:
    world = World({LTE: delay_s, WIFI: 0.02})
    world.run(5.0)
    assert world.changes == []
    cut_s = world.now
    world.run(2.0, lambda place, _: place == LTE)
    [(at_s, place, health)] = world.changes
    assert (place, health) == (LTE, Health.DOWN)
    # The first answer that is missing is a round trip late, the others follow.
    assert at_s - cut_s <= delay_s + 3 * PACE.interval_s + 0.03


def test_it_returns_after_some_answers_in_a_row() -> None:
    world = World({LTE: 0.02, WIFI: 0.02})
    world.run(2.0)
    world.run(1.0, lambda place, _: place == LTE)
    world.run(0.1)
    assert [health for _, _, health in world.changes] == [Health.DOWN]
    world.run(1.0)
    assert world.prober.liveness(LTE) is not None
    assert world.changes[-1][2] in {Health.UP, Health.DEGRADED}
    world.run(5.0)
    assert world.prober.liveness(LTE).health is Health.UP  # type: ignore[union-attr]


def test_a_path_that_flaps_returns_more_slowly_each_time() -> None:
    world = World({LTE: 0.02, WIFI: 0.02})
    world.run(2.0)
    for _ in range(5):
        world.run(0.35, lambda place, _: place == LTE)
        world.run(0.45)
    falls = [at for at, _, health in world.changes if health is Health.DOWN]
    assert len(falls) <= 2
    world.run(15.0)
    assert world.prober.liveness(LTE).health is Health.UP  # type: ignore[union-attr]
    world.run(40.0)  # long ago is forgotten
    world.run(0.5, lambda place, _: place == LTE)
    before = len(world.changes)
    world.run(0.5)
    assert len(world.changes) > before


def test_where_all_are_silent_no_path_is_to_blame() -> None:
    world = World({LTE: 0.02, WIFI: 0.04})
    world.run(2.0)
    world.run(5.0, lambda *_: True)
    assert world.changes == []


def test_a_new_path_is_no_answer_of_the_other_end() -> None:
    """A mobile node that answers no probes keeps its paths when it registers another one."""
    world = World({LTE: 0.02})
    world.run(2.0, lambda *_: True)
    world.delays[WIFI] = 0.02
    world.run(3.0, lambda *_: True)
    assert world.changes == []
    world.run(2.0, lambda place, _: place == LTE)
    assert (LTE, Health.DOWN) in [(place, health) for _, place, health in world.changes]


def test_a_single_path_is_never_down() -> None:
    world = World({LTE: 0.02})
    world.run(2.0)
    world.run(5.0, lambda *_: True)
    assert world.changes == []


def test_a_lossy_path_is_degraded_and_a_clean_one_is_not() -> None:
    rng = Random(5)
    world = World({LTE: 0.02, WIFI: 0.02})
    world.run(6.0, lambda place, _: place == LTE and rng.random() < 0.3)
    assert (LTE, Health.DEGRADED) in {(place, health) for _, place, health in world.changes}
    assert all(place == LTE for _, place, _ in world.changes)
    world.run(10.0)
    assert world.prober.liveness(LTE).health is Health.UP  # type: ignore[union-attr]


def test_a_little_loss_is_nothing() -> None:
    rng = Random(6)
    world = World({LTE: 0.02, WIFI: 0.02})
    world.run(60.0, lambda *_: rng.random() < 0.02)
    assert world.changes == []


def test_idle_paths_are_asked_seldom() -> None:
    world = World({LTE: 0.02, WIFI: 0.02}, busy=False)
    world.run(20.0)
    assert world.probes <= 2 * 22
    world.busy = True
    before = world.probes
    world.run(1.0)
    assert world.probes - before >= 2 * 18


def test_round_trip_and_jitter_are_measured() -> None:
    world = World({LTE: 0.04, WIFI: 0.02})
    world.run(5.0)
    liveness = world.prober.liveness(LTE)
    assert liveness is not None
    assert liveness.round_trip_s == pytest.approx(0.04, abs=2 * STEP_S)
    assert liveness.jitter_s < 2 * STEP_S
    assert liveness.loss == 0.0


def test_a_guessed_answer_proves_nothing() -> None:
    prober = Prober(PACE, Random(1))
    prober.follow({LTE: (b"a", True)}, 0.0)
    [(_, probe)] = prober.due(0.0)
    liveness = prober.liveness(LTE)
    assert liveness is not None
    assert prober.answered(probe.identifier, probe.sequence, bytes(16), 0.1)
    assert liveness.round_trip_s is None
    assert not prober.answered(probe.identifier + 1 & 0xFFFF, probe.sequence, probe.nonce, 0.1)
    assert prober.answered(probe.identifier, probe.sequence, probe.nonce, 0.1)
    assert liveness.round_trip_s == pytest.approx(0.1)
    prober.answered(probe.identifier, probe.sequence, probe.nonce, 9.0)  # once is enough
    assert liveness.round_trip_s == pytest.approx(0.1)


def test_another_care_of_address_begins_anew() -> None:
    world = World({LTE: 0.02, WIFI: 0.02})
    world.run(2.0)
    world.run(1.0, lambda place, _: place == LTE)
    world.prober.follow({LTE: (b"new", True), WIFI: (b"\x02", True)}, world.now)
    liveness = world.prober.liveness(LTE)
    assert liveness is not None
    assert liveness.health is Health.UP


@given(seed=st.integers(0, 1 << 32), delay_s=st.floats(0.001, 0.3), loss=st.floats(0, 0.02))
def test_no_path_that_delivers_is_ever_down(seed: int, delay_s: float, loss: float) -> None:
    rng = Random(seed)
    world = World({LTE: delay_s, WIFI: 0.02})
    world.run(3.0, lambda *_: rng.random() < loss)
    assert Health.DOWN not in {health for _, _, health in world.changes}


def test_a_path_that_was_slow_for_a_moment_is_not_held_for_one_that_flaps() -> None:
    """All that was missed comes, only later: a queue was long, or somebody was busy."""
    world = World({LTE: 0.02, WIFI: 0.02})
    world.run(5.0)
    for _ in range(5):
        world.held[LTE] = world.now + 0.4
        world.run(3.0)
    falls = [at_s for at_s, _, health in world.changes if health is Health.DOWN]
    returns = [at_s for at_s, _, health in world.changes if health is Health.UP]
    assert len(falls) == len(returns)
    assert falls
    assert all(back_s - down_s < 0.6 for down_s, back_s in zip(falls, returns, strict=True))
