"""What leaves a mobile node by its links: tunnel packets, datagrams, signalling, frames at home.

The counterpart of `arrivals`.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mcoa.dataplane.path import Path
from mcoa.dataplane.trains import Segments
from mcoa.engine.actions import Send
from mcoa.runtime.at_home import AtHome
from mcoa.runtime.signalling import emit_signalling
from mcoa.runtime.sockets import Endpoint, endpoint
from mcoa.runtime.udp_socket import ENCAPSULATION_PORT
from mcoa.runtime.uplink import Uplink

_MOST_PEERS: Final = 4096
_NOWHERE: Final = IPv4Address(0)


class Departures:
    """The exits of a mobile node, each by the sockets of a link.

    Args:
        home_address: of this node.
        home_agent: to which tunnels lead.
        home_agent_ipv4: where it takes datagrams; None for one that does not.
        at_home: sends frames.

    Attributes:
        uplinks: by the names of the links; to be filled by the owner.
    """

    def __init__(
        self,
        home_address: IPv6Address,
        home_agent: IPv6Address,
        home_agent_ipv4: IPv4Address | None,
        at_home: AtHome,
    ) -> None:
        self.uplinks: dict[str, Uplink] = {}
        self._home_address = home_address
        self._at_home = at_home
        self._datagrams_to = (str(home_agent_ipv4 or _NOWHERE), ENCAPSULATION_PORT)
        self._peers_at: dict[bytes, Endpoint] = {}
        self.change_agent(home_agent)

    def change_agent(self, home_agent: IPv6Address) -> None:
        """Send tunnel packets to another home agent."""
        self._agent, self._agent_at = home_agent.packed, endpoint(home_agent)

    def packet(self, path: Path, packet: bytes) -> int:
        """Send a packet to the agent or a correspondent; see Emit."""
        destination = packet[24:40]
        to = self._agent_at if destination == self._agent else self._at(destination)
        return self.uplinks[path.link].send(packet, to)

    def frame(self, _path: Path, packet: bytes) -> int:
        """Send a packet over the home link; see Emit."""
        return self._at_home.send(packet)

    def datagram(self, path: Path, packet: bytes) -> None:
        """Send a packet in UDP over IPv4."""
        uplink = self.uplinks[path.link]
        uplink.send_datagram(path.care_of_address, packet, self._datagrams_to)

    def datagrams(self, path: Path, segments: Segments) -> None:
        """Do so with packets in a row."""
        uplink = self.uplinks[path.link]
        uplink.send_datagrams(path.care_of_address, segments, self._datagrams_to)

    def signalling(self, send: Send) -> None:
        """Send a message that does not go through the tunnel; without a link, nowhere."""
        envelope = send.envelope
        if envelope.link is None:
            return
        packet, uplink = emit_signalling(send), self.uplinks[envelope.link]
        if envelope.udp is not None:
            uplink.send_datagram(envelope.udp.address.packed, packet, self._datagrams_to)
        elif envelope.source == self._home_address:
            self._at_home.send(packet)
        else:
            uplink.send(packet, endpoint(envelope.destination))

    def answer(self, packet: bytes) -> None:
        """Send a packet from one of our care-of addresses; from any other one it goes nowhere."""
        to = endpoint(IPv6Address(packet[24:40]))
        for uplink in self.uplinks.values():
            uplink.send(packet, to)

    def close(self) -> None:
        """Close all sockets."""
        for uplink in self.uplinks.values():
            uplink.close()

    def _at(self, peer: bytes) -> Endpoint:
        known = self._peers_at.get(peer)
        if known is None:
            if len(self._peers_at) >= _MOST_PEERS:
                self._peers_at.clear()
            known = self._peers_at[peer] = endpoint(IPv6Address(peer))
        return known
