"""What an operator decides, and the engines obey."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, IPv6Network
from math import inf

from mcoa.binding.routability import MAX_RR_BINDING_LIFETIME_S
from mcoa.engine.addresses import is_unicast_routable
from mcoa.wire.selectors import Ipv6TrafficSelector


class MultipleCareOf(Enum):
    """How a home agent or a correspondent treats Binding Identifier options (RFC 5648 §6.1, §6.2)."""

    ALLOW = "allow"
    PROHIBIT = "prohibit"  # answer with status 166
    IGNORE = "ignore"  # behave as an agent that has never heard of RFC 5648


class AtHome(Enum):
    """Which links a mobile node uses while one of them is its home link (RFC 5648 §5.5, §5.6)."""

    BOTH = "both"  # the home link and the visited ones
    HOME = "home"  # the home link alone; nothing is registered
    FOREIGN = "foreign"  # the visited links alone, as if the home link were not there


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePrefix:
    """A prefix of the home link; times are monotonic seconds."""

    network: IPv6Network
    valid_until_s: float = inf
    preferred_until_s: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAgentPolicy:
    """The home agent's side.

    Attributes:
        address: where mobile nodes send their updates.
        home_prefixes: none at all means that no home registration is served (status 131).
        home_addresses: who may register; None for any address of the home prefixes.
        max_home_addresses: mobile nodes served at a time.
        refresh_advice_s: told to mobile nodes; None for an agent whose bindings survive its
            restart (RFC 6275 §10.3.1).
        refresh_request_lead_s: how long before expiry a binding in use is asked for.
        simultaneous_home: permit home and visited links at once (RFC 5648 §5.6).
        only_router: no other router is on the home link, so that a mobile node at home may
            defend its home address itself (status 0 in place of 5, RFC 5648 §6.3).
        preference: among the home agents of the link; the higher, the earlier it is tried.
        flow_bindings: take the wishes of RFC 6089; False behaves as an agent that has never
            heard of them.
        max_flows_per_node: flow bindings that a mobile node may have.
        ipv4: bind IPv4 care-of addresses (RFC 5648 §8.1).
    """

    address: IPv6Address
    home_prefixes: tuple[HomePrefix, ...]
    home_addresses: frozenset[IPv6Address] | None = None
    multiple_care_of: MultipleCareOf = MultipleCareOf.ALLOW
    bulk: bool = True
    max_bindings_per_node: int = 8
    max_home_addresses: int = 1_000_000
    max_lifetime_s: int = 600
    duplicate_detection_s: float = 1.0
    detect_duplicates: bool = True
    refresh_advice_s: int | None = None
    refresh_request_lead_s: float = 10.0
    simultaneous_home: bool = True
    only_router: bool = False
    preference: int = 0
    flow_bindings: bool = True
    max_flows_per_node: int = 64
    ipv4: bool = False

    def home_prefix(self, address: IPv6Address) -> HomePrefix | None:
        """Return the home prefix that `address` is out of."""
        for prefix in self.home_prefixes:
            if address in prefix.network:
                return prefix
        return None

    def is_at_home(self, address: IPv6Address) -> bool:
        """Tell whether an address is none to tunnel to, because packets came back here."""
        return address == self.address or self.home_prefix(address) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrespondentPolicy:
    """The correspondent's side.

    Attributes:
        max_home_addresses: for which bindings are kept, or remembered after their end.
        max_lifetime_s: no more than what return routability is good for.
        refresh_request_lead_s: how long before expiry a binding in use is asked for.
    """

    multiple_care_of: MultipleCareOf = MultipleCareOf.ALLOW
    max_bindings_per_node: int = 8
    max_home_addresses: int = 10_000
    max_lifetime_s: int = MAX_RR_BINDING_LIFETIME_S
    refresh_request_lead_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPolicy:
    """An uplink of the mobile node.

    Attributes:
        bid: None leaves the choice to the node.
        both_families: bind its IPv6 and its IPv4 addresses, and not just those of one family.
    """

    name: str
    bid: int | None = None
    both_families: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPolicy:
    """A wish that the home agent is told (RFC 6089).

    Attributes:
        fid: names it; those of lower numbers come first.
        selector: what packets towards the mobile node have to be like.
        links: in order of preference.
        copies: packets go over all of them, and not just over the first that serves.
        rule: what an operator calls it; several may be of one rule.
    """

    fid: int
    selector: Ipv6TrafficSelector
    links: tuple[str, ...]
    copies: bool = False
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNodePolicy:
    """The mobile node's side.

    Attributes:
        home_prefix_length: addresses of the home prefix are never care-of addresses.
        links: in order of preference, which matters where one binding must do.
        multiple_care_of: False makes a plain RFC 6275 node (RFC 5648 §3).
        gather_s: how long after the first link the others may join its first update.
        at_home: what to do on the home link.
        home_agent: the one to begin with; None to have one found (RFC 6275 §11.4.1).
        other_home_agents: to be tried in this order when `home_agent` is silent or knows no
            Binding Identifier; what discovery finds comes after them.
        optimized: correspondents to talk to directly, where they know how (RFC 6275 §11.7.2).
        not_optimized: those of them to talk to through the home agent all the same; of two
            prefixes that match, the longer one decides.
        optimizes_at_home: talk to correspondents over visited links while the home link alone
            is used for everything else (RFC 5648 §3, figure 2).
        flows: what the home agent is told of flows.
        home_agent_by_ipv4: `home_agent` can also be reached over IPv4, so that IPv4 care-of
            addresses may be bound there.
        accepts_unprotected: believe Home Agent Switch, Binding Revocation and Mobile Prefix
            Advertisement though nothing proves their sender (RFC 5142 §4, RFC 5846 §5).
    """

    home_address: IPv6Address
    home_agent: IPv6Address | None
    links: tuple[LinkPolicy, ...]
    home_prefix_length: int = 64
    lifetime_s: int = 300
    multiple_care_of: bool = True
    bulk: bool = True
    gather_s: float = 0.2
    first_timeout_s: float = 1.5
    at_home: AtHome = AtHome.BOTH
    flows: tuple[FlowPolicy, ...] = ()
    other_home_agents: tuple[IPv6Address, ...] = ()
    optimized: tuple[IPv6Network, ...] = ()
    not_optimized: tuple[IPv6Network, ...] = ()
    optimizes_at_home: bool = False
    home_agent_by_ipv4: bool = False
    accepts_unprotected: bool = False

    def __post_init__(self) -> None:
        _refuse_repeats("link name", (link.name for link in self.links))
        _refuse_repeats("BID", (link.bid for link in self.links if link.bid is not None))

    @property
    def home_network(self) -> IPv6Network:
        """The prefix of the home link."""
        return IPv6Network((self.home_address, self.home_prefix_length), strict=False)

    def optimizes(self, correspondent: IPv6Address) -> bool:
        """Tell whether packets to and from a correspondent may go directly."""
        if correspondent == self.home_address or not is_unicast_routable(correspondent):
            return False
        wanted = _longest(correspondent, self.optimized)
        return wanted > _longest(correspondent, self.not_optimized)


def _longest(address: IPv6Address, prefixes: Iterable[IPv6Network]) -> int:
    """Return the length of the longest prefix of an address; -1 for none."""
    return max((each.prefixlen for each in prefixes if address in each), default=-1)


def _refuse_repeats(what: str, values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {value} is given twice")
        seen.add(value)
