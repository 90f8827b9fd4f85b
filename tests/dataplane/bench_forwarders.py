"""Print what a packet costs in the forwarders: `python tests/dataplane/bench_forwarders.py`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path as FilePath
from time import perf_counter

sys.path.insert(0, str(FilePath(__file__).parents[1]))

from random import Random

from dataplane.packets import CARE_OF, HOME, PATHS, PEER, SERVICE, ipv6, tunnelled, udp
from mcoa.dataplane.home_agent import HomeAgentForwarder
from mcoa.dataplane.mobile_node import MobileNodeForwarder
from mcoa.dataplane.table import Path

ROUNDS = 30
FLOWS = 64


def nothing(*_ignored: object) -> None:
    pass


def cost_ns(take: Callable[[bytes, float], object], packets: Sequence[bytes]) -> float:
    """Return the nanoseconds a packet in the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = perf_counter()
        for packet in packets:
            take(packet, begin)
        best = min(best, perf_counter() - begin)
    return best / len(packets) * 1e9


def agent(homes: int = 1) -> HomeAgentForwarder:
    forwarder = HomeAgentForwarder(
        address=SERVICE, write=nothing, deliver=nothing, report=nothing, rng=Random(1)
    )
    for home in range(homes):
        forwarder.table.replace((int.from_bytes(HOME, "big") + home).to_bytes(16, "big"), PATHS)
    return forwarder


def node() -> MobileNodeForwarder:
    forwarder = MobileNodeForwarder(
        home_address=HOME,
        home_agent=SERVICE,
        send=nothing,
        write=nothing,
        report=nothing,
        rng=Random(1),
    )
    forwarder.table.replace(HOME, PATHS)
    return forwarder


def down(size: int) -> list[bytes]:
    return [udp(size=size, port=5000 + each % FLOWS) for each in range(4096)]


def up(size: int) -> list[bytes]:
    return [udp(HOME, PEER, size=size, port=5000 + each % FLOWS) for each in range(4096)]


def echo() -> list[bytes]:
    request = b"\x80\0\0\0" + bytes(60)
    return [ipv6(PEER, HOME, request, 58) for _ in range(4096)]


def out_of_tunnel(forwarder: MobileNodeForwarder) -> Callable[[bytes, float], None]:
    return lambda packet, now: forwarder.from_tunnel(SERVICE, 1, packet, 0, now)


def many_homes(homes: int) -> list[bytes]:
    step = homes // 4096
    first = int.from_bytes(HOME, "big")
    return [
        udp(PEER, (first + each * step).to_bytes(16, "big"), size=1400) for each in range(4096)
    ]


def main() -> None:
    """Print one line a case."""
    for size in (100, 1400):
        report(f"home agent, downlink, {size} octets", agent().from_device, down(size))
        through = [tunnelled(packet, CARE_OF[0]) for packet in up(size)]
        report(f"home agent, uplink, {size} octets", agent().from_device, through)
        report(f"mobile node, uplink, {size} octets", node().from_device, up(size))
        one = node()
        one.table.replace(HOME, (Path(bid=1, care_of_address=CARE_OF[0]),))
        report(f"mobile node, downlink, {size} octets", out_of_tunnel(one), down(size))
    report("home agent, downlink, echo", agent().from_device, echo())
    pinging = [tunnelled(ipv6(HOME, PEER, b"\x81\0\0\0" + bytes(60), 58)) for _ in range(4096)]
    report("home agent, uplink, echo", agent().from_device, pinging)
    new = [udp(port=each % 65536, size=100) for each in range(0, 65536, 16)]
    report("home agent, downlink, the full way each", agent_once, new)
    for homes in (1, 100_000, 1_000_000):
        if homes > 1:
            crowd = agent(homes)
            report(
                f"home agent, downlink, {homes} home addresses",
                crowd.from_device,
                many_homes(homes),
            )


FRESH = agent()


def agent_once(packet: bytes, now: float) -> None:
    FRESH.from_device(packet, now * 1000)  # no flow is fresh


def report(what: str, take: Callable[[bytes, float], object], packets: Sequence[bytes]) -> None:
    print(f"{cost_ns(take, packets):8.0f} ns  {what}")  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
