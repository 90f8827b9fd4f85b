"""The log: one line an event, and no flood from the network."""

import json
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.runtime.log import EventLog, Level, RateLimit


class Scene:
    """A log with a clock that the test moves."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        level: Level = Level.INFO,
        limit: RateLimit | None = None,
    ) -> None:
        self.now = 0.0
        self.stream = StringIO()
        self.log = EventLog(
            self.stream,
            monotonic=lambda: self.now,
            wall_clock=lambda: 1_700_000_000.25 + self.now,
            as_json=as_json,
            level=level,
            limit=limit,
        )

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def test_an_event_is_a_line_of_time_level_name_and_fields() -> None:
    scene = Scene()
    scene.log.info("binding-registered", bid=1, link="lte", lifetime_s=300.0, bulk=True)
    assert scene.lines == [
        "2023-11-14T22:13:20.250Z info binding-registered bid=1 link=lte lifetime_s=300 bulk=true"
    ]


def test_an_event_is_an_object_where_json_is_asked_for() -> None:
    scene = Scene(as_json=True)
    scene.log.error("store-failed", path="/var/lib", reason=OSError("disk full"))
    assert [json.loads(line) for line in scene.lines] == [
        {
            "time": "2023-11-14T22:13:20.250Z",
            "level": "error",
            "event": "store-failed",
            "path": "/var/lib",
            "reason": "disk full",
        }
    ]


def test_absent_fields_are_left_out() -> None:
    scene = Scene()
    scene.log.warning("link-lost", link="lte", address=None)
    assert scene.lines == ["2023-11-14T22:13:20.250Z warning link-lost link=lte"]


def test_below_its_level_an_event_is_not_written() -> None:
    scene = Scene(level=Level.WARNING)
    scene.log.debug("a")
    scene.log.info("b")
    scene.log.remote("c", level=Level.INFO)
    scene.log.close()
    assert scene.lines == []


@pytest.mark.parametrize("event", ["Binding registered", "", "a_b", "a-", "-a", "1a", "a\nb"])
def test_events_have_fixed_names_not_prose(event: str) -> None:
    with pytest.raises(ValueError, match="name of an event"):
        Scene().log.info(event)


def test_a_remote_event_passes_in_a_burst_and_is_then_held_back() -> None:
    scene = Scene(limit=RateLimit(burst=3, per_second=0.5))
    for number in range(10):
        scene.log.remote("update-refused", number=number)
    assert len(scene.lines) == 3
    scene.now = 2.0
    scene.log.remote("update-refused", number=10)
    assert scene.lines[-1].endswith("update-refused number=10 suppressed=7")
    scene.now = 4.0
    scene.log.remote("update-refused", number=11)
    assert scene.lines[-1].endswith("number=11")


def test_events_do_not_hold_each_other_back() -> None:
    scene = Scene(limit=RateLimit(burst=1, per_second=0.125))
    scene.log.remote("update-refused")
    scene.log.remote("update-refused")
    scene.log.remote("bindings-expired")
    assert len(scene.lines) == 2


def test_a_long_silence_allows_no_more_than_one_burst() -> None:
    scene = Scene(limit=RateLimit(burst=2, per_second=10))
    scene.log.remote("a")
    scene.now = 1e6
    for _ in range(10):
        scene.log.remote("a")
    assert len(scene.lines) == 3


def test_close_says_what_is_still_held_back() -> None:
    scene = Scene(limit=RateLimit(burst=1, per_second=0))
    for _ in range(5):
        scene.log.remote("update-refused")
    scene.log.close()
    scene.log.close()
    assert [line.partition("Z ")[2] for line in scene.lines] == [
        "warning update-refused",
        "warning update-refused suppressed=4",
    ]


def test_flush_keeps_the_limit_too() -> None:
    scene = Scene(limit=RateLimit(burst=1, per_second=0.125))
    for second in range(31):
        scene.now = float(second)
        scene.log.remote("update-refused")
        scene.log.flush()
    assert len(scene.lines) == 4
    scene.now = 60.0
    scene.log.flush()
    scene.log.flush()
    assert len(scene.lines) <= 5
    assert "suppressed=" in scene.lines[-1]


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    scene = Scene()
    scene.stream.close()
    scene.log.error("store-failed")


@given(value=st.text())
def test_no_value_can_forge_a_line_or_a_field(value: str) -> None:
    for as_json in (False, True):
        scene = Scene(as_json=as_json)
        scene.log.warning("update-refused", detail=value, after=1)
        (line,) = scene.stream.getvalue().splitlines()
        assert line.isascii()
        assert line.isprintable()
        if as_json:
            assert json.loads(line)["detail"] == value
        else:
            assert line.endswith(" after=1")
            quoted = line.partition(" detail=")[2].removesuffix(" after=1")
            assert quoted == value or json.loads(quoted) == value
