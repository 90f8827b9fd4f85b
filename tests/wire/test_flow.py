"""RFC 6089 §4 and RFC 6088: flow options, their sub-options and traffic selectors."""

from dataclasses import fields
from ipaddress import IPv4Address, IPv6Address

import pytest

from mcoa.wire.flow import FlowIdentification, FlowSummary, RawSubOption
from mcoa.wire.option_list import emit_options, parse_options
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.reader import ParseError, Reader
from mcoa.wire.registry import FlowStatus
from mcoa.wire.selectors import (
    Ipv4TrafficSelector,
    Ipv6TrafficSelector,
    UnknownTrafficSelector,
    parse_selector,
)


def _read(octets: str) -> FlowIdentification:
    body = bytes.fromhex(octets)
    (option,) = parse_options(Reader(bytes((45, len(body))) + body))
    assert isinstance(option, FlowIdentification)
    return option


@pytest.mark.parametrize(
    ("selector", "octets"),
    [
        (
            Ipv4TrafficSelector(
                start_source=IPv4Address("192.0.2.1"),
                end_source=IPv4Address("192.0.2.9"),
                start_destination_port=443,
                start_ds=0xB8,
                end_protocol=17,
                start_protocol=6,
            ),
            "0316 0100 c0ac0000 c0000201 c0000209 01bb b8 06 11",
        ),
        (
            Ipv6TrafficSelector(
                start_destination=IPv6Address("2001:db8::1"),
                start_spi=1,
                start_flow_label=0xABCDE,
                end_flow_label=0xABCDF,
                start_traffic_class=2,
            ),
            "0323 0200 2b080000 20010db800000000000000000000000100000001 000abcde 000abcdf 02",
        ),
        (Ipv6TrafficSelector(), "0306 0200 00000000"),
        (UnknownTrafficSelector(format=9, data=b"\1\2\3"), "0305 0900 010203"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rfc6088_3_selectors_have_their_layout(
    selector: Ipv4TrafficSelector | Ipv6TrafficSelector, octets: str
) -> None:
    data = bytes.fromhex(octets)
    data = data[:1] + bytes((len(data) - 2,)) + data[2:]
    assert selector.emit() == data
    assert parse_selector(data[2:]) == selector


def test_rfc6088_3_1_every_field_has_its_bit() -> None:
    for bit, name in enumerate(field.name for field in fields(Ipv4TrafficSelector)):
        start = name.replace("end", "start")
        value = IPv4Address(1) if start in {"start_source", "start_destination"} else 1
        flags = Ipv4TrafficSelector(**{start: value, name: value}).emit()[4:8]
        assert int.from_bytes(flags) & 0x8000_0000 >> bit


def test_rfc6088_3_2_every_field_has_its_bit() -> None:
    for bit, name in enumerate(field.name for field in fields(Ipv6TrafficSelector)):
        start = name.replace("end", "start")
        value = IPv6Address(1) if start in {"start_source", "start_destination"} else 1
        flags = Ipv6TrafficSelector(**{start: value, name: value}).emit()[4:8]
        assert int.from_bytes(flags) & 0x8000_0000 >> bit


def test_an_end_without_its_start_cannot_be_built_and_is_malformed_when_received() -> None:
    with pytest.raises(ValueError, match="without its start"):
        Ipv6TrafficSelector(end_source_port=1)
    with pytest.raises(ParseError, match="without its start"):
        parse_selector(bytes.fromhex("0200 00400000 0001"))


@pytest.mark.parametrize("octets", ["0200 00800000 01", "0200 00000000 01", "02", "0100 8000"])
def test_a_selector_of_another_size_than_its_flags_say_is_malformed(octets: str) -> None:
    with pytest.raises(ParseError):
        parse_selector(bytes.fromhex(octets))
    data = bytes.fromhex(octets)
    option = _read("0001 0002 0000" + bytes((3, len(data))).hex() + data.hex())
    assert option.is_malformed
    assert option.selector is None
    assert option.others == (RawSubOption(type=3, data=data),)


def test_rfc6089_4_2_an_odd_binding_reference_is_malformed_and_survives() -> None:
    option = _read("0001 0002 0000 0203 000100")
    assert option.is_malformed
    assert option.bids is None
    assert option.emit()[2:] == bytes.fromhex("0001 0002 0000 0203 000100")


def test_rfc6089_4_2_a_second_reference_is_malformed_and_survives() -> None:
    option = _read("0001 0002 0000 0202 0001 0202 0002")
    assert option.bids == (1,)
    assert option.others == (RawSubOption(type=2, data=b"\0\2"),)
    assert option.is_malformed


def test_rfc6089_4_2_an_unknown_selector_format_survives_to_be_answered() -> None:
    option = _read("0001 0002 0000 0202 0001 0304 0700 abcd")
    assert option.selector == UnknownTrafficSelector(format=7, data=b"\xab\xcd")
    assert not option.is_malformed


def test_rfc6089_4_2_padding_inside_is_skipped_and_unknown_sub_options_survive() -> None:
    option = _read("0001 0002 0084 00 0100 0101ff 6302 abcd 0202 0003")
    assert option.status is FlowStatus.FID_NOT_FOUND
    assert option.bids == (3,)
    assert option.others == (RawSubOption(type=0x63, data=b"\xab\xcd"),)
    assert not option.is_malformed


def test_rfc6089_4_2_fid_zero_survives_as_malformed() -> None:
    assert _read("0000 0002 0000").is_malformed


def test_what_makes_sense_cannot_hide_among_the_others() -> None:
    with pytest.raises(ValueError, match="belongs in `bids`"):
        FlowIdentification(fid=1, others=(RawSubOption(type=2, data=b"\0\1"),))
    with pytest.raises(ValueError, match="belongs in `selector`"):
        FlowIdentification(fid=1, others=(RawSubOption(type=3, data=b"\2\0\0\0\0\0"),))


def test_an_option_longer_than_its_length_can_say_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="length"):
        FlowIdentification(fid=1, bids=tuple(range(127)))


@pytest.mark.parametrize(
    ("selector", "multiple"),
    [
        (Ipv6TrafficSelector(start_source=IPv6Address(1)), 8),
        (Ipv6TrafficSelector(start_flow_label=1, start_source_port=1), 4),
        (Ipv4TrafficSelector(start_source=IPv4Address(1)), 4),
        (Ipv4TrafficSelector(start_source_port=1), 2),
        (Ipv4TrafficSelector(start_protocol=1), 1),
    ],
)
def test_rfc6088_3_a_selector_stands_where_its_widest_field_wants(
    selector: Ipv4TrafficSelector, multiple: int
) -> None:
    flow = FlowIdentification(fid=1, bids=(1, 2), selector=selector)
    octets = bytes(12) + emit_options((BindingIdentifier(bid=1), flow), 12)
    assert octets.index(selector.emit()) % multiple == 0
    assert parse_options(Reader(octets, 12))[1] == flow


def test_rfc6089_4_2_a_priority_of_zero_is_reserved() -> None:
    assert _read("0001 0000 0000 0202 0001").is_malformed
    assert not _read("0001 0001 0000 0202 0001").is_malformed


def test_a_received_option_without_room_for_its_padding_is_malformed() -> None:
    selector = Ipv6TrafficSelector(start_source=IPv6Address(1), end_source=IPv6Address(2))
    unaligned = bytes((2, 2, 0, 1)) + selector.emit()
    room = 255 - 6 - len(unaligned) - 2
    body = bytes((0, 1, 0, 0, 0, 0)) + unaligned + bytes((99, room)) + bytes(room)
    with pytest.raises(ParseError, match="length 259"):
        FlowIdentification.parse(Reader(body))


def test_rfc6089_4_3_a_summary_lists_flows() -> None:
    assert FlowSummary(fids=(1, 0x0203)).emit() == bytes.fromhex("2c04 0001 0203")
