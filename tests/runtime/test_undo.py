"""The journal's file: what it remembers, whom it lets in."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from mcoa.runtime.undo import Journal, JournalHeldError, Owner
from mcoa.runtime.undo_entries import (
    AddressOf,
    Device,
    Entry,
    IngressFilters,
    IngressHook,
    NftTable,
    Proxies,
    RoutesThrough,
    Setting,
    Tables,
    emit_entry,
    parse_entry,
)

ENTRIES: tuple[Entry, ...] = (
    Device(device="mip0"),
    Tables(first=5100, last=5199),
    RoutesThrough(device="mip0"),
    AddressOf(device="mip0", address="2001:db8:1::100", prefix_length=128),
    Proxies(device="eth0"),
    Setting(path="conf/eth0/proxy_ndp", before="0", after="1"),
    IngressHook(device="wwan0"),
    IngressFilters(device="wwan0", first=5135, last=5137),
    NftTable(table="mcoa_mip0"),
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_an_entry_survives_the_file(entry: Entry) -> None:
    assert parse_entry(json.loads(json.dumps(emit_entry(entry)))) == entry


def test_what_is_no_entry_is_passed_over() -> None:
    records: tuple[object, ...] = (
        {"kind": "Device"},
        {"kind": "Device", "device": 5},
        [],
        None,
    )
    for record in records:
        assert parse_entry(record) is None


def test_an_entry_is_in_the_file_when_record_returns(tmp_path: Path) -> None:
    path = tmp_path / "run" / "van.journal"
    journal = Journal.open(path)
    journal.record(ENTRIES[0])
    journal.record(ENTRIES[0])
    last = [json.loads(line) for line in path.read_text("utf-8").splitlines()][1:]
    journal.close()
    assert last == [{"kind": "Device", "device": "mip0"}]


def test_entries_of_a_process_that_died_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.open(path)
    for entry in ENTRIES:
        journal.record(entry)
    journal.close()
    with path.open("a", encoding="utf-8") as file:
        file.write('{"kind": "Devi')  # cut off by a crash
    successor = Journal.open(path)
    successor.close()
    assert successor.entries == ENTRIES


def test_a_journal_in_use_is_not_opened_again(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    with pytest.raises(JournalHeldError, match=f"process {os.getpid()}"):
        Journal.open(tmp_path / "journal")
    journal.close()


@pytest.mark.parametrize("change", [{"boot": "an earlier one"}, {"namespace": 1}])
def test_entries_of_another_boot_or_namespace_are_void(
    tmp_path: Path, change: dict[str, str | int]
) -> None:
    path = tmp_path / "journal"
    journal = Journal.open(path)
    journal.record(ENTRIES[0])
    journal.close()
    owner, entry = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    lines = (json.dumps(owner | change | {"pid": 1, "started": 1}), json.dumps(entry))
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    successor = Journal.open(path)
    successor.close()
    assert successor.entries == ()


def test_an_owner_is_told_from_a_later_process_of_its_number() -> None:
    this = Owner.this_process()
    assert this.is_alive
    assert not Owner(
        pid=this.pid, started=this.started - 1, boot=this.boot, namespace=this.namespace
    ).is_alive
    assert not Owner(pid=2**22 + 1, started=0, boot="", namespace=0).is_alive


def test_a_process_that_ended_unnoticed_does_not_live() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # ended, and still to be fetched
        this = Owner.this_process()
        owner = Owner(pid=child, started=1, boot=this.boot, namespace=this.namespace)
        stat = Path(f"/proc/{child}/stat").read_text("utf-8").rpartition(")")[2].split()
        assert stat[0] == "Z"
        assert not replace(owner, started=int(stat[19])).is_alive
    finally:
        os.waitpid(child, 0)
