"""Netlink's framing: messages, attributes, refusals."""

import errno

from hypothesis import given
from hypothesis import strategies as st

from mcoa.runtime.netlink_framing import (
    Message,
    MessageFlag,
    MessageType,
    emit_attribute,
    emit_message,
    integer,
    parse_attributes,
    parse_error,
    parse_messages,
    uint32,
)


@given(st.lists(st.tuples(st.integers(16, 99), st.binary(max_size=20)), max_size=5))
def test_joined_messages_come_apart_again(contents: list[tuple[int, bytes]]) -> None:
    padded = [(kind, body + bytes(-len(body) % 4)) for kind, body in contents]
    datagram = b"".join(
        emit_message(kind, MessageFlag.REQUEST, number, body)
        for number, (kind, body) in enumerate(padded)
    )
    parsed = [(each.kind, each.body) for each in parse_messages(datagram)]
    assert parsed == padded


@given(st.dictionaries(st.integers(1, 60), st.binary(max_size=9), max_size=6))
def test_attributes_of_any_length_come_apart_again(attributes: dict[int, bytes]) -> None:
    octets = b"".join(emit_attribute(kind, value) for kind, value in attributes.items())
    assert len(octets) % 4 == 0
    assert parse_attributes(octets) == attributes


@given(st.binary(max_size=64))
def test_any_octets_are_taken_without_an_exception(octets: bytes) -> None:
    list(parse_messages(octets))
    parse_attributes(octets)


def test_a_flag_in_an_attribute_number_is_no_part_of_it() -> None:
    assert parse_attributes(emit_attribute(0x8000 | 26, b"abcd")) == {26: b"abcd"}


def test_a_refusal_speaks_in_the_kernels_words() -> None:
    request = emit_message(MessageType.NEW_ROUTE, 0, 7, b"")
    number = (-errno.EINVAL).to_bytes(4, "little", signed=True)
    body = number + request + emit_attribute(1, b"Invalid gateway address\0")
    error = parse_error(Message(kind=MessageType.ERROR, flags=0, sequence=7, body=body))
    assert error is not None
    assert (error.errno, error.strerror) == (errno.EINVAL, "Invalid gateway address")


def test_an_acknowledgement_is_no_refusal() -> None:
    body = bytes(4) + emit_message(MessageType.NEW_ROUTE, 0, 7, b"")
    assert parse_error(Message(kind=MessageType.ERROR, flags=0, sequence=7, body=body)) is None


def test_an_absent_number_is_zero() -> None:
    assert integer(None) == 0
    assert integer(uint32(5135)) == 5135
