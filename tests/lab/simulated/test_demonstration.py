"""The whole demonstration in virtual time."""

from dataclasses import replace
from pathlib import Path

import pytest

from mcoa.decode.capture import read_frames
from mcoa.decode.describe import describe
from mcoa.lab.demo import QUICK
from mcoa.lab.demo_events import (
    Built,
    Event,
    Finished,
    Found,
    GroundFound,
    Reading,
    StepBegan,
)
from mcoa.lab.demo_result import DemoResult
from mcoa.lab.ground import Ground, GroundKind
from mcoa.lab.namespaces import LabError
from mcoa.lab.simulated.demonstration import simulate

GROUND = Ground(kind=GroundKind.SIMULATION, reason="no /dev/net/tun")
# Three cuts, one of each link; short where the length changes nothing.
PLAN = replace(QUICK, cuts=3, warm_up_s=1.2, single_s=1.5, aggregate_s=1.5)
BRIEF = replace(PLAN, cuts=1, warm_up_s=0.1, single_s=0.1, aggregate_s=0.1)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo.pcapng"


@pytest.fixture(scope="module")
def events(file: Path) -> list[Event]:
    return list(simulate(GROUND, replace(PLAN, capture=file)))


def result_of(events: list[Event]) -> DemoResult:
    match events[-1]:
        case Finished(result=result):
            return result
        case other:
            pytest.fail(f"the last event is {other}")


def test_every_claim_holds(events: list[Event]) -> None:
    result = result_of(events)
    assert [claim.sentence for claim in result.claims() if not claim.holds] == []
    assert result.holds


def test_the_first_event_names_the_ground_and_its_reason(events: list[Event]) -> None:
    assert events[0] == GroundFound(ground=GROUND)
    assert result_of(events).to_object()["ground"] == "simulation in virtual time"


def test_it_says_that_its_transfers_are_not_tcp(events: list[Event]) -> None:
    sentences = [event.sentence for event in events if isinstance(event, Found)]
    assert "what is called TCP here is a model of it" in " ".join(sentences[:3])


def test_each_link_alone_carries_its_rate_less_the_headers(events: list[Event]) -> None:
    singles = dict(result_of(events).singles_mbit_s)
    for name, rate_mbit_s in (("lte", 40), ("wifi", 20), ("sat", 30)):
        assert 0.85 * rate_mbit_s < singles[name] < 0.96 * rate_mbit_s


def test_every_link_is_cut_under_its_traffic_and_the_train_goes_on_over_another(
    events: list[Event],
) -> None:
    rtt_ms = {"lte": 20, "wifi": 40, "sat": 60}
    cuts = result_of(events).cuts
    assert {cut.link for cut in cuts} == set(rtt_ms)
    for cut in cuts:
        assert cut.moved_to is not None
        assert cut.moved_to != cut.link
        assert cut.surviving_rtt_ms is not None
        # Its queue may hold some packets of the transfers.
        assert rtt_ms[cut.moved_to] <= cut.surviving_rtt_ms < rtt_ms[cut.moved_to] + 10
        assert 20 <= cut.gap_ms < 50 + cut.surviving_rtt_ms
        assert cut.lost >= 1
        assert cut.tcp_survived
        assert cut.recovered_s is not None
        assert cut.recovered_s < 1.0


def test_plain_mobile_ipv6_stands_beside_it(events: list[Event]) -> None:
    [cut] = result_of(events).plain_cuts
    assert cut.lost >= 1
    assert cut.gap_ms > 0
    titles = [event.title for event in events if isinstance(event, StepBegan)]
    assert titles[-1] == "the same cut with plain Mobile IPv6: one binding"


def test_readings_come_four_times_a_virtual_second(events: list[Event]) -> None:
    readings = [event for event in events if isinstance(event, Reading)]
    assert [reading.elapsed_s for reading in readings] == pytest.approx(
        [0.25 * number for number in range(1, len(readings) + 1)]
    )
    busiest = max(link.down_mbit_s for reading in readings for link in reading.links)
    assert 39 < busiest < 41
    assert any(not link.has_carrier for reading in readings for link in reading.links)


def test_no_namespaces_are_promised(events: list[Event]) -> None:
    assert [event for event in events if isinstance(event, Built)] == [Built(namespaces=())]


def test_the_packets_are_a_capture_in_which_every_message_decodes(
    events: list[Event], file: Path
) -> None:
    assert result_of(events).capture == str(file)
    with file.open("rb") as stream:
        frames = list(read_frames(stream))
    described = [each for frame in frames if (each := describe(frame)) is not None]
    assert len(frames) > 10 * len(described) > 100
    assert [each for each in described if each.error is not None] == []
    first = described[0].as_json()
    assert first["message"] == "Binding Update"
    bids = [option["bid"] for option in first["options"] if option["type"] == 35]
    assert bids == [1, 2, 3]
    assert all(each.as_json()["checksum_ok"] for each in described)


def test_the_same_seed_gives_the_same_run() -> None:
    first, second, other = (list(simulate(GROUND, BRIEF, seed=seed)) for seed in (7, 7, 8))
    assert first == second
    assert first != other


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    plan = replace(BRIEF, capture=tmp_path / "missing" / "demo.pcapng")
    with pytest.raises(LabError, match=r"demo\.pcapng cannot be written: No such file"):
        list(simulate(GROUND, plan))


def test_a_run_that_is_given_up_closes_its_file(tmp_path: Path) -> None:
    file = tmp_path / "demo.pcapng"
    events = simulate(GROUND, replace(BRIEF, capture=file))
    for event in events:
        if isinstance(event, Reading):
            break
    events.close()
    with file.open("rb") as stream:
        assert list(read_frames(stream))
