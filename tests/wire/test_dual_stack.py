"""RFC 791, RFC 768: headers of tunnels over IPv4."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from mcoa.wire.checksum import internet_checksum
from mcoa.wire.dual_stack import (
    Ipv4Packet,
    UdpDatagram,
    emit_ipv4,
    emit_udp,
    parse_ipv4,
    parse_udp,
)
from mcoa.wire.reader import ParseError

SOURCE, DESTINATION = IPv4Address("192.0.2.1"), IPv4Address("198.51.100.7")
PACKET = Ipv4Packet(
    source=SOURCE, destination=DESTINATION, protocol=17, payload=b"abc", dont_fragment=True
)


def test_rfc791_3_1_a_header_has_its_layout() -> None:
    octets = emit_ipv4(PACKET)
    assert octets[:10] == bytes.fromhex("4500 0017 0000 4000 4011")
    assert octets[12:20] == SOURCE.packed + DESTINATION.packed
    assert internet_checksum(octets[:20]) == 0


def test_rfc791_3_1_options_are_skipped() -> None:
    plain = emit_ipv4(PACKET)
    header = b"\x46" + plain[1:2] + b"\0\x1b" + plain[4:10] + b"\0\0" + plain[12:20] + b"\1" * 4
    checksum = internet_checksum(header)
    octets = header[:10] + checksum.to_bytes(2) + header[12:] + b"abc"
    assert parse_ipv4(octets) == PACKET


@pytest.mark.parametrize(
    ("change", "offset"),
    [((0, 0x65), 0), ((0, 0x44), 0), ((3, 0x13), 0), ((3, 0xFF), 2), ((8, 1), 10)],
)
def test_a_broken_header_is_an_error(change: tuple[int, int], offset: int) -> None:
    octets = bytearray(emit_ipv4(PACKET))
    octets[change[0]] = change[1]
    with pytest.raises(ParseError) as caught:
        parse_ipv4(bytes(octets))
    assert caught.value.offset == offset


@pytest.mark.parametrize("address", [SOURCE, IPv6Address("2001:db8::1")])
def test_rfc768_the_checksum_covers_addresses_of_either_version(address: IPv6Address) -> None:
    datagram = UdpDatagram(source_port=4191, destination_port=4191, payload=b"abc")
    octets = emit_udp(datagram, address, address)
    assert parse_udp(octets, address, address) == datagram
    with pytest.raises(ParseError, match="checksum"):
        parse_udp(octets[:-1] + b"d", address, address)


def test_rfc768_a_checksum_of_zero_says_that_there_is_none() -> None:
    octets = bytes.fromhex("105f 105f 0009 0000 ff")
    assert parse_udp(octets, SOURCE, DESTINATION).payload == b"\xff"


def test_rfc768_a_checksum_that_comes_out_as_zero_is_sent_as_ones() -> None:
    """The payload is the one word that makes the sum come out so."""
    datagram = UdpDatagram(source_port=1, destination_port=2, payload=b"\0\0")
    word = int.from_bytes(emit_udp(datagram, SOURCE, DESTINATION)[6:8])
    made = UdpDatagram(source_port=1, destination_port=2, payload=word.to_bytes(2))
    assert emit_udp(made, SOURCE, DESTINATION)[6:8] == b"\xff\xff"
    assert parse_udp(emit_udp(made, SOURCE, DESTINATION), SOURCE, DESTINATION) == made


@pytest.mark.parametrize("length", [7, 12, 0xFFFF])
def test_rfc768_a_length_that_cannot_be_is_an_error(length: int) -> None:
    octets = b"\0\1\0\2" + length.to_bytes(2) + b"\0\0abc"
    with pytest.raises(ParseError, match="Length is") as caught:
        parse_udp(octets, SOURCE, DESTINATION)
    assert caught.value.offset == 4
