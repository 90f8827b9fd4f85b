"""The pcapng blocks, octet by octet and as Wireshark reads them."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from mcoa.lab.pcapng import (
    LINK_TYPE_ETHERNET,
    LINK_TYPE_RAW,
    enhanced_packet,
    interface_description,
    section_header,
)

ECHO = bytes.fromhex(
    "6000000000083aff20010db800000000000000000000000120010db8000000000000000000000002"
    "8000a3f600010001"
)
ETHERNET = bytes(12) + b"\x86\xdd"


def length_at_both_ends(block: bytes) -> tuple[int, int]:
    return struct.unpack_from("<I", block, 4)[0], struct.unpack_from(
        "<I", block, -4 % len(block)
    )[0]


@pytest.mark.parametrize("octets", range(8))
def test_every_block_fills_four_octets_and_says_its_length_twice(octets: int) -> None:
    blocks = (
        section_header("x" * octets),
        interface_description("i" * octets, LINK_TYPE_ETHERNET, "d" * octets),
        enhanced_packet(0, 1, bytes(octets), 99, outbound=True),
    )
    for block in blocks:
        assert len(block) % 4 == 0
        assert length_at_both_ends(block) == (len(block), len(block))


def test_a_timestamp_beyond_32_bits_is_split_high_word_first() -> None:
    block = enhanced_packet(2, 0x1_0000_0002, b"", 0, outbound=False)
    assert struct.unpack_from("<III", block, 8) == (2, 1, 2)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark judges")
def test_tshark_reads_names_times_lengths_and_ways(tmp_path: Path) -> None:
    file = tmp_path / "lab.pcapng"
    file.write_bytes(
        section_header("mcoa")
        + interface_description("mn:lte", LINK_TYPE_ETHERNET)
        + interface_description("ha:mip0", LINK_TYPE_RAW)
        + enhanced_packet(0, 1_000_000_001, ETHERNET + ECHO, 1414, outbound=True)
        + enhanced_packet(1, 2_000_000_003, ECHO, len(ECHO), outbound=False)
    )
    fields = ("frame.interface_name", "frame.time_epoch", "frame.len", "icmpv6.type")
    options = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-r", str(file), "-T", "fields", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["mn:lte", "ha:mip0"]
    assert [float(row[1]) for row in rows] == pytest.approx([1.000000001, 2.000000003])
    assert [row[2:] for row in rows] == [["1414", "128"], [str(len(ECHO)), "128"]]
