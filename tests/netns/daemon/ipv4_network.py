"""A mobile node with two uplinks of IPv4, one of them behind a NAT, and both daemons."""

import json
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from mcoa.lab.namespaces import LabError, Namespace, Namespaces, run
from mcoa.runtime.control_client import request
from mcoa.runtime.errors import CommandError, NotRunningError
from netns.daemon.transfer import transfer

PATIENCE_S = 20.0
PORT, COPIED_PORT = 7002, 7003
HOME_ADDRESS, AGENT, CORRESPONDENT = "2001:db8:1::100", "2001:db8:1::1", "2001:db8:2::10"
AGENT_4, LTE_4, NAT_4, OTHER_NAT_4, WIFI_4, OTHER_WIFI_4 = (
    "198.51.100.2",
    "10.64.0.2",
    "198.18.1.2",
    "198.18.1.3",
    "192.0.2.10",
    "192.0.2.11",
)
WIFI_6 = "2001:db8:b::10"
LTE, WIFI = 1, 2  # BIDs

_FILES = {
    "agent": f"""\
role = "home-agent"
security = "none"
dataplane = "{{data_plane}}"
runtime_directory = "{{directory}}"
state_directory = "{{directory}}"

[home-agent]
address = "{AGENT}"
ipv4_address = "{AGENT_4}"
home_link = "eth0"
home_prefixes = ["2001:db8:1::/64"]
duplicate_address_detection = false
""",
    "node": f"""\
role = "mobile-node"
security = "none"
dataplane = "{{data_plane}}"
runtime_directory = "{{directory}}"
state_directory = "{{directory}}"

[mobile-node]
home_address = "{HOME_ADDRESS}"
home_agent = "{AGENT}"
home_agent_ipv4 = "{AGENT_4}"
probe_interval = "50ms"

[[link]]
name = "lte"
interface = "lte"
bid = {LTE}

[[link]]
name = "wifi"
interface = "wifi"
bid = {WIFI}

[[rule]]
name = "copied"
use = ["lte", "wifi"]
how = "duplicate"
own_port = {COPIED_PORT}
""",
}

_MASQUERADE = """\
add table ip nat
add chain ip nat out { type nat hook postrouting priority 100; }
add rule ip nat out oifname "wan" masquerade
"""

Entry = dict[str, Any]


class Ipv4Network:
    """The network, and the daemons in it."""

    def __init__(self, namespaces: Namespaces, data_plane: str) -> None:
        self._namespaces = namespaces
        self.node, self.nat, self.net, self.agent, self.peer = (
            namespaces.add(each) for each in ("mn", "nat", "net", "ha", "cn")
        )
        self.directory = namespaces.directory / "files"
        self.directory.mkdir()
        self._build()
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name, text in _FILES.items():
            values = {"data_plane": data_plane, "directory": self.directory}
            self.file(name).write_text(text.format(**values), "utf-8")

    def file(self, name: str) -> Path:
        return self.directory / f"{name}.toml"

    def run(self, name: str) -> None:
        """Start a daemon, "agent" or "node"."""
        namespace = {"agent": self.agent, "node": self.node}[name]
        with (self.directory / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "mcoa", "run", str(self.file(name))]
            daemon = self._namespaces.start(namespace, command, stdout=log, stderr=log)
        self._daemons[name] = daemon

    def kill(self, name: str) -> None:
        self._daemons[name].kill()
        self._daemons[name].wait()

    def end(self, name: str) -> None:
        self._namespaces.stop(self._daemons[name])

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text("utf-8")

    def status(self, name: str) -> Entry:
        with suppress(NotRunningError, CommandError):
            return request(self.directory / f"{name}.sock", {"command": "status"})
        return {}

    def bindings(self, name: str) -> dict[int, Entry]:
        """Return the registered bindings that a daemon has, by BID."""
        lines = self.status(name).get("bindings", ())
        return {each["bid"]: each for each in lines if each["state"] == "registered"}

    def cache(self) -> dict[int, str]:
        return {bid: each["care_of_address"] for bid, each in self.bindings("agent").items()}

    def wait(self, done: Callable[[], object], within_s: float = PATIENCE_S) -> float:
        """Wait until something holds; returns how long that took."""
        begun_s = time.monotonic()
        while not done():
            if time.monotonic() > begun_s + within_s:
                raise AssertionError(f"{self.log('agent')}\n{self.log('node')}")
            time.sleep(0.02)
        return time.monotonic() - begun_s

    def command(self, *words: str) -> None:
        """Give the mobile node a command, as an operator does."""
        run(
            *(sys.executable, "-m", "mcoa", *words),
            *("--socket", str(self.directory / "node.sock")),
        )

    def say(self, namespace: Namespace, *words: str) -> list[str]:
        """Return the lines that a command prints in a namespace."""
        return run(*namespace.command(sys.executable, "-m", "mcoa", *words)).splitlines()

    def examine(self, namespace: Namespace, name: str) -> dict[str, Entry]:
        """Return what the doctor finds, by what was looked at."""
        (line,) = self.say(namespace, "doctor", "--json", str(self.file(name)))
        return {each["what"]: each for each in json.loads(line)["diagnoses"]}

    def carried(self, link: str) -> int:
        """Return the octets of user packets that a link has carried, both ways."""
        links = self.status("node").get("links", ())
        return sum(
            each["sent_octets"] + each["received_octets"]
            for each in links
            if each["name"] == link
        )

    def is_served(self) -> bool:
        """Tell whether both links are registered and alive, as both ends see it."""
        links = self.status("node").get("links", ())
        return len(self.cache()) == len(self.bindings("node")) == 2 and all(
            each["state"] == "up" for each in links
        )

    def carrier(self, link: str, *, present: bool) -> None:
        """Plug a link of the mobile node in, or unplug it."""
        far = {"lte": (self.nat, "radio"), "wifi": (self.net, "wifi")}
        namespace, device = far[link]
        namespace.ip(f"link set {device} {'up' if present else 'down'}")

    def readdress_wifi(self, before: str, after: str) -> None:
        """Give a link another address, as after a new lease."""
        self.node.ip(
            f"address delete {before}/24 dev wifi",
            f"address add {after}/24 dev wifi",
            "route replace default via 192.0.2.1 dev wifi metric 200",
        )

    def transfer(self, octets: bytes, *, up: bool) -> bytes:
        """Send octets in one connection of the mobile node's; return what arrived."""
        received, source = transfer(self.node, self.peer, CORRESPONDENT, octets, up=up)
        assert source == HOME_ADDRESS
        return received

    def _build(self) -> None:
        _join(self.node, "lte", self.nat, "radio")
        _join(self.nat, "wan", self.net, "lte")
        _join(self.node, "wifi", self.net, "wifi")
        _join(self.agent, "eth0", self.net, "home")
        _join(self.peer, "eth0", self.net, "cn")
        for router in (self.nat, self.net):
            write_ipv4(router, "ip_forward", "1")
        for router in (self.net, self.agent):
            router.sysctl(conf__all__forwarding=1)
        # What many distributions set: only where routes to its source lead is a packet good.
        write_ipv4(self.node, "conf/all/rp_filter", "1")
        self.node.ip(
            f"address add {LTE_4}/24 dev lte",
            "route add default via 10.64.0.1 dev lte metric 100",
            f"address add {WIFI_4}/24 dev wifi",
            "route add default via 192.0.2.1 dev wifi metric 200",
        )
        self.nat.ip(
            "address add 10.64.0.1/24 dev radio",
            f"address add {NAT_4}/24 dev wan",
            "route add default via 198.18.1.1",
        )
        self.net.ip(
            "address add 198.18.1.1/24 dev lte",
            "address add 192.0.2.1/24 dev wifi",
            "address add 2001:db8:b::1/64 dev wifi nodad",
            "address add 198.51.100.1/24 dev home",
            "address add 2001:db8:1::ffff/64 dev home nodad",
            "address add 2001:db8:2::1/64 dev cn nodad",
        )
        self._masquerade()
        self.agent.ip(
            f"address add {AGENT_4}/24 dev eth0",
            "address add 2001:db8:1::2/64 dev eth0 nodad",
            "route add default via 198.51.100.1",
            "route add default via 2001:db8:1::ffff",
        )
        self.peer.ip(
            f"address add {CORRESPONDENT}/64 dev eth0 nodad",
            "route add default via 2001:db8:2::1",
        )

    def _masquerade(self) -> None:
        """Have the NAT translate; on a kernel that cannot, it is a router like any other."""
        with suppress(LabError):
            run(*self.nat.command("nft", "-f", "-"), text=_MASQUERADE)
            return
        self.net.ip(f"route add 10.64.0.0/24 via {NAT_4}")


class Train:
    """Numbered datagrams from the correspondent to the mobile node, or back, 100 a second."""

    def __init__(self, network: Ipv4Network, port: int = PORT, *, up: bool = False) -> None:
        ends = {
            HOME_ADDRESS: network.node.call(_datagram_socket),
            CORRESPONDENT: network.peer.call(_datagram_socket),
        }
        for address, end in ends.items():
            end.bind((address, port))
        source, destination = CORRESPONDENT, HOME_ADDRESS
        if up:
            source, destination = destination, source
        self._sender, self._receiver = ends[source], ends[destination]
        self._to = (destination, port)
        self.sent = 0
        self.times: list[tuple[float, int]] = []

    def run(self, duration_s: float, during: Callable[[], None] = lambda: None) -> None:
        """Send for a while; `during` is called after the first half."""
        end_s, half_s = time.monotonic() + duration_s, time.monotonic() + duration_s / 2
        due_s, is_called = time.monotonic(), False
        while (now := time.monotonic()) < end_s:
            if now >= due_s:
                self._sender.sendto(struct.pack("!I", self.sent), self._to)
                self.sent, due_s = self.sent + 1, due_s + 0.01
            if now >= half_s and not is_called:
                during()
                is_called = True
            self._receive(max(0.0, min(due_s, end_s) - time.monotonic()))
        self._receive(0.2)

    def longest_gap_s(self) -> float:
        times = [time_s for time_s, _ in self.times]
        return max(later - earlier for earlier, later in pairwise(times))

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()

    def _receive(self, wait_s: float) -> None:
        while select.select([self._receiver], [], [], wait_s)[0]:
            (number,) = struct.unpack("!I", self._receiver.recv(100))
            self.times.append((time.monotonic(), number))
            wait_s = 0.0


def write_ipv4(namespace: Namespace, name: str, value: str) -> None:
    namespace.call(lambda: Path("/proc/sys/net/ipv4", name).write_text(f"{value}\n", "ascii"))


def read_ipv4(namespace: Namespace, name: str) -> str:
    return namespace.call(lambda: Path("/proc/sys/net/ipv4", name).read_text("ascii").strip())


def _datagram_socket() -> socket.socket:
    return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)


def _join(one: Namespace, name: str, other: Namespace, other_name: str) -> None:
    one.ip(
        f"link add {name} type veth peer name {other_name} netns {other.full_name}",
        f"link set {name} up",
    )
    other.ip(f"link set {other_name} up")


@contextmanager
def ipv4_network(data_plane: str) -> Iterator[Ipv4Network]:
    """The network with both daemons, which have registered both links."""
    with Namespaces() as namespaces:
        network = Ipv4Network(namespaces, data_plane)
        network.run("agent")
        network.run("node")
        network.wait(network.is_served)
        yield network
