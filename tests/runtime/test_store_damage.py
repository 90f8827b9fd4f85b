"""The binding log, cut and corrupted at every octet."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.runtime.store import Store
from mcoa.runtime.store_format import (
    HEADER_LENGTH,
    Frame,
    Gap,
    emit_frame,
    emit_header,
    parse_frames,
    parse_header,
)

LOG = "bindings.log"


def key(number: int) -> bytes:
    return number.to_bytes(16)


class Sample:
    """A log of some batches, with the state and the size after each."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / LOG
        self.states: list[dict[bytes, bytes]] = [{}]
        store = Store.open(directory)
        self.sizes = [self.log.stat().st_size]
        for number in range(6):
            batch = [(key(number % 4), b"record %d" % number), (key(9), bytes([number] * 3))]
            if number == 4:
                batch.append((key(1), b""))
            store.commit(batch)
            state = self.states[-1] | dict(batch)
            self.states.append({name: value for name, value in state.items() if value})
            self.sizes.append(self.log.stat().st_size)
        store.close()
        self.octets = self.log.read_bytes()

    def committed_within(self, size: int) -> int:
        """Return how many batches lie wholly within the first octets."""
        return sum(1 for end in self.sizes[1:] if end <= size)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


def test_a_log_cut_at_any_octet_keeps_every_batch_before_the_cut(sample: Sample) -> None:
    for size in range(len(sample.octets)):
        sample.log.write_bytes(sample.octets[:size])
        store = Store.open(sample.log.parent)
        live = store.load()
        number = sample.committed_within(size)
        # Of the batch that was cut, whole records may be there: each stands for itself.
        for name, record in sample.states[number].items():
            following = sample.states[min(number + 1, 6)].get(name)
            assert live.get(name) in (record, following), size
        if size >= HEADER_LENGTH:
            assert not store.recovery.header_damaged
            assert sample.log.stat().st_size == size - store.recovery.torn_octets
        store.commit([(key(7), b"after")])
        assert store.load() == live | {key(7): b"after"}
        store.close()


def test_a_log_cut_at_the_end_of_a_batch_is_that_state(sample: Sample) -> None:
    for number, size in enumerate(sample.sizes):
        sample.log.write_bytes(sample.octets[:size])
        store = Store.open(sample.log.parent)
        assert store.load() == sample.states[number]
        assert store.recovery.torn_octets == 0
        store.close()


def test_an_octet_changed_anywhere_costs_at_most_the_record_it_is_in(sample: Sample) -> None:
    header = parse_header(sample.octets)
    assert header is not None
    frames = [
        part
        for part in parse_frames(sample.octets, HEADER_LENGTH, len(sample.octets), header.seed)
        if isinstance(part, Frame)
    ]
    for offset in range(len(sample.octets)):
        damaged = bytearray(sample.octets)
        damaged[offset] ^= 0x5A
        sample.log.write_bytes(damaged)
        store = Store.open(sample.log.parent)
        whole = [frame for frame in frames if not frame.offset <= offset < frame.end]
        expected = {frame.key: frame.record for frame in whole}
        assert store.load() == {name: record for name, record in expected.items() if record}
        recovery = store.recovery
        assert recovery.header_damaged == (offset < HEADER_LENGTH)
        if offset >= HEADER_LENGTH:
            assert recovery.torn_octets or recovery.gaps
        store.close()


def test_damage_in_the_middle_is_reported_once_and_kept_aside(sample: Sample) -> None:
    damaged = bytearray(sample.octets)
    damaged[sample.sizes[2] + 20] ^= 0xFF
    sample.log.write_bytes(damaged)
    store = Store.open(sample.log.parent)
    (gap,) = store.recovery.gaps
    assert gap.offset == sample.sizes[2]
    store.close()
    assert sample.log.with_name(f"{LOG}.damaged").read_bytes() == damaged
    store = Store.open(sample.log.parent)
    assert store.recovery.gaps == ()
    store.close()


def test_rubbish_instead_of_a_log_is_kept_aside_and_does_not_stop_the_daemon(
    tmp_path: Path,
) -> None:
    (tmp_path / LOG).write_bytes(b"this is not a log\n" * 100)
    store = Store.open(tmp_path)
    assert store.recovery.header_damaged
    assert store.load() == {}
    store.commit([(key(1), b"one")])
    store.close()
    assert (tmp_path / f"{LOG}.damaged").read_bytes().startswith(b"this is not a log")


def test_a_record_that_looks_like_a_frame_is_not_taken_for_one(tmp_path: Path) -> None:
    stranger = parse_header(emit_header(bytes(16)))
    assert stranger is not None
    forged = emit_frame(key(5), b"forged", stranger.seed)
    store = Store.open(tmp_path)
    store.commit([(key(1), b"xx" + forged + b"yy"), (key(2), b"two")])
    store.close()
    octets = bytearray((tmp_path / LOG).read_bytes())
    octets[HEADER_LENGTH + 5] ^= 1  # the frame around it
    (tmp_path / LOG).write_bytes(octets)
    store = Store.open(tmp_path)
    assert store.load() == {key(2): b"two"}
    store.close()


parts = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3).map(key), st.binary(max_size=40)),
        st.binary(min_size=1, max_size=40),
    )
)


@given(parts=parts, seed=st.integers(0, 0xFFFFFFFF))
def test_frames_between_any_octets_are_found(
    parts: list[tuple[bytes, bytes] | bytes], seed: int
) -> None:
    octets = b"".join(
        part if isinstance(part, bytes) else emit_frame(*part, seed) for part in parts
    )
    found = list(parse_frames(octets, 0, len(octets), seed))
    frames = [(part.key, part.record) for part in found if isinstance(part, Frame)]
    assert frames == [part for part in parts if isinstance(part, tuple)]
    assert b"".join(octets[part.offset : part.end] for part in found) == octets
    assert all(part.end > part.offset for part in found)


@given(octets=st.binary(max_size=200))
def test_any_octets_are_frames_or_gaps(octets: bytes) -> None:
    for part in parse_frames(octets, 0, len(octets), 1):
        assert isinstance(part, Frame | Gap)
    parse_header(octets)
