"""A process that sets all that a node can set, says so, and waits to be killed.

Its arguments are the journal and the role. In a namespace of its own, by the tests of undo.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

from mcoa.engine.actions import Interception
from mcoa.engine.returning_home import Presence
from mcoa.runtime.at_home import AtHome, autoconfigured
from mcoa.runtime.capture import Capture, PacketTap, open_capture
from mcoa.runtime.home_finder import HomeFound
from mcoa.runtime.home_link import HomeLink
from mcoa.runtime.links import LinkState, LinkWatcher
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.patterns import HOME_ADDRESS_OPTION
from mcoa.runtime.routing import Home, Routing, prepare_uplink
from mcoa.runtime.undo import Journal

SERVICE = IPv6Address("2001:db8:a::a")
HOME_ADDRESSES = [IPv6Address(f"2001:db8:a::{number:x}") for number in range(0x100, 0x140)]


def has_nftables() -> bool:
    """Tell whether the packet socket's way can be tried."""
    return shutil.which("nft", path=f"{os.defpath}:/usr/sbin:/sbin") is not None


def be_mobile_node(journal: Journal, netlink: Netlink) -> Callable[[], None]:
    """Take the traffic of the host."""
    tun = Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
    ways: list[Capture] = [open_capture("mip0", netlink=netlink, journal=journal)]
    if has_nftables():
        ways.append(PacketTap("mcoa_test", [HOME_ADDRESS_OPTION], journal=journal))
    routing = Routing("mip0", netlink, journal)
    network = IPv6Network((HOME_ADDRESSES[0], 64), strict=False)
    made: list[AtHome] = []

    def changed(_name: str, state: LinkState) -> None:
        prepare_uplink("wwan0", journal)
        for each in ways:
            each.attach("wwan0", state.index)
        # The address that the kernel would form by itself, and at home at once.
        address = autoconfigured(network, state.mac)
        at_home = AtHome(address, network, netlink=netlink, journal=journal)
        at_home.prepare("wwan0", state)
        at_home.use(
            HomeFound(
                link="lte",
                interface="wwan0",
                state=state,
                router=IPv6Address("fe80::1"),
                router_mac=bytes.fromhex("0200000000fe"),
            )
        )
        at_home.settle(Presence.DEFENDED)
        made.append(at_home)
        home = Home(
            address=address, network=network, index=tun.index, mtu=1420, way=at_home.way
        )
        if routing.converge({0: state.without(address)}, home):
            raise SystemExit("refused")

    watcher = LinkWatcher({"lte": "wwan0"}, changed, netlink=netlink)
    watcher.start()

    def close() -> None:
        watcher.close()
        for each in made:
            each.close()

    return close


def be_home_agent(journal: Journal, netlink: Netlink) -> Callable[[], None]:
    """Stand in for mobile nodes."""
    tun = Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
    home_link = HomeLink(
        "wwan0",
        address=SERVICE,
        tun=tun,
        netlink=netlink,
        journal=journal,
        duplicate=lambda _: None,
    )
    home_link.start()
    for address in HOME_ADDRESSES:
        home_link.intercept(address, Interception.PROXY)
    return home_link.close


async def main(path: Path, role: str) -> None:
    """Set everything, and wait."""
    journal, netlink = Journal.open(path), Netlink()
    be = {"mobile-node": be_mobile_node, "home-agent": be_home_agent}[role]
    close = be(journal, netlink)
    await asyncio.sleep(0.3)
    sys.stdout.write("set\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    close()
    if journal.undo(netlink):
        raise SystemExit("not undone")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
