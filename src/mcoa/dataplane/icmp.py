"""The ICMPv6 answers that a forwarder owes the sources of packets (RFC 4443, RFC 2473 8)."""

from typing import Final

from mcoa.dataplane.packet import (
    BASE_LENGTH,
    DEFAULT_HOP_LIMIT,
    ICMPV6,
    MINIMUM_MTU,
    upper_layer,
)
from mcoa.wire.icmpv6 import (
    DestinationUnreachable,
    EchoReply,
    EchoRequest,
    Icmpv6Message,
    PacketTooBig,
    ParameterProblem,
    TimeExceeded,
    emit_icmpv6,
)
from mcoa.wire.registry import Icmpv6Type

ADDRESS_UNREACHABLE: Final = 3
PORT_UNREACHABLE: Final = 4
_HEADERS: Final = BASE_LENGTH + 8


def icmpv6_packet(message: Icmpv6Message, source: bytes, destination: bytes) -> bytes:
    """Return a whole packet with an ICMPv6 message."""
    body = emit_icmpv6(message, source, destination)
    length = len(body).to_bytes(2, "big")
    return (
        b"\x60\0\0\0"
        + length
        + bytes((ICMPV6, DEFAULT_HOP_LIMIT))
        + source
        + destination
        + body
    )


def echo_reply(request: EchoRequest, source: bytes, destination: bytes) -> bytes:
    """Return the answer to an echo request."""
    reply = EchoReply(
        identifier=request.identifier, sequence=request.sequence, data=request.data
    )
    return icmpv6_packet(reply, source, destination)


def is_answerable(packet: bytes) -> bool:
    """Tell whether an error about this packet may be sent (RFC 4443 2.4 e)."""
    if packet[8] == 0xFF or packet[24] == 0xFF or packet[8:24] == bytes(16):
        return False
    upper = upper_layer(packet)
    if upper is None:
        return False
    protocol, offset, _ = upper
    return protocol != ICMPV6 or packet[offset : offset + 1] >= b"\x80"


def says_undelivered(kind: int, code: int) -> bool:
    """Return True for an error that says that a packet did not reach its destination.

    Port Unreachable is not: that the destination itself says, and kernels with tunnels of their
    own say it of packets that somebody beside them has taken.
    """
    if kind == Icmpv6Type.DESTINATION_UNREACHABLE:
        return code != PORT_UNREACHABLE
    return kind == Icmpv6Type.TIME_EXCEEDED and code == 0


class RateLimiter:
    """A token bucket (RFC 4443 2.4 f)."""

    __slots__ = ("_burst", "_per_second", "_tokens", "_updated_s")

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._updated_s: float | None = None

    def allows(self, now: float) -> bool:
        """Take a token if there is one."""
        if self._updated_s is not None:
            gained = (now - self._updated_s) * self._per_second
            self._tokens = min(self._burst, self._tokens + gained)
        self._updated_s = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class ErrorSource:
    """Makes errors from one address, few enough to be no weapon.

    Packet Too Big has a budget of its own: without it TCP stalls, and no flood of packets to
    unreachable addresses may use it up.
    """

    def __init__(self, address: bytes) -> None:
        self._address = address
        self._too_big = RateLimiter(1000.0, 200.0)
        self._others = RateLimiter(100.0, 50.0)

    def speak_as(self, address: bytes) -> None:
        """Make errors from another address from now on."""
        self._address = address

    def packet_too_big(self, packet: bytes, mtu: int, now: float) -> bytes | None:
        """Tell the source how much fits; None when nothing is to be sent."""
        message = PacketTooBig(mtu=mtu, invoking_packet=_quote(packet))
        return self._answer(packet, message, self._too_big, now)

    def unreachable(self, packet: bytes, code: int, now: float) -> bytes | None:
        """Tell the source that its packet has nowhere to go."""
        message = DestinationUnreachable(code=code, invoking_packet=_quote(packet))
        return self._answer(packet, message, self._others, now)

    def hop_limit_exceeded(self, packet: bytes, now: float) -> bytes | None:
        """Tell the source that its packet went far enough."""
        return self._answer(
            packet, TimeExceeded(invoking_packet=_quote(packet)), self._others, now
        )

    def parameter_problem(self, packet: bytes, pointer: int, now: float) -> bytes | None:
        """Tell the source which octet cannot be followed."""
        message = ParameterProblem(pointer=pointer, invoking_packet=_quote(packet))
        return self._answer(packet, message, self._others, now)

    def _answer(
        self, packet: bytes, message: Icmpv6Message, limiter: RateLimiter, now: float
    ) -> bytes | None:
        destination = packet[8:24]
        if destination == self._address or not is_answerable(packet):
            return None
        if not limiter.allows(now):
            return None
        return icmpv6_packet(message, self._address, destination)


def _quote(packet: bytes) -> bytes:
    return packet[: MINIMUM_MTU - _HEADERS]
