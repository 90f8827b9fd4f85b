"""The home agent at work: engine, forwarder, store and home link, joined.

All packets come through one device: tunnel packets and signalling to the service address,
and what is meant for the mobile nodes. What leaves goes back through it for the kernel to
route.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from random import SystemRandom
from time import time

from mcoa.dataplane.home_agent import HomeAgentForwarder
from mcoa.dataplane.liveness import Pace
from mcoa.dataplane.path import Path
from mcoa.dataplane.trains import Train
from mcoa.engine.actions import (
    Action,
    AgentChanged,
    Announce,
    BindingsChanged,
    DetectDuplicate,
    Intercept,
    Remember,
    Report,
    Send,
    UdpEnd,
)
from mcoa.engine.addresses import home_agents_anycast, ipv4_mapped
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.refresh import Refresher
from mcoa.runtime.agent_commands import AgentCommands
from mcoa.runtime.agent_datagrams import AgentDatagrams, Enveloped
from mcoa.runtime.agent_paths import AgentPaths
from mcoa.runtime.config_models import HomeAgentConfiguration
from mcoa.runtime.control import Command
from mcoa.runtime.data_plane import DataPlane
from mcoa.runtime.driver import Driver
from mcoa.runtime.end import End
from mcoa.runtime.events import Events
from mcoa.runtime.fast_path.maps import Sizes
from mcoa.runtime.fast_path.shapes import HomeAgentShapes
from mcoa.runtime.frames import Framed, Frames
from mcoa.runtime.guard import guarded, run_each
from mcoa.runtime.home_agent_status import HomeAgentView, link_status
from mcoa.runtime.home_link import HomeLink
from mcoa.runtime.home_routers import HomeRouters, advertisement
from mcoa.runtime.links import LinkState
from mcoa.runtime.log import EventLog, Level
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.origins import Origins
from mcoa.runtime.outbox import Outbox
from mcoa.runtime.path_probes import PathProbes
from mcoa.runtime.policies import home_agent_policy
from mcoa.runtime.readiness import deliver
from mcoa.runtime.records import RecordError, emit_record, parse_record
from mcoa.runtime.router_advertisements import Heard
from mcoa.runtime.signalling import (
    SignallingError,
    complaint_limiter,
    emit_signalling,
    parse_signalling,
)
from mcoa.runtime.status import Status
from mcoa.runtime.store import Store
from mcoa.runtime.undo import Journal
from mcoa.wire.icmpv6_mobility import HomeAgentAddressDiscoveryReply
from mcoa.wire.icmpv6_neighbor import RouterAdvertisement
from mcoa.wire.ipv6 import DESTINATION_OPTIONS
from mcoa.wire.messages import BindingError

SIZES = Sizes(homes=1 << 17, ways=1 << 17, flows=1 << 17)
_DESTINATION_OPTIONS = bytes((DESTINATION_OPTIONS,))


class HomeAgentService:
    """A home agent on this machine."""

    def __init__(
        self,
        configuration: HomeAgentConfiguration,
        *,
        netlink: Netlink,
        journal: Journal,
        log: EventLog,
        end: End,
    ) -> None:
        self._end = end
        self._netlink, self._journal = netlink, journal
        self._configuration = configuration
        self._events = Events(log)
        self._loop = asyncio.get_running_loop()
        # Times of day for what must survive a restart of the machine.
        self._offset_s = time() - self._loop.time()
        rng = SystemRandom()
        self.engine = HomeAgent(home_agent_policy(configuration), in_use=self._in_use, rng=rng)
        self._store = _open_store(configuration, log)
        self._tun = Tun.open(configuration.device, netlink=netlink, journal=journal)
        anycast = [home_agents_anycast(each) for each in configuration.home_agent.home_prefixes]
        self._home_link = HomeLink(
            configuration.home_agent.home_link,
            address=configuration.home_agent.address,
            tun=self._tun,
            netlink=netlink,
            journal=journal,
            duplicate=self._duplicate,
            changed=self._home_link_changed,
            anycast=anycast,
        )
        self._frames = Frames(configuration.home_agent.home_link)
        self._routers = HomeRouters(
            configuration.home_agent.home_link,
            configuration.home_agent.address,
            make=self._advertisement if configuration.home_agent.advertise else None,
            own_address=self._home_link.own_address,
            heard=self._router_heard,
            others_changed=self._other_routers,
        )
        ipv4 = configuration.home_agent.ipv4_address
        self._forwarder = HomeAgentForwarder(
            address=configuration.home_agent.address.packed,
            # What comes in datagrams may be unfinished: no kernel looks inside.
            write=self._tun.send if ipv4 is None else self._tun.pass_on,
            frame=self._over_home_link,
            anycast=(each.packed for each in anycast),
            deliver=self._take,
            report=self._events.drop,
            rng=rng,
        )
        self._data_plane = DataPlane.open(
            configuration.dataplane,
            self._forwarder.table,
            self._tun,
            shapes=HomeAgentShapes(
                configuration.home_agent.address.packed,
                lambda: self._home_link.state.mac,
                ipv4=b"" if ipv4 is None else ipv4_mapped(ipv4).packed,
            ),
            sizes=SIZES,
            netlink=netlink,
            journal=journal,
            log=log,
        )
        self._paths = AgentPaths(
            self.engine,
            self._forwarder,
            self._data_plane,
            self._home_link,
            rules=(flow for each in configuration.rules for flow in each.bound_flows()),
            events=self._events,
        )
        self._probes = PathProbes(
            self._forwarder.table,
            send=self._forwarder.probe,
            pace=Pace(
                interval_s=configuration.home_agent.probe_interval_s,
                multiplier=configuration.home_agent.probe_multiplier,
            ),
            is_always=False,
            events=self._events,
            returned=lambda home_address: self._paths.returned(home_address, self._loop.time()),
        )
        self._forwarder.echoes.answered = self._probes.answered
        named = [name for each in configuration.rules for name in each.interface]
        self._origins = Origins(
            self._tun, named, netlink=netlink, journal=journal, refused=self._origin_refused
        )
        self._refresher = Refresher(self.engine)
        self._complaints = complaint_limiter()
        self._inbox: list[tuple[bytes, UdpEnd | None]] = []
        self._driver = Driver(self.engine, self._perform)
        self._began_s = self._driver.now
        self._datagrams = None if ipv4 is None else self._open_datagrams(ipv4)
        self._outbox: Outbox[bytes | Framed | Enveloped] = Outbox(
            commit=self._store.commit,
            record=self._record,
            send=self._send,
            failed=self._not_written,
        )
        self._undeliver: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Serve what was served before, then listen."""
        self._fit_device()
        self._home_link.start()
        link = link_status(self._home_link.interface, self._home_link.state)
        if link.state != "up":
            # It may come later; but mostly its name is misspelt.
            self._events.log.warning(
                "home-link-not-up", interface=link.interface, state=link.state
            )
        actions: list[Action] = []
        now = self._driver.now
        for key, octets in self._store.load().items():
            home_address = IPv6Address(key)
            try:
                entry = parse_record(home_address, octets, offset_s=self._offset_s)
            except RecordError as error:
                self._events.log.error(  # noqa: TRY400 - an event, not a traceback
                    "record-unreadable", reason=str(error)
                )
                continue
            actions += self.engine.restore(entry, now)
        restored = sum(bool(entry.bindings) for entry in self.engine.cache)
        self._events.log.info("bindings-restored", home_addresses=restored)
        self._driver.run(actions)
        if self._datagrams is None:
            self._undeliver = deliver(self._tun, self._packets, self._device_lost)
        else:
            self._datagrams.start(self._device_lost, self._netlink, self._journal)
            source = self._tun.as_trains()
            self._undeliver = deliver(source, self._arrivals, self._device_lost)
        self._origins.start(self._packets, self._device_lost)
        with suppress(OSError):  # one that is not there yet comes in by the device
            self._data_plane.attach_likely(self._home_link.interface)
        self._data_plane.listen(self._forwarder.drops, self._loop.time)
        self._data_plane.attend(self._loop.time())
        if self._configuration.home_agent.probe_interval_s:
            self._probes.start()

    async def stop(self) -> None:
        """Write what is unwritten; bindings stay, for the next start."""
        await self._outbox.drain()

    def close(self) -> None:
        """Let go of everything."""
        self._undeliver()
        self._origins.close()
        if self._datagrams is not None:
            self._datagrams.close()
        self._probes.close()
        self._data_plane.close()
        self._driver.close()
        self._outbox.close()
        self._routers.close()
        self._frames.close()
        self._home_link.close()
        self._tun.close()
        self._store.close()

    def tick(self) -> None:
        """Do what is due every second."""
        run_each(
            self._collect,
            lambda: self._forwarder.expire(self._driver.now),
            self._fit_device,
            self._attach_entry,
        )

    def _attach_entry(self) -> None:
        with suppress(OSError):  # that interface has gone; there is still the device
            self._data_plane.attach_entry()

    def _fit_device(self) -> None:
        """Let all come in that the interfaces can bring: any of them may lead to mobile nodes."""
        with suppress(OSError):  # the device has gone, which is noticed by reading it
            mtus = [link.mtu for link in self._netlink.links() if link.is_ethernet]
            self._tun.fit(mtus, self._netlink)

    def _collect(self) -> None:
        table, now = self._forwarder.table, self._driver.now
        self._data_plane.collect(
            self._forwarder.drops, lambda flow, _: table.carried(flow, now)
        )

    # Packets and actions.

    def take(self, packet: bytes) -> bool:
        """Take a packet that came in by another way than the device; False if it is not for us."""
        if packet[24:40] != self._configuration.home_agent.address.packed:
            return False
        self._packets([packet])
        return True

    def _packets(self, packets: Iterable[bytes], origin: str = "") -> None:
        now = self._driver.now
        take, refresh = self._forwarder.from_device, self._refresher.answer
        for packet in packets:
            if packet[6:7] != _DESTINATION_OPTIONS:
                take(packet, now, origin)
                continue
            if self._inbox:
                self._signalling(now)  # what came first must not be overtaken
            answer = refresh(packet, now)
            if answer is None:
                take(packet, now, origin)
            else:
                self._outbox.remember(answer[0])
                self._outbox.post(answer[1])
        if self._inbox:
            self._signalling(now)
        self._outbox.flush()

    def _arrivals(self, arrivals: Iterable[bytes | Train]) -> None:
        """Take what came out of the device, some of it in trains."""
        singles: list[bytes] = []
        for each in arrivals:
            if isinstance(each, Train):
                self._packets(singles)  # what came first must not be overtaken
                singles = []
                self._forwarder.train_from_device(each, self._driver.now)
            else:
                singles.append(each)
        self._packets(singles)

    def _open_datagrams(self, address: IPv4Address) -> AgentDatagrams:
        """Serve mobile nodes in IPv4 networks."""
        return AgentDatagrams(
            address,
            self._configuration.home_agent.address.packed,
            self._forwarder,
            self._data_plane,
            self._tun,
            signalling=self._told_in_datagrams,
            now=lambda: self._driver.now,
        )

    def _told_in_datagrams(self, messages: list[tuple[bytes, UdpEnd]]) -> None:
        self._inbox += messages
        self._signalling(self._driver.now)
        self._outbox.flush()

    def _take(self, packet: bytes) -> None:
        self._inbox.append((packet, None))

    def _signalling(self, now: float) -> None:
        inbox, self._inbox = self._inbox, []
        actions: list[Action] = []
        for packet, end in inbox:
            try:
                received = parse_signalling(packet, udp=end)
            except SignallingError as error:
                self._events.no_message(str(error), packet[8:24])
                if error.answer is not None and end is None and self._complaints.allows(now):
                    self._tun.send(error.answer)
                if error.claim is not None:
                    actions += self.engine.claimed(*error.claim)
                continue
            self._events.malformed_options(received)
            actions += self.engine.receive(received, now)
        self._driver.run(actions)

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            with guarded():
                self._act(action)
        self._outbox.flush()

    def _act(self, action: Action) -> None:
        match action:
            case Send():
                self._post(action)
            case Remember(home_address=home_address):
                self._outbox.remember(home_address.packed)
            case BindingsChanged(home_address=home_address):
                self._paths.changed(home_address, self._driver.now)
            case Intercept(home_address=home_address, by=by):
                self._home_link.intercept(home_address, by)
            case DetectDuplicate(home_address=home_address):
                self._home_link.detect(home_address)
            case Announce() | AgentChanged():
                raise ValueError(f"a home agent does not ask for {action}")
            case Report():
                self._events.report(action)

    def _post(self, send: Send) -> None:
        # Whoever is told this has proven nothing, not even that he is there.
        is_to_anybody = isinstance(send.message, (BindingError, HomeAgentAddressDiscoveryReply))
        if is_to_anybody and not self._complaints.allows(self._driver.now):
            return
        packet, envelope = emit_signalling(send), send.envelope
        if envelope.udp is not None:
            self._outbox.post(Enveloped(packet=packet, to=envelope.udp))
        elif envelope.link_layer_address:
            self._outbox.post(Framed(packet=packet, to=envelope.link_layer_address))
        else:
            self._outbox.post(packet)

    def _origin_refused(self, interface: str, error: OSError) -> None:
        self._events.log.warning(
            "origin-refused", interface=interface, reason=error.strerror or str(error)
        )

    def _over_home_link(self, path: Path, packet: bytes) -> int:
        too_big = self._frames.send(packet, path.link_layer_address)
        return self._home_link.state.mtu if too_big else 0

    def _send(self, packet: bytes | Framed | Enveloped) -> None:
        if isinstance(packet, Framed):
            self._frames.send(packet.packet, packet.to)
        elif isinstance(packet, Enveloped):
            if self._datagrams is not None:
                self._datagrams.send(packet)
        elif packet[24:40] in self._forwarder.table.bindings:
            self._forwarder.from_device(packet, self._driver.now)
        else:
            self._tun.send(packet)

    def _record(self, home_address: bytes) -> bytes:
        entry = self.engine.cache.entry_of(home_address)
        return b"" if entry is None else emit_record(entry, offset_s=self._offset_s)

    def _in_use(self, home_address: IPv6Address) -> bool:
        states = self._forwarder.table.states_of(home_address.packed)
        return any(state.active_flows for state in states)

    def _duplicate(self, home_address: IPv6Address) -> None:
        self._driver.run(self.engine.duplicate_found(home_address))

    # The home link.

    def _home_link_changed(self, state: LinkState) -> None:
        self._routers.changed(state)

    def _advertisement(self, mac: bytes, leaving: bool) -> RouterAdvertisement:  # noqa: FBT001
        settings = self._configuration.home_agent
        return advertisement(
            settings.address,
            settings.home_prefixes,
            deprecated=settings.deprecated_prefixes,
            preference=settings.preference,
            only_router=settings.only_router,
            mac=mac,
            leaving=leaving,
        )

    def _router_heard(self, heard: Heard) -> None:
        information = heard.home_agent
        self.engine.agents.hear(
            heard.router,
            (each.prefix for each in heard.prefixes if each.router_address),
            preference=0 if information is None else information.preference,
            lifetime_s=0 if information is None else information.lifetime_s,
            now=self._driver.now,
        )

    def _other_routers(self, there_are: bool) -> None:  # noqa: FBT001
        if there_are and not self.engine.other_routers:
            self._events.log.remote("other-router-on-home-link", level=Level.INFO)
        self.engine.other_routers = there_are

    def _not_written(self, error: OSError) -> None:
        self._events.counts["store-failures"] += 1
        # Each update that comes while the disk fails is another reason.
        self._events.log.remote(
            "store-failed", level=Level.ERROR, reason=error.strerror or str(error)
        )

    def _device_lost(self, error: OSError) -> None:
        self._events.log.error("device-lost", device=self._tun.name, reason=str(error))
        self._end.fail()

    # Status.

    def commands(self) -> Mapping[str, Command]:
        """Return what an operator may ask of a home agent."""
        return AgentCommands(self.engine, self._driver).table()

    def status(self) -> Status:
        """Return what a view of the node shows."""
        now = self._driver.now
        self._collect()
        snapshot = self._forwarder.snapshot(now)
        view = HomeAgentView(
            configuration=self._configuration,
            cache=self.engine.cache,
            home_link=self._home_link.state,
            flows=snapshot.flows,
            now=now,
            uptime_s=now - self._began_s,
        )
        return view.status(
            device=self._tun.name,
            data_plane=self._data_plane.name,
            counters=self._events.counters(snapshot)
            | self._data_plane.counters()
            | {"acknowledgements-unsent": self._outbox.unsent},
        )


def _open_store(configuration: HomeAgentConfiguration, log: EventLog) -> Store:
    store = Store.open(configuration.store_directory)
    recovery = store.recovery
    if recovery.gaps or recovery.header_damaged:
        log.error("store-damaged", gaps=len(recovery.gaps), header=recovery.header_damaged)
    elif recovery.torn_octets:
        log.info("store-recovered", torn_octets=recovery.torn_octets)
    return store
