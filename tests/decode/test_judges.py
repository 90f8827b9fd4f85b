"""Wireshark and scapy agree with our reading, field by field, where they know the field."""

import json
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from decode.agreement import compare, descriptions
from decode.captures import pcap
from decode.tshark import needs_tshark, opinions
from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from mcoa.wire.messages import HomeAgentSwitch, Message, UnknownMessage, emit_message
from mcoa.wire.option_list import MalformedOption, Option
from mcoa.wire.options import LinkLayerAddress, MalformedBindingIdentifier, UnknownOption
from mcoa.wire.options_security import Authentication
from wire import strategies
from wire.vectors import VECTORS

CAPTURES = Path(__file__).parent.parent / "captures"


def _packet(message: Message, packet: Ipv6Packet) -> bytes:
    octets = emit_message(message, packet.checksum_source, packet.checksum_destination)
    return emit_packet(
        Ipv6Packet(
            source=packet.source,
            destination=packet.destination,
            protocol=135,
            payload=octets,
            home_address=packet.home_address,
            routing_home_address=packet.routing_home_address,
        )
    )


@needs_tshark
def test_wireshark_reads_the_vectors_as_we_do(tmp_path: Path) -> None:
    packets = [
        emit_packet(
            Ipv6Packet(
                source=vector.source,
                destination=vector.destination,
                protocol=135,
                payload=vector.octets,
            )
        )
        for vector in VECTORS.values()
    ]
    capture = tmp_path / "vectors.pcap"
    capture.write_bytes(pcap(packets))
    judged = opinions(capture)
    described = descriptions(capture.read_bytes())
    assert len(judged) == len(described) == len(VECTORS)
    for number, theirs in enumerate(judged, 1):
        assert not theirs.malformed
        compare(described[number], theirs)


def _known_to_wireshark(option: Option) -> bool:
    """Leave out what Wireshark has no words for, or reads otherwise than the RFC."""
    match option:
        case (
            MalformedBindingIdentifier()
            | MalformedOption()
            | FlowIdentification()
            | FlowSummary()
        ):
            return False
        case UnknownOption():
            return option.type > 64
        case Authentication():
            return len(option.data) >= 2
        case LinkLayerAddress():
            return bool(option.address)
        case _:
            return True


def _readable(message: Message) -> bool:
    if isinstance(message, UnknownMessage):
        return message.type > 23
    if isinstance(message, HomeAgentSwitch):
        return False  # Wireshark 4.0 looks for its options in the wrong place
    return all(map(_known_to_wireshark, message.options))


def _random_pairs() -> list[tuple[Message, Ipv6Packet]]:
    """Collect what hypothesis makes, so that one run of tshark judges all of it."""
    pairs: list[tuple[Message, Ipv6Packet]] = []

    @settings(max_examples=400, phases=[Phase.generate], database=None)
    @given(strategies.all_messages.filter(_readable), strategies.packets)
    def collect(message: Message, packet: Ipv6Packet) -> None:
        pairs.append((message, packet))

    collect()
    return pairs


@needs_tshark
def test_wireshark_reads_random_messages_as_we_do(tmp_path: Path) -> None:
    pairs = _random_pairs()
    capture = tmp_path / "random.pcap"
    capture.write_bytes(pcap(_packet(message, packet) for message, packet in pairs))
    judged = opinions(capture)
    described = descriptions(capture.read_bytes())
    assert len(judged) == len(pairs)
    for number, theirs in enumerate(judged, 1):
        assert not theirs.malformed, pairs[number - 1]
        assert described[number]["checksum_ok"] is True
        compare(described[number], theirs)


@needs_tshark
@pytest.mark.parametrize(
    "capture", sorted(CAPTURES.glob("*/*.pcap")), ids=lambda path: path.stem
)
def test_wireshark_reads_captures_of_others_as_we_do(capture: Path) -> None:
    """What it calls malformed is an error or no business of ours; all else is the same."""
    described = descriptions(capture.read_bytes())
    for number, theirs in enumerate(opinions(capture), 1):
        ours = described.get(number)
        is_mobile = "mip6.mhtype" in theirs.fields or any(
            "mipv6" in name for name in theirs.fields
        )
        if theirs.malformed:
            assert ours is None or ours["error"] is not None
        elif is_mobile:
            assert ours is not None
            assert ours["error"] is None
            compare(ours, theirs)
        else:
            assert ours is None


@pytest.mark.parametrize("name", ["mip6_back", "mip6_be", "mip6_brr", "mip6_bu", "mip6_cot"])
def test_checksums_of_others_are_right(name: str) -> None:
    (described,) = descriptions((CAPTURES / f"zeek/{name}.pcap").read_bytes()).values()
    assert described["checksum_ok"] is True


def test_a_wrong_checksum_of_others_is_told() -> None:
    capture = (CAPTURES / "zeek/mip6-bad-mh-chksum.pcap").read_bytes()
    (described,) = descriptions(capture).values()
    assert described["checksum_ok"] is False
    assert json.dumps(described)


@given(strategies.all_messages, strategies.packets)
def test_scapy_computes_the_same_checksum(message: Message, packet: Ipv6Packet) -> None:
    from scapy.layers.inet6 import IPv6, in6_chksum  # noqa: PLC0415 - slow to import

    octets = emit_message(message, packet.checksum_source, packet.checksum_destination)
    header = IPv6(src=str(packet.checksum_source), dst=str(packet.checksum_destination))
    assert in6_chksum(135, header, octets) == 0
    blank = octets[:4] + b"\0\0" + octets[6:]
    assert in6_chksum(135, header, blank) == int.from_bytes(octets[4:6])
