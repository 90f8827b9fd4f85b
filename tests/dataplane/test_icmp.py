"""Errors and answers of a forwarder."""

import pytest

from dataplane.packets import HOME, PEER, SERVICE, address, ipv6, udp
from mcoa.dataplane.icmp import ErrorSource, RateLimiter, is_answerable
from mcoa.wire.icmpv6 import PacketTooBig, parse_icmpv6


def test_an_error_fits_into_1280_octets_and_quotes_what_fits() -> None:
    answer = ErrorSource(SERVICE).packet_too_big(udp(size=1500), 1460, 0.0)
    assert answer is not None
    assert len(answer) == 1280
    assert (answer[8:24], answer[24:40]) == (SERVICE, PEER)
    message = parse_icmpv6(answer[40:], SERVICE, PEER)
    assert isinstance(message, PacketTooBig)
    assert message.mtu == 1460
    assert udp(size=1500).startswith(message.invoking_packet)


@pytest.mark.parametrize(
    "packet",
    [
        udp(PEER, address("ff02::1")),
        udp(address("ff02::1"), HOME),
        udp(address("::"), HOME),
        ipv6(payload=b"\x01\0\0\0" + bytes(44), protocol=58),
        ipv6(payload=b"\x11", protocol=60),
    ],
)
def test_rfc4443_2_4_e_some_packets_are_never_answered_with_an_error(packet: bytes) -> None:
    assert not is_answerable(packet)
    assert ErrorSource(SERVICE).unreachable(packet, 3, 0.0) is None


def test_an_echo_request_may_be_answered_with_an_error() -> None:
    assert is_answerable(ipv6(payload=b"\x80\0\0\0" + bytes(4), protocol=58))


def test_no_error_is_sent_to_oneself() -> None:
    assert ErrorSource(SERVICE).unreachable(udp(SERVICE, HOME), 3, 0.0) is None


def test_errors_are_limited_and_packet_too_big_has_its_own_budget() -> None:
    errors = ErrorSource(SERVICE)
    sent = [errors.unreachable(udp(), 3, 0.0) for _ in range(1000)]
    assert sum(answer is not None for answer in sent) == 50
    assert errors.hop_limit_exceeded(udp(), 0.0) is None
    assert errors.packet_too_big(udp(), 1280, 0.0)
    assert errors.unreachable(udp(), 3, 0.1)


def test_a_bucket_fills_with_time_up_to_its_burst() -> None:
    limiter = RateLimiter(2.0, 3.0)
    assert [limiter.allows(0.0) for _ in range(4)] == [True, True, True, False]
    assert [limiter.allows(0.5) for _ in range(2)] == [True, False]
    assert [limiter.allows(100.0) for _ in range(4)] == [True, True, True, False]
