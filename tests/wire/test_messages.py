"""RFC 6275 §6.1.1, §9.2: the Mobility Header and the order in which it is checked."""

from ipaddress import IPv6Address

import pytest

from mcoa.wire.checksum import upper_layer_checksum
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    BindingUpdate,
    Heartbeat,
    HomeAgentSwitch,
    HomeTestInit,
    UnknownMessage,
    decode_message,
    emit_message,
    parse_message,
)
from mcoa.wire.options import BindingIdentifier, MobileNetworkPrefix, UnknownOption
from mcoa.wire.reader import Disposition, ParseError
from mcoa.wire.registry import BindingStatus, MessageType, RevocationFlag, UpdateFlag

SOURCE, DESTINATION = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")

MINIMUM = {
    MessageType.BINDING_REFRESH_REQUEST: 8,
    MessageType.HOME_TEST_INIT: 16,
    MessageType.CARE_OF_TEST_INIT: 16,
    MessageType.HOME_TEST: 24,
    MessageType.CARE_OF_TEST: 24,
    MessageType.BINDING_UPDATE: 16,
    MessageType.BINDING_ACKNOWLEDGEMENT: 16,
    MessageType.BINDING_ERROR: 24,
    MessageType.HOME_AGENT_SWITCH: 8,
    MessageType.HEARTBEAT: 16,
    MessageType.BINDING_REVOCATION: 16,
}


def _with_checksum(octets: bytes) -> bytes:
    checksum = upper_layer_checksum(octets, SOURCE, DESTINATION, 135)
    return octets[:4] + checksum.to_bytes(2) + octets[6:]


def _header(*, number: int, length: int, protocol: int = 59) -> bytes:
    header = bytes((protocol, length // 8 - 1, number, 0))
    return _with_checksum(header + bytes(length - 4))


def test_rfc6275_9_2_the_checksum_is_looked_at_first() -> None:
    octets = bytearray(_header(number=99, length=8, protocol=6))
    octets[4] ^= 0xFF
    with pytest.raises(ParseError, match="checksum") as caught:
        parse_message(bytes(octets), SOURCE, DESTINATION)
    assert caught.value.disposition is Disposition.DISCARD


def test_rfc6275_9_2_an_unknown_type_is_a_value_before_anything_else_counts() -> None:
    octets = _header(number=99, length=16, protocol=6)
    message = parse_message(octets, SOURCE, DESTINATION)
    assert message == UnknownMessage(type=99, data=bytes(10))


def test_rfc6275_9_2_another_payload_proto_earns_a_parameter_problem() -> None:
    octets = _header(number=5, length=8, protocol=6)
    with pytest.raises(ParseError, match="Payload Proto is 6") as caught:
        parse_message(octets, SOURCE, DESTINATION)
    error = caught.value
    assert (error.offset, error.code) == (0, 0)
    assert error.disposition is Disposition.PARAMETER_PROBLEM


@pytest.mark.parametrize("number", [number for number in MINIMUM if MINIMUM[number] > 8])
def test_rfc6275_9_2_a_header_too_short_for_its_type_earns_a_parameter_problem(
    number: MessageType,
) -> None:
    with pytest.raises(ParseError, match=number.label) as caught:
        parse_message(_header(number=number, length=MINIMUM[number] - 8), SOURCE, DESTINATION)
    assert caught.value.offset == 1
    assert caught.value.disposition is Disposition.PARAMETER_PROBLEM


@pytest.mark.parametrize("number", MINIMUM)
def test_rfc6275_6_1_the_shortest_message_of_each_type_is_read(number: MessageType) -> None:
    octets = bytearray(_header(number=number, length=MINIMUM[number]))
    if number is MessageType.BINDING_REVOCATION:
        octets[6] = 1
    assert decode_message(bytes(octets)).TYPE is number


@pytest.mark.parametrize("data", [b"", b"\x3b", bytes(7)])
def test_less_than_eight_octets_are_no_message(data: bytes) -> None:
    with pytest.raises(ParseError, match="8 octets") as caught:
        parse_message(data, SOURCE, DESTINATION)
    assert caught.value.offset == len(data)


def test_a_header_longer_than_its_packet_is_dropped() -> None:
    with pytest.raises(ParseError, match="Header Len says 24 octets, 16") as caught:
        parse_message(bytes((59, 2, 5, 0)) + bytes(12), SOURCE, DESTINATION)
    assert (caught.value.offset, caught.value.disposition) == (1, Disposition.DISCARD)


@pytest.mark.requirement("S4.2-01")
def test_rfc5648_4_2_the_overwrite_flag_is_the_tenth_bit() -> None:
    update = BindingUpdate(sequence=0, flags=UpdateFlag.OVERWRITE, lifetime_s=0)
    assert emit_message(update, SOURCE, DESTINATION)[8:10] == b"\x00\x40"
    assert UpdateFlag(0xFFC0).letters == "AHLKMRPFTO"
    assert (UpdateFlag.ACKNOWLEDGE | UpdateFlag.OVERWRITE).letters == "AO"


@pytest.mark.requirement("S4.2-04")
def test_rfc5648_4_2_reserved_flag_bits_are_ignored() -> None:
    octets = bytearray(_header(number=5, length=16))
    octets[8:10] = b"\xc0\x3f"
    message = decode_message(bytes(octets))
    assert isinstance(message, BindingUpdate)
    assert message.flags == UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME


@pytest.mark.parametrize("lifetime_s", [-4, 1, 601, 262144])
def test_a_lifetime_that_cannot_be_sent_cannot_be_built(lifetime_s: int) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        BindingUpdate(sequence=1, flags=UpdateFlag(0), lifetime_s=lifetime_s)
    with pytest.raises(ValueError, match="multiple of 4"):
        BindingAcknowledgement(sequence=1, lifetime_s=lifetime_s)


def test_a_message_longer_than_its_header_can_say_cannot_be_sent() -> None:
    options = (UnknownOption(type=200, data=bytes(255)),) * 9
    update = BindingUpdate(sequence=1, flags=UpdateFlag(0), lifetime_s=0, options=options)
    with pytest.raises(ValueError, match="more than a Mobility Header"):
        emit_message(update, SOURCE, DESTINATION)


def test_the_longest_message_is_read() -> None:
    options = (UnknownOption(type=200, data=bytes(252)),) * 8
    update = BindingUpdate(sequence=1, flags=UpdateFlag(0), lifetime_s=262140, options=options)
    octets = emit_message(update, SOURCE, DESTINATION)
    assert len(octets) == 2048
    assert parse_message(octets, SOURCE, DESTINATION) == update


@pytest.mark.requirement("S11-02", "S11-03", "S4.4-09")
def test_rfc5648_4_4_status_below_128_accepts() -> None:
    assert [int(status) for status in BindingStatus if "MCOA" in status.name] == [
        4,
        5,
        *range(164, 170),
    ]
    assert not BindingStatus.MCOA_NOTCOMPLETE.is_rejection
    assert not BindingStatus.MCOA_RETURNHOME_WO_NDP.is_rejection
    assert all(BindingStatus(number).is_rejection for number in range(128, 256))


@pytest.mark.parametrize(
    ("message", "octets"),
    [
        (HomeTestInit(cookie=bytes(range(8))), "3b010100 {} 0000 0001020304050607"),
        (
            Heartbeat(sequence=0x01020304, response=True, unsolicited=True),
            "3b010d00 {} 0003 01020304 01020000",
        ),
        (
            HomeAgentSwitch(addresses=(DESTINATION,)),
            "3b020c00 {} 0100 20010db8000000000000000000000002",
        ),
        (
            BindingRevocationIndication(
                sequence=7,
                flags=RevocationFlag.IPV4_HOME_ADDRESS_BINDING_ONLY,
                options=(BindingIdentifier(bid=1),),
            ),
            "3b021000 {} 0100 0007 4000 230400010000 010400000000",
        ),
        (
            BindingRevocationAcknowledgement(sequence=7, flags=RevocationFlag.GLOBAL),
            "3b011000 {} 0200 0007 2000 01020000",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_messages_of_other_rfcs_have_their_layout(message: object, octets: str) -> None:
    sent = emit_message(message, SOURCE, DESTINATION)
    assert sent == _with_checksum(bytes.fromhex(octets.format("0000")))


def test_rfc3963_4_3_bits_beyond_the_prefix_are_ignored() -> None:
    option = "0612 00 40 20010db8000100000000000000000001"
    message = decode_message(bytes.fromhex("3b030500 0000 0001 0400 0096" + option))
    assert isinstance(message, BindingUpdate)
    (option,) = message.options
    assert isinstance(option, MobileNetworkPrefix)
    assert str(option.prefix) == "2001:db8:1::/64"


def test_a_revocation_of_no_type_is_an_error() -> None:
    octets = bytearray(_header(number=16, length=16))
    octets[6] = 3
    with pytest.raises(ParseError, match=r"B\.R\. Type 3") as caught:
        decode_message(bytes(octets))
    assert caught.value.offset == 6
