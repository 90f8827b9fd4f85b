"""The kernel of a mobile node, kept in line with its links: addresses, routes, sizes, routers."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from mcoa.engine.policy import MobileNodePolicy
from mcoa.runtime.at_home import AtHome
from mcoa.runtime.config_models import MobileNodeConfiguration
from mcoa.runtime.events import Events
from mcoa.runtime.links import LinkState
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.routing import Home, HomeWay, Routing
from mcoa.runtime.undo import Journal

_USUAL_MTU: Final = 1500
_MINIMUM_MTU: Final = 1280
_TUNNEL_HEADER: Final = 40


class Steering:
    """Rules and routes for the home address, and what the kernel has to find out for us.

    Args:
        configuration: of the mobile node.
        policy: what that means to its engine.
        states: of its links, by name; they change.
        at_home: says what goes over the home link.
        tun: where packets of the home address are taken.
        netlink: for asking and changing.
        journal: learns of everything first.
        events: for the log.
    """

    def __init__(
        self,
        configuration: MobileNodeConfiguration,
        policy: MobileNodePolicy,
        states: Mapping[str, LinkState],
        at_home: AtHome,
        tun: Tun,
        *,
        netlink: Netlink,
        journal: Journal,
        events: Events,
    ) -> None:
        self._home_address, self._network = policy.home_address, policy.home_network
        # Some packets take another way than the rest, though all are at home.
        self._tells_apart = policy.optimizes_at_home or configuration.correspondent is not None
        self._links = {link.name: link for link in configuration.links}
        self._numbers = {link.name: n for n, link in enumerate(configuration.links)}
        self._states = states
        self._at_home = at_home
        self._index = tun.index
        self._netlink = netlink
        self._events = events
        self._routing = Routing(configuration.device, netlink, journal)

    def converge(self) -> None:
        """Make the kernel's addresses and routes what they have to be now."""
        self._at_home.hold()
        home = Home(
            address=self._home_address,
            network=self._network,
            index=self._index,
            way=self._way_home(),
            mtu=self.tunnel_mtu(),
        )
        # The home address goes by these routes, on whatever interface it is.
        states = {
            self._numbers[name]: state.without(self._home_address)
            for name, state in self._states.items()
        }
        for refusal in self._routing.converge(states, home):
            self._events.log.remote(
                "route-refused", what=refusal.what, reason=refusal.error.strerror
            )

    def mtu(self, link: str, state: LinkState) -> int:
        """Return how large packets on a link may be that is in this state; octets."""
        return self._links[link].mtu or state.mtu or _USUAL_MTU

    def mtus(self) -> dict[str, int]:
        """Return that for all links, by their names."""
        return {name: self.mtu(name, state) for name, state in self._states.items()}

    def home_mtu(self, link: str) -> int:
        """Return how large packets over the home link may be; octets."""
        return max(self.mtu(link, self._states[link]), _MINIMUM_MTU)

    def tunnel_mtu(self) -> int:
        """Return what the tunnel over any link takes; octets."""
        live = [self.mtu(name, state) for name, state in self._states.items() if state.up]
        return max(min(live, default=_USUAL_MTU) - _TUNNEL_HEADER, _MINIMUM_MTU)

    def use_routers(self, links: Iterable[str]) -> None:
        """Have the kernel ask for routers: packets of the fast path do not make it do so."""
        self._about_routers(links, is_doubted=False)

    def doubt_router(self, link: str) -> None:
        """Find out whether it is the router of a silent link that does not answer."""
        self._about_routers((link,), is_doubted=True)

    def _about_routers(self, links: Iterable[str], *, is_doubted: bool) -> None:
        speak = self._netlink.ask_neighbour if is_doubted else self._netlink.use_neighbour
        for state in map(self._states.__getitem__, links):
            if state.up and state.gateway is not None:
                with suppress(OSError):
                    speak(state.index, state.gateway)

    def _way_home(self) -> HomeWay | None:
        """Return what the kernel may send over the home link by itself."""
        way = self._at_home.way
        return replace(way, is_only=False) if way is not None and self._tells_apart else way
