"""TUN devices: quiet, lasting, held by one process."""

import asyncio
import errno
import socket

import pytest

from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.readiness import deliver
from mcoa.runtime.rtnetlink import DEFAULT_ROUTE, Address, AddressFlag, LinkFlag, Route
from mcoa.runtime.undo import Journal
from netns.runtime.packets import CORRESPONDENT, HOME_ADDRESS, plain
from netns.runtime.pair import Pair, until

pytestmark = pytest.mark.netns


def give_home_address(tun: Tun, netlink: Netlink) -> None:
    flags = AddressFlag.NO_DETECTION | AddressFlag.NO_PREFIX_ROUTE
    netlink.add(Address(index=tun.index, address=HOME_ADDRESS, prefix_length=128, flags=flags))
    netlink.add(Route(destination=DEFAULT_ROUTE, index=tun.index, source=HOME_ADDRESS))


def test_packets_go_both_ways_and_the_kernel_adds_none(pair: Pair) -> None:
    async def scenario() -> list[bytes]:
        with Netlink() as netlink:
            journal = Journal.open(pair.journal)
            tun = Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
            packets: list[bytes] = []
            stop = deliver(tun, packets.extend, lambda _: None)
            give_home_address(tun, netlink)
            # Time for reports, solicitations and detections, had it any to send.
            await asyncio.sleep(1.5)
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as application:
                application.bind((str(HOME_ADDRESS), 5000))
                application.settimeout(2)
                application.sendto(b"there", (str(CORRESPONDENT), 9))
                await until(lambda: bool(packets))
                outward = packets[0]
                swapped = outward[24:40] + outward[8:24] + b"\0\x09\x13\x88" + outward[44:]
                assert tun.send(outward[:8] + swapped)
                assert application.recv(99) == b"there"
            assert not tun.send(bytes(20))
            assert tun.unwritten == 1
            stop()
            tun.close()
            assert journal.undo(netlink) == ()
            return packets

    [packet] = pair.run(scenario)
    assert packet[8:40] == HOME_ADDRESS.packed + CORRESPONDENT.packed


def test_a_device_outlives_its_process_and_is_taken_over(pair: Pair) -> None:
    async def scenario() -> None:
        with Netlink() as netlink:
            journal = Journal.open(pair.journal)
            first = Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
            give_home_address(first, netlink)
            with pytest.raises(OSError, match="busy") as busy:
                Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
            assert busy.value.errno == errno.EBUSY
            first.close()
            routes = [each for each in netlink.routes() if each.index == first.index]
            assert DEFAULT_ROUTE in {route.destination for route in routes}
            second = Tun.open("mip0", mtu=1600, netlink=netlink, journal=journal)
            link = netlink.link("mip0")
            assert link is not None
            assert (second.index, link.mtu) == (first.index, 1600)
            assert link.flags & LinkFlag.LOWER_UP
            assert second.send(plain(CORRESPONDENT, HOME_ADDRESS))
            second.close()
            assert journal.undo(netlink) == ()
            assert netlink.link("mip0") is None

    pair.run(scenario)


def test_a_device_of_the_administrators_is_left_to_him(pair: Pair) -> None:
    pair.node.ip("tuntap add mip0 mode tun")

    async def scenario() -> None:
        with Netlink() as netlink:
            journal = Journal.open(pair.journal)
            Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal).close()
            assert journal.undo(netlink) == ()
            assert netlink.link("mip0") is not None

    pair.run(scenario)


def test_the_removal_of_the_device_is_told_once(pair: Pair) -> None:
    async def scenario() -> list[OSError]:
        with Netlink() as netlink:
            journal = Journal.open(pair.journal)
            tun = Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
            lost: list[OSError] = []
            deliver(tun, lambda _: None, lost.append)
            netlink.remove_link("mip0")
            await until(lambda: bool(lost))
            await asyncio.sleep(0.05)
            tun.close()
            assert journal.undo(netlink) == ()
            return lost

    [error] = pair.run(scenario)
    assert error.errno == errno.EBADFD


def test_a_device_of_another_kind_is_named_and_stays(pair: Pair) -> None:
    async def scenario() -> None:
        with Netlink() as netlink:
            journal = Journal.open(pair.journal)
            with pytest.raises(FileExistsError, match="lo"):
                Tun.open("lo", mtu=1500, netlink=netlink, journal=journal)
            assert journal.entries == ()
            journal.close()

    pair.run(scenario)
