"""Wireshark and scapy agree with our reading, field by field, where they know the field."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from decode.captures import pcap
from decode.tshark import Fields, Opinion, needs_tshark, opinions
from mcoa.decode.capture import read_frames
from mcoa.decode.describe import describe
from mcoa.decode.fields import Json, JsonObject
from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from mcoa.wire.messages import HomeAgentSwitch, Message, UnknownMessage, emit_message
from mcoa.wire.option_list import Option
from mcoa.wire.options import LinkLayerAddress, MalformedBindingIdentifier, UnknownOption
from mcoa.wire.options_security import Authentication
from wire import strategies
from wire.vectors import VECTORS

CAPTURES = Path(__file__).parent.parent / "captures"

Same = Callable[[str, Json], bool]


def _number(show: str, ours: Json) -> bool:
    return int(show, 0) == ours


def _text(show: str, ours: Json) -> bool:
    return show == ours


def _hex(show: str, ours: Json) -> bool:
    return show.replace(":", "") == ours


def _beginning(show: str, ours: Json) -> bool:
    """Wireshark 4.0 counts the option's own header and loses the last two octets."""
    return isinstance(ours, str) and ours[:-4] == show.replace(":", "")


def _network(show: str, ours: Json) -> bool:
    return isinstance(ours, str) and show == ours.split("/")[0]


def _length(show: str, ours: Json) -> bool:
    return isinstance(ours, str) and show == ours.split("/")[1]


def _four_seconds(show: str, ours: Json) -> bool:
    return 4 * int(show) == ours


# Of each option: our field, Wireshark's, and what it is for both to be the same.
OPTION_FIELDS: dict[int, list[tuple[str, str, Same]]] = {
    2: [("interval_s", "mip6.bra.interval", _four_seconds)],
    3: [("address", "mip6.acoa.acoa", _text)],
    4: [("home", "mip6.ni.hni", _number), ("care_of", "mip6.ni.cni", _number)],
    5: [("authenticator", "mip6.bad.auth", _hex)],
    6: [("prefix", "mip6.nemo.mnp.mnp", _network), ("prefix", "mip6.nemo.mnp.pfl", _length)],
    7: [("code", "mip6.lla.optcode", _number), ("address", "mip6.lla", _text)],
    9: [
        ("subtype", "mip6.auth.subtype", _number),
        ("spi", "mip6.auth.mobility_spi", _number),
        ("data", "mip6.auth.auth_data", _beginning),
    ],
    8: [("subtype", "mip6.mnid.subtype", _number)],
    28: [("counter", "mip6.rc", _number)],
    29: [
        ("prefix_length", "mip6.ipv4ha.preflen", _number),
        ("wants_prefix", "mip6.ipv4ha.p_flag", _number),
        ("address", "mip6.ipv4ha.ha", _text),
    ],
    30: [
        ("status", "mip6.ipv4aa.sts", _number),
        ("prefix_length", "mip6.ipv4ha.preflen", _number),
        ("address", "mip6.ipv4ha.ha", _text),
    ],
    31: [
        ("force_udp", "mip6.natd.f_flag", _number),
        ("refresh_time_s", "mip6.natd.refresh_t", _number),
    ],
    32: [("address", "mip6.ipv4coa.addr", _text)],
    35: [
        ("bid", "mip6.bi.bid", _number),
        ("status", "mip6.bi.status", _number),
        ("home", "mip6.bi.h_flag", _number),
    ],
}
UPDATE_FLAGS = {
    "A": "mip6.bu.a_flag",
    "H": "mip6.bu.h_flag",
    "L": "mip6.bu.l_flag",
    "K": "mip6.bu.k_flag",
    "M": "mip6.bu.m_flag",
    "R": "mip6.nemo.bu.r_flag",
    "P": "mip6.bu.p_flag",
    "F": "mip6.bu.f_flag",
    "T": "mip6.bu.t_flag",
    "O": "mip6.bu.b_flag",  # the bit that a later RFC took for something else
}
ACKNOWLEDGEMENT_FLAGS = {
    "K": "mip6.ba.k_flag",
    "R": "mip6.nemo.ba.r_flag",
    "P": "mip6.ba.p_flag",
    "T": "mip6.ba.t_flag",
}
HEARTBEAT_FLAGS = {"U": "mip6.hb.u_flag", "R": "mip6.hb.r_flag"}
INDICATION_FLAGS = {"P": "mip6.bri_ip", "V": "mip6.bri_iv", "G": "mip6.bri_ig"}
REVOCATION_FLAGS = {"P": "mip6.bri_ap", "V": "mip6.bri_av", "G": "mip6.bri_ag"}
# Of each message: where Wireshark has its sequence number, status, lifetime and flags.
MESSAGE_FIELDS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "Binding Update": ("mip6.bu.seqnr", "", "mip6.bu.lifetime", UPDATE_FLAGS),
    "Binding Acknowledgement": (
        "mip6.ba.seqnr",
        "mip6.ba.status",
        "mip6.ba.lifetime",
        ACKNOWLEDGEMENT_FLAGS,
    ),
    "Binding Error": ("", "mip6.be.status", "", {}),
    "Heartbeat": ("mip6.hb.seqnr", "", "", HEARTBEAT_FLAGS),
    "Binding Revocation Indication": ("mip6.bri_seqnr", "", "", INDICATION_FLAGS),
    "Binding Revocation Acknowledgement": (
        "mip6.bri_seqnr",
        "mip6.bri_status",
        "",
        REVOCATION_FLAGS,
    ),
}


def _descriptions(capture: bytes) -> dict[int, JsonObject]:
    described = (describe(frame) for frame in read_frames(BytesIO(capture)))
    return {item.packet: item.as_json() for item in described if item is not None}


def _compare_header(ours: JsonObject, theirs: Fields) -> None:
    assert theirs["mip6.mhtype"] == str(ours["type"])
    sequence, status, lifetime, flags = MESSAGE_FIELDS.get(
        str(ours["message"]), ("",) * 3 + ({},)
    )
    if sequence:
        assert _number(theirs[sequence], ours["sequence"])
    else:
        assert ours["sequence"] is None
    if status:
        assert _number(theirs[status], ours["status"])
    else:
        assert ours["status"] is None
    if lifetime:
        assert _four_seconds(theirs[lifetime], ours["lifetime_s"])
    else:
        assert ours["lifetime_s"] is None
    if flags:
        set_flags = [letter for letter, name in flags.items() if theirs[name] in {"1", "True"}]
        assert "".join(set_flags) == ours["flags"]


def _compare_options(ours: Json, theirs: list[tuple[int, int, Fields]]) -> None:
    assert isinstance(ours, list)
    heads = [(option["type"], option["length"]) for option in ours if isinstance(option, dict)]
    assert heads == [(number, length) for number, length, _ in theirs]
    for option, (number, length, fields) in zip(ours, theirs, strict=True):
        assert isinstance(option, dict)
        for name, field, same in OPTION_FIELDS.get(number, ()):
            assert same(fields[field], option[name]), (name, fields[field], option)
        if number == 35 and "malformed" not in option:
            address = fields.get("mip6.bi.coa_ipv4") or fields.get("mip6.bi.coa_ipv6")
            assert address == option["care_of_address"], length


def _compare(ours: JsonObject, theirs: Opinion) -> None:
    assert theirs.fields["ipv6.src"] == (ours["outer_source"] or ours["source"])
    if ours["home_address_option"] is not None:
        assert theirs.fields["ipv6.opt.mipv6.home_address"] == ours["home_address_option"]
    if ours["routing_header_home_address"] is not None:
        home_address = theirs.fields["ipv6.routing.mipv6.home_address"]
        assert home_address == ours["routing_header_home_address"]
    if isinstance(ours["type"], int) and ours["type"] < 100:
        _compare_header(ours, theirs.fields)
        _compare_options(ours["options"], theirs.options)


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
    described = _descriptions(capture.read_bytes())
    assert len(judged) == len(described) == len(VECTORS)
    for number, theirs in enumerate(judged, 1):
        assert not theirs.malformed
        _compare(described[number], theirs)


def _known_to_wireshark(option: Option) -> bool:
    """Leave out what Wireshark has no words for, or reads otherwise than the RFC."""
    match option:
        case MalformedBindingIdentifier() | FlowIdentification() | FlowSummary():
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
    described = _descriptions(capture.read_bytes())
    assert len(judged) == len(pairs)
    for number, theirs in enumerate(judged, 1):
        assert not theirs.malformed, pairs[number - 1]
        assert described[number]["checksum_ok"] is True
        _compare(described[number], theirs)


@needs_tshark
@pytest.mark.parametrize(
    "capture", sorted(CAPTURES.glob("*/*.pcap")), ids=lambda path: path.stem
)
def test_wireshark_reads_captures_of_others_as_we_do(capture: Path) -> None:
    """What it calls malformed is an error or no business of ours; all else is the same."""
    described = _descriptions(capture.read_bytes())
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
            _compare(ours, theirs)
        else:
            assert ours is None


@pytest.mark.parametrize("name", ["mip6_back", "mip6_be", "mip6_brr", "mip6_bu", "mip6_cot"])
def test_checksums_of_others_are_right(name: str) -> None:
    (described,) = _descriptions((CAPTURES / f"zeek/{name}.pcap").read_bytes()).values()
    assert described["checksum_ok"] is True


def test_a_wrong_checksum_of_others_is_told() -> None:
    capture = (CAPTURES / "zeek/mip6-bad-mh-chksum.pcap").read_bytes()
    (described,) = _descriptions(capture).values()
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
