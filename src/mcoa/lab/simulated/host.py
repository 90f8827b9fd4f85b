"""A machine's network stack, as far as the meters need one: echoes, and UDP ports."""

from collections.abc import Callable

from mcoa.dataplane.icmp import echo_reply
from mcoa.dataplane.packet import BASE_LENGTH, ICMPV6, UDP
from mcoa.lab.simulated.nodes import Take
from mcoa.wire.icmpv6 import EchoReply, EchoRequest, parse_icmpv6

TakeReply = Callable[[EchoReply], object]


class Host:
    """One address; it answers echo requests.

    Args:
        send: takes a whole packet that leaves the host.
    """

    def __init__(self, address: bytes, send: Take) -> None:
        self.address = address
        self.send = send
        self._ports: dict[int, Take] = {}
        self._trains: dict[int, TakeReply] = {}

    def open_port(self, port: int, take: Take) -> None:
        """Give what comes to a UDP port to `take`, as whole packets."""
        self._ports[port] = take

    def await_replies(self, identifier: int, take: TakeReply) -> None:
        """Give the echo replies of an identifier to `take`."""
        self._trains[identifier] = take

    def take(self, packet: bytes) -> None:
        """Take a packet for this host; nobody is told of one that nobody waits for."""
        if packet[6] == UDP:
            take = self._ports.get(packet[42] << 8 | packet[43])
            if take is not None:
                take(packet)
        elif packet[6] == ICMPV6:
            self._icmpv6(packet)

    def _icmpv6(self, packet: bytes) -> None:
        source = packet[8:24]
        match parse_icmpv6(packet[BASE_LENGTH:], source, self.address):
            case EchoRequest() as request:
                self.send(echo_reply(request, self.address, source))
            case EchoReply() as reply if reply.identifier in self._trains:
                self._trains[reply.identifier](reply)
            case _:
                pass
