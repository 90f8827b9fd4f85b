"""What ICMPv6 errors say about packets of ours, and of whom they are believed."""

from ipaddress import IPv6Address

import pytest

from mcoa.dataplane.direct import with_home_address, with_routing_header
from mcoa.dataplane.packet import encapsulate, tunnel_prefix
from mcoa.runtime.icmp_errors import (
    NotUnderstood,
    TooBig,
    read_not_understood,
    read_too_big,
)
from mcoa.runtime.sockets import IcmpPacket
from mcoa.wire.messages import CareOfTestInit
from mcoa.wire.signalling import emit_signalling

AGENT = IPv6Address("2001:db8:1::1").packed
HOME = IPv6Address("2001:db8:1::100").packed
LTE = IPv6Address("2001:db8:a::1")
PEER = IPv6Address("2001:db8:9::c")
AWAY = IPv6Address("2001:db8:f::9").packed
BIDS = {LTE.packed: 7}
PLAIN = b"\x60\0\0\0\0\x40\x11\x40" + HOME + PEER.packed + bytes(64)


def too_big(quoted: bytes) -> TooBig | None:
    return read_too_big(b"\2\0\0\0" + (1400).to_bytes(4) + quoted, BIDS, AGENT)


def problem(code: int, quoted: bytes, source: IPv6Address = PEER) -> NotUnderstood | None:
    message = bytes((4, code)) + bytes(6) + quoted
    packet = IcmpPacket(message=message, source=source, destination=LTE, hop_limit=60, index=1)
    return read_not_understood(packet, HOME)


@pytest.mark.parametrize(
    "quoted",
    [
        encapsulate(PLAIN, tunnel_prefix(LTE.packed, AGENT)),
        with_home_address(PLAIN, LTE.packed),
        with_home_address(with_routing_header(PLAIN, AWAY), LTE.packed),
    ],
    ids=["in the tunnel", "direct", "direct to another mobile node"],
)
def test_the_packet_is_shown_as_its_program_sent_it(quoted: bytes) -> None:
    assert too_big(quoted) == TooBig(bid=7, mtu=1400, inner=PLAIN)


def test_what_we_did_not_send_is_not_believed() -> None:
    for quoted in (
        PLAIN,
        encapsulate(PLAIN, tunnel_prefix(LTE.packed, AWAY)),
        encapsulate(PLAIN, tunnel_prefix(AWAY, AGENT)),
        with_home_address(PLAIN, AWAY),
        b"",
    ):
        assert too_big(quoted) is None


def test_a_test_that_is_not_understood_is_told_by_its_cookie() -> None:
    init = emit_signalling(CareOfTestInit(cookie=b"ourcooky"), LTE, PEER)
    assert problem(1, init) == NotUnderstood(peer=PEER, cookie=b"ourcooky")
    assert problem(0, init) is None
    assert problem(1, init, source=LTE) is None  # not its receiver
    assert problem(1, init[:55]) is None


def test_an_option_that_is_not_understood_is_told_without_one() -> None:
    direct = with_home_address(PLAIN, LTE.packed)
    assert problem(2, direct) == NotUnderstood(peer=PEER)
    assert problem(1, direct) is None
    assert problem(2, PLAIN) is None
