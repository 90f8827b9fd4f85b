"""The layout that Python and C share."""

import shutil
import subprocess
from pathlib import Path
from struct import Struct

import pytest

from mcoa.dataplane.fast_path import Form
from mcoa.dataplane.packet import flow_key, key_of_shortcut, shortcut
from mcoa.runtime.fast_path import layout
from mcoa.runtime.fast_path.layout import (
    Direction,
    DropEvent,
    Reason,
    emit_flow_key,
    parse_flow_key,
)
from mcoa.runtime.fast_path.maps import OBJECT

ROOT = Path(__file__).parents[3]
HOME, PEER = bytes(15) + b"\x11", bytes(15) + b"\x22"

SIZES: dict[str, Struct] = {
    "settings": layout.SETTINGS,
    "way": layout.WAY,
    "flow": layout.FLOW,
    "flow_key": layout.FLOW_KEY,
    "entrance": layout.ENTRANCE,
    "home_key": layout.HOME_KEY,
    "home": layout.HOME,
    "drop": layout.DROP,
    "exception": layout.EXCEPTION,
}
OFFSETS = {
    ("way", "room"): layout.ROOM_AT,
    ("way", "packets_out"): layout.WAY_COUNTERS_AT,
    ("settings", "entry"): layout.ENTRY_AT,
    ("flow", "seen_ns"): 8,
    ("flow_key", "protocol"): 36,
    ("entrance", "form"): 48,
}
VALUES = {
    "FORM_UDP": Form.UDP,
    "FORM_FRAME": Form.FRAME,
    "ROLE_CORRESPONDENT": layout.Role.CORRESPONDENT,
    "INBOUND": Direction.INBOUND,
    "FLOW_SAME_WAY": layout.FlowFlag.SAME_WAY,
    "FLOW_SAME_FORM": layout.FlowFlag.SAME_FORM,
    "REASON_CONGESTION": Reason.CONGESTION,
    "LAYOUT": layout.LAYOUT,
    "WAYS_OF_A_HOME": layout.WAYS_OF_A_HOME,
}


def test_c_has_the_same_layout(tmp_path: Path) -> None:
    if (compiler := shutil.which("cc") or shutil.which("clang")) is None:
        pytest.skip("there is no C compiler here")
    checks = [f"sizeof(struct {name}) == {each.size}" for name, each in SIZES.items()]
    checks += [
        f"offsetof(struct {name}, {member}) == {at}" for (name, member), at in OFFSETS.items()
    ]
    checks += [f"{name} == {int(value)}" for name, value in VALUES.items()]
    source = tmp_path / "layout.c"
    header = OBJECT.parent / "fast_path.h"
    lines = [f'#include "{header}"', "#include <stddef.h>"]
    lines += [f'_Static_assert({check}, "{check}");' for check in checks]
    source.write_text("\n".join(lines) + "\n")
    subprocess.run(
        [compiler, "-fsyntax-only", str(source)], check=True, capture_output=True, text=True
    )


def tcp(source: bytes, destination: bytes) -> bytes:
    start = bytes.fromhex("60000000 0014 06 40") + source + destination
    return start + (40_000).to_bytes(2) + (443).to_bytes(2) + bytes(16)


def echo(source: bytes, destination: bytes, kind: int) -> bytes:
    start = bytes.fromhex("60000000 0008 3a 40") + source + destination
    return start + bytes((kind, 0, 0, 0, 0x12, 0x34, 0, 1))


def esp(source: bytes, destination: bytes) -> bytes:
    return bytes.fromhex("60000000 0008 32 40") + source + destination + bytes(8)


@pytest.mark.parametrize(
    "packet",
    [
        tcp(HOME, PEER),
        tcp(PEER, HOME),
        echo(HOME, PEER, 128),
        echo(PEER, HOME, 129),
        esp(HOME, PEER),
    ],
)
def test_a_key_is_read_back_and_tells_the_flow(packet: bytes) -> None:
    octets = shortcut(packet)
    for direction in Direction:
        again, read = parse_flow_key(emit_flow_key(octets, direction))
        assert read is direction
        assert again[2:] == octets[2:]
        assert again[:1] == octets[:1]
        assert key_of_shortcut(again) == flow_key(packet)


def test_the_hop_limit_is_none_of_a_flow() -> None:
    near, far = tcp(HOME, PEER), tcp(HOME, PEER)[:7] + b"\x05" + tcp(HOME, PEER)[8:]
    keys = {emit_flow_key(shortcut(each), Direction.OUTBOUND) for each in (near, far)}
    assert len(keys) == 1


def test_an_event_is_read() -> None:
    octets = layout.EXCEPTION.pack(Reason.NOT_REGISTERED, 7, PEER, HOME)
    event = DropEvent.parse(octets)
    assert event.reason is Reason.NOT_REGISTERED
    assert (event.outer_source, event.inner_source) == (PEER, HOME)


def test_the_object_is_what_the_source_gives(tmp_path: Path) -> None:
    """The same instructions and maps, by the compiler that made it."""
    clang = shutil.which("clang")
    headers = Path("/usr/include/bpf/bpf_helpers.h")
    if clang is None or not headers.exists() or shutil.which("llvm-objcopy") is None:
        pytest.skip("clang, llvm or the headers of libbpf are not here")
    version = subprocess.run([clang, "--version"], check=True, capture_output=True, text=True)
    if "clang version 14." not in version.stdout:
        pytest.skip("another clang than 14 may choose other instructions")
    built = tmp_path / "built.o"
    subprocess.run([ROOT / "scripts" / "fast-path", str(built)], check=True)
    for section in ("tc", ".maps", "license"):
        assert read_section(built, section, tmp_path) == read_section(OBJECT, section, tmp_path)


def read_section(file: Path, name: str, directory: Path) -> bytes:
    target = directory / "section"
    subprocess.run(
        ["llvm-objcopy", "-O", "binary", f"--only-section={name}", str(file), str(target)],
        check=True,
    )
    octets = target.read_bytes()
    assert octets
    return octets
