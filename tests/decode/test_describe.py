"""Descriptions of packets: through links, tunnels and damage."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.decode.describe import Description, describe
from mcoa.decode.fields import JsonObject
from mcoa.decode.frames import Damage, Frame
from mcoa.decode.sentence import sentences
from mcoa.wire.dual_stack import Ipv4Packet, UdpDatagram, emit_ipv4, emit_udp
from mcoa.wire.icmpv6 import (
    HomeAgentAddressDiscoveryReply,
    Icmpv6Message,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
    NeighborSolicitation,
    PrefixInformation,
    emit_icmpv6,
)
from mcoa.wire.ipv6 import Fragment, Ipv6Packet, emit_packet
from mcoa.wire.messages import BindingUpdate, Heartbeat, emit_message
from mcoa.wire.options import MalformedBindingIdentifier, NonceIndices
from mcoa.wire.options_security import MobileNodeIdentifier
from mcoa.wire.registry import UpdateFlag
from wire import strategies
from wire.vectors import CARE_OF_1, HOME_ADDRESS, HOME_AGENT, VECTORS

KEYS = [
    "packet",
    "outer_source",
    "outer_destination",
    "source",
    "destination",
    "home_address_option",
    "routing_header_home_address",
    "message",
    "type",
    "sequence",
    "status",
    "flags",
    "lifetime_s",
    "checksum_ok",
    "options",
    "error",
]
V1 = VECTORS["V1-bulk-update-with-overwrite"]
UPDATE = Ipv6Packet(
    source=CARE_OF_1,
    destination=HOME_AGENT,
    protocol=135,
    payload=V1.octets,
    home_address=HOME_ADDRESS,
)
V4_SOURCE, V4_DESTINATION = IPv4Address("192.0.2.1"), IPv4Address("198.51.100.7")


def _describe(data: bytes, link_type: int | None = 101) -> Description | None:
    return describe(Frame(number=1, link_type=link_type, data=data))


def _json(data: bytes, link_type: int | None = 101) -> JsonObject:
    description = _describe(data, link_type)
    assert description is not None
    return description.as_json()


def test_a_bulk_update_in_json() -> None:
    described = _json(emit_packet(UPDATE))
    assert list(described) == KEYS
    assert described == {
        "packet": 1,
        "outer_source": None,
        "outer_destination": None,
        "source": "2001:db8:a::1",
        "destination": "2001:db8:1::1",
        "home_address_option": "2001:db8:1::100",
        "routing_header_home_address": None,
        "message": "Binding Update",
        "type": 5,
        "sequence": 1,
        "status": None,
        "flags": "AHO",
        "lifetime_s": 600,
        "checksum_ok": True,
        "options": [
            {
                "type": 35,
                "name": "Binding Identifier",
                "length": 20,
                "bid": bid,
                "status": 0,
                "home": False,
                "priority": 0,
                "care_of_address": address,
            }
            for bid, address in ((1, "2001:db8:a::1"), (2, "2001:db8:b::2"))
        ],
        "error": None,
    }


def test_a_bulk_update_in_words() -> None:
    description = _describe(emit_packet(UPDATE))
    assert description is not None
    route = "2001:db8:a::1 > 2001:db8:1::1, home address 2001:db8:1::100"
    assert list(sentences(description)) == [
        f"     1  {route}  Binding Update: sequence 1, flags AHO, lifetime 600 s",
        "        Binding Identifier: BID 1, care-of address 2001:db8:a::1",
        "        Binding Identifier: BID 2, care-of address 2001:db8:b::2",
    ]


def test_a_failed_acknowledgement_in_words() -> None:
    vector = VECTORS["V3-acknowledgement-not-complete"]
    packet = Ipv6Packet(
        source=HOME_AGENT,
        destination=CARE_OF_1,
        protocol=135,
        payload=vector.octets,
        routing_home_address=HOME_ADDRESS,
    )
    description = _describe(emit_packet(packet))
    assert description is not None
    assert description.checksum_ok
    route = "2001:db8:1::1 > 2001:db8:a::1, routed to home address 2001:db8:1::100"
    facts = "sequence 2, status some bindings were not accepted (4), lifetime 600 s"
    assert list(sentences(description)) == [
        f"     1  {route}  Binding Acknowledgement: {facts}",
        "        Binding Identifier: BID 1",
        "        Binding Identifier: BID 2, status unknown care-of address (167)",
    ]


LINKS = {
    "ethernet": (1, bytes(12) + b"\x86\xdd"),
    "vlan": (1, bytes(12) + b"\x81\x00\x00\x05\x86\xdd"),
    "two-vlans": (1, bytes(12) + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x86\xdd"),
    "raw-101": (101, b""),
    "raw-12": (12, b""),
    "raw-14": (14, b""),
    "raw-ipv4": (228, b""),
    "raw-ipv6": (229, b""),
    "cooked": (113, bytes(14) + b"\x86\xdd"),
    "cooked-2": (276, b"\x86\xdd" + bytes(18)),
    "loopback": (0, b"\x1e\0\0\0"),
    "hex-of-a-packet": (None, b""),
    "hex-of-a-frame": (None, bytes(12) + b"\x86\xdd"),
}


@pytest.mark.parametrize(("link_type", "header"), LINKS.values(), ids=LINKS)
def test_frames_of_every_link_are_read(link_type: int | None, header: bytes) -> None:
    assert _json(header + emit_packet(UPDATE), link_type)["message"] == "Binding Update"


def test_hex_of_a_bare_message_is_read() -> None:
    described = _json(V1.octets, None)
    assert described["sequence"] == 1
    assert described["source"] is described["checksum_ok"] is None


def _udp(payload: bytes, port: int = 4191) -> bytes:
    datagram = UdpDatagram(source_port=40000, destination_port=port, payload=payload)
    return emit_udp(datagram, V4_SOURCE, V4_DESTINATION)


def _over_ipv4(protocol: int, payload: bytes) -> bytes:
    packet = Ipv4Packet(
        source=V4_SOURCE, destination=V4_DESTINATION, protocol=protocol, payload=payload
    )
    return emit_ipv4(packet)


def _over_ipv6(protocol: int, payload: bytes) -> bytes:
    packet = Ipv6Packet(
        source=CARE_OF_1, destination=HOME_AGENT, protocol=protocol, payload=payload
    )
    return emit_packet(packet)


INSIDE = emit_packet(UPDATE)
TUNNELS = {
    "ipv6-in-ipv6": _over_ipv6(41, INSIDE),
    "ipv6-in-ipv4": _over_ipv4(41, INSIDE),
    "ipv6-in-udp": _over_ipv4(17, _udp(INSIDE)),
    "ipv6-in-udp-with-tlv": _over_ipv4(17, _udp(b"\0\x29\0\0" + INSIDE)),
    "ipv6-in-udp-over-ipv6": _over_ipv6(17, _udp(INSIDE)),
    "ipv6-in-ipv4-in-ipv6": _over_ipv6(4, _over_ipv4(41, INSIDE)),
}


@pytest.mark.parametrize("data", TUNNELS.values(), ids=TUNNELS)
def test_messages_in_tunnels_are_found(data: bytes) -> None:
    described = _json(data)
    outermost = "192.0.2.1" if data[0] >> 4 == 4 else "2001:db8:a::1"
    assert described["outer_source"] == outermost
    assert described["source"] == "2001:db8:a::1"
    assert described["home_address_option"] == "2001:db8:1::100"
    assert described["checksum_ok"] is True


@pytest.mark.parametrize(
    "data",
    [
        _over_ipv6(6, bytes(20)),
        _over_ipv6(59, b""),
        _over_ipv6(41, _over_ipv6(6, bytes(20))),
        _over_ipv4(17, _udp(INSIDE, port=4500)),
        _over_ipv4(17, _udp(b"\xff")),
        _over_ipv4(1, bytes(8)),
        emit_packet(
            Ipv6Packet(
                source=CARE_OF_1,
                destination=HOME_AGENT,
                protocol=41,
                payload=b"\xff" * 16,
                fragment=Fragment(identification=1, offset=8),
            )
        ),
    ],
)
def test_what_has_nothing_to_do_with_mobility_is_left_out(data: bytes) -> None:
    assert _describe(data) is None


def test_frames_of_other_protocols_are_left_out() -> None:
    assert _describe(bytes(12) + b"\x08\x06" + bytes(28), 1) is None


def test_tunnels_end_somewhere() -> None:
    data = INSIDE
    for _ in range(12):
        data = _over_ipv6(41, data)
    assert _describe(data) is None


@pytest.mark.parametrize("field", ["home_address", "routing_home_address"])
def test_data_with_an_address_of_mobility_has_no_message(field: str) -> None:
    packet = replace(UPDATE, protocol=6, payload=bytes(20), home_address=None)
    described = _json(emit_packet(replace(packet, **{field: HOME_ADDRESS})))
    key = {"home_address": "home_address_option"}.get(field, "routing_header_home_address")
    assert described[key] == "2001:db8:1::100"
    assert all(described[name] is None for name in KEYS[7:])


PREFIX = PrefixInformation(
    prefix=HOME_ADDRESS, valid_lifetime_s=600, preferred_lifetime_s=300, autonomous=True
)


@pytest.mark.parametrize(
    ("message", "name", "options"),
    [
        (MobilePrefixSolicitation(identifier=1), "Mobile Prefix Solicitation", []),
        (
            HomeAgentAddressDiscoveryReply(identifier=1, addresses=(HOME_AGENT,)),
            "Home Agent Address Discovery Reply",
            [],
        ),
        (
            MobilePrefixAdvertisement(identifier=1, options=(PREFIX,)),
            "Mobile Prefix Advertisement",
            [
                {
                    "type": 3,
                    "name": "Prefix Information",
                    "length": 4,
                    "prefix": "2001:db8:1::100",
                    "prefix_length": 64,
                    "on_link": False,
                    "autonomous": True,
                    "router_address": False,
                    "valid_lifetime_s": 600,
                    "preferred_lifetime_s": 300,
                }
            ],
        ),
    ],
)
def test_icmpv6_of_mobility_is_described(
    message: Icmpv6Message, name: str, options: list[JsonObject]
) -> None:
    payload = emit_icmpv6(message, HOME_ADDRESS, HOME_AGENT)
    described = _json(emit_packet(replace(UPDATE, protocol=58, payload=payload)))
    assert described["message"] == name
    assert described["checksum_ok"] is True
    assert described["options"] == options


def test_other_icmpv6_is_left_out() -> None:
    payload = emit_icmpv6(NeighborSolicitation(target=HOME_AGENT), CARE_OF_1, HOME_AGENT)
    assert _describe(_over_ipv6(58, payload)) is None


def test_a_wrong_checksum_is_told() -> None:
    octets = V1.octets[:4] + b"\0\0" + V1.octets[6:]
    data = emit_packet(replace(UPDATE, payload=octets))
    assert _json(data)["checksum_ok"] is False
    description = _describe(data)
    assert description is not None
    assert "wrong checksum" in next(sentences(description))


def test_a_malformed_identifier_is_described_and_no_error() -> None:
    update = BindingUpdate(
        sequence=1,
        flags=UpdateFlag(0),
        lifetime_s=4,
        options=(MalformedBindingIdentifier(data=b"\0\7\0\0\0"),),
    )
    octets = emit_message(update, HOME_ADDRESS, HOME_AGENT)
    described = _json(emit_packet(replace(UPDATE, payload=octets)))
    assert described["error"] is None
    assert described["options"] == [
        {
            "type": 35,
            "name": "Binding Identifier",
            "length": 5,
            "bid": 7,
            "status": None,
            "home": None,
            "priority": None,
            "care_of_address": None,
            "malformed": "Length of Binding Identifier is 5, not 4, 8 or 20",
            "data": "0007000000",
        }
    ]


def test_of_a_broken_message_as_much_is_told_as_can_be_read() -> None:
    octets = bytearray(VECTORS["V2-refresh-without-addresses"].octets)
    octets[19] = 21
    described = _json(emit_packet(replace(UPDATE, payload=bytes(octets))))
    assert described["error"] == {
        "offset": 19,
        "reason": "option 35 needs 21 octets, 4 remain",
    }
    assert described["sequence"] == 2
    assert described["flags"] == "AH"
    options = described["options"]
    assert isinstance(options, list)
    assert [option["bid"] for option in options if isinstance(option, dict)] == [1]


@pytest.mark.parametrize(
    ("data", "link_type", "error"),
    [
        (b"\x50", 101, "IP version is 5"),
        (b"\x60" + bytes(20), 101, "40 octets, 21 are there"),
        (b"\x44" + bytes(20), 101, "IPv4 header of 16"),
        (b"", 101, "ends in its link-layer header"),
        (bytes(5), 1, "ends in its link-layer header"),
        (bytes(12) + b"\x86\xdd", 1, "ends in its link-layer header"),
        (bytes(12) + b"\x81\0\0\1", 1, "ends in its link-layer header"),
        (b"x", 147, "link type 147"),
        (b"", None, "an empty packet"),
        (b"\xff" * 30, None, "neither an IP packet"),
        (INSIDE[:-10], 101, "Payload Length is 88, 78 octets"),
        (_over_ipv6(41, b"\x50" + bytes(50)), 101, "IP version is 5"),
    ],
)
def test_a_broken_packet_is_a_line_with_its_error(
    data: bytes, link_type: int | None, error: str
) -> None:
    described = _json(data, link_type)
    assert error in str(described["error"])
    description = _describe(data, link_type)
    assert description is not None
    assert "broken at octet" in next(sentences(description))


def test_a_cut_packet_without_mobility_is_no_error() -> None:
    assert _describe(_over_ipv6(6, bytes(100))[:80]) is None


def test_a_broken_chain_keeps_its_addresses() -> None:
    data = bytearray(INSIDE)
    data[41] = 200
    described = _json(bytes(data))
    assert described["source"] == "2001:db8:a::1"
    assert "extension header needs" in str(described["error"])


def test_a_later_fragment_is_told_as_such() -> None:
    fragment = Fragment(identification=1, offset=8)
    described = _json(emit_packet(replace(UPDATE, fragment=fragment)))
    assert "later fragment" in str(described["error"])


def test_damage_of_a_file_is_a_line_of_its_own() -> None:
    description = describe(Damage(number=4, offset=70, reason="the file ends"))
    assert description is not None
    assert list(sentences(description)) == ["     4  broken at octet 70: the file ends"]


def test_names_of_mobile_nodes_cannot_speak_to_the_terminal() -> None:
    update = BindingUpdate(
        sequence=1,
        flags=UpdateFlag(0),
        lifetime_s=4,
        options=(MobileNodeIdentifier(identifier=b"van\x1b[2J\xff@example.org"),),
    )
    octets = emit_message(update, HOME_ADDRESS, HOME_AGENT)
    description = _describe(emit_packet(replace(UPDATE, payload=octets)))
    assert description is not None
    words = "\n".join(sentences(description))
    assert "\x1b" not in words
    assert "van\\x1b[2J" in words


@given(strategies.all_messages)
def test_every_message_is_described_with_all_its_options(message: object) -> None:
    octets = emit_message(message, HOME_ADDRESS, HOME_AGENT)
    description = _describe(emit_packet(replace(UPDATE, payload=octets)))
    assert description is not None
    assert description.error is None
    assert description.checksum_ok
    described = description.as_json()
    assert list(described) == KEYS
    sent = getattr(message, "options", ())
    assert isinstance(described["options"], list)
    assert len(described["options"]) == len(sent)
    for option, value in zip(described["options"], sent, strict=True):
        assert isinstance(option, dict)
        assert list(option)[:3] == ["type", "name", "length"]
        assert option["length"] == value.emit()[1]
    lines = list(sentences(description))
    assert len(lines) == 1 + len(sent)
    assert all(line.isprintable() for line in lines)


@given(st.binary(max_size=200), st.sampled_from((0, 1, 12, 101, 113, 228, 276, None, 999)))
def test_any_octets_are_described(data: bytes, link_type: int | None) -> None:
    description = _describe(data, link_type)
    if description is not None:
        assert list(description.as_json()) == KEYS
        assert all(line.isprintable() for line in sentences(description))


@given(st.integers(0, len(INSIDE)), st.data())
def test_a_mutated_update_is_described(cut: int, data: st.DataObject) -> None:
    octets = bytearray(TUNNELS["ipv6-in-udp"][: 68 + cut])
    for _ in range(3):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    description = _describe(bytes(octets))
    assert description is None or description.as_json()


def test_flags_of_a_heartbeat() -> None:
    message = Heartbeat(sequence=9, response=True, unsolicited=True)
    octets = emit_message(message, IPv6Address(0), IPv6Address(0))
    assert _json(octets, None)["flags"] == "UR"


def test_options_that_are_not_broken_survive_beside_one_that_is() -> None:
    update = BindingUpdate(
        sequence=1,
        flags=UpdateFlag(0),
        lifetime_s=4,
        options=(NonceIndices(home=1, care_of=2), NonceIndices(home=3, care_of=0x400)),
    )
    octets = bytearray(emit_message(update, HOME_ADDRESS, HOME_AGENT))
    octets[19] = 3
    described = _json(bytes(octets), None)
    assert isinstance(described["options"], list)
    assert [each["name"] for each in described["options"]] == ["Nonce Indices"] * 2
    assert described["options"][1]["malformed"] == "Length of Nonce Indices is 3, not 4"
    assert described["error"] is None


def test_options_before_one_that_overruns_the_message_survive() -> None:
    update = BindingUpdate(
        sequence=1,
        flags=UpdateFlag(0),
        lifetime_s=4,
        options=(NonceIndices(home=1, care_of=2), NonceIndices(home=3, care_of=4)),
    )
    octets = bytearray(emit_message(update, HOME_ADDRESS, HOME_AGENT))
    octets[19] = 5
    described = _json(bytes(octets), None)
    assert isinstance(described["options"], list)
    assert len(described["options"]) == 1
    assert described["error"] == {"offset": 19, "reason": "option 4 needs 5 octets, 4 remain"}
