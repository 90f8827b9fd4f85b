"""Wireshark's opinion of packets, from the PDML of tshark."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

TSHARK = shutil.which("tshark")
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

Fields = dict[str, str]


@dataclass(slots=True, kw_only=True)
class Opinion:
    """What tshark says of a packet.

    Attributes:
        fields: all its fields, by their filter names; of several the first.
        options: of the Mobility Header without padding: type, length, and their fields.
        malformed: it gave up somewhere.
    """

    fields: Fields = field(default_factory=dict)
    options: list[tuple[int, int, Fields]] = field(default_factory=list)
    malformed: bool = False


def opinions(capture: Path) -> list[Opinion]:
    """Have tshark read a capture; UDP port 4191 is told to hold IPv6."""
    assert TSHARK is not None
    command = [TSHARK, "-r", str(capture), "-T", "pdml", "-d", "udp.port==4191,ipv6"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return [_opinion(packet) for packet in ET.fromstring(done.stdout).iter("packet")]  # noqa: S314


def _opinion(packet: ET.Element) -> Opinion:
    opinion = Opinion()
    for proto in packet.iter("proto"):
        name = proto.get("name", "")
        opinion.malformed |= name in {"_ws.malformed", "_ws.short"}
        for element in proto.iter("field"):
            opinion.malformed |= element.get("name", "").startswith("_ws.malformed")
            opinion.fields.setdefault(element.get("name", ""), element.get("show", ""))
        if name == "mipv6":
            opinion.options = list(_options(proto))
    return opinion


def _options(proto: ET.Element) -> list[tuple[int, int, Fields]]:
    """Every option: its octets are the value of the field that holds its fields."""
    options = []
    for group in proto.iter("field"):
        if group.get("show") != "Mobility Options":
            continue
        for option in group.findall("field"):
            inner = {part.get("name", ""): part.get("show", "") for part in option.iter()}
            octets = bytes.fromhex(
                option.get("value", "") or option.get("show", "").replace(":", "")
            )
            if octets[0] > 1:
                options.append((octets[0], octets[1], inner))
    return options
