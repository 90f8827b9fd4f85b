"""The command `mcoa decode`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from decode.captures import pcap
from mcoa.cli.decode import decode
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from wire.vectors import VECTORS

CAPTURES = Path(__file__).parent.parent / "captures"
VECTOR = VECTORS["V3-acknowledgement-not-complete"]
PACKET = emit_packet(
    Ipv6Packet(
        source=VECTOR.source,
        destination=VECTOR.destination,
        protocol=135,
        payload=VECTOR.octets,
    )
)


def _decode(*arguments: str, text: bytes = b"") -> str:
    result = CliRunner().invoke(decode, arguments, input=text)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_capture_is_told_in_words(tmp_path: Path) -> None:
    capture = tmp_path / "capture.pcap"
    capture.write_bytes(pcap([PACKET]))
    first, *options = _decode(str(capture)).splitlines()
    assert first.split("  ")[-1].startswith("Binding Acknowledgement: sequence 2, status some")
    assert (
        options[1] == "        Binding Identifier: BID 2, status unknown care-of address (167)"
    )


def test_standard_input_is_read_as_hex() -> None:
    text = f"{PACKET.hex()}\nrubbish\n\n{VECTOR.octets.hex(' ')}\n".encode()
    objects = [json.loads(line) for line in _decode("-", "--json", text=text).splitlines()]
    assert [item["packet"] for item in objects] == [1, 2, 3]
    assert objects[0]["status"] == 4
    assert objects[0]["options"][1]["status"] == 167
    assert objects[1]["error"] == {"offset": 0, "reason": "not a packet in hex"}
    assert objects[2]["source"] is None


@pytest.mark.parametrize(
    "capture", sorted(CAPTURES.glob("*/*.pcap")), ids=lambda path: path.stem
)
def test_captures_of_others_are_read_to_their_end(capture: Path) -> None:
    objects = [json.loads(line) for line in _decode(str(capture), "--json").splitlines()]
    words = _decode(str(capture)).splitlines()
    assert sum(not line.startswith(" " * 8) for line in words) == len(objects)


def test_rubbish_is_told_and_no_failure() -> None:
    assert "neither pcap, pcapng nor" in _decode("-", text=bytes(range(256)))


def test_a_file_that_is_not_there_is_a_mistake_of_use() -> None:
    result = CliRunner().invoke(decode, ["/nowhere/at/all.pcap"])
    assert result.exit_code == 2
    assert "No such file" in result.output
