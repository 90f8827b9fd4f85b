"""A train of ICMPv6 echo requests at a steady pace. Prints one EchoResult."""

import select
import socket
import struct
import sys
import time
from collections.abc import Sequence

from mcoa.lab.meters.end import End
from mcoa.lab.meters.results import EchoResult
from mcoa.lab.sightings import ECHO_REPLY, ECHO_REQUEST

ICMPV6_FILTER = 1
LINGER_S = 1.0  # an answer later than this counts as lost
PAYLOAD_OCTETS = 56

_HEADER = struct.Struct("!BBHHH")


def run_train(
    opened: socket.socket, identifier: int, interval_s: float, end: End
) -> EchoResult:
    """Send requests to the connected peer of `opened` until the end, and gather the answers."""
    start = time.monotonic()
    sent: list[float] = []
    received: list[float | None] = []
    while True:
        now = time.monotonic()
        if not sent or not end.has_come(now):
            due = start + len(sent) * interval_s
            if now >= due:
                sent.append(now)
                received.append(None)
                _send(opened, identifier, len(sent) - 1)
                continue
        elif now >= (due := sent[-1] + LINGER_S):
            break
        if select.select([opened], [], [], due - now)[0]:
            sequence = _receive(opened, identifier)
            if sequence is not None and sequence < len(sent):
                received[sequence] = time.monotonic()
    return EchoResult(sent_s=tuple(sent), received_s=tuple(received))


def _send(opened: socket.socket, identifier: int, sequence: int) -> None:
    header = _HEADER.pack(ECHO_REQUEST, 0, 0, identifier, sequence)
    try:
        opened.send(header + bytes(PAYLOAD_OCTETS))
    except OSError:  # no route for a moment: the request counts as lost
        return


def _receive(opened: socket.socket, identifier: int) -> int | None:
    try:
        message = opened.recv(2048)
    except OSError:  # an ICMPv6 error about an earlier request
        return None
    if len(message) < _HEADER.size:
        return None
    kind, _, _, its_identifier, sequence = _HEADER.unpack_from(message)
    return sequence if (kind, its_identifier) == (ECHO_REPLY, identifier) else None


def open_socket(destination: str) -> socket.socket:
    """Open a raw socket to `destination` that hears echo replies only."""
    opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    blocked = [0xFFFFFFFF] * 8
    blocked[ECHO_REPLY // 32] &= ~(1 << ECHO_REPLY % 32)
    opened.setsockopt(socket.IPPROTO_ICMPV6, ICMPV6_FILTER, struct.pack("=8I", *blocked))
    opened.connect((destination, 0))
    return opened


def main(arguments: Sequence[str]) -> None:
    """Run a train: DESTINATION IDENTIFIER INTERVAL_S DURATION_S."""
    destination, identifier, interval_s, duration_s = arguments
    with open_socket(destination) as opened:
        end = End(float(duration_s))
        print("ready", flush=True)  # noqa: T201 whoever started it waits for this line
        result = run_train(opened, int(identifier), float(interval_s), end)
    print(result.to_json())  # noqa: T201 the result is what the program is for


if __name__ == "__main__":
    main(sys.argv[1:])
