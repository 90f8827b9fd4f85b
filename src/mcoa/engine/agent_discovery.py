"""Dynamic home agent address discovery, the mobile node's side (RFC 6275 §11.4.1)."""

from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network
from random import Random

from mcoa.engine.actions import Envelope, Send
from mcoa.engine.addresses import home_agents_anycast
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
)

INITIAL_DHAAD_TIMEOUT_S = 3.0  # RFC 6275 §12
DHAAD_RETRIES = 4  # RFC 6275 §12
PAUSE_S = 60.0
"""After the last unanswered request, until it begins anew; another care-of address ends it."""


class AgentDiscovery:
    """Asks any home agent of the home link for all of them, less and less often.

    Attributes:
        due_s: when request() is to be called; None while nothing is asked.
    """

    def __init__(self, home_network: IPv6Network, rng: Random) -> None:
        self.due_s: float | None = None
        self._anycast = home_agents_anycast(home_network)
        self._rng = rng
        self._identifiers: set[int] = set()
        self._asked = 0

    def begin(self, now: float) -> None:
        """Ask, if that is not under way."""
        if self.due_s is None:
            self._asked, self.due_s = 0, now

    def hurry(self, now: float) -> None:
        """Do not wait for the end of a pause: there is another care-of address."""
        if self.due_s is not None and self._asked > DHAAD_RETRIES:
            self._asked, self.due_s = 0, now

    def end(self) -> None:
        """Ask no more."""
        self.due_s = None
        self._identifiers.clear()

    def request(self, sources: Sequence[tuple[IPv6Address, str]], now: float) -> list[Send]:
        """Return the request that is due.

        Args:
            sources: care-of addresses and their links, to be used in turn.
            now: monotonic seconds.
        """
        if not sources:
            self.end()
            return []
        if self._asked > DHAAD_RETRIES:  # the pause is over
            self._asked = 0
        source, link = sources[self._asked % len(sources)]
        wait_s = INITIAL_DHAAD_TIMEOUT_S * 2**self._asked
        self.due_s = now + (wait_s if self._asked < DHAAD_RETRIES else PAUSE_S)
        self._asked += 1
        identifier = self._rng.randrange(0x10000)
        self._identifiers.add(identifier)
        message = HomeAgentAddressDiscoveryRequest(identifier=identifier)
        envelope = Envelope(source=source, destination=self._anycast, link=link)
        return [Send(message=message, envelope=envelope)]

    def answered(self, reply: HomeAgentAddressDiscoveryReply) -> bool:
        """Tell whether a reply answers one of our requests, which ends the discovery."""
        if reply.identifier not in self._identifiers or not reply.addresses:
            return False
        self.end()
        return True
