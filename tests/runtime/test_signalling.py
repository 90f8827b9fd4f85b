"""Signalling packets and what the senders of broken ones are owed."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcoa.engine.actions import Discovery, Envelope, Received, Send
from mcoa.runtime.signalling import SignallingError, emit_signalling, parse_signalling
from mcoa.wire.checksum import upper_layer_checksum
from mcoa.wire.icmpv6 import ParameterProblem, parse_icmpv6
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
)
from mcoa.wire.ipv6 import MOBILITY_HEADER, Ipv6Packet, emit_packet, parse_packet
from mcoa.wire.messages import BindingUpdate, UnknownMessage
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import UpdateFlag

AGENT = IPv6Address("2001:db8:1::1")
HOME = IPv6Address("2001:db8:1::100")
LTE = IPv6Address("2001:db8:a::1")
UPDATE = BindingUpdate(
    sequence=7,
    flags=UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME,
    lifetime_s=60,
    options=(BindingIdentifier(bid=1, care_of_address=LTE),),
)
ENVELOPE = Envelope(source=LTE, destination=AGENT, home_address=HOME)


def packet() -> bytes:
    return emit_signalling(Send(message=UPDATE, envelope=ENVELOPE))


def with_checksum(header: bytes) -> bytes:
    """Return the packet with this Mobility Header, its checksum made right."""
    clear = header[:4] + b"\0\0" + header[6:]
    checksum = upper_layer_checksum(clear, HOME, AGENT, MOBILITY_HEADER)
    return packet()[:64] + clear[:4] + checksum.to_bytes(2) + clear[6:]


def test_what_is_emitted_is_received() -> None:
    assert parse_signalling(packet()) == Received(message=UPDATE, envelope=ENVELOPE)


def test_the_link_is_noted() -> None:
    assert parse_signalling(packet(), "lte").envelope.link == "lte"


def test_a_routing_header_carries_the_home_address() -> None:
    envelope = Envelope(source=AGENT, destination=LTE, routing_header_home_address=HOME)
    octets = emit_signalling(Send(message=UPDATE, envelope=envelope))
    assert parse_signalling(octets).envelope == envelope


def test_rfc6275_9_2_a_wrong_checksum_is_owed_silence() -> None:
    broken = bytearray(packet())
    broken[-1] ^= 1
    with pytest.raises(SignallingError, match="checksum") as caught:
        parse_signalling(bytes(broken))
    assert caught.value.answer is None


@pytest.mark.parametrize(("octet", "value"), [(0, 58), (1, 0)])
def test_rfc6275_9_2_a_fault_of_the_header_is_owed_a_parameter_problem(
    octet: int, value: int
) -> None:
    header = bytearray(packet()[64:])
    header[octet] = value
    if octet == 1:
        header = header[:8]
    whole = with_checksum(bytes(header))
    whole = whole[:4] + (len(whole) - 40).to_bytes(2) + whole[6:]
    with pytest.raises(SignallingError) as caught:
        parse_signalling(whole)
    assert caught.value.answer is not None
    answer = parse_packet(caught.value.answer)
    assert (answer.source, answer.destination) == (AGENT, LTE)
    problem = parse_icmpv6(answer.payload, answer.source, answer.destination)
    assert isinstance(problem, ParameterProblem)
    assert problem.pointer == 64 + octet
    assert problem.invoking_packet == whole


def test_rfc4443_2_4_nobody_is_answered_by_multicast() -> None:
    whole = bytearray(with_checksum(b"\x3a" + packet()[65:]))
    whole[8] = 0xFF
    with pytest.raises(SignallingError) as caught:
        parse_signalling(bytes(whole))
    assert caught.value.answer is None


@pytest.mark.parametrize(("kind", "answered"), [(4, False), (127, False), (128, True)])
def test_rfc4443_2_4_no_error_is_answered_with_an_error(kind: int, answered: bool) -> None:
    options = bytes((58, 0, 0x9F, 4)) + bytes(4)  # an option that nobody knows
    body = options + bytes((kind,)) + bytes(7)
    whole = b"\x60\0\0\0" + len(body).to_bytes(2) + bytes((60, 64))
    with pytest.raises(SignallingError, match="option 159") as caught:
        parse_signalling(whole + LTE.packed + AGENT.packed + body)
    assert (caught.value.answer is not None) == answered


def test_an_unknown_message_reaches_the_engine() -> None:
    unknown = UnknownMessage(type=99, data=bytes(2))
    octets = emit_signalling(Send(message=unknown, envelope=ENVELOPE))
    assert parse_signalling(octets).message == unknown


@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_an_error(octets: bytes) -> None:
    try:
        parse_signalling(octets)
    except SignallingError as error:
        assert str(error)


@given(st.integers(0, 103), st.integers(0, 255))
def test_any_octet_changed_is_a_message_or_an_error(at: int, value: int) -> None:
    changed = bytearray(packet())
    changed[at] = value
    try:
        parse_signalling(bytes(changed))
    except SignallingError as error:
        assert str(error)


DISCOVERY = (
    HomeAgentAddressDiscoveryRequest(identifier=1),
    HomeAgentAddressDiscoveryReply(identifier=2, addresses=(AGENT,)),
    MobilePrefixSolicitation(identifier=3),
    MobilePrefixAdvertisement(identifier=4),
)


@pytest.mark.parametrize("message", DISCOVERY)
@pytest.mark.parametrize("option", [None, HOME])
@pytest.mark.parametrize("routing", [None, HOME])
def test_discovery_travels_as_other_signalling_does(
    message: Discovery, option: IPv6Address | None, routing: IPv6Address | None
) -> None:
    envelope = Envelope(
        source=LTE,
        destination=AGENT,
        home_address=option,
        routing_header_home_address=routing,
    )
    octets = emit_signalling(Send(message=message, envelope=envelope))
    assert parse_signalling(octets) == Received(message=message, envelope=envelope)
    broken = octets[:-1] + bytes((octets[-1] ^ 1,))
    with pytest.raises(SignallingError):
        parse_signalling(broken)


@pytest.mark.requirement("S6.5-03")
def test_a_home_address_option_on_anything_else_is_told_of() -> None:
    """Nobody can claim a home address with a packet that nobody looks at."""
    udp = Ipv6Packet(
        source=LTE, destination=AGENT, protocol=17, payload=bytes(8), home_address=HOME
    )
    with pytest.raises(SignallingError) as caught:
        parse_signalling(emit_packet(udp))
    assert caught.value.claim == (LTE, HOME)
    plain = Ipv6Packet(source=LTE, destination=AGENT, protocol=17, payload=bytes(8))
    with pytest.raises(SignallingError) as caught:
        parse_signalling(emit_packet(plain))
    assert caught.value.claim is None
