"""The home agents of a home link, as each of them knows them, and tells mobile nodes (RFC 6275 §10.5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from math import inf
from random import Random
from typing import Final

from mcoa.engine.actions import Action, Envelope, Received, Send
from mcoa.engine.addresses import is_unicast_routable
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
)

# A reply fits into 1280 octets, which every path carries (RFC 6275 §10.5.1).
_MOST_ADDRESSES: Final = (1280 - 40 - 8) // 16

# Anybody on the link can speak of home agents that are not there.
_MOST_AGENTS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAgent:
    """A home agent; `addresses` are its global ones."""

    addresses: tuple[IPv6Address, ...]
    preference: int
    until_s: float = inf


class HomeAgentsList:
    """Learns from router advertisements, and answers discovery requests.

    Args:
        address: the service address of this agent.
        preference: of this agent.
        rng: puts equals in random order, so that they share the mobile nodes.
    """

    def __init__(self, address: IPv6Address, preference: int, rng: Random) -> None:
        self._own = ListedAgent(addresses=(address,), preference=preference)
        self._others: dict[IPv6Address, ListedAgent] = {}
        self._rng = rng

    def hear(
        self,
        router: IPv6Address,
        addresses: Iterable[IPv6Address],
        *,
        preference: int,
        lifetime_s: int,
        now: float,
    ) -> None:
        """Take in what another agent advertised; lifetime zero says that it is none any more.

        Args:
            router: its link-local address, by which it is known.
            addresses: global ones, from prefixes with the R flag.
            preference: of its Home Agent Information.
            lifetime_s: likewise.
            now: monotonic seconds.
        """
        self._expire(now)
        told = tuple(each for each in addresses if is_unicast_routable(each))
        if not lifetime_s:
            self._others.pop(router, None)
        elif told and (router in self._others or len(self._others) < _MOST_AGENTS):
            self._others[router] = ListedAgent(
                addresses=told, preference=preference, until_s=now + lifetime_s
            )

    def addresses(self, now: float) -> tuple[IPv6Address, ...]:
        """Return all addresses, the most preferred agents first, and this agent among them."""
        self._expire(now)
        listed = [self._own, *self._others.values()]
        self._rng.shuffle(listed)
        listed.sort(key=lambda each: -each.preference)
        found = dict.fromkeys(address for each in listed for address in each.addresses)
        return tuple(found)[:_MOST_ADDRESSES]

    def answer(
        self, request: HomeAgentAddressDiscoveryRequest, received: Received, now: float
    ) -> list[Action]:
        """Answer straight to where a request came from (RFC 6275 §10.5)."""
        source = received.envelope.source
        if not is_unicast_routable(source):
            return []
        reply = HomeAgentAddressDiscoveryReply(
            identifier=request.identifier, addresses=self.addresses(now)
        )
        own = self._own.addresses[0]
        return [Send(message=reply, envelope=Envelope(source=own, destination=source))]

    def _expire(self, now: float) -> None:
        self._others = {r: each for r, each in self._others.items() if each.until_s > now}
