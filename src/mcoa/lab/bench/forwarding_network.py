"""A network without limits but the machine's, for the speed of forwarding.

A host (`mn`) with one uplink, its access router (`ar`), the agent's machine (`ha`) and a
correspondent (`cn`), in a row. All ways have the same hops: plain forwarding, the kernel's own
tunnels from the host to the agent's machine, and ours.
"""

import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcoa.lab.bench.pump import Order
from mcoa.lab.namespaces import LabError, Namespace, Namespaces
from mcoa.runtime.control_client import request
from mcoa.runtime.errors import CommandError, NotRunningError

CARE_OF, TUNNELLED = "2001:db8:a::10", "2001:db8:a::20"
CORRESPONDENT, CORRESPONDENT_BY_TUNNEL = "2001:db8:2::10", "2001:db8:2::20"
_AGENT, _HOME_ADDRESS = "2001:db8:1::1", "2001:db8:1::100"
_NODE_4, _RADIO_4, _CORE_4, _AGENT_4 = "192.0.2.10", "192.0.2.1", "198.51.100.1", "198.51.100.2"
_NODE_END, _AGENT_END = "2001:db8:a::e", "2001:db8:e::e"
PORT: Final = 5201
_PATIENCE_S: Final = 15.0
_POLL_S: Final = 0.05
_ROUND_PATIENCE_S: Final = 30.0
_IP_FORWARD: Final = Path("/proc/sys/net/ipv4/ip_forward")

_AGENT_FILE: Final = """\
role = "home-agent"
security = "none"
dataplane = "{data_plane}"
runtime_directory = "{directory}"
state_directory = "{directory}"

[home-agent]
address = "{agent}"
home_link = "home"
home_prefixes = ["2001:db8:1::/64"]
duplicate_address_detection = false
{agent_more}
"""
_NODE_FILE: Final = """\
role = "mobile-node"
security = "none"
dataplane = "{data_plane}"
runtime_directory = "{directory}"
state_directory = "{directory}"

[mobile-node]
home_address = "{home_address}"
home_agent = "{agent}"
{node_more}

[[link]]
name = "uplink"
interface = "uplink"
home = false
family = "{family}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way through the network, by the addresses of its ends; a source may be any."""

    source: str
    destination: str


PLAIN = Way(source=CARE_OF, destination=CORRESPONDENT)
KERNEL = Way(source=TUNNELLED, destination=CORRESPONDENT_BY_TUNNEL)
OURS = Way(source=_HOME_ADDRESS, destination=CORRESPONDENT)


class ForwardingNetwork:
    """The network, built and running; the namespaces clean up after it.

    Attributes:
        node, agent, peer: the namespaces of the host, the agent's machine and the correspondent.
    """

    def __init__(self, namespaces: Namespaces, name: str) -> None:
        self._namespaces = namespaces
        self._name = name
        self.node, self._router, self.agent, self.peer = (
            namespaces.add(f"{name}-{each}") for each in ("mn", "ar", "ha", "cn")
        )
        self._build()
        self._serve()

    def add_kernel_tunnel(self) -> None:
        """Let the kernel make tunnels by itself, with one segment's encapsulation.

        Raises:
            LabError: this kernel does not.
        """
        there, back = f"{CORRESPONDENT_BY_TUNNEL}/128", f"{TUNNELLED}/128"
        self.node.ip(
            f"address add {TUNNELLED}/64 dev uplink nodad",
            f"route add {_NODE_END}/128 encap seg6local action End.DT6 table local dev uplink",
            f"route add {there} encap seg6 mode encap.red segs {_AGENT_END}"
            " via 2001:db8:a::1 dev uplink",
        )
        self._router.ip(f"route add {_NODE_END}/128 via {CARE_OF}")
        self.agent.ip(
            f"route add {_AGENT_END}/128 encap seg6local action End.DT6 table main dev home",
            f"route add {back} encap seg6 mode encap.red segs {_NODE_END}"
            " via 2001:db8:f::1 dev home",
        )

    def start_daemons(self, data_plane: str, agents: str = "", *, ipv4: bool = False) -> None:
        """Start home agent and mobile node, and wait until they have registered.

        Args:
            data_plane: of both.
            agents: that of the home agent, where it is another.
            ipv4: the mobile node is to register an IPv4 address.

        Raises:
            LabError: they do not, as where a fast path is not possible.
        """
        directory = self._namespaces.directory / self._name
        directory.mkdir()
        values = {
            "directory": directory,
            "agent": _AGENT,
            "home_address": _HOME_ADDRESS,
            "agent_more": f'ipv4_address = "{_AGENT_4}"' if ipv4 else "",
            "node_more": f'home_agent_ipv4 = "{_AGENT_4}"' if ipv4 else "",
            "family": "ipv4" if ipv4 else "ipv6",
        }
        if ipv4:
            self._add_ipv4()
        daemons: list[subprocess.Popen[bytes]] = []
        for name, namespace, text, kind in (
            ("agent", self.agent, _AGENT_FILE, agents or data_plane),
            ("node", self.node, _NODE_FILE, data_plane),
        ):
            file = directory / f"{name}.toml"
            file.write_text(text.format(**values, data_plane=kind), "utf-8")
            with (directory / f"{name}.log").open("wb") as log:
                command = [sys.executable, "-m", "mcoa", "run", str(file)]
                daemon = self._namespaces.start(namespace, command, stdout=log, stderr=log)
            daemons.append(daemon)
        self._wait(daemons, directory)

    def measure(self, what: str, way: Way, duration_s: float) -> float:
        """Return what a round of the pump gives: "up", "down" or "flood"."""
        order = Order(host=way.destination, port=PORT, source=way.source, duration_s=duration_s)
        command = [sys.executable, "-m", "mcoa.lab.bench.pump", what, order.to_json()]
        pump = self._namespaces.start(
            self.node, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            said, errors = pump.communicate(timeout=_ROUND_PATIENCE_S)
        except subprocess.TimeoutExpired:
            pump.kill()
            pump.communicate()
            raise LabError("a round of the benchmark did not end") from None
        if pump.returncode != 0:
            raise LabError(f"a round failed: {errors.decode().strip().rpartition(chr(10))[2]}")
        return float(said)

    def _build(self) -> None:
        _join(self.node, "uplink", self._router, "radio")
        _join(self._router, "core", self.agent, "home")
        _join(self.agent, "lan", self.peer, "eth0")
        for router in (self._router, self.agent):
            router.sysctl(conf__all__forwarding=1)
        self.node.ip(
            f"address add {CARE_OF}/64 dev uplink nodad",
            "route add default via 2001:db8:a::1 dev uplink metric 2000",
        )
        self._router.ip(
            "address add 2001:db8:a::1/64 dev radio nodad",
            "address add 2001:db8:f::1/64 dev core nodad",
            *(f"route add 2001:db8:{net}::/64 via 2001:db8:f::2" for net in ("1", "2", "e")),
        )
        self.agent.ip(
            "address add 2001:db8:f::2/64 dev home nodad",
            "address add 2001:db8:2::1/64 dev lan nodad",
            "route add 2001:db8:a::/64 via 2001:db8:f::1",
        )
        self.peer.ip(
            f"address add {CORRESPONDENT}/64 dev eth0 nodad",
            f"address add {CORRESPONDENT_BY_TUNNEL}/64 dev eth0 nodad",
            "route add default via 2001:db8:2::1",
        )

    def _add_ipv4(self) -> None:
        self.node.ip(
            f"address add {_NODE_4}/24 dev uplink", f"route add default via {_RADIO_4}"
        )
        self._router.ip(
            f"address add {_RADIO_4}/24 dev radio", f"address add {_CORE_4}/24 dev core"
        )
        self._router.call(lambda: _IP_FORWARD.write_text("1\n", "ascii"))
        self.agent.ip(f"address add {_AGENT_4}/24 dev home", f"route add default via {_CORE_4}")

    def _serve(self) -> None:
        command = [sys.executable, "-m", "mcoa.lab.bench.pump", "serve", str(PORT)]
        server = self._namespaces.start(self.peer, command, stdout=subprocess.PIPE)
        if server.stdout is None or server.stdout.readline() != b"ready\n":
            raise LabError("the benchmark's server did not start")

    def _wait(self, daemons: "list[subprocess.Popen[bytes]]", directory: Path) -> None:
        end_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end_s and all(each.poll() is None for each in daemons):
            with suppress(NotRunningError, CommandError):
                status = request(directory / "node.sock", {"command": "status"})
                if any(each["state"] == "registered" for each in status["bindings"]):
                    return
            time.sleep(_POLL_S)
        said = " ".join(file.read_text("utf-8", "replace") for file in directory.glob("*.log"))
        last = said.strip().rpartition("\n")[2]
        raise LabError(f"the daemons do not work together here: {last or 'no word'}")


def _join(one: Namespace, name: str, other: Namespace, other_name: str) -> None:
    one.ip(
        f"link add {name} type veth peer name {other_name} netns {other.full_name}",
        f"link set {name} up",
    )
    other.ip(f"link set {other_name} up")
