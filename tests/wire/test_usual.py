"""The quick ways say what the general parser says, of whatever octets there are."""

from dataclasses import FrozenInstanceError, replace
from ipaddress import IPv6Address

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mcoa.wire import ipv6
from mcoa.wire.checksum import upper_layer_checksum
from mcoa.wire.ipv6 import Ipv6Packet, decode_packet, emit_packet, parse_packet
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingUpdate,
    Message,
    decode_message,
    emit_data,
    emit_message,
    parse_message,
)
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.reader import ParseError
from mcoa.wire.registry import AcknowledgementFlag, BindingStatus, UpdateFlag
from mcoa.wire.signalling import emit_signalling, read_signalling
from mcoa.wire.usual import emit_acknowledgement, read_usual
from wire import strategies

NOWHERE = IPv6Address(0)
SOURCE, DESTINATION = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
HOME = IPv6Address("2001:db8::3")

identifier_octets = st.one_of(
    strategies.identifiers.map(BindingIdentifier.emit),
    st.binary(min_size=4, max_size=4).map(lambda body: b"\x23\x04" + body),
    st.binary(min_size=20, max_size=20).map(lambda body: b"\x23\x14" + body),
    st.integers(0, 9).map(bytes),
    st.integers(0, 9).map(lambda count: bytes((1, count)) + bytes(count)),
    st.sampled_from((b"\x23", b"\x23\x14", b"\x01", b"\x01\x09", b"\x23\x08\0\1\0\0\1\2\3\4")),
)
usual_headers = st.builds(
    lambda number, fixed, options: _filled(number, fixed + b"".join(options)),
    st.sampled_from((5, 6)),
    st.one_of(
        st.binary(min_size=6, max_size=6),
        st.builds(lambda head, tail: head + b"\0\0" + tail, st.just(b"\0\0"), st.just(b"\0\1")),
    ),
    st.lists(identifier_octets, max_size=6),
)
identifiers_without_address = st.lists(
    strategies.identifiers.map(lambda option: replace(option, care_of_address=None)),
    max_size=20,
).map(tuple)


def _filled(number: int, data: bytes) -> bytes:
    data += bytes(-(6 + len(data)) % 8)
    return bytes((59, (6 + len(data)) // 8 - 1, number, 0, 0, 0)) + data


def _general(header: bytes) -> Message | None:
    try:
        return decode_message(header)
    except ParseError:
        return None


@given(usual_headers)
@example(_filled(5, bytes(6)))
def test_what_is_read_at_a_stroke_is_what_the_general_parser_reads(header: bytes) -> None:
    usual = read_usual(header)
    if usual is not None:
        general = _general(header)
        assert usual == general
        assert repr(usual) == repr(general)
        assert hash(usual) == hash(general)


@given(st.binary(min_size=8, max_size=80))
def test_any_octets_read_at_a_stroke_are_what_the_general_parser_reads(data: bytes) -> None:
    header = bytes((59, len(data) // 8 - 1, 5 + (data[0] & 1))) + data[3 : len(data) // 8 * 8]
    usual = read_usual(header)
    assert usual is None or usual == _general(header)


@given(
    st.lists(strategies.identifiers, max_size=6).map(tuple),
    strategies.uint16,
    strategies.durations,
    st.sampled_from(
        (UpdateFlag(0xC000), UpdateFlag(0xC040), UpdateFlag(0), UpdateFlag(0xF540))
    ),
)
def test_usual_updates_are_read_at_a_stroke(
    options: tuple[BindingIdentifier, ...], sequence: int, lifetime_s: int, flags: UpdateFlag
) -> None:
    assume(all(option.emit()[1] in {4, 20} for option in options))
    update = BindingUpdate(
        sequence=sequence, flags=flags, lifetime_s=lifetime_s, options=options
    )
    assert read_usual(emit_message(update, NOWHERE, NOWHERE)) == update


@given(identifiers_without_address, strategies.uint8, strategies.uint16, strategies.durations)
def test_usual_acknowledgements_are_written_as_the_general_way_writes_them(
    options: tuple[BindingIdentifier, ...], status: int, sequence: int, lifetime_s: int
) -> None:
    acknowledgement = BindingAcknowledgement(
        status=BindingStatus(status),
        flags=AcknowledgementFlag.KEY_MANAGEMENT,
        sequence=sequence,
        lifetime_s=lifetime_s,
        options=options,
    )
    written = emit_acknowledgement(acknowledgement)
    assert written == (emit_data(acknowledgement) if len(options) <= 16 else None)
    plain = replace(acknowledgement, flags=AcknowledgementFlag(0))
    assert read_usual(emit_message(plain, NOWHERE, NOWHERE)) == plain


@given(strategies.binding_acknowledgements)
def test_any_acknowledgement_is_written_as_the_general_way_writes_it(
    acknowledgement: BindingAcknowledgement,
) -> None:
    written = emit_acknowledgement(acknowledgement)
    assert written in {None, emit_data(acknowledgement)}


@given(strategies.packets)
def test_a_packet_is_read_at_a_stroke_as_the_general_way_reads_it(packet: Ipv6Packet) -> None:
    octets = emit_packet(packet) + b"trailer"
    assert parse_packet(octets) == ipv6._parse(octets, lenient=False) == packet


@given(st.sampled_from((0, 6, 43, 44, 59, 60, 135)), st.binary(max_size=60))
def test_any_packet_is_read_at_a_stroke_as_the_general_way_reads_it(
    protocol: int, body: bytes
) -> None:
    for start in (b"", b"\x87\x02\1\2\0\0\xc9\x10", b"\x87\x02\2\1\0\0\0\0", b"\x3b\0\1\4"):
        payload = start + body
        head = b"\x60\0\0\0" + len(payload).to_bytes(2) + bytes((protocol, 64)) + bytes(32)
        usual = ipv6._parse_usual(head + payload)
        try:
            general = decode_packet(head + payload)
        except ParseError:
            general = None
        assert usual in (None, general)


def _sent(message: Message, packet: Ipv6Packet) -> bytes:
    payload = emit_message(message, packet.checksum_source, packet.checksum_destination)
    return emit_packet(replace(packet, payload=payload))


@given(
    strategies.all_messages,
    strategies.ipv6,
    strategies.ipv6,
    st.none() | strategies.ipv6,
    st.none() | strategies.ipv6,
)
def test_a_signalling_packet_is_written_as_layer_by_layer(
    message: Message,
    source: IPv6Address,
    destination: IPv6Address,
    home_address: IPv6Address | None,
    routing_home_address: IPv6Address | None,
) -> None:
    packet = Ipv6Packet(
        source=source,
        destination=destination,
        protocol=135,
        home_address=home_address,
        routing_home_address=routing_home_address,
    )
    octets = _sent(message, packet)
    assert octets == emit_signalling(
        message,
        source,
        destination,
        home_address=home_address,
        routing_home_address=routing_home_address,
    )
    read = read_signalling(octets)
    if read is not None:
        assert read == (source, destination, home_address, routing_home_address, message)


UPDATE = BindingUpdate(
    sequence=1,
    flags=UpdateFlag.ACKNOWLEDGE,
    lifetime_s=4,
    options=(BindingIdentifier(bid=1), BindingIdentifier(bid=2, care_of_address=SOURCE)),
)


@pytest.mark.parametrize(
    ("home_address", "routing_home_address"), [(None, None), (HOME, None), (None, HOME)]
)
def test_usual_signalling_packets_are_read_at_a_stroke(
    home_address: IPv6Address | None, routing_home_address: IPv6Address | None
) -> None:
    octets = emit_signalling(
        UPDATE,
        SOURCE,
        DESTINATION,
        home_address=home_address,
        routing_home_address=routing_home_address,
    )
    expected = (SOURCE, DESTINATION, home_address, routing_home_address, UPDATE)
    assert read_signalling(octets) == expected


@given(st.data())
def test_a_mutated_signalling_packet_is_read_as_layer_by_layer(data: st.DataObject) -> None:
    octets = bytearray(emit_signalling(UPDATE, SOURCE, DESTINATION, home_address=HOME))
    for _ in range(data.draw(st.integers(0, 2))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    packet_octets = bytes(octets[: data.draw(st.integers(0, len(octets)))] or octets)
    if data.draw(st.booleans()):
        packet_octets = _with_right_checksum(packet_octets)
    read = read_signalling(packet_octets)
    if read is None:
        return
    packet = parse_packet(packet_octets)
    source, destination = packet.checksum_source, packet.checksum_destination
    assert read == (
        packet.source,
        packet.destination,
        packet.home_address,
        packet.routing_home_address,
        parse_message(packet.payload, source, destination),
    )


def _with_right_checksum(octets: bytes) -> bytes:
    if len(octets) < 80:
        return octets
    blank = octets[:68] + b"\0\0" + octets[70:]
    checksum = upper_layer_checksum(blank[64:], octets[48:64], octets[24:40], 135)
    return blank[:68] + checksum.to_bytes(2) + blank[70:]


@pytest.mark.requirement("S6.2-25")
def test_rfc5648_6_2_an_echo_keeps_all_but_the_address() -> None:
    option = BindingIdentifier(bid=7, home=True, priority=3, care_of_address=SOURCE)
    rejected = BindingStatus.MCOA_UNKNOWN_COA
    assert option.echo() == BindingIdentifier(bid=7, home=True, priority=3)
    assert option.echo(rejected) == replace(option, status=rejected, care_of_address=None)
    plain = BindingIdentifier(bid=7)
    assert plain.echo() is plain


@given(strategies.identifiers, strategies.binding_updates, strategies.packets)
def test_values_with_constructors_of_their_own_are_as_frozen_as_others(
    option: BindingIdentifier, update: BindingUpdate, packet: Ipv6Packet
) -> None:
    for value, field in ((option, "bid"), (update, "sequence"), (packet, "protocol")):
        assert replace(value) == value
        assert hash(replace(value)) == hash(value)
        with pytest.raises(FrozenInstanceError):
            setattr(value, field, 1)
