"""On the home link: frames of our own, the home address and its announcement."""

import asyncio
import socket
from ipaddress import IPv6Address, IPv6Network

import pytest

from mcoa.engine.returning_home import Presence
from mcoa.lab.namespaces import run
from mcoa.runtime.at_home import AtHome, autoconfigured
from mcoa.runtime.frames import Frames
from mcoa.runtime.home_finder import HomeFound
from mcoa.runtime.links import LinkState
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.sysctl import device_setting, read_setting
from mcoa.runtime.undo import Journal
from netns.runtime.packets import PREFIX, plain
from netns.runtime.pair import Pair, collected

pytestmark = pytest.mark.netns

HOME, AGENT, PEER = PREFIX[0x100], PREFIX[1], IPv6Address("2001:db8:77::1")
ROUTER_MAC, AGENT_MAC = bytes.fromhex("0200000000fe"), bytes.fromhex("020000000001")
ETH_P_IPV6 = 0x86DD


class Wire:
    """What comes to the other end of the link, frame by frame."""

    def __init__(self, pair: Pair) -> None:
        def opened() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IPV6))
            made.bind(("acc0", ETH_P_IPV6))
            made.setblocking(False)
            return made

        self._socket = pair.net.call(opened)

    def frames(self) -> list[bytes]:
        """Return the frames that have come since the last time."""
        found: list[bytes] = []
        while True:
            try:
                found.append(self._socket.recv(4096))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


def speaks_of(frame: bytes, address: IPv6Address) -> bool:
    return frame[20] == 58 and 133 <= frame[54] <= 137 and address.packed in frame[22:]


@pytest.mark.requirement("S5.6.4-05", "S5.6.2-08")
def test_a_packet_goes_to_a_link_layer_address_without_a_question(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        wire, frames = Wire(pair), Frames("wwan0")
        packet = plain(HOME, PEER)
        assert frames.send(packet, ROUTER_MAC) == 0
        [frame, *_] = await collected(
            lambda: [each for each in wire.frames() if each[14:] == packet], 1
        )
        assert frame[:6] == ROUTER_MAC
        assert frames.send(plain(HOME, PEER, bytes(3000)), ROUTER_MAC) != 0  # too big for it
        await asyncio.sleep(0.1)
        assert not [each for each in wire.frames() if speaks_of(each, HOME)]
        frames.close()
        wire.close()

    pair.run(scenario)


def found(netlink: Netlink, mac: bytes) -> HomeFound:
    link = netlink.link("wwan0")
    assert link is not None
    return HomeFound(
        link="lte",
        interface="wwan0",
        state=LinkState(up=True, index=link.index, mac=mac, mtu=1500),
        router=IPv6Address("fe80::1"),
        router_mac=ROUTER_MAC,
        agents={AGENT: AGENT_MAC},
    )


def interface_mac(netlink: Netlink) -> bytes:
    link = netlink.link("wwan0")
    assert link is not None
    return link.mac


def held(pair: Pair, address: IPv6Address) -> bool:
    text = run("ip", "-n", pair.node.full_name, "-6", "address", "show", "dev", "wwan0")
    return f" {address}/" in text


@pytest.mark.requirement("S5.6.3-10", "S5.6.4-01", "S5.6.4-02", "S5.6.2-07")
def test_the_home_address_is_held_and_announced_only_where_it_is_defended(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        netlink, journal = Netlink(), Journal.open(pair.journal)
        wire = Wire(pair)
        at_home = AtHome(HOME, PREFIX, netlink=netlink, journal=journal)
        at_home.use(found(netlink, interface_mac(netlink)))
        at_home.settle(Presence.SILENT)
        at_home.announce()
        assert at_home.send(plain(HOME, AGENT)) == 0
        assert at_home.send(plain(HOME, PEER)) == 0
        frames = await collected(
            lambda: [each for each in wire.frames() if each[22:38] == HOME.packed], 2
        )
        assert [frame[:6] for frame in frames] == [AGENT_MAC, ROUTER_MAC]
        await asyncio.sleep(0.2)
        assert not [each for each in wire.frames() if speaks_of(each, HOME)]
        assert at_home.way is None
        assert not held(pair, HOME)
        at_home.settle(Presence.DEFENDED)
        assert held(pair, HOME)
        at_home.announce()
        announced = await collected(
            lambda: [each for each in wire.frames() if speaks_of(each, HOME)], 1
        )
        assert announced[0][54] == 136
        assert at_home.way is not None
        at_home.settle(Presence.AWAY)
        assert not held(pair, HOME)
        at_home.close()
        assert journal.undo(netlink) == ()
        wire.close()
        netlink.close()

    pair.run(scenario)


@pytest.mark.requirement("S5.6.4-02")
def test_the_kernel_forms_no_home_address_by_itself(pair: Pair) -> None:
    """It would ask for it at once, and answer whoever asks."""
    pair.address()

    async def scenario() -> None:
        netlink, journal = Netlink(), Journal.open(pair.journal)
        network, mac = IPv6Network("2001:db8:a::/64"), interface_mac(netlink)
        address = autoconfigured(network, mac)
        pair.node.ip(f"address add {address}/64 dev wwan0 nodad")
        mode = device_setting("wwan0", "addr_gen_mode")
        before = read_setting(mode)
        at_home = AtHome(address, network, netlink=netlink, journal=journal)
        at_home.prepare("wwan0", found(netlink, mac).state)
        assert read_setting(mode) == "3"
        assert not held(pair, address)
        at_home.close()
        assert journal.undo(netlink) == ()
        assert read_setting(mode) == before
        netlink.close()

    pair.run(scenario)
