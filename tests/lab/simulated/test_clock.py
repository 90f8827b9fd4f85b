"""Virtual time."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from mcoa.lab.simulated.clock import Clock


@given(st.lists(st.floats(0, 10), max_size=30))
def test_what_is_due_happens_in_order_and_at_its_time(times: list[float]) -> None:
    clock, seen = Clock(), []
    for number, time_s in enumerate(times):
        clock.at(time_s, lambda number=number: seen.append((clock.now, number)))
    clock.run_until(10.0)
    assert seen == sorted((time_s, number) for number, time_s in enumerate(times))
    assert clock.now == 10.0


def test_nothing_happens_before_its_time() -> None:
    clock, seen = Clock(), []
    clock.after(2.0, partial(seen.append, "late"))
    clock.run_until(1.999)
    assert seen == []
    clock.run_until(2.0)
    assert seen == ["late"]


def test_an_act_may_enter_others_and_time_never_goes_back() -> None:
    clock, seen = Clock(), []

    def act() -> None:
        clock.at(0.5, lambda: seen.append(clock.now))  # that has passed
        clock.after(1.0, lambda: seen.append(clock.now))

    clock.at(1.0, act)
    clock.run_until(5.0)
    clock.run_until(4.0)
    assert seen == [1.0, 2.0]
    assert clock.now == 5.0
