"""An end of a path in UDP over IPv4, in user space: forwarder, device and socket, nothing else.

What the ends are bound to stands in the order; no signalling has a part in it.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path as FilePath
from random import SystemRandom
from typing import Final, NamedTuple, Self

from mcoa.dataplane.datagrams import UDP_OVERHEAD
from mcoa.dataplane.home_agent import HomeAgentForwarder
from mcoa.dataplane.mobile_node import MobileNodeForwarder
from mcoa.dataplane.path import Path
from mcoa.dataplane.trains import Segments, Train, couple
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.readiness import deliver
from mcoa.runtime.udp_socket import ENCAPSULATION_PORT, Datagrams, UdpSocket
from mcoa.runtime.undo import Journal

_MTU: Final = 1500
_BID: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramOrder:
    """Which end it is, "agent" or "node", and all addresses."""

    role: str
    home_address: str
    agent: str
    node_4: str
    agent_4: str
    directory: str

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what to_json() wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self))


class Forwarding(NamedTuple):
    """What a role does with what comes."""

    from_device: Callable[[bytes, float], None]
    train_from_device: Callable[[Train, float], None]
    from_network: Callable[[Datagrams, float], None]


class DatagramEnd:
    """Sends what a forwarder gives it to the far end."""

    def __init__(self, order: DatagramOrder) -> None:
        own, far = order.node_4, order.agent_4
        if order.role == "agent":
            own, far = far, own
        self.socket = UdpSocket(IPv4Address(own))
        self.far = IPv6Address(f"::ffff:{far}").packed
        self._to = (far, ENCAPSULATION_PORT)

    def join(self, forwarder: HomeAgentForwarder | MobileNodeForwarder, tun: Tun) -> None:
        """Let a forwarder send by this end, and its trains to its device."""
        forwarder.write_train = tun.send_train
        forwarder.datagrams.emit = lambda _path, packet: self.socket.send(packet, self._to)
        forwarder.datagrams.emit_segments = self._emit_segments

    def _emit_segments(self, _path: Path, segments: Segments) -> None:
        self.socket.send_segments(segments, self._to)


def _serve_agent(order: DatagramOrder, end: DatagramEnd, tun: Tun) -> Forwarding:
    forwarder = HomeAgentForwarder(
        address=IPv6Address(order.agent).packed,
        write=tun.send,
        deliver=_nobody,
        report=_nobody,
        rng=SystemRandom(),
    )
    end.join(forwarder, tun)
    forwarder.table.replace(IPv6Address(order.home_address).packed, (_path(order),))

    def from_network(arrived: Datagrams, now: float) -> None:
        outer = (arrived.source, arrived.port, arrived.traffic_class)
        for each in couple(arrived.segments):
            if isinstance(each, Train):
                forwarder.train_from_datagrams(outer, each, now)
            else:
                forwarder.from_datagram(outer, each, now)

    return Forwarding(forwarder.from_device, forwarder.train_from_device, from_network)


def _serve_node(order: DatagramOrder, end: DatagramEnd, tun: Tun) -> Forwarding:
    agent = IPv6Address(order.agent).packed
    forwarder = MobileNodeForwarder(
        home_address=IPv6Address(order.home_address).packed,
        home_agent=agent,
        send=_send_nowhere,
        write=tun.send,
        report=_nobody,
        rng=SystemRandom(),
    )
    end.join(forwarder, tun)
    forwarder.table.replace(IPv6Address(order.home_address).packed, (_path(order),))

    def from_network(arrived: Datagrams, now: float) -> None:
        if (arrived.source, arrived.port) != (end.far, ENCAPSULATION_PORT):
            return
        for each in couple(arrived.segments):
            if isinstance(each, Train):
                forwarder.train_from_tunnel(agent, _BID, each, arrived.traffic_class, now)
            else:
                forwarder.from_tunnel(agent, _BID, each, arrived.traffic_class, now)

    return Forwarding(forwarder.from_device, forwarder.train_from_device, from_network)


async def serve(order: DatagramOrder) -> None:
    """Forward until killed."""
    loop = asyncio.get_running_loop()
    tun = _open_device(order)
    end = DatagramEnd(order)
    serve_role = _serve_agent if order.role == "agent" else _serve_node
    forwarding = serve_role(order, end, tun)

    def from_device(arrivals: list[bytes | Train]) -> None:
        now = loop.time()
        for each in arrivals:
            if isinstance(each, Train):
                forwarding.train_from_device(each, now)
            else:
                forwarding.from_device(each, now)

    def from_network(arrivals: list[Datagrams]) -> None:
        now = loop.time()
        for each in arrivals:
            forwarding.from_network(each, now)

    deliver(TrainSource(tun), from_device, _fail)
    deliver(end.socket, from_network, _fail)
    print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
    await asyncio.Event().wait()


class TrainSource:
    """A device as a source of packets and trains."""

    def __init__(self, tun: Tun) -> None:
        self.fileno = tun.fileno
        self.receive = tun.receive_trains


def _open_device(order: DatagramOrder) -> Tun:
    journal = Journal.open(FilePath(order.directory) / "undo")
    with Netlink() as netlink:
        tun = Tun.open("mip0", mtu=_MTU - UDP_OVERHEAD, netlink=netlink, journal=journal)
        tun.couple()
    return tun


def _path(order: DatagramOrder) -> Path:
    return Path(
        bid=_BID,
        care_of_address=IPv6Address(f"::ffff:{order.node_4}").packed,
        mtu=_MTU,
        overhead=UDP_OVERHEAD,
        port=ENCAPSULATION_PORT,
    )


def _nobody(*_told: object) -> None:
    """Tell nobody."""


def _send_nowhere(_path: Path, _packet: bytes) -> None:
    """Send nothing: there is no other path."""


def _fail(error: OSError) -> None:
    raise error


def main(arguments: Sequence[str]) -> None:
    """Be the end that an order in JSON describes."""
    asyncio.run(serve(DatagramOrder.from_json(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
