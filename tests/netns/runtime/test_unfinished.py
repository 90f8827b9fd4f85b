"""The kernel finishes what it left unfinished in packets from elsewhere.

Such packets come in tunnels from virtual machines, and from network cards that join segments.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from struct import pack

import pytest

from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.readiness import deliver
from mcoa.runtime.rtnetlink import DEFAULT_ROUTE, Address, AddressFlag, Route
from mcoa.runtime.undo import Journal
from mcoa.wire.checksum import is_intact
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from netns.runtime.packets import CORRESPONDENT, HOME_ADDRESS
from netns.runtime.pair import Pair, until

pytestmark = pytest.mark.netns

PORT, THEIR_PORT = 5000, 9
TCP, UDP = 6, 17
SYN, ACK = 0x02, 0x10


def unfinished(protocol: int, header: bytes, payload: bytes = b"") -> bytes:
    """Return a packet from the correspondent, with the sum of the pseudo-header alone in it."""
    at = {TCP: 16, UDP: 6}[protocol]
    covered = CORRESPONDENT.packed + HOME_ADDRESS.packed
    pseudo = int.from_bytes(covered) + len(header) + len(payload) + protocol
    header = header[:at] + (pseudo % 65535).to_bytes(2) + header[at + 2 :]
    packet = Ipv6Packet(
        source=CORRESPONDENT,
        destination=HOME_ADDRESS,
        protocol=protocol,
        payload=header + payload,
    )
    return emit_packet(packet)


def tcp(sequence: int, acknowledged: int, flags: int) -> bytes:
    return pack(
        "!HHIIBBHHH", THEIR_PORT, PORT, sequence, acknowledged, 5 << 4, flags, 1 << 15, 0, 0
    )


@asynccontextmanager
async def device(pair: Pair) -> AsyncIterator[tuple[Tun, list[bytes]]]:
    """Yield a device for the home address, and what comes out of it."""
    with Netlink() as netlink:
        journal = Journal.open(pair.journal)
        tun = Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
        flags = AddressFlag.NO_DETECTION | AddressFlag.NO_PREFIX_ROUTE
        netlink.add(
            Address(index=tun.index, address=HOME_ADDRESS, prefix_length=128, flags=flags)
        )
        netlink.add(Route(destination=DEFAULT_ROUTE, index=tun.index, source=HOME_ADDRESS))
        packets: list[bytes] = []
        stop = deliver(tun, packets.extend, lambda _: None)
        yield tun, packets
        stop()
        tun.close()
        assert journal.undo(netlink) == ()


def test_a_datagram_without_a_checksum_arrives(pair: Pair) -> None:
    payload = bytes(range(251)) * 3

    async def scenario() -> bytes:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as application:
            async with device(pair) as (tun, _):
                application.bind((str(HOME_ADDRESS), PORT))
                application.setblocking(False)
                header = pack("!HHHH", THEIR_PORT, PORT, 8 + len(payload), 0)
                got: list[bytes] = []

                def comes() -> bool:
                    # The kernel may not know its new address yet.
                    assert tun.pass_on(unfinished(UDP, header, payload))
                    with suppress(BlockingIOError):
                        got.append(application.recv(2000))
                    return bool(got)

                await until(comes)
                return got[0]

    assert pair.run(scenario) == payload


def test_segments_that_were_joined_arrive_and_what_leaves_is_finished(pair: Pair) -> None:
    stream = bytes(range(251)) * 40

    async def scenario() -> tuple[bytes, list[bytes]]:
        async with device(pair) as (tun, packets):
            address = (str(HOME_ADDRESS), PORT)
            with socket.create_server(address, family=socket.AF_INET6) as server:
                server.settimeout(2)

                def answers() -> bool:
                    assert tun.pass_on(unfinished(TCP, tcp(999, 0, SYN)))
                    return bool(packets)

                await until(answers)
                theirs = int.from_bytes(packets[0][44:48]) + 1
                assert tun.pass_on(unfinished(TCP, tcp(1000, theirs, ACK), stream))
                connection, _ = server.accept()
            with connection:
                connection.settimeout(2)
                got = b""
                while len(got) < len(stream):
                    got += connection.recv(1 << 16)
                connection.sendall(got)
                await asyncio.sleep(0.1)
            return got, packets

    got, packets = pair.run(scenario)
    assert got == stream
    assert any(len(each) > 1000 for each in packets)
    for each in packets:
        assert len(each) <= 1500
        assert is_intact(each[40:], each[8:24], each[24:40], each[6])
