"""A correspondent on this machine, and nothing else: its addresses stay the kernel's.

What mobile nodes send is taken off the interfaces below the kernel's IPv6. What this host sends
to a home address goes to the device from when that is bound until it is no more; a device that
vanishes with its process, so that without a daemon all is as if there had never been one.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from errno import EMSGSIZE
from ipaddress import IPv6Address, IPv6Network

from mcoa.dataplane.direct import DIRECT_OVERHEAD
from mcoa.dataplane.icmp import says_undelivered
from mcoa.runtime.capture import open_capture
from mcoa.runtime.config_models import CorrespondentConfiguration, HomeAgentConfiguration
from mcoa.runtime.control import Command
from mcoa.runtime.correspondent_role import CorrespondentRole
from mcoa.runtime.data_plane import DataPlane
from mcoa.runtime.end import End
from mcoa.runtime.events import Events
from mcoa.runtime.fast_path.maps import Sizes
from mcoa.runtime.fast_path.shapes import CorrespondentShapes
from mcoa.runtime.guard import run_each
from mcoa.runtime.links import HOME_LINK_GROUPS, LinkState, LinkWatcher, describe_link
from mcoa.runtime.log import EventLog, Level
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Changeable, Netlink
from mcoa.runtime.patterns import HOME_ADDRESS_OPTION, MOBILITY_HEADER
from mcoa.runtime.policies import correspondent_policy
from mcoa.runtime.readiness import deliver
from mcoa.runtime.rtnetlink import Route, Rule
from mcoa.runtime.sockets import IcmpPacket, IcmpSocket, PacketSender, endpoint
from mcoa.runtime.status import DeviceStatus, FlowsStatus, LinkStatus, Status
from mcoa.runtime.undo import Journal
from mcoa.runtime.undo_entries import Tables
from mcoa.wire.registry import Icmpv6Type

_USUAL_MTU, _MINIMUM_MTU = 1500, 1280
_SIZES = Sizes(homes=1, ways=1 << 15, flows=1 << 16)
_ERRORS = (
    Icmpv6Type.DESTINATION_UNREACHABLE,
    Icmpv6Type.PACKET_TOO_BIG,
    Icmpv6Type.TIME_EXCEEDED,
)
_BESIDE = "-cn"
_LONGEST_NAME = 15 - len("-cn-in")  # of interfaces; the capture has a device, too
TABLE = 5200
"""Of the routes to home addresses that are bound, and the priority of the rule that leads there."""

# What others send by way of this host goes on as ever.
_OUR_PACKETS = Rule(priority=TABLE, table=TABLE, incoming="lo")


def beside(device: str) -> str:
    """Return the device of a correspondent in the daemon of a home agent, which has `device`."""
    return device[:_LONGEST_NAME] + _BESIDE


class CorrespondentService:
    """A correspondent on this machine; beside a home agent, for the mobile nodes of others."""

    def __init__(
        self,
        configuration: CorrespondentConfiguration | HomeAgentConfiguration,
        *,
        netlink: Netlink,
        journal: Journal,
        log: EventLog,
        end: End,
        take_elsewhere: Callable[[bytes], bool] = lambda _packet: False,
    ) -> None:
        """Take the device; `take_elsewhere` takes what is for another role of this node."""
        self._end = end
        self._take_elsewhere = take_elsewhere
        self._configuration = configuration
        self._events = Events(log)
        self._netlink = netlink
        # Packets for our own mobile nodes are in their tunnels as soon as they leave this host.
        self._served: tuple[IPv6Network, ...] = ()
        device, interfaces = configuration.device, tuple[str, ...]()
        if configuration.correspondent is not None:
            interfaces = configuration.correspondent.interfaces or ()
        if isinstance(configuration, HomeAgentConfiguration):
            device = beside(device)
            self._served = configuration.home_agent.home_prefixes
            interfaces = interfaces or (configuration.home_agent.home_link,)
        self._tun = Tun.open(
            device,
            netlink=netlink,
            journal=journal,
            persistent=False,
        )
        journal.record(Tables(first=TABLE, last=TABLE))
        self._capture = open_capture(
            device,
            netlink=netlink,
            journal=journal,
            patterns=(HOME_ADDRESS_OPTION, MOBILITY_HEADER),
        )
        self._icmp = IcmpSocket(_ERRORS)
        self._sender = PacketSender()
        self._senders: dict[str, PacketSender] = {}
        self._states: dict[str, LinkState] = {}
        self._own: dict[IPv6Address, str] = {}
        self._role = CorrespondentRole(correspondent_policy(configuration), self, self._events)
        self._data_plane = DataPlane.open(
            configuration.dataplane,
            self._role.forwarder.table,
            self._tun,
            shapes=CorrespondentShapes(),
            sizes=_SIZES,
            netlink=netlink,
            journal=journal,
            log=log,
        )
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._watcher = LinkWatcher(
            {name: name for name in interfaces},
            self._link_changed,
            netlink=netlink,
            groups=(*HOME_LINK_GROUPS, "route", "rule"),
            disturbed=self.home_addresses_changed,
        )
        self._undeliver: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Listen to mobile nodes."""
        self._undeliver = [
            deliver(self._tun, self._from_device, self._device_lost),
            deliver(self._capture, self._from_capture, self._device_lost),
            deliver(self._icmp, self._icmp_messages, self._device_lost),
        ]
        self._data_plane.listen(self._role.forwarder.drops, self._loop.time)
        self._data_plane.attend(self._loop.time())
        self._watcher.start()

    async def stop(self) -> None:
        """End without a word: mobile nodes notice, and go by their home agents."""

    def close(self) -> None:
        """Let go of everything."""
        self._watcher.close()
        for undeliver in self._undeliver:
            undeliver()
        self._data_plane.close()
        self._role.close()
        for sender in (self._sender, *self._senders.values()):
            sender.close()
        self._icmp.close()
        self._capture.close()
        self._tun.close()

    def tick(self) -> None:
        """Do what is due every second."""
        run_each(self._collect, lambda: self._role.forwarder.expire(self._loop.time()))

    def _collect(self) -> None:
        forwarder, now = self._role.forwarder, self._loop.time()
        self._data_plane.collect(
            forwarder.drops, lambda flow, _: forwarder.table.carried(flow, now)
        )

    # Links.

    def _link_changed(self, name: str, state: LinkState) -> None:
        before = self._states.get(name)
        self._states[name] = state
        with suppress(OSError):  # the device has gone, which is noticed by reading it
            self._tun.fit((each.mtu for each in self._states.values()), self._netlink)
        if state.index and (before is None or before.index != state.index):
            try:
                self._capture.attach(name, state.index)
                self._data_plane.attach(name)
            except OSError as error:  # it has gone since, as an announcement will tell
                self._events.log.remote("link-refused", link=name, reason=error.strerror)
            old = self._senders.pop(name, None)
            if old is not None:
                old.close()
            self._senders[name] = PacketSender(interface=name)
        self._own = {
            address.address: each
            for each, known in self._states.items()
            for address in known.addresses
        }
        self._events.log.remote(
            "link-changed",
            level=Level.INFO,
            link=name,
            up=state.up,
            addresses=" ".join(str(each.address) for each in state.addresses) or None,
        )

    # What the role needs.

    def is_own(self, address: IPv6Address) -> bool:
        """Tell whether an address is one of this node's, or of a mobile node that it serves."""
        return address in self._own or any(address in each for each in self._served)

    def mtu(self, own: IPv6Address) -> int:
        """Return the MTU of packets from one of our addresses; octets."""
        state = self._states.get(self._own.get(own, ""))
        return max(state.mtu if state else _USUAL_MTU, _MINIMUM_MTU)

    def device(self, own: IPv6Address) -> int:
        """Return the index of the interface of one of our addresses."""
        state = self._states.get(self._own.get(own, ""))
        return state.index if state else 0

    def send_direct(self, packet: bytes) -> int:
        """Send to a care-of address; return 0, or how many octets fit instead."""
        refused = self._sender.send(packet, endpoint(IPv6Address(packet[24:40])))
        return self.mtu(IPv6Address(packet[8:24])) if refused == EMSGSIZE else 0

    def send_plain(self, packet: bytes) -> None:
        """Send by the interface of its source, past the routes to our own device."""
        sender = self._senders.get(self._own.get(IPv6Address(packet[8:24]), ""))
        if sender is not None:
            sender.send(packet, endpoint(IPv6Address(packet[24:40])))

    def write(self, packet: bytes) -> None:
        """Give a packet to the kernel."""
        self._tun.pass_on(packet)

    def home_addresses_changed(self) -> None:
        """Route to the device what is bound now, and nothing else."""
        wanted = frozenset(
            Route(
                destination=IPv6Network(home_address),
                index=self._tun.index,
                table=TABLE,
                mtu=max(self.mtu(own) - DIRECT_OVERHEAD, _MINIMUM_MTU),
                source=own,
            )
            for home_address, own in self._role.bound().items()
        )
        present = set(self._netlink.routes(table=TABLE))
        new = wanted - present
        refused = self._netlink.remove_all(present - wanted)
        refused += self._netlink.add_all(new)
        if wanted and (new or _OUR_PACKETS not in self._netlink.rules()):
            refused += self._lead_to_table()
        for what, reason in refused:
            self._events.log.remote("route-refused", what=what, reason=reason.strerror)

    def _lead_to_table(self) -> list[tuple[Changeable, OSError]]:
        """Add the rule anew: connections that stand look for another route upon nothing less."""
        refused = self._netlink.remove_all([_OUR_PACKETS])
        try:
            self._netlink.add(_OUR_PACKETS)
        except OSError as error:
            refused.append((_OUR_PACKETS, error))
        return refused

    # Packets.

    def _from_device(self, packets: Iterable[bytes]) -> None:
        take = self._role.from_device
        for packet in packets:
            take(packet)

    def _from_capture(self, packets: Iterable[bytes]) -> None:
        for packet in packets:
            if IPv6Address(packet[24:40]) in self._own:
                self._role.take(packet)
            elif not self._take_elsewhere(packet):
                self._tun.pass_on(packet)  # on its way through this host

    def _icmp_messages(self, packets: Iterable[IcmpPacket]) -> None:
        for packet in packets:
            kind, code, quoted = packet.message[0], packet.message[1], packet.message[8:]
            if kind == Icmpv6Type.PACKET_TOO_BIG:
                mtu = int.from_bytes(packet.message[4:8])
                self._role.forwarder.packet_too_big(mtu, quoted, self._loop.time())
            elif says_undelivered(kind, code):
                self._role.forwarder.undelivered(quoted, self._loop.time())

    def _device_lost(self, error: OSError) -> None:
        self._events.log.error("device-lost", reason=str(error))
        self._end.fail()

    # Status.

    def commands(self) -> Mapping[str, Command]:
        """Return what an operator may ask of a correspondent: nothing but its status."""
        return {}

    def status(self) -> Status:
        """Return what a view of the node shows."""
        configuration, now = self._configuration, self._loop.time()
        self._collect()
        snapshot = self._role.forwarder.snapshot(now)
        cache = self._role.engine.cache
        return Status(
            role=configuration.role,
            name=configuration.name,
            security=configuration.security,
            pid=os.getpid(),
            uptime_s=now - self._began_s,
            device=DeviceStatus(name=self._tun.name),
            data_plane=self._data_plane.name,
            bindings=self._role.bindings(),
            bindings_total=sum(len(entry.bindings) for _, entry in cache),
            links=tuple(self._link(name, state) for name, state in self._states.items()),
            flows=FlowsStatus(total=snapshot.flows),
            counters=self._events.counters(snapshot) | self._data_plane.counters(),
        )

    def _link(self, name: str, state: LinkState) -> LinkStatus:
        return LinkStatus(
            name=name,
            interface=name,
            state=describe_link(state, needs_router=False),
            addresses=tuple(each.address for each in state.addresses),
            mtu=state.mtu or None,
        )
