"""What a home agent shows of itself."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mcoa.binding.cache import Binding, BindingCache, CacheEntry
from mcoa.engine.addresses import as_written
from mcoa.runtime.config_models import HomeAgentConfiguration
from mcoa.runtime.links import LinkState, describe_link
from mcoa.runtime.status import (
    BindingLine,
    DeviceStatus,
    FlowsStatus,
    LinkStatus,
    Status,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAgentView:
    """A home agent at a moment.

    Attributes:
        home_link: the state of the interface.
        flows: how many there are.
        uptime_s: since the daemon began.
    """

    configuration: HomeAgentConfiguration
    cache: BindingCache
    home_link: LinkState
    flows: int
    now: float
    uptime_s: float

    def status(self, *, device: str, data_plane: str, counters: Mapping[str, int]) -> Status:
        """Return it as a view of the node shows it."""
        configuration, now = self.configuration, self.now
        return Status(
            role=configuration.role,
            name=configuration.name,
            security=configuration.security,
            pid=os.getpid(),
            uptime_s=self.uptime_s,
            device=DeviceStatus(name=device),
            data_plane=data_plane,
            home_addresses=configuration.home_agent.home_prefixes,
            bindings=(
                _line(entry, binding, now) for entry in self.cache for binding in entry.bindings
            ),
            bindings_total=sum(len(entry.bindings) for entry in self.cache),
            links=(link_status(configuration.home_agent.home_link, self.home_link),),
            flows=FlowsStatus(total=self.flows),
            counters=counters,
        )


def link_status(interface: str, state: LinkState) -> LinkStatus:
    """Return what there is to say of the home link."""
    return LinkStatus(
        name="home",
        interface=interface,
        state=describe_link(state, needs_router=False),
        addresses=tuple(each.address for each in state.addresses),
        mtu=state.mtu or None,
    )


def _line(entry: CacheEntry, binding: Binding, now: float) -> BindingLine:
    return BindingLine(
        home_address=entry.home_address,
        bid=binding.bid,
        care_of_address=as_written(binding.care_of_address),
        state="registered",
        remaining_lifetime_s=max(0.0, binding.expires_at_s - now),
        priority=binding.priority or None,
        home=binding.home,
        port=binding.port or None,
        nat=binding.is_translated,
    )
