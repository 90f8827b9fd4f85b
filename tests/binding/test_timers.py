"""The timer containers agree with plain dictionaries, whatever the order of calls."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcoa.binding.timers import SecondBuckets, TimerTable

keys, times = st.integers(0, 5), st.integers(0, 50).map(float)


class TimerTableMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table: TimerTable[int] = TimerTable()
        self.model: dict[int, float] = {}

    @rule(key=keys, deadline_s=times)
    def arm(self, key: int, deadline_s: float) -> None:
        self.table.set(key, deadline_s)
        self.model[key] = deadline_s

    @rule(key=keys)
    def stop(self, key: int) -> None:
        self.table.stop(key)
        self.model.pop(key, None)

    @rule(now=times)
    def expire(self, now: float) -> None:
        due = sorted(self.model[key] for key in self.model if self.model[key] <= now)
        fired = list(self.table.expire(now))
        assert [self.model.pop(key) for key in fired] == due

    @invariant()
    def next_deadline_is_the_minimum(self) -> None:
        assert self.table.next_deadline() == min(self.model.values(), default=None)
        assert all(key in self.table for key in self.model)


class SecondBucketsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.buckets: SecondBuckets[int] = SecondBuckets()
        self.model: list[tuple[int, int]] = []

    @rule(key=keys, deadline_s=st.floats(0.0, 50.0))
    def add(self, key: int, deadline_s: float) -> None:
        second = self.buckets.add(key, deadline_s)
        assert second - 1 <= deadline_s <= second
        self.model.append((second, key))

    @rule(now=times)
    def wake(self, now: float) -> None:
        due = sorted(item for item in self.model if item[0] <= now)
        assert sorted(self.buckets.due(now)) == due
        self.model = [item for item in self.model if item[0] > now]

    @rule(places=st.lists(st.tuples(st.integers(0, 50), keys), max_size=5))
    def replace(self, places: list[tuple[int, int]]) -> None:
        self.buckets.replace(places)
        self.model = list(places)

    @rule(now=times, most=st.integers(0, 3))
    def wake_a_few(self, now: float, most: int) -> None:
        woken = list(self.buckets.due(now, most=most))
        due = [item for item in self.model if item[0] <= now]
        assert len(woken) == min(most, len(due))
        for item in woken:
            self.model.remove(item)

    @invariant()
    def next_deadline_is_the_minimum(self) -> None:
        first = min((second for second, _ in self.model), default=None)
        assert self.buckets.next_deadline() == first
        assert len(self.buckets) == len(self.model)


TimerTableMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
SecondBucketsMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestTimerTable = TimerTableMachine.TestCase
TestSecondBuckets = SecondBucketsMachine.TestCase


def test_stale_entries_do_not_pile_up() -> None:
    table: TimerTable[int] = TimerTable()
    for moment in range(10_000):
        table.set(1, 1e6 + moment)
    assert len(table._heap) < 100
