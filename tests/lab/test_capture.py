"""The kernel's filter lets the same packets pass that are known as signalling."""

import socket
import struct
from pathlib import Path

import pytest

from mcoa.lab.capture import Tap, attach_filter, signalling_filter

ETHERNET = bytes(12) + b"\x86\xdd"
IPV4_ETHERNET = bytes(12) + b"\x08\x00"


def ipv6(protocol: int, payload: bytes = bytes(24)) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + bytes(32) + payload


SIGNALLING = [ipv6(protocol) for protocol in (135, 58, 43, 60)]
SIGNALLING += [ipv6(41, packet) for packet in SIGNALLING]
DATA = [ipv6(6), ipv6(17), ipv6(41, ipv6(6)), ipv6(41, ipv6(17)), ipv6(59)]


def passed(packets: list[bytes], start: int) -> list[bytes]:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    found = []
    with sender, receiver:
        receiver.setblocking(False)
        attach_filter(receiver, signalling_filter(start))
        for packet in packets:
            sender.send(packet)
            try:
                found.append(receiver.recv(2048))
            except BlockingIOError:
                continue
    return found


@pytest.mark.parametrize("link_header", [b"", ETHERNET])
def test_only_signalling_passes_and_whole(link_header: bytes) -> None:
    signalling = [link_header + packet for packet in SIGNALLING]
    data = [link_header + packet for packet in DATA]
    assert passed(data + signalling + data, len(link_header)) == signalling


def test_other_ethernet_types_do_not_pass() -> None:
    assert passed([IPV4_ETHERNET + packet for packet in SIGNALLING], len(ETHERNET)) == []


@pytest.mark.parametrize("signalling_only", [False, True])
def test_a_tap_is_one_word(*, signalling_only: bool) -> None:
    tap = Tap(
        namespace=Path("/run/netns/mn"),
        interface="lte",
        label="mn:lte",
        signalling_only=signalling_only,
    )
    assert Tap.from_argument(tap.argument()) == tap
