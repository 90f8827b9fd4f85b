"""The correspondent's engine and forwarder, joined: whatever comes in, and how much goes out."""

import asyncio
import io
from ipaddress import IPv6Address
from random import Random

import pytest

from engine.bench_of_correspondent import HOME, LTE, PEER, WIFI
from mcoa.dataplane.direct import DIRECT_OVERHEAD, with_home_address
from mcoa.dataplane.path import Path
from mcoa.engine.policy import CorrespondentPolicy
from mcoa.runtime.correspondent_role import AtHomeAddress, CorrespondentRole
from mcoa.runtime.events import Events
from mcoa.runtime.log import EventLog
from mcoa.wire.icmpv6 import PacketTooBig, parse_icmpv6
from mcoa.wire.messages import (
    BindingError,
    BindingUpdate,
    CareOfTestInit,
    HomeTestInit,
    decode_message,
)
from mcoa.wire.options import BindingAuthorizationData, NonceIndices
from mcoa.wire.registry import UpdateFlag
from mcoa.wire.signalling import emit_signalling


class Bench:
    """A role whose packets are collected."""

    def __init__(self) -> None:
        self.room = 1460
        self.plain: list[bytes] = []
        self.written: list[bytes] = []
        around = AtHomeAddress(
            PEER,
            mtu=lambda: 1460,
            room=lambda _packet: self.room,
            send=self.plain.append,
            write=self.written.append,
        )
        self.events = Events(
            EventLog(io.StringIO(), monotonic=lambda: 0.0, wall_clock=lambda: 0.0)
        )
        self.role = CorrespondentRole(CorrespondentPolicy(), around, self.events)


def run(seed: int, many: int) -> None:
    rng = Random(seed)
    samples = [
        emit_signalling(HomeTestInit(cookie=bytes(8)), HOME, PEER),
        emit_signalling(CareOfTestInit(cookie=bytes(8)), LTE, PEER),
        with_home_address(
            b"\x60\0\0\0\0\x08\x11\x40" + HOME.packed + PEER.packed + bytes(8), LTE.packed
        ),
        emit_signalling(_update(), LTE, PEER, home_address=HOME),
    ]

    async def play() -> Bench:
        bench = Bench()
        for _ in range(many):
            packet = bytearray(rng.choice(samples))
            for _ in range(rng.randrange(4)):
                packet[rng.randrange(6, len(packet))] = rng.randrange(256)
            cut = rng.choice((len(packet), rng.randrange(41, len(packet))))
            bench.role.take(bytes(packet[:cut]))
        bench.role.close()
        return bench

    bench = asyncio.run(play())
    assert bench.role.bound() == {}
    assert bench.written == []


def _update() -> BindingUpdate:
    return BindingUpdate(
        sequence=1,
        flags=UpdateFlag.ACKNOWLEDGE,
        lifetime_s=40,
        options=(
            NonceIndices(home=1, care_of=2),
            BindingAuthorizationData(authenticator=bytes(12)),
        ),
    )


@pytest.mark.parametrize("seed", range(8))
def test_any_octets_bind_nothing_and_stand_in_nobodys_way(seed: int) -> None:
    run(seed, 500)


def flooded(packet: bytes) -> tuple[int, int]:
    """Return how many of 3000 packets were answered, and how many answers were withheld."""

    async def play() -> Bench:
        bench = Bench()
        for _ in range(3000):
            bench.role.take(packet)
        bench.role.close()
        return bench

    bench = asyncio.run(play())
    return len(bench.plain), bench.events.counts["answers-withheld"]


def test_errors_about_unbound_home_addresses_are_bounded() -> None:
    inner = b"\x60\0\0\0\0\x08\x11\x40" + HOME.packed + PEER.packed + bytes(8)
    answered, withheld = flooded(with_home_address(inner, WIFI.packed))
    assert 50 <= answered <= 500
    assert answered + withheld == 3000


def test_answers_about_old_nonces_are_bounded() -> None:
    answered, withheld = flooded(emit_signalling(_update(), LTE, PEER, home_address=HOME))
    assert 50 <= answered <= 500
    assert answered + withheld == 3000


def test_tests_are_answered_one_by_one_up_to_a_bound() -> None:
    answered, withheld = flooded(emit_signalling(CareOfTestInit(cookie=bytes(8)), LTE, PEER))
    assert answered >= 1000
    assert answered + withheld == 3000


def test_an_unbound_source_is_told_the_home_address() -> None:
    inner = b"\x60\0\0\0\0\x08\x11\x40" + HOME.packed + PEER.packed + bytes(8)

    async def play() -> Bench:
        bench = Bench()
        bench.role.take(with_home_address(inner, WIFI.packed))
        bench.role.close()
        return bench

    (packet,) = asyncio.run(play()).plain
    assert IPv6Address(packet[24:40]) == WIFI
    message = decode_message(packet[40:])
    assert isinstance(message, BindingError)
    assert message.home_address == HOME


def test_what_does_not_fit_a_mobile_nodes_own_ways_is_told_to_its_programs() -> None:
    async def play() -> Bench:
        bench = Bench()
        path = Path(bid=1, care_of_address=LTE.packed, mtu=1460, overhead=DIRECT_OVERHEAD)
        bench.role.forwarder.table.replace(PEER.packed + HOME.packed, (path,))
        bench.room = 1300  # the network has said so
        for octets in (1240, 1400, 1280):
            head = b"\x60\0\0\0" + (octets - 40).to_bytes(2) + b"\x11\x40"
            bench.role.from_device(head + PEER.packed + HOME.packed + bytes(octets - 40))
        bench.role.close()
        return bench

    bench = asyncio.run(play())
    (answer,) = bench.written
    message = parse_icmpv6(answer[40:], answer[8:24], answer[24:40])
    assert isinstance(message, PacketTooBig)
    assert message.mtu == 1280  # 1300 less the header, but never below that
    assert len(bench.plain[0]) == 1264
    assert all(len(packet) <= 1300 for packet in bench.plain)
