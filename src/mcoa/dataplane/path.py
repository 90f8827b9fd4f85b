"""One way to reach the other end: what it is (Path) and how it fares (PathState)."""

from collections.abc import Callable
from dataclasses import dataclass

from mcoa.dataplane.packet import MINIMUM_MTU, TUNNEL_OVERHEAD
from mcoa.dataplane.path_mtu import PathMtu


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A care-of address that a home address is bound to.

    Attributes:
        bid: 0 for a plain binding without a BID (RFC 6275).
        care_of_address: sixteen octets.
        weight: what the path carries in relation to others, usually its Mbit/s.
        mtu: of the path as far as it is known; octets.
        link: the name of the link at the mobile node; empty elsewhere.
        home: the way over the home link, where packets travel as they are; its care-of
            address is the home address (RFC 5648 §5.6.3).
        link_layer_address: of the mobile node on the home link, at the home agent; empty
            where it has to be asked for.
        overhead: octets that the packets on the path have more than those of applications.
        direct_only: the path leads to correspondents alone; there is no tunnel.
        device: index of the interface that packets leave by; 0 where routing tables say.
        frame: Ethernet's header to the router on that interface; empty to have it looked up.
        port: UDP port of the other end, where packets travel in UDP over IPv4; the care-of
            address is an IPv4-mapped one there. 0 for all other paths.
        priority: flows without a rule use the paths of the lowest one that are not down, and of
            those any (RFC 6089 §5.1.1).
    """

    bid: int
    care_of_address: bytes
    weight: float = 1.0
    mtu: int = 1500
    link: str = ""
    home: bool = False
    link_layer_address: bytes = b""
    overhead: int = TUNNEL_OVERHEAD
    direct_only: bool = False
    device: int = 0
    frame: bytes = b""
    port: int = 0
    priority: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.bid <= 0xFFFF:
            raise ValueError(f"BID {self.bid} is not within 0..65535")
        if len(self.care_of_address) != 16:
            raise ValueError("a care-of address has sixteen octets")
        if self.weight <= 0:
            raise ValueError(f"weight {self.weight} is not above zero")
        if self.mtu < MINIMUM_MTU:
            raise ValueError(f"MTU {self.mtu} is below the 1280 octets of every IPv6 link")


Emit = Callable[[Path, bytes], int | None]
"""Sends a whole outer packet. Where the path takes less, it sends nothing and returns the
octets that it takes; else None or 0."""


def _nobody(_state: "PathState") -> None:
    """Tell nobody."""


class PathState:
    """A path in use. It outlives changes of its care-of address, and a return of its BID.

    Attributes:
        path: the value that was last given for this BID.
        home_address: whose path it is.
        prefix: the constant part of the tunnel header towards the other end.
        bound: the BID is among the bindings now.
        down: the path is known not to deliver.
        outer_room: octets of the largest packet on the path; 0 while it is unbound or down.
        room: octets of the largest inner packet that needs no second thought; 0 while the
            path is unbound or down, and where there is no tunnel, so that one comparison on
            the way of a packet says all.
        mtu: what is known about the path's MTU.
        active_flows: flows on this path that had packets of late.
        round_trip_s: of probes; None where there are none.
        verified_at_s: when something last came in over this path.
        packets_out, octets_out, packets_in, octets_in: inner packets carried.
    """

    __slots__ = (
        "_settled",
        "active_flows",
        "bound",
        "down",
        "home_address",
        "mtu",
        "octets_in",
        "octets_out",
        "outer_room",
        "packets_in",
        "packets_out",
        "path",
        "prefix",
        "room",
        "round_trip_s",
        "verified_at_s",
    )

    def __init__(
        self,
        path: Path,
        prefix: bytes,
        *,
        home_address: bytes = b"",
        settled: Callable[["PathState"], object] = _nobody,
    ) -> None:
        """Make the state of a bound path; `settled` is told when what it takes may be another."""
        self.path = path
        self.home_address = home_address
        self._settled = settled
        self.prefix = prefix
        self.bound = True
        self.down = False
        self.mtu = PathMtu(path.mtu, path.overhead)
        self.active_flows = 0
        self.round_trip_s: float | None = None
        self.verified_at_s = 0.0
        self.packets_in = self.octets_in = self.packets_out = self.octets_out = 0
        self.settle()

    def adopt(self, path: Path, prefix: bytes) -> None:
        """Become `path`, bound from now on; another care-of address is another network."""
        if path.care_of_address != self.path.care_of_address:
            self.down, self.round_trip_s = False, None
            self.mtu = PathMtu(path.mtu, path.overhead)
        self.mtu.link = path.mtu
        self.path = path
        self.prefix = prefix
        self.bound = True
        self.settle()

    def release(self) -> None:
        """Be no longer among the bindings."""
        self.bound = self.down = False
        self.settle()

    @property
    def live(self) -> bool:
        """True while the path may be chosen."""
        return self.bound and not self.down

    @property
    def load(self) -> float:
        """What the path would carry with one more flow, in relation to its weight."""
        return (self.active_flows + 1) / self.path.weight

    def settle(self, now: float = 0.0) -> None:
        """Bring the rooms in line with the rest; `now` matters once an MTU was learned."""
        self.outer_room = self.mtu.path(now) if self.live else 0
        # What has no tunnel header takes another way.
        is_bare = self.path.home or self.path.direct_only or self.path.port
        is_short = self.live and not is_bare
        self.room = self.mtu.tunnel(now) if is_short else 0
        self._settled(self)
