"""Signalling packets: octets to and from what engines exchange (RFC 6275 §9.2)."""

from ipaddress import IPv6Address

from mcoa.dataplane.icmp import RateLimiter, is_answerable
from mcoa.engine.actions import Discovery, Envelope, Received, Send, UdpEnd
from mcoa.wire import signalling as wire
from mcoa.wire.icmpv6 import ICMPV6, ParameterProblem, emit_icmpv6, parse_icmpv6
from mcoa.wire.ipv6 import (
    HEADER_LENGTH,
    MOBILITY_HEADER,
    Ipv6Packet,
    emit_packet,
    parse_packet,
)
from mcoa.wire.messages import Message, parse_message
from mcoa.wire.reader import Disposition, ParseError

_LONGEST_ANSWER = 1280  # RFC 4443 §2.4 (c): an error fits the smallest MTU


def complaint_limiter() -> RateLimiter:
    """Return a limit for errors: whoever gets them has proven nothing, not even that he is there."""
    return RateLimiter(100.0, 50.0)


class SignallingError(ValueError):
    """A packet that is no message.

    Attributes:
        answer: the packet that its sender is owed; None when he is owed silence.
        claim: a packet with a Home Address option that is no message: source and home address.
    """

    def __init__(
        self,
        reason: str,
        answer: bytes | None = None,
        *,
        claim: tuple[IPv6Address, IPv6Address] | None = None,
    ) -> None:
        super().__init__(reason)
        self.answer = answer
        self.claim = claim


def parse_signalling(
    packet: bytes,
    link: str | None = None,
    *,
    tunnelled: bool = False,
    udp: UdpEnd | None = None,
) -> Received:
    """Return the message in a packet that came in by `link`, perhaps through the tunnel.

    `udp` is the mobile node's end of the UDP over IPv4 that the packet came in, if it did.

    Raises:
        SignallingError: it holds no message that an engine could take.
    """
    usual = wire.read_signalling(packet)
    if usual is not None:
        source, destination, home_address, routing_home_address, message = usual
        envelope = Envelope(
            source=source,
            destination=destination,
            home_address=home_address,
            routing_header_home_address=routing_home_address,
            link=link,
            tunnelled=tunnelled,
            udp=udp,
        )
        return Received(message=message, envelope=envelope)
    return _parse_unusual(packet, link, tunnelled=tunnelled, udp=udp)


def _parse_unusual(
    packet: bytes, link: str | None, *, tunnelled: bool, udp: UdpEnd | None
) -> Received:
    try:
        parsed = parse_packet(packet)
    except ParseError as error:
        raise SignallingError(str(error), _problem(packet, error, 0)) from None
    source, destination = parsed.checksum_source, parsed.checksum_destination
    try:
        message = _message(parsed, source, destination)
    except ParseError as error:
        start = HEADER_LENGTH + int.from_bytes(packet[4:6]) - len(parsed.payload)
        raise SignallingError(str(error), _problem(packet, error, start)) from None
    envelope = Envelope(
        source=parsed.source,
        destination=parsed.destination,
        home_address=parsed.home_address,
        routing_header_home_address=parsed.routing_home_address,
        link=link,
        tunnelled=tunnelled,
        udp=udp,
    )
    payload = parsed.payload
    header = payload[: 8 + 8 * payload[1]] if parsed.protocol == MOBILITY_HEADER else b""
    return Received(message=message, envelope=envelope, header=header)


def _message(
    parsed: Ipv6Packet, source: IPv6Address, destination: IPv6Address
) -> Message | Discovery:
    if parsed.fragment is None and parsed.protocol == MOBILITY_HEADER:
        return parse_message(parsed.payload, source, destination)
    if parsed.fragment is None and parsed.protocol == ICMPV6:
        message = parse_icmpv6(parsed.payload, source.packed, destination.packed)
        if isinstance(message, Discovery):
            return message
    claim = None if parsed.home_address is None else (parsed.source, parsed.home_address)
    raise SignallingError(f"protocol {parsed.protocol} is no signalling", claim=claim)


def emit_signalling(send: Send) -> bytes:
    """Return the packet that an engine wants to be sent."""
    envelope = send.envelope
    if isinstance(send.message, Discovery):
        return _emit_discovery(send.message, envelope)
    return wire.emit_signalling(
        send.message,
        envelope.source,
        envelope.destination,
        home_address=envelope.home_address,
        routing_home_address=envelope.routing_header_home_address,
    )


def _emit_discovery(message: Discovery, envelope: Envelope) -> bytes:
    source = envelope.home_address or envelope.source
    destination = envelope.routing_header_home_address or envelope.destination
    packet = Ipv6Packet(
        source=envelope.source,
        destination=envelope.destination,
        protocol=ICMPV6,
        payload=emit_icmpv6(message, source.packed, destination.packed),
        home_address=envelope.home_address,
        routing_home_address=envelope.routing_header_home_address,
    )
    return emit_packet(packet)


def _problem(packet: bytes, error: ParseError, start: int) -> bytes | None:
    """Return the Parameter Problem for a fault `start` octets before `error.offset`."""
    if error.disposition is not Disposition.PARAMETER_PROBLEM:
        return None
    if not is_answerable(packet):
        return None
    source, destination = packet[8:24], packet[24:40]
    room = _LONGEST_ANSWER - HEADER_LENGTH - 8
    message = ParameterProblem(
        pointer=start + error.offset, code=error.code, invoking_packet=packet[:room]
    )
    body = emit_icmpv6(message, destination, source)
    head = b"\x60\0\0\0" + len(body).to_bytes(2) + bytes((ICMPV6, 64))
    return head + destination + source + body
