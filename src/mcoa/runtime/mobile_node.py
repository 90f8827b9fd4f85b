"""The mobile node at work: engine, forwarder and uplinks, joined.

The device takes what leaves from the home address. What the forwarder makes of it leaves by
the uplinks' own sockets. Link events reach the engine and, by its first action, the
forwarder, before anything is signalled.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from random import SystemRandom

from mcoa.dataplane.liveness import Pace
from mcoa.dataplane.mobile_node import MobileNodeForwarder
from mcoa.dataplane.trains import Train, uncouple
from mcoa.engine.actions import (
    Action,
    AgentChanged,
    Announce,
    BindingsChanged,
    DetectDuplicate,
    Intercept,
    Received,
    Remember,
    Report,
    Send,
)
from mcoa.engine.addresses import as_written, ipv4_mapped
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.usable_paths import UsablePath
from mcoa.runtime.arrivals import ICMPV6_TYPES, Arrivals
from mcoa.runtime.at_home import AtHome
from mcoa.runtime.capture import open_capture
from mcoa.runtime.config_models import LinkSettings, MobileNodeConfiguration
from mcoa.runtime.config_rules import rules_of
from mcoa.runtime.control import Command
from mcoa.runtime.correspondent_role import (
    AtHomeAddress,
    CorrespondentRole,
)
from mcoa.runtime.data_plane import USER_SPACE, DataPlane
from mcoa.runtime.departures import Departures
from mcoa.runtime.driver import Driver
from mcoa.runtime.end import End
from mcoa.runtime.events import Events
from mcoa.runtime.fast_path.maps import Sizes
from mcoa.runtime.fast_path.shapes import MobileNodeShapes
from mcoa.runtime.flow_commands import FlowCommands
from mcoa.runtime.guard import guarded, run_each
from mcoa.runtime.home_finder import HomeFinder, HomeFound
from mcoa.runtime.link_memory import LinkMemory
from mcoa.runtime.link_switch import LinkSwitch
from mcoa.runtime.links import LinkState, LinkWatcher, care_of_addresses
from mcoa.runtime.log import EventLog, Level
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.mobile_node_status import MobileNodeView
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.path_book import PathBook
from mcoa.runtime.path_probes import PathProbes
from mcoa.runtime.patterns import (
    HOME_ADDRESS_OPTION,
    MOBILITY_HEADER,
    TYPE_2_ROUTING_HEADER,
    Pattern,
    tunnel_patterns,
    tunnel_to,
)
from mcoa.runtime.policies import correspondent_policy, mobile_node_policy
from mcoa.runtime.readiness import deliver
from mcoa.runtime.routing import prepare_uplink
from mcoa.runtime.signalling import emit_signalling
from mcoa.runtime.sockets import IcmpSocket
from mcoa.runtime.solicitor import Solicitor
from mcoa.runtime.status import (
    Status,
)
from mcoa.runtime.steering import Steering
from mcoa.runtime.undo import Journal
from mcoa.runtime.uplink import Uplink
from mcoa.wire.messages import BindingError

_SIZES = Sizes(homes=16, ways=1 << 10, flows=1 << 17)
_NO_AGENT = IPv6Address(0)  # while one is looked for
_STOP_PATIENCE_S = 3.0


class MobileNodeService:
    """A mobile node on this machine."""

    def __init__(
        self,
        configuration: MobileNodeConfiguration,
        *,
        netlink: Netlink,
        journal: Journal,
        log: EventLog,
        end: End,
    ) -> None:
        self._end = end
        settings = configuration.mobile_node
        self._configuration = configuration
        self._events = Events(log)
        self._netlink = netlink
        agent = settings.home_agent or _NO_AGENT
        rng = SystemRandom()
        self.engine = MobileNode(mobile_node_policy(configuration), rng=rng)
        self._driver = Driver(self.engine, self._perform)
        self._links = {link.name: link for link in configuration.links}
        self._tun = Tun.open(configuration.device, netlink=netlink, journal=journal)
        self._patterns: tuple[Pattern, ...] = (
            TYPE_2_ROUTING_HEADER,
            MOBILITY_HEADER,
            tunnel_to(settings.home_address),
        )
        if configuration.correspondent is not None:
            self._patterns += (HOME_ADDRESS_OPTION,)  # it comes bare over the home link
        self._capture = open_capture(
            configuration.device,
            netlink=netlink,
            journal=journal,
            patterns=(*self._patterns, *tunnel_patterns(agent)),
        )
        self._icmp = IcmpSocket(ICMPV6_TYPES)
        network = self.engine.policy.home_network
        self._at_home = AtHome(settings.home_address, network, netlink=netlink, journal=journal)
        self._departures = Departures(
            settings.home_address, agent, settings.home_agent_ipv4, self._at_home
        )
        self._forwarder = MobileNodeForwarder(
            home_address=settings.home_address.packed,
            home_agent=agent.packed,
            send=self._departures.packet,
            frame=self._departures.frame,
            write=self._tun.pass_on,
            report=self._events.drop,
            rng=rng,
        )
        self._forwarder.rules = rules_of(configuration.rules)
        self._forwarder.used = self._correspondent_used
        self._forwarder.suspected = self._correspondent_suspected
        self._shapes = MobileNodeShapes(settings.home_address.packed, agent.packed)
        self._data_plane = DataPlane.open(
            configuration.dataplane,
            self._forwarder.table,
            self._tun,
            shapes=self._shapes,
            sizes=_SIZES,
            netlink=netlink,
            journal=journal,
            log=log,
        )
        self._correspondent: CorrespondentRole | None = None
        if configuration.correspondent is not None:
            around = AtHomeAddress(
                settings.home_address,
                mtu=self._tunnel_mtu,
                room=lambda packet: self._forwarder.room(packet, self._now()),
                send=lambda packet: self._forwarder.from_device(packet, self._now()),
                write=self._tun.pass_on,
            )
            policy = correspondent_policy(configuration)
            self._correspondent = CorrespondentRole(policy, around, self._events)
        self._arrivals = Arrivals(
            self.engine,
            self._driver,
            self._forwarder,
            self._correspondent,
            received=self._receive,
            pass_on=self._tun.pass_on,
            answer=self._departures.answer,
            events=self._events,
        )
        self._arrivals.home_agent = agent.packed
        self._is_coupled = self._reach_agent_by_ipv4(settings.home_agent_ipv4)
        self._uplinks = self._departures.uplinks
        self._uplinks |= {link.name: self._uplink(link) for link in configuration.links}
        self._journal = journal
        self._home_finder = HomeFinder(
            {link.name: link.interface for link in configuration.links if link.home},
            network,
            sender=settings.home_address,
            found=self._home_found,
            malformed=self._events.no_advertisement,
        )
        self._solicitor = Solicitor(settings.home_address)
        self._states: dict[str, LinkState] = {}
        self._steering = Steering(
            configuration,
            self.engine.policy,
            self._states,
            self._at_home,
            self._tun,
            netlink=netlink,
            journal=journal,
            events=self._events,
        )
        self._book = PathBook(
            self.engine,
            self._forwarder,
            self._data_plane,
            links=self._links,
            states=self._states,
            mtu=self._path_mtu,
            avoided=self._links_avoided,
            events=self._events,
        )
        self._began_s = self._driver.now
        self._probes = PathProbes(
            self._forwarder.table,
            send=self._forwarder.probe,
            pace=Pace(
                interval_s=settings.probe_interval_s, multiplier=settings.probe_multiplier
            ),
            is_always=True,
            events=self._events,
            fell=self._steering.doubt_router,
            returned=lambda _home_address: self._book.returned(self._now()),
            judged=self._book.judged,
        )
        self._forwarder.echoes.answered = self._probes.answered
        self._switch = LinkSwitch(
            self._links, self._book, settle=self._settle_link, release=self._release_link
        )
        self._probes.excluded = self._switch.steps
        self._watcher = LinkWatcher(
            {link.name: link.interface for link in configuration.links},
            self._link_changed,
            netlink=netlink,
            disturbed=self._steering.converge,
            ipv4=[link.name for link in configuration.links if self._has_ipv4(link)],
            memory=LinkMemory(configuration.link_memory),
        )
        # Others may take the home address off the device, or switch it off.
        self._device_watcher = LinkWatcher(
            {self._tun.name: self._tun.name},
            lambda _name, _state: self._steering.converge(),
            netlink=netlink,
            groups=("link", "address"),
            disturbed=self._steering.converge,
        )
        self._stopped = asyncio.Event()
        self._undeliver: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Take the traffic of this machine, and register what links there are."""
        self._undeliver = [
            deliver(self._tun.as_trains(), self._trains_from_device, self._device_lost)
            if self._is_coupled
            else deliver(self._tun, self._from_device, self._device_lost),
            deliver(self._capture, self._arrivals.from_capture, self._device_lost),
            deliver(self._icmp, self._arrivals.icmp_messages, self._device_lost),
        ]
        self._data_plane.listen(self._forwarder.drops, self._now)
        if self._configuration.mobile_node.probe_interval_s:
            self._probes.start()
        self._watcher.start()
        self._device_watcher.start()

    async def stop(self) -> None:
        """De-register; give up when the home agent does not answer."""
        self._driver.run(self.engine.stop(self._driver.now))
        if not self.engine.is_stopped:
            try:
                await asyncio.wait_for(self._stopped.wait(), _STOP_PATIENCE_S)
            except TimeoutError:
                self._events.log.warning("not-deregistered", reason="no answer")

    def close(self) -> None:
        """Let go of everything."""
        self._watcher.close()
        self._device_watcher.close()
        self._home_finder.close()
        self._solicitor.close()
        self._at_home.close()
        for undeliver in self._undeliver:
            undeliver()
        self._data_plane.close()
        self._switch.close()
        self._probes.close()
        self._driver.close()
        if self._correspondent is not None:
            self._correspondent.close()
        self._departures.close()
        self._icmp.close()
        self._capture.close()
        self._tun.close()

    def tick(self) -> None:
        """Do what is due every second."""
        now, role = self._driver.now, self._correspondent
        run_each(
            self._collect,
            lambda: self._steering.use_routers(self._book.active_links()),
            lambda: self._book.measured(now),
            lambda: self._forwarder.expire(now),
        )
        if role is not None:
            role.forwarder.expire(now)

    def _collect(self) -> None:
        now, carried = self._driver.now, self._forwarder.carried
        self._data_plane.collect(
            self._forwarder.drops, lambda flow, peer: carried(flow, peer, now)
        )

    def _links_avoided(self, links: frozenset[str]) -> None:
        now = self._driver.now
        self._driver.run(self.engine.links_avoided(links, now))

    # Links.

    def _uplink(self, link: LinkSettings) -> Uplink:
        return Uplink(
            link.interface,
            take_datagrams=self._arrivals.from_datagrams,
            failed=self._uplink_lost,
            joined=self._is_coupled,
        )

    def _has_ipv4(self, link: LinkSettings) -> bool:
        """Tell whether a link may be used with IPv4 addresses."""
        is_reached = self._configuration.mobile_node.home_agent_ipv4 is not None
        return is_reached and link.family != "ipv6"

    def _reach_agent_by_ipv4(self, address: IPv4Address | None) -> bool:
        """Send to the agent in UDP over IPv4, and tell whether that can be in trains."""
        if address is None:
            return False
        mapped, forwarder = ipv4_mapped(address).packed, self._forwarder
        self._arrivals.home_agent_ipv4 = self._shapes.home_agent_ipv4 = mapped
        forwarder.datagrams.emit = self._departures.datagram
        forwarder.datagrams.emit_segments = self._departures.datagrams
        if self._data_plane.name != USER_SPACE:
            return False  # known flows do not come here
        self._tun.couple()
        forwarder.write_train = self._tun.send_train
        return True

    def _link_changed(self, name: str, state: LinkState) -> None:
        before = self._states.get(name)
        self._states[name] = state
        with suppress(OSError):  # the device has gone, as its own watcher tells
            self._tun.fit((each.mtu for each in self._states.values()), self._netlink)
        states = self._states.values()
        self._arrivals.own(each.address.packed for held in states for each in held.addresses)
        uplink = self._uplinks[name]
        if state.index and (before is None or before.index != state.index):
            ipv4 = self._has_ipv4(self._links[name])
            prepare_uplink(uplink.interface, self._journal, ipv4=ipv4)
        if self._links[name].home:
            self._at_home.prepare(uplink.interface, state)
        self._solicitor.link_changed(uplink.interface, state)
        self._home_finder.link_changed(name, state)
        self._offer(name, state)

    def _offer(self, name: str, state: LinkState) -> None:
        """Tell the engine what care-of addresses a link has; the home link has none."""
        uplink = self._uplinks[name]
        usable = name != self.engine.home_link and not self._switch.is_withdrawn(name)
        addresses = care_of_addresses(state, self._links[name].family) if usable else ()
        if addresses:
            addresses = self._take_up(name, addresses, state)
        actions = self.engine.links_changed(name, addresses, self._driver.now)
        self._driver.run(actions)
        if not addresses:
            if not self._switch.is_withdrawn(name):
                uplink.close()
            self._steering.converge()
        self._paths_changed()  # an MTU may be another
        # Routers say what they like, as often as they like; so do agents, further below.
        self._events.log.remote(
            "link-changed",
            level=Level.INFO,
            link=name,
            up=state.up,
            addresses=" ".join(str(as_written(a)) for a in addresses) or None,
        )

    def _settle_link(self, link: str) -> None:
        state = self._states.get(link)
        if state is not None:
            self._offer(link, state)

    def _release_link(self, link: str) -> None:
        self._uplinks[link].close()

    def _home_found(self, found: HomeFound | None) -> None:
        """Take in which link is the home link, and how to reach others on it."""
        before = self._at_home.found
        self._at_home.use(found)
        link, mac = (None, b"") if found is None else (found.link, found.state.mac)
        if found is not None:
            self._uplinks[found.link].close()
            with suppress(OSError):  # it has gone since, as an announcement will tell
                self._capture.attach(found.interface, found.state.index)
        self._driver.run(self.engine.home_link_changed(link, mac, self._driver.now))
        self._at_home.settle(self.engine.presence)
        self._steering.converge()
        if before is not None and before.link != link:
            self._offer(before.link, self._states[before.link])

    def _take_up(
        self, name: str, addresses: tuple[IPv6Address, ...], state: LinkState
    ) -> tuple[IPv6Address, ...]:
        """Begin to use a link with some of these addresses, which are returned.

        None are when the link has gone since, as an announcement will tell; those of IPv4 are
        not while another program has the port there.
        """
        self._steering.converge()
        uplink = self._uplinks[name]
        ipv6 = tuple(each for each in addresses if each.ipv4_mapped is None)
        for chosen in dict.fromkeys((addresses, ipv6)):
            try:
                uplink.use(chosen, self._steering.mtu(name, state))
                self._capture.attach(uplink.interface, state.index)
                self._data_plane.attach(uplink.interface)
            except OSError as error:
                self._events.log.remote("link-refused", link=name, reason=error.strerror)
            else:
                return chosen
        return ()

    def _tunnel_mtu(self) -> int:
        return self._steering.tunnel_mtu()

    def _path_mtu(self, path: UsablePath) -> int:
        if path.home:
            return self._steering.home_mtu(path.link)
        return self._uplinks[path.link].mtu

    def _uplink_lost(self, error: OSError) -> None:
        self._events.log.warning("uplink-socket-lost", reason=str(error))

    # Packets.

    def _from_device(self, packets: Iterable[bytes]) -> None:
        now, take, role = self._driver.now, self._forwarder.from_device, self._correspondent
        for packet in packets:
            if role is not None and role.holds(packet):
                role.from_device(packet)
            else:
                take(packet, now)

    def _trains_from_device(self, arrivals: Iterable[bytes | Train]) -> None:
        now, role = self._driver.now, self._correspondent
        for each in arrivals:
            if not isinstance(each, Train):
                self._from_device([each])
            elif role is not None and role.holds(each.headers):
                self._from_device(list(uncouple(each).packets()))
            else:
                self._forwarder.train_from_device(each, now)

    def _now(self) -> float:
        return self._driver.now

    def _receive(self, received: Received) -> None:
        self._driver.run(self.engine.receive(received, self._driver.now))
        if self.engine.is_stopped:
            self._stopped.set()

    # Actions.

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            with guarded():
                self._act(action)

    def _act(self, action: Action) -> None:
        match action:
            case Send():
                self._send(action)
            case BindingsChanged():
                run_each(
                    self._paths_changed,
                    lambda: self._at_home.settle(self.engine.presence),
                    self._steering.converge,
                )
            case AgentChanged(home_agent=home_agent):
                self._change_agent(home_agent or _NO_AGENT)
            case Announce():
                self._at_home.announce()
            case Report():
                self._events.report(action)
            case Remember() | DetectDuplicate() | Intercept():
                raise ValueError(f"a mobile node does not ask for {action}")

    def _send(self, send: Send) -> None:
        link = send.envelope.link
        if isinstance(send.message, BindingError):
            self._arrivals.complain(emit_signalling(send))
            return
        if send.envelope.tunnelled and link is not None:
            self._forwarder.into_tunnel(emit_signalling(send), link, self._driver.now)
        else:
            self._departures.signalling(send)

    def _change_agent(self, home_agent: IPv6Address) -> None:
        self._departures.change_agent(home_agent)
        self._arrivals.home_agent = self._shapes.home_agent = home_agent.packed
        self._capture.set_patterns((*self._patterns, *tunnel_patterns(home_agent)))
        self._forwarder.change_agent(home_agent.packed)

    def _paths_changed(self) -> None:
        self._book.update(self._driver.now)
        self._arrivals.bids = self._book.bids

    def _correspondent_used(self, peer: bytes) -> None:
        now = self._driver.now
        self._driver.run(self.engine.correspondent_used(IPv6Address(peer), now))

    def _correspondent_suspected(self, peer: bytes) -> None:
        now = self._driver.now
        self._driver.run(self.engine.correspondent_suspected(IPv6Address(peer), now))

    def _device_lost(self, error: OSError) -> None:
        self._events.log.error("device-lost", reason=str(error))
        self._end.fail()

    # Status.

    def commands(self) -> Mapping[str, Command]:
        """Return what an operator may ask of a mobile node."""
        flows = FlowCommands(
            self._forwarder.table,
            self._configuration.mobile_node.home_address.packed,
            self._links,
            self._now,
        )
        return self._switch.table() | flows.table()

    def status(self) -> Status:
        """Return what a view of the node shows."""
        self._collect()
        snapshot = self._forwarder.snapshot(self._driver.now)
        view = MobileNodeView(
            configuration=self._configuration,
            engine=self.engine,
            snapshot=snapshot,
            states=self._states,
            mtus=self._steering.mtus(),
            steps=self._switch.steps,
            liveness=self._probes.liveness,
            flows=self._forwarder.table.flows_of(
                self._configuration.mobile_node.home_address.packed
            ),
            now=self._driver.now,
        )
        status = view.status(
            device=self._tun.name,
            data_plane=self._data_plane.name,
            uptime_s=self._driver.now - self._began_s,
            counters=self._events.counters(snapshot) | self._data_plane.counters(),
        )
        if self._correspondent is None:
            return status
        of_others = self._correspondent.bindings()
        return replace(status, bindings=[*status.bindings, *of_others])
