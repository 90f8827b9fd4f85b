"""Echoes that travel in a tunnel between its two ends: the probes of paths, and their answers.

Whoever gets a request answers it over the path it came by, so that an answer speaks of one path.
"""

from collections.abc import Callable

from mcoa.dataplane.exits import Exit
from mcoa.dataplane.icmp import echo_reply, icmpv6_packet
from mcoa.dataplane.liveness import Probe
from mcoa.dataplane.packet import BASE_LENGTH, ICMPV6, MINIMUM_MTU
from mcoa.dataplane.path import PathState
from mcoa.wire.icmpv6 import EchoReply, EchoRequest, parse_icmpv6
from mcoa.wire.reader import ParseError

Answered = Callable[[int, int, bytes, float], bool]
"""Takes identifier, sequence, data and time of an answer; False if nobody waits for it."""

_ECHOES = frozenset((128, 129))


def unexpected(_identifier: int, _sequence: int, _data: bytes, _now: float) -> bool:
    """Wait for no answers."""
    return False


def probe_packet(probe: Probe, source: bytes, destination: bytes) -> bytes:
    """Return the echo request of a probe."""
    request = EchoRequest(
        identifier=probe.identifier, sequence=probe.sequence, data=probe.nonce
    )
    return icmpv6_packet(request, source, destination)


class Echoes:
    """One end of tunnels.

    Attributes:
        answered: told of answers, for the owner to set.
    """

    def __init__(self, exit_: Exit) -> None:
        self._exit = exit_
        self.answered: Answered = unexpected

    def take(self, packet: bytes, state: PathState | None, now: float) -> bool:
        """Take a packet between the ends that came over a path; False if it is no such echo."""
        is_echo = packet[6] == ICMPV6 and len(packet) > BASE_LENGTH
        if not is_echo or packet[BASE_LENGTH] not in _ECHOES or len(packet) > MINIMUM_MTU:
            return False
        source, destination = packet[8:24], packet[24:40]
        try:
            message = parse_icmpv6(packet[BASE_LENGTH:], source, destination)
        except ParseError:
            return False
        match message:
            case EchoReply(identifier=identifier, sequence=sequence, data=data):
                return self.answered(identifier, sequence, data, now)
            case EchoRequest():
                if state is not None:  # else the path has gone, and there is no way to answer
                    self._exit.send(state, echo_reply(message, destination, source), now)
                return True
            case _:
                return False

    def ask(
        self, state: PathState, probe: Probe, ends: tuple[bytes, bytes], now: float
    ) -> None:
        """Send a probe over a path, from and to these ends."""
        self._exit.send(state, probe_packet(probe, *ends), now)
