"""tc's filters: what they match."""

import struct

from mcoa.runtime.netlink_framing import parse_attributes
from mcoa.runtime.patterns import (
    HOME_ADDRESS_OPTION,
    MOBILITY_HEADER,
    TYPE_2_ROUTING_HEADER,
    Pattern,
)
from mcoa.runtime.traffic_control import (
    Filter,
    emit_clsact,
    emit_redirect,
    emit_redirect_of_origin,
    is_clsact,
)


def keys(pattern: Pattern) -> list[tuple[bytes, bytes, int]]:
    """Return mask, value and offset of each word that the filter compares."""
    options = parse_attributes(parse_attributes(emit_redirect(3, 5135, pattern, 9)[20:])[2])
    selector = options[5]
    count = selector[2]
    words = [
        struct.unpack_from("=4s4sii", selector, 16 + 16 * number) for number in range(count)
    ]
    return [(mask, value, offset) for mask, value, offset, _ in words]


def test_a_type_2_routing_header_is_known_by_next_header_and_type() -> None:
    assert keys(TYPE_2_ROUTING_HEADER) == [
        (bytes((0, 0, 255, 0)), bytes((0, 0, 43, 0)), 4),
        (bytes((0, 0, 255, 0)), bytes((0, 0, 2, 0)), 40),
    ]


def test_a_home_address_option_is_known_by_next_header_and_its_fixed_place() -> None:
    assert keys(HOME_ADDRESS_OPTION) == [
        (bytes((0, 0, 255, 0)), bytes((0, 0, 60, 0)), 4),
        (bytes((0, 0, 255, 0)), bytes((0, 0, 0xC9, 0)), 44),
    ]


def test_what_came_in_by_an_interface_is_known_by_that_alone() -> None:
    attributes = parse_attributes(emit_redirect_of_origin(3, 5200, "lan", 9)[20:])
    options = parse_attributes(attributes[2])
    assert options[5][2] == 0  # no words to compare
    assert options[8] == b"lan\0"


def test_a_filter_is_found_by_its_priority() -> None:
    body = emit_redirect(3, 5135, MOBILITY_HEADER, 9)
    assert Filter.parse(body) == Filter(priority=5135, kind="u32")


def test_the_place_for_filters_is_known_by_device_and_kind() -> None:
    assert is_clsact(emit_clsact(3), 3)
    assert not is_clsact(emit_clsact(3), 4)
    assert not is_clsact(emit_redirect(3, 5135, MOBILITY_HEADER, 9), 3)
