"""What can be built can be sent, and reads back as what it was."""

from ipaddress import IPv6Address

from hypothesis import given

from mcoa.wire.dual_stack import (
    Ipv4Packet,
    UdpDatagram,
    emit_ipv4,
    emit_udp,
    parse_ipv4,
    parse_udp,
)
from mcoa.wire.icmpv6 import Icmpv6Message, decode_icmpv6, emit_icmpv6, parse_icmpv6
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet, parse_packet
from mcoa.wire.messages import Message, decode_message, emit_message, parse_message
from mcoa.wire.option_list import Option, parse_options
from mcoa.wire.reader import Reader
from wire import strategies


@given(strategies.all_messages, strategies.ipv6, strategies.ipv6)
def test_a_message_reads_back(
    message: Message, source: IPv6Address, destination: IPv6Address
) -> None:
    octets = emit_message(message, source, destination)
    assert len(octets) % 8 == 0
    assert parse_message(octets, source.packed, destination.packed) == message
    assert parse_message(octets, source, destination) == message
    assert decode_message(octets) == message


@given(strategies.options)
def test_an_option_reads_back(option: Option) -> None:
    assert parse_options(Reader(option.emit())) == (option,)


@given(strategies.packets)
def test_a_packet_reads_back(packet: Ipv6Packet) -> None:
    assert parse_packet(emit_packet(packet)) == packet
    assert parse_packet(emit_packet(packet) + b"trailer") == packet


@given(strategies.ipv4_packets)
def test_an_ipv4_packet_reads_back(packet: Ipv4Packet) -> None:
    assert parse_ipv4(emit_ipv4(packet) + b"trailer") == packet


@given(strategies.datagrams, strategies.ipv6 | strategies.ipv4)
def test_a_datagram_reads_back(datagram: UdpDatagram, address: IPv6Address) -> None:
    assert parse_udp(emit_udp(datagram, address, address), address, address) == datagram


@given(strategies.icmpv6_messages, strategies.ipv6, strategies.ipv6)
def test_an_icmpv6_message_reads_back(
    message: Icmpv6Message, source: IPv6Address, destination: IPv6Address
) -> None:
    octets = emit_icmpv6(message, source, destination)
    assert parse_icmpv6(octets, source, destination) == message
    assert decode_icmpv6(octets) == message
