"""What a mobile node does in its kernel, and beside it, on its home link (RFC 5648 §5.6)."""

import asyncio
from contextlib import suppress
from ipaddress import IPv6Address, IPv6Network

from mcoa.engine.returning_home import Presence
from mcoa.runtime.frames import Frames
from mcoa.runtime.home_finder import HomeFound
from mcoa.runtime.home_link import ANNOUNCEMENT_INTERVAL_S, ANNOUNCEMENTS
from mcoa.runtime.links import LinkState
from mcoa.runtime.neighbours import Neighbours
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.routing import HomeWay
from mcoa.runtime.rtnetlink import Address, AddressFlag
from mcoa.runtime.sysctl import device_setting
from mcoa.runtime.undo import Journal
from mcoa.runtime.undo_entries import AddressOf

_MAC_OCTETS = 6
_RANDOM_IDENTIFIERS = "3"  # IN6_ADDR_GEN_MODE_RANDOM


class AtHome:
    """Frames, the home address and its announcement, on the link that was found to be home.

    Args:
        address: the home address.
        network: the home prefix.
        netlink: for changing.
        journal: learns of everything first.

    Attributes:
        found: the home link; None away from home.
    """

    def __init__(
        self,
        address: IPv6Address,
        network: IPv6Network,
        *,
        netlink: Netlink,
        journal: Journal,
    ) -> None:
        self.found: HomeFound | None = None
        self._address = address
        self._network = network
        self._netlink = netlink
        self._journal = journal
        self._presence = Presence.AWAY
        self._frames: Frames | None = None
        self._neighbours: Neighbours | None = None
        self._timer: asyncio.TimerHandle | None = None

    def prepare(self, interface: str, state: LinkState) -> None:
        """Keep the kernel from forming the home address on a link that may be home.

        It would at once ask whether anybody else has it, and answer those who ask
        (RFC 5648 §5.6.4).
        """
        is_formed = self._network.prefixlen == 64 and len(state.mac) == _MAC_OCTETS
        if not is_formed or autoconfigured(self._network, state.mac) != self._address:
            return
        before = self._link_local(state.index)
        setting = device_setting(interface, "addr_gen_mode")
        self._journal.change_setting(setting, _RANDOM_IDENTIFIERS)
        # The kernel at once makes another link-local address, beside the one there is.
        for each in self._link_local(state.index) - before if before else ():
            with suppress(OSError):
                self._netlink.remove(each)
        if not self._presence.defends:
            self._drop_address(state.index)

    def use(self, found: HomeFound | None) -> None:
        """Change to another home link, or away from it; what is held on the old one goes."""
        is_another = _device_of(found) != _device_of(self.found)
        if is_another:
            self.settle(Presence.AWAY)
            self._close()
        self.found = found
        if found is not None and is_another:
            self._frames = Frames(found.interface)
            with suppress(OSError):  # it has gone since, as an announcement will tell
                self._neighbours = Neighbours(
                    found.interface,
                    found.state.index,
                    found.state.mac,
                    sender=self._address,
                    claimed=lambda _address: None,
                )

    def settle(self, presence: Presence) -> None:
        """Hold the home address on the home link, or have it no more, as the engine says."""
        before, self._presence = self._presence, presence
        if before.defends == presence.defends or self.found is None:
            return
        if presence.defends:
            self.hold()
        else:
            self._cancel()
            self._drop_address(self.found.state.index)

    def hold(self) -> None:
        """See that the interface has the home address while it is to have it."""
        if self.found is None or not self._presence.defends:
            return
        entry = AddressOf(
            device=self.found.interface, address=str(self._address), prefix_length=128
        )
        self._journal.record(entry)
        with suppress(OSError):  # it has it, or has gone since
            self._netlink.add(_address(self.found.state.index, self._address))

    def announce(self, left: int = ANNOUNCEMENTS) -> None:
        """Tell all nodes on the link, three times, that the home address is found here."""
        self._cancel()
        if self._neighbours is None or not self._presence.defends:
            return
        if left > 1:
            self._timer = asyncio.get_running_loop().call_later(
                ANNOUNCEMENT_INTERVAL_S, self.announce, left - 1
            )
        self._neighbours.announce(self._address, self._address, router=False)

    def send(self, packet: bytes) -> int:
        """Send a packet to its next node on the home link; returns the MTU if that is less."""
        if self.found is None or self._frames is None:
            return 0
        to = self.found.agents.get(IPv6Address(packet[24:40]), self.found.router_mac)
        return self.found.state.mtu if self._frames.send(packet, to) else 0

    @property
    def way(self) -> HomeWay | None:
        """How the kernel's own packets go there; None while they must not."""
        if self.found is None or not self._presence.defends:
            return None
        return HomeWay(
            interface=self.found.interface,
            index=self.found.state.index,
            router=self.found.router,
            is_only=self._presence is Presence.HOME,
        )

    def close(self) -> None:
        """Close the sockets; what was set stays until it is undone."""
        self._cancel()
        self._close()

    def _close(self) -> None:
        if self._frames is not None:
            self._frames.close()
            self._frames = None
        if self._neighbours is not None:
            self._neighbours.close()
            self._neighbours = None

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _link_local(self, index: int) -> frozenset[Address]:
        addresses = self._netlink.addresses()
        return frozenset(a for a in addresses if a.index == index and a.address.is_link_local)

    def _drop_address(self, index: int) -> None:
        with suppress(OSError):
            held = [each for each in self._netlink.addresses() if each.index == index]
            for each in held:
                if each.address == self._address:
                    self._netlink.remove(each)


def _device_of(found: HomeFound | None) -> tuple[str, int, bytes] | None:
    return None if found is None else (found.link, found.state.index, found.state.mac)


def _address(index: int, address: IPv6Address) -> Address:
    # The mobile node runs no duplicate address detection here: the address is its own
    # (RFC 6275 §11.5.5).
    flags = AddressFlag.NO_DETECTION | AddressFlag.NO_PREFIX_ROUTE
    return Address(index=index, address=address, prefix_length=128, flags=flags)


def autoconfigured(network: IPv6Network, mac: bytes) -> IPv6Address:
    """Return the address that a kernel forms of a /64 by itself (RFC 4291, appendix A)."""
    identifier = bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return IPv6Address(network.network_address.packed[:8] + identifier)
