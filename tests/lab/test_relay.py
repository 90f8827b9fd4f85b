"""The delay line, over datagram sockets and with times given by hand."""

import socket
from collections.abc import Iterator
from random import Random

import pytest

from mcoa.lab.relay import BATCH, SLOTS, Direction, FrameRing, Span

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def wire() -> Iterator[tuple[Pair, Pair]]:
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    for each in (end for pair in pairs for end in pair):
        each.setblocking(False)
    yield pairs[0], pairs[1]
    for each in (end for pair in pairs for end in pair):
        each.close()


def waiting(end: socket.socket) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(end.recv(4096))
    except BlockingIOError:
        return found


def test_frames_leave_after_the_delay_in_their_order_and_unchanged(
    wire: tuple[Pair, Pair],
) -> None:
    (host, source), (sink, peer) = wire
    direction = Direction(source, sink, 0.01, Random(1))
    frames = [bytes([number]) * (60 + number) for number in range(5)]
    for frame in frames:
        host.send(frame)
    direction.take(100.0)
    assert direction.next_due() == pytest.approx(100.01)
    direction.give(100.009)
    assert waiting(peer) == []
    direction.give(100.011)
    assert waiting(peer) == frames
    assert (direction.forwarded, direction.lost, direction.dropped) == (5, 0, 0)


def test_the_ring_can_be_passed_many_times(wire: tuple[Pair, Pair]) -> None:
    (host, source), (sink, peer) = wire
    direction = Direction(source, sink, 0.0, Random(1))
    for number in range(SLOTS + 3 * BATCH):
        frame = number.to_bytes(4) * (1 + number % 400)
        host.send(frame)
        direction.take(0.0)
        direction.give(0.0)
        assert waiting(peer) == [frame]


def test_a_full_ring_refuses_until_slots_are_released(wire: tuple[Pair, Pair]) -> None:
    (host, source), _ = wire
    ring = FrameRing()
    taken = []
    while sum(count for _, count in taken) < SLOTS:
        host.send(b"x")
        taken.append(ring.receive(source.fileno()))
    host.send(b"late")
    with pytest.raises(OSError, match="delay line is full"):
        ring.receive(source.fileno())
    ring.release(*taken[0])
    assert ring.receive(source.fileno()) == (0, 1)


def test_the_same_seed_loses_the_same_frames(wire: tuple[Pair, Pair]) -> None:
    (host, source), (sink, peer) = wire
    runs = []
    for _ in range(2):
        direction = Direction(source, sink, 0.0, Random(7))
        direction.loss = 0.3
        for _ in range(20):
            for number in range(5):
                host.send(bytes([number]))
            direction.take(0.0)
            direction.give(0.0)
        runs.append(waiting(peer))
        assert direction.lost == 100 - direction.forwarded > 10
    assert runs[0] == runs[1]


def test_a_blackhole_swallows_what_is_under_way(wire: tuple[Pair, Pair]) -> None:
    (host, source), (sink, peer) = wire
    direction = Direction(source, sink, 0.05, Random(7))
    host.send(b"under way")
    direction.take(0.0)
    direction.loss = 1.0
    direction.give(1.0)
    assert waiting(peer) == []


def test_a_span_is_one_word() -> None:
    span = Span(name="lte", near="lte-mn", far="lte-ar", delay_s=0.01, loss=0.25, seed=3)
    assert Span.from_argument(span.argument()) == span
