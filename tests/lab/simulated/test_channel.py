"""One way over a link."""

from random import Random

import pytest

from mcoa.lab.simulated.channel import Channel, Quality

# 1000 octets take a millisecond.
SLOW = Quality(delay_s=0.1, rate_mbit_s=8, queue_s=0.0505)


def channel(quality: Quality, seed: int = 1) -> Channel:
    return Channel(quality, Random(seed))


def test_a_packet_takes_its_transmission_and_the_delay() -> None:
    assert channel(SLOW).arrivals(1000, 5.0) == pytest.approx([5.101])


def test_packets_wait_for_those_before_them() -> None:
    link = channel(SLOW)
    arrivals = [link.arrivals(1000, 0.0)[0] for _ in range(3)]
    assert arrivals == pytest.approx([0.101, 0.102, 0.103])
    assert link.arrivals(1000, 1.0) == pytest.approx([1.101])


def test_the_queue_holds_fifty_milliseconds_and_what_overflows_is_lost() -> None:
    link = channel(SLOW)
    sent = [bool(link.arrivals(1000, 0.0)) for _ in range(80)]
    assert sent == [True] * 51 + [False] * 29
    assert link.arrivals(1000, 0.002) == pytest.approx([0.152])


def test_a_cleared_queue_is_empty() -> None:
    link = channel(SLOW)
    for _ in range(40):
        link.arrivals(1000, 0.0)
    link.clear(0.01)
    assert link.arrivals(1000, 0.01) == pytest.approx([0.111])


def test_without_a_rate_only_the_delay_counts() -> None:
    link = channel(Quality(delay_s=0.02))
    assert [link.arrivals(1500, 1.0) for _ in range(3)] == [[1.02]] * 3


def test_loss_duplication_and_jitter_are_as_frequent_as_asked() -> None:
    quality = Quality(delay_s=0.02, jitter_s=0.1, loss=0.3, duplication=0.2)
    link = channel(quality)
    fates = [link.arrivals(100, 0.0) for _ in range(5000)]
    arrivals = [time_s for fate in fates for time_s in fate]
    assert len(arrivals) == pytest.approx(5000 * 1.2 * 0.7, rel=0.05)
    assert max(map(len, fates)) == 2
    assert 0.02 <= min(arrivals) < 0.03
    assert 0.11 < max(arrivals) <= 0.12
