"""Which of the mobile node's links is its home link, by what routers advertise (RFC 6275 §11.5).

A link is home as long as a router advertises the home prefix on it. From the same
advertisements come the link-layer addresses to which packets go there: asking for them is
what a mobile node must not do in the name of its home address (RFC 5648 §5.6.4).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network

from mcoa.runtime.links import LinkState
from mcoa.runtime.router_advertisements import Heard, RouterListener
from mcoa.wire.neighbor_discovery import INFINITE

_SOLICITATIONS = 3  # MAX_RTR_SOLICITATIONS (RFC 4861 §10)
_SOLICITATION_INTERVAL_S = 4.0  # RTR_SOLICITATION_INTERVAL
_MOST_ROUTERS = 64  # of a link: anybody on it can make some up


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeFound:
    """The home link as it was found.

    Attributes:
        link: its name.
        state: of the interface.
        router: the default router's link-local address.
        router_mac: its link-layer address.
        agents: link-layer addresses of the home agents that told theirs, by address.
    """

    link: str
    interface: str
    state: LinkState
    router: IPv6Address
    router_mac: bytes
    agents: Mapping[IPv6Address, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Seen:
    """What was heard on one link since it is up."""

    routers: dict[IPv6Address, tuple[bytes, float]] = field(default_factory=dict)
    agents: dict[IPv6Address, bytes] = field(default_factory=dict)
    home_until_s: float = 0.0


class HomeFinder:
    """Listens on links that may be the home link, and tells which one is.

    Args:
        interfaces: of these links, by their names, in order of preference: one is home at a
            time (RFC 5648 §5.6.3).
        network: the home prefix.
        sender: the address that routing takes for the sender's of solicitations.
        found: told what is home now, and None when nothing is.
        malformed: told of what was no advertisement.
    """

    def __init__(
        self,
        interfaces: Mapping[str, str],
        network: IPv6Network,
        *,
        sender: IPv6Address,
        found: Callable[[HomeFound | None], None],
        malformed: Callable[[str, IPv6Address], None],
    ) -> None:
        self._interfaces = dict(interfaces)
        self._network = network
        self._sender = sender
        self._found = found
        self._malformed = malformed
        self._states: dict[str, LinkState] = {}
        self._listeners: dict[str, RouterListener] = {}
        self._seen: dict[str, _Seen] = {}
        self._asking: dict[str, asyncio.TimerHandle] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self._last: HomeFound | None = None

    def link_changed(self, link: str, state: LinkState) -> None:
        """Take note of how a link is; one without carrier is not home."""
        if link not in self._interfaces:
            return
        before = self._states.get(link)
        self._states[link] = state
        is_another = before is None or (before.index, before.mac) != (state.index, state.mac)
        if is_another or not state.up:
            self._forget(link)
        if state.up and link not in self._listeners:
            self._listen(link, state)
        self._judge()

    def close(self) -> None:
        """Stop listening."""
        for link in self._interfaces:
            self._forget(link)
        if self._expiry is not None:
            self._expiry.cancel()

    def _listen(self, link: str, state: LinkState) -> None:
        try:
            self._listeners[link] = RouterListener(
                self._interfaces[link],
                state.index,
                sender=self._sender,
                heard=lambda heard: self._heard(link, heard),
                malformed=self._malformed,
            )
        except OSError:
            return  # it has gone since, as an announcement will tell
        self._seen[link] = _Seen()
        self._ask(link, _SOLICITATIONS)

    def _ask(self, link: str, left: int) -> None:
        self._asking.pop(link, None)
        listener, seen = self._listeners.get(link), self._seen.get(link)
        if listener is None or seen is None or seen.routers:
            return
        if left > 1:
            self._asking[link] = asyncio.get_running_loop().call_later(
                _SOLICITATION_INTERVAL_S, self._ask, link, left - 1
            )
        listener.solicit()

    def _forget(self, link: str) -> None:
        self._seen.pop(link, None)
        if (timer := self._asking.pop(link, None)) is not None:
            timer.cancel()
        if (listener := self._listeners.pop(link, None)) is not None:
            listener.close()

    def _heard(self, link: str, heard: Heard) -> None:
        seen, now = self._seen[link], asyncio.get_running_loop().time()
        mac, lifetime_s = heard.link_layer_address, heard.message.lifetime_s
        has_room = heard.router in seen.routers or len(seen.routers) < _MOST_ROUTERS
        if lifetime_s and mac and has_room:
            seen.routers[heard.router] = (mac, now + lifetime_s)
        else:
            seen.routers.pop(heard.router, None)
        for prefix in heard.prefixes:
            network = IPv6Network((prefix.prefix, prefix.prefix_length), strict=False)
            if network != self._network:
                continue
            valid_s = prefix.valid_lifetime_s
            seen.home_until_s = now + valid_s if valid_s < INFINITE else float("inf")
            is_agent = prefix.router_address and heard.home_agent is not None and mac
            if is_agent and (prefix.prefix in seen.agents or len(seen.agents) < _MOST_ROUTERS):
                seen.agents[prefix.prefix] = mac
        self._judge()

    def _judge(self) -> None:
        """Tell what is home, if that is another link or way than was told last."""
        now = asyncio.get_running_loop().time()
        self._arm(now)
        candidates = [self._candidate(link, now) for link in self._interfaces]
        found = next((each for each in candidates if each is not None), None)
        if found != self._last:
            self._last = found
            self._found(found)

    def _candidate(self, link: str, now: float) -> HomeFound | None:
        seen = self._seen.get(link)
        if seen is None or seen.home_until_s <= now:
            return None
        live = [(each, mac) for each, (mac, until) in seen.routers.items() if until > now]
        if not live:
            return None  # there would be nobody to send packets to
        router, mac = live[0]
        return HomeFound(
            link=link,
            interface=self._interfaces[link],
            state=self._states[link],
            router=router,
            router_mac=mac,
            agents=dict(seen.agents),
        )

    def _arm(self, now: float) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        times = [
            time
            for seen in self._seen.values()
            for time in (seen.home_until_s, *(until for _, until in seen.routers.values()))
            if now < time < float("inf")
        ]
        if times:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_at(min(times) + 0.001, self._judge)
