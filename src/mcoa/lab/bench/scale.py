"""How an agent's maps and routes grow: a program that installs bindings, and says what it took.

It runs in a namespace of its own, with the device, the programs and the routes of a home agent,
and without the protocol, whose cost is measured elsewhere. Prints one ScaleResult.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, Self

from mcoa.dataplane.home_agent import prefix_from
from mcoa.dataplane.path import Path as BindingPath
from mcoa.dataplane.table import ForwardingTable
from mcoa.runtime.data_plane import DataPlane
from mcoa.runtime.fast_path.shapes import HomeAgentShapes
from mcoa.runtime.home_agent import SIZES
from mcoa.runtime.log import EventLog
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.rtnetlink import Route
from mcoa.runtime.undo import Journal

_AGENT: Final = IPv6Address("2001:db8:1::1")
_BIDS: Final = 3
_UPDATES: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleResult:
    """What so many bindings took.

    Attributes:
        data_plane: "ebpf", or "userspace" where the kernel has no part in it.
        maps_s: to install them all in the table, and in the kernel's maps.
        routes_s: to route their home addresses to the device.
        update_us: for one home address whose care-of address is another; median.
        process_octets: a binding's share of what this process grew by.
        kernel_octets: and of what all maps occupy.
    """

    data_plane: str
    bindings: int
    maps_s: float
    routes_s: float
    update_us: float
    process_octets: float
    kernel_octets: float

    @property
    def install_s(self) -> float:
        """The whole time."""
        return self.maps_s + self.routes_s

    def to_json(self) -> str:
        """Return the result as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` made."""
        return cls(**json.loads(text))


def measure(bindings: int, directory: Path) -> ScaleResult:
    """Install so many bindings, three for each home address."""
    with Netlink() as netlink:
        journal = Journal.open(directory / "undo")
        tun = Tun.open("mip0", mtu=1500, netlink=netlink, journal=journal)
        table = ForwardingTable(follows_inbound=True, prefix=prefix_from(_AGENT.packed))
        log = EventLog(sys.stderr, monotonic=time.monotonic, wall_clock=time.time)
        data_plane = DataPlane.open(
            "auto",
            table,
            tun,
            shapes=HomeAgentShapes(_AGENT.packed, lambda: b""),
            sizes=SIZES,
            netlink=netlink,
            journal=journal,
            log=log,
        )
        homes = [_home(number) for number in range(bindings // _BIDS)]
        gc.collect()
        before = _resident_octets()
        begun_s = time.perf_counter()
        for number, home in enumerate(homes):
            table.replace(home.packed, _paths(number))
        maps_s = time.perf_counter() - begun_s
        grown = _resident_octets() - before
        begun_s = time.perf_counter()
        netlink.add_all(_routes(homes, tun.index))
        routes_s = time.perf_counter() - begun_s
        count = len(homes) * _BIDS
        result = ScaleResult(
            data_plane=data_plane.name,
            bindings=count,
            maps_s=maps_s,
            routes_s=routes_s,
            update_us=_updates(table, homes),
            process_octets=grown / count,
            kernel_octets=_map_octets() / count,
        )
        data_plane.close()
        tun.close()
        journal.undo(netlink)
    return result


def _home(number: int) -> IPv6Address:
    return IPv6Address(int(_AGENT) + 0x10000 + number)


def _paths(number: int, generation: int = 0) -> tuple[BindingPath, ...]:
    return tuple(
        BindingPath(
            bid=bid,
            care_of_address=bytes.fromhex("20010db8000a")
            + bytes((bid, generation))
            + bytes(4)
            + number.to_bytes(4),
        )
        for bid in range(1, _BIDS + 1)
    )


def _routes(homes: list[IPv6Address], index: int) -> Iterator[Route]:
    for home in homes:
        yield Route(destination=IPv6Network(home), index=index, mtu=1460, mtu_locked=True)


def _updates(table: ForwardingTable, homes: list[IPv6Address]) -> float:
    taken: list[float] = []
    for number, home in enumerate(homes[:_UPDATES]):
        paths = (*_paths(number)[:-1], *_paths(number, 1)[-1:])
        begun_s = time.perf_counter()
        table.replace(home.packed, paths)
        taken.append(time.perf_counter() - begun_s)
    return median(taken) * 1e6


def _resident_octets() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _map_octets() -> int:
    """Return what the kernel says that our maps occupy, each counted once."""
    found: dict[str, int] = {}
    for file in Path("/proc/self/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # the directory's own
            lines = file.read_text("ascii").splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            if "map_id" in fields:
                found[fields["map_id"]] = int(fields["memlock"])
    return sum(found.values())


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        print(measure(int(sys.argv[1]), Path(name)).to_json())  # noqa: T201 - its result
