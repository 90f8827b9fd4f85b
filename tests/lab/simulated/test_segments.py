"""The packets of the simulated transfers are true UDP packets."""

from hypothesis import given
from hypothesis import strategies as st

from mcoa.lab.sightings import UDP, Flow, flow_of
from mcoa.lab.simulated.segments import Segments, numbers
from mcoa.wire.checksum import is_intact
from mcoa.wire.ipv6 import parse_packet

NODE, PEER = bytes.fromhex("20010db8000100000000000000000100"), bytes(15) + b"\x09"
NUMBER = st.integers(0, 0xFFFFFFFF)


@given(first=NUMBER, second=NUMBER, port=st.integers(1, 0xFFFF), octets=st.integers(0, 1400))
def test_a_packet_parses_has_a_right_checksum_and_gives_its_numbers_back(
    first: int, second: int, port: int, octets: int
) -> None:
    packet = Segments(NODE, PEER, port, octets).packet(first, second)
    parsed = parse_packet(packet)
    assert parsed.protocol == UDP
    assert len(parsed.payload) == 16 + octets == int.from_bytes(parsed.payload[4:6])
    assert is_intact(parsed.payload, NODE, PEER, UDP)
    assert parsed.payload[6:8] != bytes(2)  # that would say that there is none
    assert flow_of(packet) == Flow(protocol=UDP, ports=(port, port))
    assert numbers(packet) == (first, second)
