"""The status of a running node, schema "mcoa.status/1": what `mcoa show --json` prints.

The daemon fills the values below, Status.as_object() makes the JSON object. Its keys are
the names of the attributes; addresses are text, absent things null, times seconds (rounded
to a thousandth), sizes octets, and nothing in it is secret. Keys may be added within schema 1,
never renamed or given another meaning:

    schema, version, role, name, security, pid, uptime_s, device, data_plane,
    home_addresses, peers, bindings, bindings_total, links, flows, rules, counters, warnings

`security` is "none" where signalling is not protected; every view has to say so loudly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

from mcoa import __version__

SCHEMA = "mcoa.status/1"
MOST_BINDINGS = 10_000  # listed; a home agent may hold a million
UNPROTECTED = "security is none: signalling is not protected, use it in tests alone"

Address = IPv6Address | IPv4Address


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """The device that mobile traffic goes through."""

    name: str
    mtu: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingLine:
    """One entry of the binding cache or the binding update list.

    Attributes:
        bid: None for a plain RFC 6275 binding.
        link: name of the mobile node's link; None at a home agent.
        state: "registered", "registering", "deregistering", "rejected", "waiting", ...
        remaining_lifetime_s: until it expires; None while nothing is granted.
        last_status: of the last acknowledgement; None before the first.
        last_status_phrase: the same in words.
        home: of the home link (RFC 5648 §5.6.3).
        correspondent: at which the binding is; None for that of the home agent.
        port: of the UDP over IPv4 that packets travel in, at the agent; None in tunnels of IPv6.
        nat: one stands before the care-of address.
    """

    home_address: Address
    bid: int | None
    care_of_address: Address | None
    state: str
    link: str | None = None
    remaining_lifetime_s: float | None = None
    last_status: int | None = None
    last_status_phrase: str | None = None
    priority: int | None = None
    home: bool = False
    correspondent: Address | None = None
    port: int | None = None
    nat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """A node that we register with, or that registers with us.

    Attributes:
        role: what the peer is, such as "home-agent".
        state: in a word or two, such as "registered", "no answer".
        multiple_care_of: whether the peer knows RFC 5648; None while unknown.
        last_heard_s: how long ago it spoke.
        bindings: what a correspondent has bound, or is to bind; those of a home agent are the
            node's.
    """

    address: Address
    role: str
    state: str | None = None
    multiple_care_of: bool | None = None
    sequence: int | None = None
    last_heard_s: float | None = None
    bindings: tuple[BindingLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatus:
    """One uplink of a mobile node, or the home link of an agent.

    Attributes:
        state: "up", "home", "no address", "no carrier", "router silent", "missing", "silent"
            for one over which the home agent does not answer, "lossy", "disabled", ...
        weight: usual Mbit/s.
        flows: that use it now.
        sent_octets: of user packets in the tunnel, since the daemon began.
        jitter_s: by how much round trips differ.
        loss: share of the last probes that had no answer, 0 to 1.
        last_heard_s: how long ago an answer came in over it.
    """

    name: str
    interface: str
    state: str
    bid: int | None = None
    addresses: tuple[Address, ...] = ()
    weight: float | None = None
    mtu: int | None = None
    flows: int | None = None
    sent_octets: int | None = None
    received_octets: int | None = None
    round_trip_s: float | None = None
    jitter_s: float | None = None
    loss: float | None = None
    last_heard_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowsStatus:
    """How many flows there are, and how often one had to change its path.

    Attributes:
        by_path: flows by the name of their link or "BID n"; empty where not counted.
    """

    total: int = 0
    moved: int = 0
    by_path: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStatus:
    """A rule for flows, and what became of it.

    Attributes:
        how: "stick", "spread", "lowest-latency" or "duplicate".
        links: that its flows choose from.
        agent: what the home agent says to it: "accepted", "pending", "refused" or "not
            supported"; None where it is not told, and follows the packets of the flow.
        flows: that have this rule now.
        by_link: those flows by the link that carries them.
    """

    name: str
    how: str
    links: tuple[str, ...]
    agent: str | None = None
    flows: int = 0
    by_link: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All that a view of a node can show.

    Attributes:
        role: "home-agent", "mobile-node" or "correspondent".
        security: "none", or what protects the signalling.
        data_plane: the back end, such as "userspace".
        home_addresses: the node's own, or the prefixes that an agent serves.
        bindings_total: where more are held than `bindings` lists; None where not.
        counters: of events and packets, by fixed names.
        warnings: sentences that ask for a look; that of missing protection is added here.
    """

    role: str
    name: str
    security: str
    pid: int
    uptime_s: float
    device: DeviceStatus
    data_plane: str
    home_addresses: tuple[Address | IPv6Network, ...] = ()
    peers: tuple[PeerStatus, ...] = ()
    bindings: Iterable[BindingLine] = ()
    bindings_total: int | None = None
    links: tuple[LinkStatus, ...] = ()
    flows: FlowsStatus = field(default_factory=FlowsStatus)
    rules: tuple[RuleStatus, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def as_object(self) -> dict[str, Any]:
        """Return the JSON object; `bindings` is read as far as it is listed, and once."""
        listed = [_plain(binding) for binding in islice(self.bindings, MOST_BINDINGS)]
        unprotected = (UNPROTECTED,) if self.security == "none" else ()
        plain = {
            part.name: _plain(getattr(self, part.name))
            for part in fields(self)
            if part.name != "bindings"
        }
        return (
            {"schema": SCHEMA, "version": __version__}
            | plain
            | {
                "bindings": listed,
                "bindings_total": max(self.bindings_total or 0, len(listed)),
                "warnings": [*unprotected, *self.warnings],
            }
        )


def _plain(value: object) -> Any:
    """Return a value as JSON has it."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return round(value, 3) if isfinite(value) else None
        case IPv6Address() | IPv4Address() | IPv6Network() | Path():
            return str(value)
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case (
            DeviceStatus()
            | PeerStatus()
            | BindingLine()
            | LinkStatus()
            | FlowsStatus()
            | RuleStatus()
        ):
            return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
        case _:
            raise ValueError(f"{type(value).__name__} has no place in a status")
