"""The demonstration in a terminal and in a log."""

import io

from rich.console import Console

from mcoa.lab.demo_events import (
    Event,
    Finished,
    Found,
    GroundFound,
    LinkReading,
    Reading,
    StepBegan,
)
from mcoa.lab.demo_result import CutResult, DemoResult
from mcoa.lab.demo_view import DemoView
from mcoa.lab.ground import Ground, GroundKind

CUT = CutResult(
    link="lte",
    gap_ms=52.0,
    lost=5,
    surviving_rtt_ms=41.0,
    tcp_gap_ms=150.0,
    message_gap_ms=60.0,
    tcp_survived=True,
    moved_to="wifi",
)
RESULT = DemoResult(
    ground="somewhere",
    links=3,
    bindings_registered=3,
    singles_mbit_s=(("lte", 36.0), ("wifi", 18.0), ("sat", 26.0)),
    aggregate_mbit_s=60.0,
    cuts=(CUT,),
    plain_cuts=(),
    recovered=True,
    capture="demo.pcapng",
)


def reading(elapsed_s: float) -> Reading:
    link = LinkReading(
        name="lte",
        rate_mbit_s=40,
        rtt_ms=20.0,
        has_carrier=True,
        care_of_address="2001:db8:a::1234",
        binding="registered",
        up_mbit_s=1.5,
        down_mbit_s=33.0,
    )
    return Reading(elapsed_s=elapsed_s, links=(link,))


def shown(events: list[Event], *, live: bool) -> str:
    output = io.StringIO()
    console = Console(file=output, width=100, force_terminal=live, color_system=None)
    with DemoView(console, live=live).open() as view:
        for event in events:
            view.show(event)
    return output.getvalue()


def test_the_first_plain_line_names_the_ground() -> None:
    ground = Ground(kind=GroundKind.SIMULATION, reason="no /dev/net/tun")
    text = shown([GroundFound(ground=ground), StepBegan(title="begin")], live=False)
    assert text.splitlines()[0] == "ground: simulation in virtual time (no /dev/net/tun)"


def test_plain_progress_comes_every_two_seconds() -> None:
    events = [reading(elapsed_s / 4) for elapsed_s in range(1, 41)]
    lines = shown(list(events), live=False).splitlines()
    assert len(lines) == 5
    assert "lte registered 33.0/1.5 Mbit/s" in lines[0]


def test_the_live_table_shows_the_links() -> None:
    text = shown([Found(sentence="a finding [with brackets]"), reading(1.0)], live=True)
    assert "a finding [with brackets]" in text
    assert "2001:db8:a::1234" in text
    assert "33.0" in text


def test_the_result_names_each_claim_and_the_file() -> None:
    text = shown([Finished(result=RESULT)], live=False)
    assert "NO   8 flows over 3 links" in text
    assert "yes  TCP survives every cut" in text
    assert "demo.pcapng" in text
    assert "52 ms" in text
