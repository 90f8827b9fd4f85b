"""What a packet shows from outside."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.lab.sightings import Flow, flow_of, header_chain, is_signalling


def ipv6(protocol: int, payload: bytes) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + bytes(32) + payload


TCP = ipv6(6, struct.pack("!HH", 40000, 5201) + bytes(16))
ECHO = ipv6(58, bytes((128, 0, 0, 0)) + struct.pack("!HH", 77, 1))
NEIGHBOR = ipv6(58, bytes((135, 0, 0, 0)) + bytes(20))
HOME_ADDRESS_OPTION = bytes((135, 2, 1, 4, 0, 0, 0, 0, 0xC9, 16)) + bytes(14)
BINDING_UPDATE = ipv6(60, HOME_ADDRESS_OPTION + bytes(16))
FRAGMENT = ipv6(44, bytes((6, 0)) + struct.pack("!HI", 8 << 3, 1) + TCP[40:])
FIRST_FRAGMENT = ipv6(44, bytes((6, 0)) + struct.pack("!HI", 1, 1) + TCP[40:])


def test_both_ways_of_a_connection_are_one_flow() -> None:
    back = ipv6(6, struct.pack("!HH", 5201, 40000) + bytes(16))
    assert flow_of(TCP) == flow_of(back) == Flow.tcp(40000, 5201)


def test_a_tunnel_is_opened() -> None:
    assert flow_of(ipv6(41, TCP)) == Flow.tcp(40000, 5201)
    assert flow_of(ipv6(41, ECHO)) == Flow.echo(77)


def test_a_later_fragment_and_a_neighbor_solicitation_have_no_flow() -> None:
    assert flow_of(FIRST_FRAGMENT) == Flow.tcp(40000, 5201)
    assert flow_of(FRAGMENT) is None
    assert flow_of(NEIGHBOR) is None


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (BINDING_UPDATE, True),
        (ipv6(41, BINDING_UPDATE), True),
        (ECHO, True),
        (TCP, False),
        (ipv6(41, TCP), False),
        (ipv6(17, struct.pack("!HHHH", 4191, 4191, 8, 0)), True),
        (ipv6(17, struct.pack("!HHHH", 4190, 4192, 8, 0)), False),
        (b"\x45" + bytes(8) + b"\x11" + bytes(10) + struct.pack("!HH", 999, 4191), True),
    ],
)
def test_signalling_is_known_from_data(packet: bytes, *, expected: bool) -> None:
    assert is_signalling(packet) is expected


@given(st.binary(max_size=200))
def test_any_octets_are_looked_at_without_harm(rubbish: bytes) -> None:
    packet = b"\x60" + rubbish
    assert len(header_chain(packet)) <= 16
    is_signalling(packet)
    flow_of(packet)


@given(st.integers(0, len(BINDING_UPDATE)))
def test_a_packet_may_end_anywhere(length: int) -> None:
    is_signalling(BINDING_UPDATE[:length])
    flow_of(ipv6(41, TCP)[:length])
