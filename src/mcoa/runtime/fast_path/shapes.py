"""What packets look like on the paths of a role: how they leave, and what they come in as."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mcoa.dataplane.datagrams import UDP_OVERHEAD
from mcoa.dataplane.direct import DIRECT_OVERHEAD
from mcoa.dataplane.fast_path import Form
from mcoa.dataplane.packet import TUNNEL_OVERHEAD
from mcoa.dataplane.path import Path
from mcoa.runtime.fast_path.layout import Entrance, FlowFlag, Role, Settings, Way
from mcoa.runtime.udp_socket import ENCAPSULATION_PORT

_MAC_OCTETS = 6
_ETHERNET_IPV6 = b"\x86\xdd"

OVERHEADS = {
    Form.NONE: 0,
    Form.FRAME: 0,
    Form.TUNNEL: TUNNEL_OVERHEAD,
    Form.UDP: UDP_OVERHEAD,
    Form.HOME_ADDRESS: DIRECT_OVERHEAD,
    Form.ROUTING_HEADER: DIRECT_OVERHEAD,
}
"""Octets that packets of a form have more than those of applications."""


def frame_to(neighbour: bytes, own: bytes) -> bytes:
    """Return Ethernet's header for IPv6 to a neighbour; empty where one of the two is unknown."""
    is_ethernet = len(neighbour) == _MAC_OCTETS == len(own)
    return neighbour + own + _ETHERNET_IPV6 if is_ethernet else b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One way of a path, and the entrance of what comes in by it, if anything does."""

    way: Way
    entrance: Entrance | None


def _there_and_back(home_address: bytes, path: Path, near: bytes, far: bytes) -> Shape | None:
    """Return a tunnel between two addresses, or UDP over IPv4 where the path has a port.

    Our own port is the usual one, which the other end answers to. None where an end has no
    address of that kind.
    """
    if not near or not far:
        return None
    form = Form.UDP if path.port else Form.TUNNEL
    way = Way(
        form=form,
        room=path.mtu - OVERHEADS[form],
        device=path.device,
        frame=path.frame,
        source=near,
        source_port=ENCAPSULATION_PORT if path.port else 0,
        destination=far,
        destination_port=path.port,
    )
    entrance = Entrance(
        form=form,
        home=home_address,
        source=far,
        source_port=path.port,
        destination=near,
    )
    return Shape(way=way, entrance=entrance)


class Shapes(Protocol):
    """How a role's packets travel.

    Attributes:
        inbound_flags: what an inbound packet must have to be known.
    """

    inbound_flags: FlowFlag

    def settings(self, device: int) -> Settings:
        """Return what holds for all packets; `device` is the index of the role's own."""
        ...

    def home_key(self, home_address: bytes) -> tuple[bytes, bytes]:
        """Return the home address, and what it is bound for; the latter mostly zeros."""
        ...

    def tunnel(self, home_address: bytes, path: Path) -> Shape | None:
        """Return how packets travel by a path as such."""
        ...

    def direct(self, home_address: bytes, path: Path) -> Shape | None:
        """Return how they travel without a tunnel."""
        ...


class HomeAgentShapes:
    """Tunnels from the service address; over the home link, frames."""

    inbound_flags = FlowFlag.SAME_WAY

    def __init__(
        self, address: bytes, own_mac: Callable[[], bytes], *, ipv4: bytes = b""
    ) -> None:
        """Take the service address, and the IPv4-mapped one for UDP; empty where there is none."""
        self._address = address
        self._ipv4 = ipv4
        self._own_mac = own_mac

    def settings(self, device: int) -> Settings:
        """Return what holds for all packets."""
        return Settings(role=Role.HOME_AGENT, device=device, address=self._address)

    def home_key(self, home_address: bytes) -> tuple[bytes, bytes]:
        """Return the home address."""
        return home_address, bytes(16)

    def tunnel(self, home_address: bytes, path: Path) -> Shape | None:
        """Return a tunnel, or a frame to a link-layer address that is known."""
        if path.home:
            return self._frame(path)
        near = self._ipv4 if path.port else self._address
        return _there_and_back(home_address, path, near, path.care_of_address)

    def direct(self, home_address: bytes, path: Path) -> Shape | None:
        """Return nothing: an agent has no other way."""
        del home_address, path
        return None

    def _frame(self, path: Path) -> Shape | None:
        frame = frame_to(path.link_layer_address, self._own_mac())
        if not frame or not path.device:
            return None
        way = Way(form=Form.FRAME, room=path.mtu, device=path.device, frame=frame)
        return Shape(way=way, entrance=None)


class MobileNodeShapes:
    """Tunnels from care-of addresses to the agent; without one, with a Home Address option.

    Attributes:
        home_agent: sixteen octets.
        home_agent_ipv4: IPv4-mapped; empty for an agent that has none.
    """

    inbound_flags = FlowFlag.SAME_FORM

    def __init__(self, home_address: bytes, home_agent: bytes) -> None:
        self._home_address = home_address
        self.home_agent = home_agent
        self.home_agent_ipv4 = b""

    def settings(self, device: int) -> Settings:
        """Return what holds for all packets."""
        return Settings(role=Role.MOBILE_NODE, device=device)

    def home_key(self, home_address: bytes) -> tuple[bytes, bytes]:
        """Return what stands for the home address."""
        return home_address.ljust(16, b"\0"), bytes(16)

    def tunnel(self, home_address: bytes, path: Path) -> Shape | None:
        """Return a tunnel; the home link is the kernel's and the daemon's business."""
        if path.home or path.direct_only or not path.device:
            return None
        far = self.home_agent_ipv4 if path.port else self.home_agent
        return _there_and_back(home_address, path, path.care_of_address, far)

    def direct(self, home_address: bytes, path: Path) -> Shape | None:
        """Return the way to correspondents, who put a type 2 routing header in."""
        del home_address  # a path to correspondents alone stands under another name
        if path.home or path.port or not path.device:
            return None
        way = Way(
            form=Form.HOME_ADDRESS,
            room=path.mtu - DIRECT_OVERHEAD,
            device=path.device,
            frame=path.frame,
            source=path.care_of_address,
        )
        entrance = Entrance(
            form=Form.ROUTING_HEADER,
            home=self._home_address,
            destination=path.care_of_address,
        )
        return Shape(way=way, entrance=entrance)


class CorrespondentShapes:
    """A type 2 routing header out, a Home Address option in."""

    inbound_flags = FlowFlag.SAME_WAY

    def settings(self, device: int) -> Settings:
        """Return what holds for all packets."""
        return Settings(role=Role.CORRESPONDENT, device=device)

    def home_key(self, home_address: bytes) -> tuple[bytes, bytes]:
        """Return both ends: the table has our address before the home address."""
        return home_address[16:], home_address[:16]

    def tunnel(self, home_address: bytes, path: Path) -> Shape | None:
        """Return nothing: a correspondent has no tunnel."""
        del home_address, path
        return None

    def direct(self, home_address: bytes, path: Path) -> Shape | None:
        """Return the way to a care-of address."""
        if not path.device:
            return None
        own, home = home_address[:16], home_address[16:]
        way = Way(
            form=Form.ROUTING_HEADER,
            room=path.mtu - DIRECT_OVERHEAD,
            device=path.device,
            source=own,
            destination=path.care_of_address,
        )
        entrance = Entrance(
            form=Form.HOME_ADDRESS, home=home, source=path.care_of_address, destination=own
        )
        return Shape(way=way, entrance=entrance)
