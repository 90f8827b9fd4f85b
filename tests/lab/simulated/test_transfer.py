"""The model of TCP: all arrives in order, at the rate of the path, over loss and outages."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcoa.lab.meters.results import FlowResult
from mcoa.lab.simulated.channel import Channel, Quality
from mcoa.lab.simulated.clock import Clock
from mcoa.lab.simulated.segments import Segments, numbers
from mcoa.lab.simulated.transfer import (
    LEAST_TIMEOUT_S,
    MOST_SILENCE_S,
    Receiver,
    RoundTrips,
    Sender,
)

HERE, THERE, PORT, OCTETS = bytes(15) + b"\x01", bytes(15) + b"\x02", 5000, 1000
GOOD = Quality(delay_s=0.02, rate_mbit_s=8, queue_s=0.05)
PACKETS_A_SECOND = 1e6 / (OCTETS + 56)


class Pair:
    """A sender and a receiver with a channel each way; `is_cut` loses everything."""

    def __init__(self, quality: Quality, *, interval_s: float = 0.0, seed: int = 1) -> None:
        self.clock, self.is_cut = Clock(), False
        self.sent: list[tuple[float, int]] = []
        rng = Random(seed)
        self._channels = {"data": Channel(quality, rng), "back": Channel(quality, rng)}
        data, back = Segments(HERE, THERE, PORT, OCTETS), Segments(THERE, HERE, PORT)
        self.sender = Sender(
            self.clock, data, self.carry("data", self.to_receiver), interval_s=interval_s
        )
        self.receiver = Receiver(
            self.clock, back, self.carry("back", self.to_sender), octets=OCTETS
        )
        self.receiver.begin()

    def carry(self, way: str, to: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def send(packet: bytes) -> None:
            if way == "data":
                self.sent.append((self.clock.now, numbers(packet)[0]))
            if not self.is_cut:
                for time_s in self._channels[way].arrivals(len(packet), self.clock.now):
                    self.clock.at(time_s, partial(to, packet))

        return send

    def to_receiver(self, packet: bytes) -> None:
        if not self.is_cut:
            self.receiver.take(packet)

    def to_sender(self, packet: bytes) -> None:
        if not self.is_cut:
            self.sender.take(packet)

    def run(self, duration_s: float) -> None:
        self.clock.run_until(self.clock.now + duration_s)

    def close(self) -> FlowResult:
        self.sender.close()
        return self.receiver.close(PORT)


def test_a_bulk_transfer_fills_the_path() -> None:
    pair = Pair(GOOD)
    pair.run(10.0)
    result = pair.close()
    assert result.error is None
    assert result.octets_between(2.0, 10.0) > 0.97 * 8 * PACKETS_A_SECOND * OCTETS


def test_a_loss_by_overflow_shrinks_the_window_and_is_repaired_within_round_trips() -> None:
    pair = Pair(GOOD)
    pair.run(10.0)
    segments = [segment for _, segment in pair.sent]
    assert 0 < len(segments) - len(set(segments)) < 0.05 * len(segments)
    assert pair.close().longest_gap(2.0) < 0.15


@given(loss=st.floats(0, 0.3), jitter_s=st.floats(0, 0.05), seed=st.integers(0, 1 << 30))
@settings(max_examples=30)
def test_all_arrives_in_order_whatever_is_lost_doubled_or_overtaken(
    loss: float, jitter_s: float, seed: int
) -> None:
    quality = Quality(delay_s=0.01, jitter_s=jitter_s, loss=loss, duplication=0.1)
    pair = Pair(quality, interval_s=0.01, seed=seed)
    pair.run(5.0)
    pair.sender._interval_s = 0.0  # the application gives no more
    given_segments = pair.sender._supply
    pair.run(120.0)
    assert pair.close().octets == given_segments * OCTETS > 0


def test_a_paced_transfer_keeps_its_pace() -> None:
    pair = Pair(GOOD, interval_s=0.01)
    pair.run(5.0)
    result = pair.close()
    assert result.octets == pytest.approx(500 * OCTETS, rel=0.02)
    assert result.gaps[1:] == ()  # the first is the opening


def test_after_an_outage_a_timeout_brings_the_transfer_back() -> None:
    pair = Pair(GOOD, interval_s=0.005)
    pair.run(2.0)
    pair.is_cut = True
    pair.run(0.5)
    pair.is_cut = False
    pair.run(2.0)
    result = pair.close()
    assert result.error is None
    assert 0.5 < result.longest_gap(2.0) < 1.0
    assert result.octets == pytest.approx(900 * OCTETS, rel=0.02)


def test_timeouts_back_off_while_nothing_comes_back() -> None:
    pair = Pair(GOOD)
    pair.run(2.0)
    pair.is_cut = True
    pair.run(0.2)
    before = len(pair.sent)
    pair.run(10.0)
    times = sorted({time_s for time_s, _ in pair.sent[before:]})
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses == pytest.approx([pauses[0] * 2**n for n in range(len(pauses))])
    assert len(pauses) >= 3


def test_a_connection_that_is_silent_at_the_end_has_not_survived() -> None:
    pair = Pair(GOOD)
    pair.run(2.0)
    pair.is_cut = True
    pair.run(MOST_SILENCE_S + 0.2)
    assert pair.close().error == "silent at the end"


def test_the_request_to_begin_is_repeated() -> None:
    pair = Pair(GOOD)
    pair.is_cut = True
    pair.run(1.0)
    pair.is_cut = False
    pair.run(1.0)
    assert pair.close().octets > 0


def test_the_timeout_follows_the_round_trips() -> None:
    trips = RoundTrips()
    assert trips.timeout_s == 1.0  # RFC 6298 §2.1
    trips.measured(0.2)
    assert trips.timeout_s == pytest.approx(0.2 + 4 * 0.1)  # RFC 6298 §2.2
    for _ in range(100):
        trips.measured(0.05)
    assert trips.timeout_s == pytest.approx(LEAST_TIMEOUT_S)
    trips.back_off()
    assert trips.timeout_s == pytest.approx(2 * LEAST_TIMEOUT_S)
    trips.measured(0.05)
    assert trips.timeout_s == pytest.approx(LEAST_TIMEOUT_S)
