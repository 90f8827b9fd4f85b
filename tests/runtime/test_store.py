"""The binding log: what was committed is there, whatever became of the file."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcoa.runtime.errors import NoPermissionError
from mcoa.runtime.store import Store, StoreError

LOG = "bindings.log"
Batch = list[tuple[bytes, bytes]]


def key(number: int) -> bytes:
    return number.to_bytes(16)


def reopened(directory: Path) -> dict[bytes, bytes]:
    store = Store.open(directory)
    try:
        return store.load()
    finally:
        store.close()


def test_a_new_directory_is_empty_and_private(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "agent"
    assert reopened(directory) == {}
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / LOG).stat().st_mode & 0o777 == 0o600


def test_committed_records_are_loaded_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.commit([(key(1), b"one"), (key(2), b"two")])
    store.commit([(key(1), b"another")])
    assert store.load() == {key(1): b"another", key(2): b"two"}
    store.close()
    assert reopened(tmp_path) == {key(1): b"another", key(2): b"two"}


def test_an_empty_record_deletes(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.commit([(key(1), b"one"), (key(2), b"two")])
    store.commit([(key(1), b"")])
    store.close()
    assert reopened(tmp_path) == {key(2): b"two"}


def test_a_batch_is_on_disk_when_commit_returns(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    before = (tmp_path / LOG).stat().st_size
    store.commit([(key(1), b"one")])
    assert (tmp_path / LOG).stat().st_size > before
    store.close()


def test_two_daemons_cannot_share_a_directory(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(StoreError, match="another daemon"):
        Store.open(tmp_path)
    store.close()
    Store.open(tmp_path).close()


def test_a_key_of_another_length_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    before = (tmp_path / LOG).stat().st_size
    for batch in ([(b"short", b"x")], [(key(1), b"x"), (key(2), bytes(0x10000))]):
        with pytest.raises(ValueError, match="octets"):
            store.commit(batch)
    assert (tmp_path / LOG).stat().st_size == before
    store.close()


def test_a_log_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    log = tmp_path / LOG
    octets = log.read_bytes()
    newer = _with_version(octets, 2)
    log.write_bytes(newer)
    with pytest.raises(StoreError, match="version 2"):
        Store.open(tmp_path)
    assert log.read_bytes() == newer


def _with_version(octets: bytes, version: int) -> bytes:
    from zlib import crc32  # noqa: PLC0415 - of this helper alone

    fields = octets[:8] + version.to_bytes(2) + octets[10:28]
    return 2 * (fields + crc32(fields).to_bytes(4)) + octets[64:]


def test_a_directory_that_may_not_be_written_is_a_matter_of_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NoPermissionError):
        Store.open(tmp_path)


def test_a_full_disk_refuses_the_batch_and_keeps_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    store.commit([(key(1), b"one")])
    write = os.write
    taken = []

    def write_a_little(descriptor: int, octets: memoryview) -> int:
        if taken:
            raise OSError(28, "No space left on device")
        taken.append(write(descriptor, octets[:7]))
        return taken[0]

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_a_little)
        with pytest.raises(OSError, match="No space left"):
            store.commit([(key(1), b"newer")])
    store.commit([(key(2), b"two")])
    store.close()
    assert reopened(tmp_path) == {key(1): b"one", key(2): b"two"}


def test_after_a_failed_sync_nothing_is_acknowledged_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="cannot be synced"):
            store.commit([(key(1), b"one")])
    with pytest.raises(OSError, match="cannot be trusted"):
        store.commit([(key(1), b"one")])
    store.close()


def test_a_log_that_outgrew_its_records_is_rewritten_while_commits_go_on(
    tmp_path: Path,
) -> None:
    store = Store.open(tmp_path, compact_above=4096)
    expected = {}
    inodes = set()
    for number in range(3000):
        expected[key(number % 20)] = record = b"%d" % number
        store.commit([(key(number % 20), record)])
        inodes.add((tmp_path / LOG).stat().st_ino)
        assert (tmp_path / LOG).stat().st_size < 3 * 4096
    assert len(inodes) > 1
    assert store.load() == expected
    store.close()
    assert reopened(tmp_path) == expected


def test_a_rewriting_that_meets_a_full_disk_is_given_up_without_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path, compact_above=512)

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        for number in range(200):
            store.commit([(key(1), b"%d" % number)])
    assert not (tmp_path / f"{LOG}.new").exists()
    store.close()
    assert reopened(tmp_path) == {key(1): b"199"}


def test_a_new_log_whose_name_may_be_lost_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path, compact_above=512)

    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("mcoa.runtime.store.sync_directory", fail)
    inode = (tmp_path / LOG).stat().st_ino
    number = 0
    while (tmp_path / LOG).stat().st_ino == inode:
        number += 1
        store.commit([(key(1), b"%d" % number)])
    with pytest.raises(OSError, match="cannot be trusted"):
        store.commit([(key(1), b"later")])
    store.close()
    assert reopened(tmp_path) == {key(1): b"%d" % number}


def test_a_disk_that_cannot_even_be_cut_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(OSError, match="cannot grow"):
            store.commit([(key(1), b"one")])
    with pytest.raises(OSError, match="cannot be trusted"):
        store.commit([(key(1), b"one")])
    store.close()


def test_a_disk_that_fails_at_start_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="No space left"):
            Store.open(tmp_path)
    Store.open(tmp_path).close()


def test_a_rewriting_that_a_crash_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    (tmp_path / f"{LOG}.new").write_bytes(b"half a log")
    assert reopened(tmp_path) == {}
    assert not (tmp_path / f"{LOG}.new").exists()


def test_a_log_much_larger_than_its_records_is_rewritten_at_start(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for number in range(100):
        store.commit([(key(1), b"%d" % number)])
    store.close()
    before = (tmp_path / LOG).stat().st_size
    store = Store.open(tmp_path, compact_above=512)
    assert store.load() == {key(1): b"99"}
    store.close()
    assert (tmp_path / LOG).stat().st_size < before / 10


batches = st.lists(
    st.lists(st.tuples(st.integers(0, 5).map(key), st.binary(max_size=60)), max_size=6),
    max_size=40,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches, reopen_at=st.sets(st.integers(0, 39)))
def test_the_store_is_a_dictionary_that_survives(
    tmp_path_factory: pytest.TempPathFactory, batches: list[Batch], reopen_at: set[int]
) -> None:
    directory = tmp_path_factory.mktemp("store")
    store = Store.open(directory, compact_above=300)
    expected: dict[bytes, bytes] = {}
    for number, batch in enumerate(batches):
        store.commit(batch)
        expected.update(batch)
        expected = {name: record for name, record in expected.items() if record}
        if number in reopen_at:
            store.close()
            store = Store.open(directory, compact_above=300)
        assert store.load() == expected
    store.close()
