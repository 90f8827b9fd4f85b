"""All that an engine can be told, and all that it can ask of its runtime."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address
from typing import Protocol

from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
)
from mcoa.wire.messages import Message

Discovery = (
    HomeAgentAddressDiscoveryRequest
    | HomeAgentAddressDiscoveryReply
    | MobilePrefixSolicitation
    | MobilePrefixAdvertisement
)
"""What mobile nodes and home agents say by ICMPv6 (RFC 6275 §6.5-6.8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpEnd:
    """The mobile node's end of the UDP over IPv4 that a packet travels in (RFC 5555 §4).

    Attributes:
        address: an IPv4-mapped one; at an agent what a NAT made of it.
        port: likewise; 0 at the mobile node itself, which need not care.
    """

    address: IPv6Address
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a packet says besides its message; for a received packet, what it proves.

    Attributes:
        home_address: of the Home Address option (RFC 6275 §6.3); None without one.
        routing_header_home_address: of the type 2 routing header (RFC 6275 §6.4).
        link: name of the mobile node's link that the packet uses; None at a home agent.
        link_layer_address: of the mobile node on the home link, to which a home agent sends
            the packet in a frame of its own making; None leaves the way to routing.
        tunnelled: the packet travels inside the tunnel between mobile node and home agent.
        udp: it travels in UDP over IPv4 between the two; None where all is IPv6.
    """

    source: IPv6Address
    destination: IPv6Address
    home_address: IPv6Address | None = None
    routing_header_home_address: IPv6Address | None = None
    link: str | None = None
    link_layer_address: bytes | None = None
    tunnelled: bool = False
    udp: UdpEnd | None = None

    @property
    def origin(self) -> IPv6Address:
        """Where the sender is: of an IPv4-mapped address in UDP, else the source."""
        return self.source if self.udp is None else self.udp.address

    @property
    def sender(self) -> IPv6Address:
        """Who the sender is: the home address of a mobile node that said it."""
        return self.home_address or self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message that passed its checksum.

    Attributes:
        header: the octets of a Mobility Header, where it may have to be authenticated; else
            empty.
    """

    message: Message | Discovery
    envelope: Envelope
    header: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send `message` in a packet of this envelope."""

    message: Message | Discovery
    envelope: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingsChanged:
    """The data plane must re-read what `home_address` is bound to.

    Attributes:
        own_address: at a correspondent, the one of its addresses that holds the bindings.
    """

    home_address: IPv6Address
    own_address: IPv6Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remember:
    """The durable record of `home_address` changed: store it before any later Send leaves."""

    home_address: IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectDuplicate:
    """Ask the home link whether somebody uses `home_address` (RFC 4862 §5.4)."""

    home_address: IPv6Address


class Interception(Enum):
    """How a home agent gets the packets for a home address."""

    NONE = "not at all"
    ROUTING = "what is routed through it; the mobile node itself answers its neighbours"
    PROXY = "what is routed through it, and by answering neighbours (RFC 6275 §10.4.1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intercept:
    """Get the packets for `home_address` in this way from now on (RFC 5648 §5.6.2).

    It may be the link-local address of a mobile node, which is defended alone.

    To begin with PROXY, or to come back to it, is announced to all nodes on the link, without
    another duplicate address detection.
    """

    home_address: IPv6Address
    by: Interception


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChanged:
    """Tunnel to another home agent from now on; None as long as none is known."""

    home_agent: IPv6Address | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """Tell all nodes on the home link that `home_address` is found here (RFC 6275 §11.5.5)."""

    home_address: IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Something an operator may want to know; `event` is a fixed name."""

    event: str
    home_address: IPv6Address | None = None
    detail: str = ""


Action = (
    Send
    | BindingsChanged
    | Remember
    | DetectDuplicate
    | Intercept
    | AgentChanged
    | Announce
    | Report
)


class Engine(Protocol):
    """A protocol role without I/O; times are monotonic seconds, chosen by the caller."""

    def receive(self, received: Received, now: float) -> list[Action]:
        """Take in one message."""
        ...

    def next_deadline(self) -> float | None:
        """Return when handle_timer() is due, or None."""
        ...

    def handle_timer(self, now: float) -> list[Action]:
        """Do what is due; an early or repeated call does nothing."""
        ...
