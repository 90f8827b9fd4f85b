"""Any octets parse, or raise ParseError inside their bounds: no parser does anything else."""

import zlib
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.wire.checksum import upper_layer_checksum
from mcoa.wire.dual_stack import parse_ipv4, parse_udp
from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.icmpv6 import decode_icmpv6, emit_icmpv6
from mcoa.wire.ipv6 import emit_packet, parse_packet
from mcoa.wire.messages import decode_message, emit_message, parse_message
from mcoa.wire.neighbor_discovery import parse_neighbor_options
from mcoa.wire.option_list import emit_options, parse_options
from mcoa.wire.options import BindingIdentifier, MobileNetworkPrefix
from mcoa.wire.options_security import Authentication
from mcoa.wire.reader import ParseError, Reader
from mcoa.wire.selectors import Ipv4TrafficSelector, Ipv6TrafficSelector, parse_selector
from wire import strategies
from wire.vectors import VECTORS

Parser = Callable[[bytes], object]

NOWHERE = IPv6Address(0)
PARSERS: dict[str, Parser] = {
    "message": decode_message,
    "checked message": lambda data: parse_message(data, bytes(16), bytes(16)),
    "options": lambda data: parse_options(Reader(data)),
    "binding identifier": lambda data: BindingIdentifier.parse(Reader(data)),
    "network prefix": lambda data: MobileNetworkPrefix.parse(Reader(data)),
    "authentication": lambda data: Authentication.parse(Reader(data)),
    "flow identification": lambda data: FlowIdentification.parse(Reader(data)),
    "flow summary": lambda data: FlowSummary.parse(Reader(data)),
    "selector": parse_selector,
    "packet": parse_packet,
    "ipv4 packet": parse_ipv4,
    "udp over ipv6": lambda data: parse_udp(data, bytes(16), bytes(16)),
    "udp over ipv4": lambda data: parse_udp(data, IPv4Address(0), IPv4Address(0)),
    "icmpv6": decode_icmpv6,
    "neighbor options": lambda data: parse_neighbor_options(Reader(data)),
}
parsers = pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)


def _survives(parse: Parser, data: bytes) -> bool:
    try:
        parse(data)
    except ParseError as error:
        assert -1 <= error.offset <= len(data)
        assert error.reason
        return False
    return True


@parsers
@given(data=st.binary(max_size=300))
def test_any_octets_parse_or_raise_parse_error(parse: Parser, data: bytes) -> None:
    _survives(parse, data)


@given(number=st.integers(0, 30), words=st.integers(0, 12), data=st.binary(max_size=120))
def test_any_mobility_header_parses_or_raises(number: int, words: int, data: bytes) -> None:
    _survives(decode_message, bytes((59, words, number, 0, 0, 0)) + data)


@given(st.integers(0, 70), st.binary(max_size=60))
def test_any_option_body_parses_or_raises(number: int, body: bytes) -> None:
    _survives(lambda data: parse_options(Reader(data)), bytes((number, len(body))) + body)


@given(st.sampled_from((0, 43, 44, 60)), st.binary(max_size=120))
def test_any_extension_header_parses_or_raises(protocol: int, body: bytes) -> None:
    header = b"\x60\0\0\0" + len(body).to_bytes(2) + bytes((protocol, 64)) + bytes(32)
    _survives(parse_packet, header + body)


@given(st.sampled_from((1, 2)), st.binary(max_size=120))
def test_any_selector_parses_or_raises(form: int, body: bytes) -> None:
    data = bytes((form, 0)) + body
    if _survives(parse_selector, data):
        assert isinstance(
            parse_selector(data), Ipv4TrafficSelector if form == 1 else Ipv6TrafficSelector
        )


@given(st.sampled_from((1, 2, 3, 4, 133, 134, 135, 136, 144, 145, 146, 147)), st.binary())
def test_any_icmpv6_body_parses_or_raises(kind: int, body: bytes) -> None:
    _survives(decode_icmpv6, bytes((kind, 0, 0, 0)) + body)


@given(strategies.known_messages, st.data())
def test_a_message_cut_short_raises(message: object, data: st.DataObject) -> None:
    octets = emit_message(message, NOWHERE, NOWHERE)
    cut = data.draw(st.integers(0, len(octets) - 1))
    assert not _survives(decode_message, octets[:cut])


def _mutations(octets: bytes, seed: int) -> list[bytes]:
    """The octets with one to four accidents each: flipped, cut, doubled, overwritten."""
    rng = Random(seed)
    mutated = []
    for _ in range(400):
        copy = bytearray(octets)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(copy)) if copy else 0
            match rng.randrange(5):
                case 0 if copy:
                    copy[at] ^= 1 << rng.randrange(8)
                case 1 if copy:
                    copy[at] = rng.choice((0, 1, 2, 4, 0x7F, 0x80, 0xFE, 0xFF))
                case 2:
                    del copy[at : at + rng.randint(1, 9)]
                case 3:
                    copy[at:at] = copy[at : at + rng.randint(1, 9)]
                case _:
                    copy[at:at] = rng.randbytes(rng.randint(1, 4))
        mutated.append(bytes(copy))
    return mutated


@pytest.mark.parametrize("name", VECTORS)
def test_mutated_messages_parse_or_raise(name: str) -> None:
    vector = VECTORS[name]
    for octets in _mutations(vector.octets, zlib.crc32(name.encode())):
        _survives(decode_message, octets)
        _survives(lambda data: parse_message(data, bytes(16), bytes(16)), _repaired(octets))


def _repaired(octets: bytes) -> bytes:
    """The message with a checksum that is right, so that the parser gets past it."""
    if len(octets) < 8 or len(octets) < 8 + 8 * octets[1]:
        return octets
    blank = octets[: 8 + 8 * octets[1]]
    blank = blank[:4] + b"\0\0" + blank[6:]
    checksum = upper_layer_checksum(blank, bytes(16), bytes(16), 135)
    return blank[:4] + checksum.to_bytes(2) + blank[6:]


@given(strategies.packets, st.integers(0, 1 << 32))
def test_mutated_packets_parse_or_raise(packet: object, seed: int) -> None:
    for octets in _mutations(emit_packet(packet), seed)[:20]:
        _survives(parse_packet, octets)


@given(strategies.icmpv6_messages, st.integers(0, 1 << 32))
def test_mutated_icmpv6_parses_or_raises(message: object, seed: int) -> None:
    for octets in _mutations(emit_icmpv6(message, NOWHERE, NOWHERE), seed)[:20]:
        _survives(decode_icmpv6, octets)


@given(strategies.option_lists, st.integers(0, 1 << 32))
def test_mutated_options_parse_or_raise(options: tuple, seed: int) -> None:
    octets = emit_options(options, 12)
    for mutated in _mutations(octets, seed)[:20]:
        _survives(lambda data: parse_options(Reader(data)), mutated)
