"""RFC 5648 §4.3: the Binding Identifier option, well formed and not."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingRefreshRequest,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    Message,
    decode_message,
    emit_message,
)
from mcoa.wire.option_list import parse_options
from mcoa.wire.options import BindingIdentifier, MalformedBindingIdentifier
from mcoa.wire.reader import ParseError, Reader
from mcoa.wire.registry import BindingStatus, OptionType, UpdateFlag

NOWHERE = IPv6Address(0)

VECTORS = {
    "no-address": ("2304 0007 00 00", BindingIdentifier(bid=7)),
    "network-order": ("2304 1234 00 00", BindingIdentifier(bid=0x1234)),
    "priority": ("2304 0007 00 05", BindingIdentifier(bid=7, priority=5)),
    "ipv4": (
        "2308 0001 00 80 c0000201",
        BindingIdentifier(bid=1, home=True, care_of_address=IPv4Address("192.0.2.1")),
    ),
    "ipv6": (
        "2314 ffff a4 ff 20010db8000000000000000000000001",
        BindingIdentifier(
            bid=0xFFFF,
            status=BindingStatus.MCOA_MALFORMED,
            home=True,
            priority=127,
            care_of_address=IPv6Address("2001:db8::1"),
        ),
    ),
}


@pytest.mark.parametrize(("octets", "option"), VECTORS.values(), ids=VECTORS)
@pytest.mark.requirement(
    "S4.3-04", "S4.3-06", "S4.3-10", "S4.3-12", "S4.3-15", "S4.3-16", "S11-01"
)
def test_rfc5648_4_3_vectors(octets: str, option: BindingIdentifier) -> None:
    data = bytes.fromhex(octets)
    assert BindingIdentifier.parse(Reader(data, 2)) == option
    assert option.emit() == data
    assert parse_options(Reader(data)) == (option,)


@pytest.mark.requirement("S4.3-14")
def test_rfc5648_4_3_reserved_bits_are_sent_as_zero_without_flow_bindings() -> None:
    assert BindingIdentifier(bid=1).emit()[5] == 0
    assert BindingIdentifier(bid=1, home=True).emit()[5] == 0x80


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 6, 7, 12, 16, 19, 21, 255])
@pytest.mark.requirement("S4.4-03")
def test_rfc5648_6_2_an_option_of_wrong_length_survives_with_its_octets(length: int) -> None:
    body = bytes(range(1, length + 1)) if length < 255 else bytes([7]) * 255
    data = bytes((35, length)) + body
    (option,) = parse_options(Reader(data))
    assert isinstance(option, MalformedBindingIdentifier)
    assert option.data == body
    assert option.bid == (int.from_bytes(body[:2]) if length >= 2 else None)
    assert option.reason == f"Length of Binding Identifier is {length}, not 4, 8 or 20"
    assert option.emit() == data


@pytest.mark.parametrize("length", [4, 8, 20])
@pytest.mark.requirement("S2-02", "S4.3-05")
def test_rfc5648_4_3_bid_zero_survives_as_malformed(length: int) -> None:
    (option,) = parse_options(Reader(bytes((35, length)) + bytes(length)))
    assert option == MalformedBindingIdentifier(data=bytes(length))
    assert isinstance(option, MalformedBindingIdentifier)
    assert option.bid == 0
    assert option.reason == "BID zero is reserved"


def test_rfc5648_6_2_options_around_a_malformed_one_are_read() -> None:
    first, last = BindingIdentifier(bid=1), BindingIdentifier(bid=3)
    malformed = MalformedBindingIdentifier(data=b"\0\2\0\0\0")
    update = BindingUpdate(
        sequence=1,
        flags=UpdateFlag.ACKNOWLEDGE,
        lifetime_s=4,
        options=(first, malformed, last),
    )
    read = decode_message(emit_message(update, NOWHERE, NOWHERE))
    assert isinstance(read, BindingUpdate)
    assert read.identifiers == (first, malformed, last)


@pytest.mark.parametrize("length", [4, 20, 21])
def test_an_option_that_overruns_its_message_is_an_error_at_its_length(length: int) -> None:
    data = bytes.fromhex("3b02050000000001c0000001") + bytes((0, 0, 0, 0, 0, 0, 0, 0, 0))
    data = data[:18] + bytes((35, length, 0, 1, 0, 0))
    with pytest.raises(ParseError, match=rf"option 35 needs {length + 1} octets") as caught:
        decode_message(data[:19] + bytes((length + 1,)) + data[20:])
    assert caught.value.offset == 19


def test_a_well_formed_option_cannot_be_called_malformed() -> None:
    with pytest.raises(ValueError, match="well formed"):
        MalformedBindingIdentifier(data=b"\0\1\0\0")


@pytest.mark.parametrize("bid", [0, 0x10000])
@pytest.mark.requirement("S2-02", "S4.3-05")
def test_rfc5648_4_3_a_bid_that_cannot_be_sent_cannot_be_built(bid: int) -> None:
    with pytest.raises(ValueError, match=r"bid .* outside"):
        BindingIdentifier(bid=bid)


@pytest.mark.parametrize("priority", [-1, 128])
def test_rfc6089_4_1_a_priority_that_cannot_be_sent_cannot_be_built(priority: int) -> None:
    with pytest.raises(ValueError, match=r"priority .* outside"):
        BindingIdentifier(bid=1, priority=priority)


@pytest.mark.parametrize(
    "message",
    [
        BindingUpdate(sequence=1, flags=UpdateFlag.HOME, lifetime_s=4),
        BindingAcknowledgement(sequence=1, lifetime_s=4),
        BindingRefreshRequest(),
        CareOfTestInit(cookie=bytes(8)),
        CareOfTest(nonce_index=1, cookie=bytes(8), token=bytes(8)),
    ],
    ids=lambda message: type(message).__name__,
)
@pytest.mark.requirement("S4.3-01", "S4.3-11", "S4.3-19")
def test_rfc5648_4_3_five_messages_carry_the_option(message: Message) -> None:
    options = (BindingIdentifier(bid=1), BindingIdentifier(bid=2))
    sent = replace(message, options=options)
    read = decode_message(emit_message(sent, NOWHERE, NOWHERE))
    assert read == sent
    assert read.identifiers == options


@given(st.binary(max_size=255))
def test_any_body_reads_back_as_it_was(body: bytes) -> None:
    data = bytes((OptionType.BINDING_IDENTIFIER, len(body))) + body
    (option,) = parse_options(Reader(data))
    assert option.emit() == data
