"""A home agent among the routers of its home link: what it tells of itself, and hears of others.

It says that it is a home agent (RFC 6275 §7.1, §7.2, §7.4), so that mobile nodes know when they
are home and the home agents of a link know each other. Whether it hears of another router
decides if a mobile node at home may defend its address itself (RFC 5648 §6.3).
"""

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, IPv6Network
from random import Random

from mcoa.engine.prefix_advertisement import DEPRECATED_VALID_S
from mcoa.runtime.links import LinkState
from mcoa.runtime.neighbours import ALL_NODES
from mcoa.runtime.router_advertisements import Heard, RouterListener
from mcoa.wire.icmpv6_neighbor import RouterAdvertisement
from mcoa.wire.neighbor_discovery import (
    INFINITE,
    HomeAgentInformation,
    NeighborOption,
    PrefixInformation,
    SourceLinkLayerAddress,
)

LONGEST_INTERVAL_S, SHORTEST_INTERVAL_S = 3.0, 1.0
"""Between advertisements; RFC 6275 §7.5 allows 0.07 s and 0.03 s."""

LIFETIME_S = 30
"""Of what is advertised: who hears nothing for so long takes the agent for gone."""

_ANSWER_WITHIN_S = 0.1  # MAX_RA_DELAY_TIME would be 0.5 (RFC 4861 §10)
_MOST_ROUTERS = 64  # anybody on the link can make some up; one is enough to matter


def advertisement(
    address: IPv6Address,
    prefixes: Iterable[IPv6Network],
    *,
    deprecated: Iterable[IPv6Network] = (),
    preference: int = 0,
    only_router: bool = False,
    mac: bytes = b"",
    leaving: bool = False,
) -> RouterAdvertisement:
    """Return what a home agent tells its link.

    Args:
        address: the service address; the prefix it is in tells it (the R flag).
        prefixes: of the home link.
        deprecated: those among them that are to be given up.
        preference: among home agents.
        only_router: be the link's default router, and let hosts form addresses.
        mac: of the interface.
        leaving: this is the last one.
    """
    given_up = set(deprecated)
    lifetime_s = 0 if leaving else LIFETIME_S
    options: list[NeighborOption] = []
    if mac:
        options.append(SourceLinkLayerAddress(address=mac))
    for prefix in prefixes:
        is_ours, is_old = address in prefix, prefix in given_up
        options.append(
            PrefixInformation(
                prefix=address if is_ours else prefix.network_address,
                prefix_length=prefix.prefixlen,
                on_link=True,
                autonomous=only_router,
                router_address=is_ours,
                valid_lifetime_s=DEPRECATED_VALID_S if is_old else INFINITE,
                preferred_lifetime_s=0 if is_old else INFINITE,
            )
        )
    options.append(HomeAgentInformation(preference=preference, lifetime_s=lifetime_s))
    return RouterAdvertisement(
        home_agent=not leaving,
        lifetime_s=lifetime_s if only_router else 0,
        options=tuple(options),
    )


class HomeRouters:
    """Advertises, if it is to, and listens, while the home link is there.

    Args:
        interface: the home link's.
        address: the service address.
        make: returns the advertisement, given the interface's link-layer address and whether
            it is the last; None advertises nothing.
        own_address: returns our link-local address on the link, if there is one yet.
        heard: told of the advertisements of others.
        others_changed: told whether there are other default routers.
    """

    def __init__(
        self,
        interface: str,
        address: IPv6Address,
        *,
        make: Callable[[bytes, bool], RouterAdvertisement] | None,
        own_address: Callable[[], IPv6Address | None],
        heard: Callable[[Heard], None],
        others_changed: Callable[[bool], None],
    ) -> None:
        self._interface = interface
        self._address = address
        self._make = make
        self._own_address = own_address
        self._told = heard
        self._others_changed = others_changed
        self._rng = Random()
        self._mac = b""
        self._index = 0
        self._listener: RouterListener | None = None
        self._next: asyncio.TimerHandle | None = None
        self._others: dict[IPv6Address, asyncio.TimerHandle] = {}

    def changed(self, state: LinkState) -> None:
        """Begin on the interface as it is now, or anew."""
        if (state.index, state.mac) != (self._index, self._mac):
            self._end_listening()
            self._index, self._mac = state.index, state.mac
        if not state.up:
            return
        if self._listener is None:
            try:
                self._listener = RouterListener(
                    self._interface,
                    state.index,
                    sender=self._address,
                    heard=self._heard,
                    solicited=self._solicited,
                )
            except OSError:
                return  # it has gone since, as an announcement will tell
            self._listener.solicit()
        self._advertise()

    def close(self) -> None:
        """Say farewell and stop."""
        if self._listener is not None and self._make is not None:
            self._send(leaving=True)
        self._end_listening()
        for timer in self._others.values():
            timer.cancel()

    def _end_listening(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    # Telling.

    def _solicited(self) -> None:
        if self._make is not None:
            self._advertise_within(self._rng.uniform(0, _ANSWER_WITHIN_S))

    def _advertise(self) -> None:
        if self._listener is None or self._make is None:
            return
        self._next = None
        pause_s = self._rng.uniform(SHORTEST_INTERVAL_S, LONGEST_INTERVAL_S)
        self._advertise_within(pause_s)
        self._send()

    def _advertise_within(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._next is not None:
            if self._next.when() <= loop.time() + seconds:
                return
            self._next.cancel()
        self._next = loop.call_later(seconds, self._advertise)

    def _send(self, *, leaving: bool = False) -> None:
        source = self._own_address()
        if source is None or self._listener is None or self._make is None:
            return
        self._listener.send(self._make(self._mac, leaving), source, ALL_NODES)

    # Hearing.

    def _heard(self, heard: Heard) -> None:
        if heard.router == self._own_address():
            return
        timer = self._others.pop(heard.router, None)
        if timer is not None:
            timer.cancel()
        if heard.message.lifetime_s and len(self._others) < _MOST_ROUTERS:
            loop = asyncio.get_running_loop()
            self._others[heard.router] = loop.call_later(
                heard.message.lifetime_s, self._forget, heard.router
            )
        self._others_changed(bool(self._others))
        self._told(heard)

    def _forget(self, router: IPv6Address) -> None:
        self._others.pop(router, None)
        self._others_changed(bool(self._others))
