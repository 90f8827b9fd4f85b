"""A train of echo requests at a steady pace, as `meters.echo` sends it."""

from mcoa.dataplane.icmp import icmpv6_packet
from mcoa.lab.meters.echo import PAYLOAD_OCTETS
from mcoa.lab.meters.results import EchoResult
from mcoa.lab.simulated.clock import Clock
from mcoa.lab.simulated.host import Host
from mcoa.wire.icmpv6 import EchoReply, EchoRequest


class EchoTrain:
    """A train of `count` requests; times are those of the clock."""

    def __init__(
        self,
        clock: Clock,
        host: Host,
        destination: bytes,
        *,
        identifier: int,
        count: int,
        interval_s: float,
    ) -> None:
        self._clock, self._host, self._destination = clock, host, destination
        self._identifier, self._interval_s = identifier, interval_s
        self._sent_s: list[float] = []
        self._received_s: list[float | None] = [None] * count
        host.await_replies(identifier, self._replied)

    def begin(self) -> None:
        """Send the first request; the others follow by themselves."""
        self._send()

    def result(self) -> EchoResult:
        """Return what was sent and answered up to now."""
        count = len(self._sent_s)
        return EchoResult(
            sent_s=tuple(self._sent_s), received_s=tuple(self._received_s[:count])
        )

    def _send(self) -> None:
        request = EchoRequest(
            identifier=self._identifier, sequence=len(self._sent_s), data=bytes(PAYLOAD_OCTETS)
        )
        self._sent_s.append(self._clock.now)
        self._host.send(icmpv6_packet(request, self._host.address, self._destination))
        if len(self._sent_s) < len(self._received_s):
            self._clock.after(self._interval_s, self._send)

    def _replied(self, reply: EchoReply) -> None:
        self._received_s[reply.sequence] = self._clock.now
