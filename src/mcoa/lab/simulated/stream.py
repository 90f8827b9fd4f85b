"""Connections between mobile node and correspondent, as bulk transfers or small messages."""

from dataclasses import dataclass

from mcoa.lab.meters.results import StreamResult
from mcoa.lab.simulated.clock import Clock
from mcoa.lab.simulated.host import Host
from mcoa.lab.simulated.segments import Segments
from mcoa.lab.simulated.transfer import Receiver, Sender

SEGMENT_OCTETS = 1388  # what TCP with time stamps puts into the 1460 octets of the tunnel


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrder:
    """What is to be carried; both ends of a connection use one port, from `first_port` on.

    Attributes:
        interval_s: between two segments; 0 for as many as go.
        upward: from the mobile node, which opens the connections in either case.
    """

    first_port: int
    flows: int
    octets: int = SEGMENT_OCTETS
    interval_s: float = 0.0
    upward: bool = False

    @property
    def ports(self) -> range:
        """The ports of the connections."""
        return range(self.first_port, self.first_port + self.flows)


class Stream:
    """Connections under way."""

    def __init__(self, clock: Clock, node: Host, peer: Host, order: StreamOrder) -> None:
        self._order = order
        self._senders: list[Sender] = []
        self._receivers: list[Receiver] = []
        source, sink = (node, peer) if order.upward else (peer, node)
        for port in order.ports:
            data = Segments(source.address, sink.address, port, order.octets)
            back = Segments(sink.address, source.address, port)
            sender = Sender(clock, data, source.send, interval_s=order.interval_s)
            receiver = Receiver(clock, back, sink.send, octets=order.octets)
            source.open_port(port, sender.take)
            sink.open_port(port, receiver.take)
            self._senders.append(sender)
            self._receivers.append(receiver)
            # One after the other, as a program opens them.
            begin = sender.begin if order.upward else receiver.begin
            clock.after(1e-4 * len(self._senders), begin)

    def close(self) -> StreamResult:
        """End all connections and return what their receivers saw."""
        for sender in self._senders:
            sender.close()
        pairs = zip(self._receivers, self._order.ports, strict=True)
        return StreamResult(flows=tuple(receiver.close(port) for receiver, port in pairs))
