"""What a view of a mobile node shows: engine, forwarder and links put into one status."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from math import inf

from mcoa.binding.update_list import Registration
from mcoa.dataplane.counters import Snapshot
from mcoa.dataplane.flows import Flow
from mcoa.dataplane.liveness import Health, Liveness, Place
from mcoa.engine.addresses import as_written, ipv4_mapped
from mcoa.engine.correspondence import Correspondence
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.returning_home import Presence
from mcoa.runtime.config_models import LinkSettings, MobileNodeConfiguration
from mcoa.runtime.link_switch import Step
from mcoa.runtime.links import ABSENT_LINK, LinkState, describe_link
from mcoa.runtime.status import (
    BindingLine,
    DeviceStatus,
    FlowsStatus,
    LinkStatus,
    PeerStatus,
    RuleStatus,
    Status,
)

_NO_AGENT = IPv6Address(0)  # while one is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNodeView:
    """A mobile node at one moment; `states`, `mtus` and `steps` are by the names of the links."""

    configuration: MobileNodeConfiguration
    engine: MobileNode
    snapshot: Snapshot
    states: Mapping[str, LinkState]
    mtus: Mapping[str, int]
    steps: Mapping[str, Step]
    flows: Iterable[Flow]
    liveness: Callable[[Place], Liveness | None]
    now: float

    def status(
        self, *, device: str, data_plane: str, uptime_s: float, counters: Mapping[str, int]
    ) -> Status:
        """Return the status."""
        configuration, snapshot = self.configuration, self.snapshot
        active = {path.link: path.active_flows for path in snapshot.paths if path.bound}
        return Status(
            role=configuration.role,
            name=configuration.name,
            security=configuration.security,
            pid=os.getpid(),
            uptime_s=uptime_s,
            device=DeviceStatus(name=device),
            data_plane=data_plane,
            home_addresses=(configuration.mobile_node.home_address,),
            peers=(self._peer(), *map(self._correspondent, self.engine.optimization)),
            bindings=self._bindings(),
            links=tuple(self._link(link) for link in configuration.links),
            flows=FlowsStatus(total=snapshot.flows, by_path=active),
            rules=self._rules(),
            counters=counters,
            warnings=self._warnings(),
        )

    def _peer(self) -> PeerStatus:
        engine = self.engine
        return PeerStatus(
            address=engine.home_agent or _NO_AGENT,
            role="home-agent",
            state=self._state_with_agent(),
            multiple_care_of=engine.agent_knows_bids if engine.paths() else None,
        )

    def _state_with_agent(self) -> str:
        engine = self.engine
        if engine.home_agent is None:
            return "looked for"
        if engine.presence is Presence.HOME:
            return "at home" if engine.outstanding is None else "at home, unconfirmed"
        return "registered" if engine.paths() else "no answer"

    def _correspondent(self, known: Correspondence) -> PeerStatus:
        is_known = any(entry.held is not None for entry in known.update_list)
        return PeerStatus(
            address=known.peer,
            role="correspondent",
            state=known.state,
            multiple_care_of=known.uses_bids if is_known else None,
            bindings=tuple(self._binding(entry) for entry in known.update_list),
        )

    def _bindings(self) -> list[BindingLine]:
        """Return what is bound or to be; at home alone nothing is, and nothing is missing."""
        is_home = self.engine.presence is Presence.HOME
        entries = self.engine.update_list
        return [self._binding(each) for each in entries if not (is_home and each.is_gone)]

    def _binding(self, entry: Registration) -> BindingLine:
        lifetime_s = entry.expires_at_s - self.now
        status = None if entry.is_gone else entry.status  # it was said of what is no more
        address = entry.wanted or entry.held
        return BindingLine(
            home_address=self.configuration.mobile_node.home_address,
            bid=entry.bid,
            care_of_address=None if address is None else as_written(address),
            state=entry.state,
            link=entry.link,
            remaining_lifetime_s=lifetime_s if lifetime_s < inf else None,
            last_status=None if status is None else int(status),
            last_status_phrase=None if status is None else status.phrase,
            home=entry.home,
            nat=entry.translated,
        )

    def _link(self, link: LinkSettings) -> LinkStatus:
        state = self.states.get(link.name, ABSENT_LINK)
        paths = [path for path in self.snapshot.paths if path.link == link.name]
        bound = [path for path in paths if path.bound]
        addresses = (
            *(each.address for each in state.addresses),
            *map(ipv4_mapped, state.ipv4),
        )
        round_trips = [self.engine.round_trip_s(address) for address in addresses]
        is_home = link.name == self.engine.home_link
        probed = [self.liveness((path.home_address, path.bid)) for path in bound]
        lives = [each for each in probed if each is not None]
        round_trips = [each.round_trip_s for each in lives] + round_trips
        return LinkStatus(
            name=link.name,
            interface=link.interface,
            state=self._word(link, state, lives, is_home=is_home),
            bid=bound[0].bid or None if bound else link.bid,
            addresses=tuple(map(as_written, addresses)),
            weight=link.weight,
            mtu=self.mtus.get(link.name),
            flows=sum(path.active_flows for path in bound),
            sent_octets=sum(path.octets_out for path in paths),
            received_octets=sum(path.octets_in for path in paths),
            round_trip_s=next((each for each in round_trips if each is not None), None),
            jitter_s=lives[0].jitter_s if lives else None,
            loss=lives[0].loss if lives else None,
            last_heard_s=self.now - lives[0].answered_at_s if lives else None,
        )

    def _rules(self) -> tuple[RuleStatus, ...]:
        if not self.configuration.rules:
            return ()
        carried = Counter(
            (flow.rule.name, flow.path.path.link)
            for flow in self.flows
            if flow.rule is not None
        )
        return tuple(
            RuleStatus(
                name=rule.name,
                how=str(rule.how),
                links=rule.use,
                agent=self.engine.flows.state(rule.name),
                flows=sum(count for (name, _), count in carried.items() if name == rule.name),
                by_link={
                    link: count for (name, link), count in carried.items() if name == rule.name
                },
            )
            for rule in self.configuration.rules
        )

    def _word(
        self, link: LinkSettings, state: LinkState, lives: list[Liveness], *, is_home: bool
    ) -> str:
        step = self.steps.get(link.name)
        if step is not None:
            return str(step)
        if lives and all(each.health is Health.DOWN for each in lives):
            return "silent"
        if lives and all(each.health is not Health.UP for each in lives):
            return "lossy"
        return "home" if is_home else describe_link(state, family=link.family)

    def _warnings(self) -> tuple[str, ...]:
        engine = self.engine
        if not engine.paths():
            return ("no binding: packets of the home address go nowhere",)
        if engine.policy.multiple_care_of and not engine.uses_bids:
            return ("the home agent takes one binding only: the other links are idle",)
        return ()
