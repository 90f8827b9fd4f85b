"""Mobile nodes made by script: they change their bindings as fast as they are acknowledged."""

import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from random import Random

from mcoa.engine.actions import Envelope, Send
from mcoa.lab.namespaces import Namespace
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.signalling import SignallingError, emit_signalling, parse_signalling
from mcoa.runtime.undo import Journal
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingStatus, UpdateFlag

ACCESS = IPv6Network("2001:db8:7::/64")
"""Where their care-of addresses are: all of it is routed to the script."""

BIDS = range(1, 7)
LIFETIME_S = 600
PATIENCE_S = 0.05
FLAGS = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME
GONE = {BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE, BindingStatus.MCOA_UNKNOWN_COA}


@dataclass(slots=True, kw_only=True)
class Node:
    """One mobile node.

    Attributes:
        held: what the agent has acknowledged.
        bid, wanted: what the update under way is to change; a BID of 0 stands for none.
    """

    home_address: IPv6Address
    sequence: int
    held: dict[int, IPv6Address] = field(default_factory=dict)
    bid: int = 0
    wanted: IPv6Address | None = None
    sent_at_s: float = 0.0

    def allowed(self, bid: int) -> set[IPv6Address | None]:
        """Return what the agent may hold of a BID."""
        doubtful = {self.wanted} if bid == self.bid else set()
        return {self.held.get(bid), *doubtful}


def open_access(namespace: Namespace, directory: Path) -> Tun:
    """Make the device that gets all packets for ACCESS in a namespace."""

    def make() -> Tun:
        with Netlink() as netlink:
            journal = Journal.open(directory / "access.undo")
            return Tun.open("access0", mtu=1500, netlink=netlink, journal=journal)

    tun = namespace.call(make)
    namespace.ip(f"route add {ACCESS} dev access0")
    namespace.sysctl(conf__all__forwarding=1)
    return tun


class Churn:
    """Nodes that never rest, on one device; `rng` decides what they do."""

    def __init__(
        self, access: Tun, agent: IPv6Address, homes: list[IPv6Address], rng: Random
    ) -> None:
        self._access = access
        self._agent = agent
        self._rng = rng
        self.nodes = {
            home: Node(home_address=home, sequence=rng.randrange(0x10000)) for home in homes
        }
        self.acknowledged = 0

    def run(self, duration_s: float, is_enough: Callable[[], bool] = lambda: False) -> bool:
        """Go on for a while, or until it is enough; tells whether it was."""
        end = time.monotonic() + duration_s
        while (now := time.monotonic()) < end:
            if is_enough():
                return True
            for node in self.nodes.values():
                if not node.bid:
                    self._wish(node)
                if now - node.sent_at_s > PATIENCE_S:
                    self._send(node, now)
            if select.select([self._access], [], [], 0.005)[0]:
                for packet in self._access.receive():
                    self._receive(packet)
        return is_enough()

    def _wish(self, node: Node) -> None:
        node.bid = self._rng.choice(BIDS)
        is_over = node.bid in node.held and self._rng.random() < 0.4
        node.wanted = None if is_over else ACCESS[self._rng.randrange(1, 1 << 32)]
        node.sent_at_s = 0.0

    def _send(self, node: Node, now: float) -> None:
        # What is sent again has a new number: the first may have been taken.
        node.sequence = (node.sequence + 1) & 0xFFFF
        node.sent_at_s = now
        update = BindingUpdate(
            sequence=node.sequence,
            flags=FLAGS,
            lifetime_s=LIFETIME_S if node.wanted else 0,
            options=(BindingIdentifier(bid=node.bid, care_of_address=node.wanted),),
        )
        envelope = Envelope(
            source=node.wanted or ACCESS[1],
            destination=self._agent,
            home_address=node.home_address,
        )
        self._access.send(emit_signalling(Send(message=update, envelope=envelope)))

    def _receive(self, packet: bytes) -> None:
        try:
            received = parse_signalling(packet)
        except SignallingError:
            return  # an ICMPv6 error, while nobody serves
        message, home = received.message, received.envelope.routing_header_home_address
        if not isinstance(message, BindingAcknowledgement) or home is None:
            return
        node = self.nodes[home]
        if message.status is BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW:
            raise AssertionError(f"{home} sent {node.sequence}, agent had {message.sequence}")
        if message.sequence != node.sequence or not node.bid:
            return
        self._apply(node, message.status)

    def _apply(self, node: Node, status: BindingStatus) -> None:
        if node.wanted is None:
            assert status in {BindingStatus.ACCEPTED, *GONE}
            node.held.pop(node.bid, None)
        else:
            assert status is BindingStatus.ACCEPTED
            node.held[node.bid] = node.wanted
        node.bid = 0
        self.acknowledged += 1
