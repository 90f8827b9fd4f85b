"""RFC 6275 §6.2: the place of options in a message, padding, and options of a wrong length."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.wire.option_list import (
    MalformedOption,
    Option,
    alignment_of,
    emit_options,
    parse_options,
)
from mcoa.wire.options import (
    AlternateCareOfAddress,
    BindingAuthorizationData,
    BindingIdentifier,
    NonceIndices,
    UnknownOption,
)
from mcoa.wire.reader import ParseError, Reader
from mcoa.wire.registry import OptionType
from wire import strategies

AUTHORIZATION = BindingAuthorizationData(authenticator=bytes(12))
ADDRESS = IPv6Address("2001:db8::1")


def _places(octets: bytes, start: int) -> list[int]:
    """Offsets of all options that are not padding, from the start of the message."""
    places, at = [], 0
    while at < len(octets):
        if octets[at] == 0:
            at += 1
            continue
        if octets[at] != 1:
            places.append(start + at)
        at += 2 + octets[at + 1]
    assert at == len(octets)
    return places


@given(strategies.option_lists, st.sampled_from((8, 12, 16, 24, 40)))
@pytest.mark.requirement("S4.3-02", "S4.3-03")
def test_rfc6275_6_2_every_option_stands_where_its_alignment_wants(
    options: tuple[Option, ...], start: int
) -> None:
    octets = emit_options(options, start)
    assert (start + len(octets)) % 8 == 0
    places = _places(octets, start)
    assert len(places) == len(options)
    for option, place in zip(options, places, strict=True):
        multiple, remainder = alignment_of(option)
        assert place % multiple == remainder
    assert parse_options(Reader(octets)) == options


@given(st.integers(1, 9))
def test_rfc5648_4_3_updates_have_16_and_24_octets_a_binding(count: int) -> None:
    options = [BindingIdentifier(bid=n, care_of_address=ADDRESS) for n in range(1, count + 1)]
    assert 12 + len(emit_options(options, 12)) == 16 + 24 * count


@given(strategies.option_lists)
@pytest.mark.requirement("S5.2-07")
def test_rfc6275_6_2_7_nothing_follows_authorization_data(options: tuple[Option, ...]) -> None:
    if not isinstance(options[-1] if options else None, BindingAuthorizationData):
        options = (*options, AUTHORIZATION)
    octets = emit_options(options, 12)
    assert (12 + len(octets) - 14) % 8 == 2
    assert octets[-14:-12] == b"\x05\x0c"


def test_rfc6275_6_2_7_authorization_data_before_another_option_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="last option"):
        emit_options((AUTHORIZATION, NonceIndices(home=1, care_of=2)), 12)


@pytest.mark.parametrize("padding", ["00", "0100", "010100", "0000", "01040a0b0c0d", "000100"])
def test_rfc6275_6_2_padding_of_any_shape_is_skipped(padding: str) -> None:
    """Two implementations refuse PadN of length zero or lose the option behind it."""
    option = BindingIdentifier(bid=1)
    octets = bytes.fromhex(padding) + option.emit() + bytes.fromhex(padding)
    assert parse_options(Reader(octets)) == (option,)


BROKEN = (
    "02 01 00",
    "02 03 000000",
    "03 0f" + "00" * 15,
    "03 11" + "00" * 17,
    "04 03 000000",
    "05 0b" + "00" * 11,
    "06 11" + "00" * 17,
    "06 12 00 81" + "00" * 16,
    "07 00",
    "08 00",
    "09 04 00000000",
    "0a 07" + "00" * 7,
    "1c 03 000000",
    "1d 05 8000000000",
    "1d 06 000000000000",
    "1d 06 840000000000",
    "1e 05 0000000000",
    "1e 06 008400000000",
    "1f 05 0000000000",
    "20 07 00000000000000",
    "2c 03 000000",
    "2d 05 0000000000",
    "2d 00",
    "2c 01 00",
    "2d 08 00010000 0000 02 05",
    "2d 07 00010000 0000 02",
)


@pytest.mark.parametrize("octets", BROKEN)
def test_a_known_option_of_a_length_it_cannot_have_survives_as_malformed(octets: str) -> None:
    data = bytes.fromhex(octets)
    (option,) = parse_options(Reader(data))
    assert isinstance(option, MalformedOption)
    assert (option.type, option.data) == (data[0], data[2:])
    assert option.reason
    assert option.emit() == data


@pytest.mark.parametrize("octets", BROKEN)
def test_options_around_a_malformed_one_are_read(octets: str) -> None:
    first, last = BindingIdentifier(bid=1), NonceIndices(home=1, care_of=2)
    data = first.emit() + bytes.fromhex(octets) + last.emit()
    assert [type(each) for each in parse_options(Reader(data))] == [
        BindingIdentifier,
        MalformedOption,
        NonceIndices,
    ]


def test_every_type_that_is_modelled_has_a_length_that_it_cannot_have() -> None:
    """But the Binding Identifier, which has a class of its own for that."""
    types = {bytes.fromhex(octets)[0] for octets in BROKEN}
    assert types == strategies.MODELLED - {OptionType.BINDING_IDENTIFIER}


@pytest.mark.parametrize("number", [OptionType.NONCE_INDICES, OptionType(64)])
def test_a_well_formed_or_unknown_option_cannot_be_called_malformed(number: OptionType) -> None:
    with pytest.raises(ValueError, match="nothing is wrong"):
        MalformedOption(type=number, data=bytes(4))


@pytest.mark.parametrize("number", [11, 22, 43, 64, 65, 200, 255])
def test_rfc6275_6_2_1_an_unknown_option_survives_unchanged(number: int) -> None:
    data = bytes((number, 3, 1, 2, 3))
    (option,) = parse_options(Reader(data))
    assert option == UnknownOption(type=number, data=b"\1\2\3")
    assert option.emit() == data


def test_an_error_counts_its_offset_from_the_start_of_the_message() -> None:
    octets = bytes(12) + AlternateCareOfAddress(address=ADDRESS).emit() + b"\x04\x05\0\0\0"
    with pytest.raises(ParseError, match="option 4 needs 5 octets, 3 remain") as caught:
        parse_options(Reader(octets, 12))
    assert caught.value.offset == 12 + 18 + 1


def test_a_malformed_option_says_what_is_wrong() -> None:
    (option,) = parse_options(Reader(b"\x04\x03\0\0\0"))
    assert isinstance(option, MalformedOption)
    assert option.reason == "Length of Nonce Indices is 3, not 4"


@pytest.mark.parametrize(
    ("octets", "reason"),
    [("23", "Length needs 1 octets, 0 remain"), ("0105000000", "option 1 needs 5 octets, 3")],
)
def test_an_option_beyond_the_end_is_an_error(octets: str, reason: str) -> None:
    with pytest.raises(ParseError, match=reason) as caught:
        parse_options(Reader(bytes.fromhex(octets)))
    assert caught.value.offset == 1
