"""Which home agent a mobile node registers with, out of those it knows (RFC 5648 §5.7)."""

from collections.abc import Iterable
from enum import Enum, IntEnum
from ipaddress import IPv6Address

from mcoa.engine.addresses import is_unicast_routable
from mcoa.engine.policy import MobileNodePolicy

AVOIDED_S = 60.0
"""How long an agent that did not do is not tried again while there are others."""

_MOST_AGENTS = 64  # anybody may answer a discovery request


class News(Enum):
    """What is to be known of the agent in use by whoever chose it."""

    SILENT = "it has not answered several copies"
    REFUSES = "it does not serve us, whatever we ask for"
    WITHOUT_IDENTIFIERS = "it knows no Binding Identifier, or may not use it"
    BOUND_ONE_ADDRESS = "it knows none either, and has bound one care-of address"
    LEFT = "it holds nothing of us any more, as was wanted"
    PREFIXES_CHANGED = "it wants to be asked for the prefixes of the home link"


class _Standing(IntEnum):
    """What is known of an agent; the lower, the better."""

    GOOD = 0
    WITHOUT_IDENTIFIERS = 1
    AVOIDED = 2


class AgentChoice:
    """The known home agents, in order of preference, and the one in use.

    Attributes:
        current: None as long as none is known.
        may_discover: the link may be asked for home agents.
    """

    def __init__(self, policy: MobileNodePolicy) -> None:
        self._home_address = policy.home_address
        configured = () if policy.home_agent is None else (policy.home_agent,)
        self._known = list(dict.fromkeys((*configured, *policy.other_home_agents)))
        self._poor: set[IPv6Address] = set()
        self._avoided_until_s: dict[IPv6Address, float] = {}
        self.may_discover = policy.home_agent is None
        self.current: IPv6Address | None = self._known[0] if self._known else None

    def learn(self, addresses: Iterable[IPv6Address]) -> None:
        """Take in what discovery found, after all that was known."""
        new = (a for a in addresses if self._is_possible(a) and a not in self._known)
        self._known += list(dict.fromkeys(new))[: _MOST_AGENTS - len(self._known)]

    def prefer(self, addresses: Iterable[IPv6Address]) -> None:
        """Take in where the agent in use wants its mobile node to go (RFC 5142)."""
        wanted = [each for each in dict.fromkeys(addresses) if self._is_possible(each)]
        for each in wanted:
            self._avoided_until_s.pop(each, None)
            self._poor.discard(each)
        kept = [each for each in self._known if each not in wanted]
        self._known = [*wanted, *kept][:_MOST_AGENTS]

    def lacks_identifiers(self) -> None:
        """The agent in use knows no Binding Identifier."""
        if self.current is not None:
            self._poor.add(self.current)

    def avoid(self, now: float) -> None:
        """The agent in use does not answer, refuses, or sends us away."""
        if self.current is not None:
            self._avoided_until_s[self.current] = now + AVOIDED_S

    def best(self, now: float) -> IPv6Address | None:
        """Return the agent to be used; None when discovery is to find a better one first."""
        best = self.best_known(now)
        if best is None or not self.may_discover:
            return best
        return None if self._standing(best, now) is _Standing.AVOIDED else best

    def best_known(self, now: float) -> IPv6Address | None:
        """Return the best agent that is known, and be it one that failed: the longest ago then."""

        def rank(agent: IPv6Address) -> tuple[int, float]:
            standing = self._standing(agent, now)
            is_avoided = standing is _Standing.AVOIDED
            return standing, self._avoided_until_s[agent] if is_avoided else 0.0

        return min(self._known, key=rank, default=None)

    def must_discover(self, now: float) -> bool:
        """Tell whether discovery is what is left."""
        return self.may_discover and self.best(now) is None

    def better(self, now: float) -> IPv6Address | None:
        """Return an agent of better standing than the one in use; None where there is none."""
        best = self.best(now)
        if best is None or self.current is None:
            return best
        is_better = self._standing(best, now) < self._standing(self.current, now)
        return best if is_better else None

    def _is_possible(self, address: IPv6Address) -> bool:
        return is_unicast_routable(address) and address != self._home_address

    def _standing(self, agent: IPv6Address, now: float) -> _Standing:
        if self._avoided_until_s.get(agent, 0.0) > now:
            return _Standing.AVOIDED
        return _Standing.WITHOUT_IDENTIFIERS if agent in self._poor else _Standing.GOOD
