"""Both daemons in the network of figure 1, and what a test asks and tells them."""

import errno
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any, Self

from mcoa.engine.policy import AtHome
from mcoa.lab.flows import FlowTally
from mcoa.lab.meters.echo import open_socket
from mcoa.lab.namespaces import Namespace, Namespaces
from mcoa.lab.nodes import AGENT, NODE, Nodes
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import HOME_AGENT, MOBILE_NODE, Network, Topology
from mcoa.runtime.errors import CommandError, NotRunningError
from netns.daemon.wire import Wire

PATIENCE_S = 15.0
POLL_S = 0.02

_ECHO = struct.Struct("!BBHHH")
_ECHO_REQUEST, _ECHO_REPLY = 128, 129

Status = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Laboratory:
    """The network, the daemons in it, and a record of all signalling on the wires."""

    network: Network
    nodes: Nodes
    wire: Wire

    @property
    def topology(self) -> Topology:
        return self.network.topology

    @property
    def mobile_node(self) -> Namespace:
        return self.network[MOBILE_NODE]

    @property
    def home_agent(self) -> Namespace:
        return self.network[HOME_AGENT]

    def status(self, name: str) -> Status:
        """Return a daemon's status; empty while it does not answer yet."""
        try:
            return self.nodes.status(name)
        except (NotRunningError, CommandError):
            return {}

    def registered(self) -> dict[int, tuple[str, str]]:
        """Return link and address of the registered BIDs, as the mobile node has them."""
        return {
            line["bid"]: (line["link"], line["care_of_address"])
            for line in self.status(NODE).get("bindings", ())
            if line["state"] == "registered"
        }

    def cache(self) -> dict[int, str]:
        """Return the addresses of the BIDs that the agent holds for the mobile node."""
        return {
            line["bid"]: line["care_of_address"]
            for line in self.status(AGENT).get("bindings", ())
            if line["home_address"] == str(self.topology.home_address)
        }

    def agree(self, *links: str) -> bool:
        """Tell whether both ends hold the present addresses of these links, and no others."""
        registered = self.registered()
        at_home = {bid: address for bid, (_, address) in registered.items()}
        return (
            sorted(link for link, _ in registered.values()) == sorted(links)
            and at_home == self.cache()
        )

    def counter(self, name: str, key: str) -> int:
        """Return one of a daemon's counters."""
        return int(self.status(name).get("counters", {}).get(key, 0))

    def carriers_down(self, source: Namespace, port: int) -> tuple[set[str], int]:
        """Send a train of 30 datagrams from a port of a host to the home address.

        Returns the links that it came by, and how many arrived.
        """
        links = tuple(link.name for link in self.topology.links)
        with Udp(self.mobile_node) as sink, Udp(source, port) as sender:
            with FlowTally(self.mobile_node, links) as tally:
                for _ in range(30):
                    sender.send(b"equal", self.topology.home_address, sink.port)
                    time.sleep(0.01)
                time.sleep(0.2)
                counts = tally.counts()
            carriers = counts.carriers_of(Flow.udp(port, sink.port), "down")
            return carriers, len(sink.received())

    def mcoa(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command at the mobile node's control socket, and return what it did."""
        command = [sys.executable, "-m", "mcoa", *arguments, "--socket"]
        return subprocess.run(
            [*command, str(self.nodes.socket(NODE))],
            capture_output=True,
            text=True,
            check=False,
        )

    def until_registered(self, *links: str, within_s: float = PATIENCE_S) -> None:
        """Wait until both ends agree on exactly these links, all by default."""
        wanted = links or tuple(link.name for link in self.topology.links)
        until(
            lambda: self.agree(*wanted),
            lambda: (
                f"{wanted} registered; {self.registered()} at the node, {self.cache()}"
                f" at the agent; links {self.status(NODE).get('links')}"
            ),
            within_s,
        )


@contextmanager
def laboratory(
    topology: Topology | None = None,
    *,
    started: bool = True,
    at_home: AtHome = AtHome.BOTH,
    data_plane: str = "auto",
) -> Iterator[Laboratory]:
    """Build everything, and take all of it away; with `started` both daemons agree."""
    with Namespaces() as namespaces:
        network = Network(namespaces, topology or Topology())
        with Wire(network) as wire:
            built = Laboratory(network=network, nodes=Nodes(network, data_plane), wire=wire)
            network.wait_for_care_of_addresses()
            if started:
                built.nodes.start_agent()
                built.nodes.start_node(at_home=at_home)
                built.until_registered()
            yield built
            for name in (AGENT, NODE):
                if built.nodes.log(name).exists():
                    assert "internal-fault" not in built.nodes.log(name).read_text("utf-8")


@contextmanager
def frozen(lab: Laboratory, name: str) -> Iterator[None]:
    """Let a daemon do nothing for a while."""
    pid = lab.status(name)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def until(
    claim: Callable[[], object],
    what: Callable[[], str] | str,
    within_s: float = PATIENCE_S,
) -> float:
    """Wait for a claim to become true; returns the seconds it took, fails when it does not."""
    begun_s = time.monotonic()
    while not claim():
        if time.monotonic() - begun_s > within_s:
            text = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {within_s} s: {text}")
        time.sleep(POLL_S)
    return time.monotonic() - begun_s


def answers(
    start: Namespace,
    destination: IPv6Address,
    *,
    identifier: int,
    within_s: float = 5.0,
) -> bool:
    """Tell whether one of the echo requests sent for a while is answered."""
    opened = start.call(lambda: open_socket(str(destination)))
    end = time.monotonic() + within_s
    with opened:
        for sequence in range(0xFFFF):
            with suppress(OSError):
                opened.send(_ECHO.pack(_ECHO_REQUEST, 0, 0, identifier, sequence) + bytes(56))
            while select.select([opened], [], [], 0.05)[0]:
                with suppress(OSError):
                    message = opened.recv(2048)
                    if _ECHO.unpack_from(message)[3] == identifier:
                        return True
            if time.monotonic() > end:
                break
    return False


class Udp:
    """A UDP socket in a namespace; it never waits."""

    def __init__(self, namespace: Namespace, port: int = 0, source: str = "::") -> None:
        self.socket = namespace.call(
            lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        )
        self.socket.bind((source, port))
        self.port: int = self.socket.getsockname()[1]

    def send(self, payload: bytes, to: IPv6Address, port: int) -> int:
        """Send; returns 0 or the errno."""
        try:
            self.socket.sendto(payload, (str(to), port))
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def send_connected(self, payload: bytes) -> int:
        """Send to the connected peer; returns 0 or the errno."""
        try:
            self.socket.send(payload)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def received(self) -> list[tuple[bytes, IPv6Address, int]]:
        """Return what has come: payload, source, port."""
        datagrams: list[tuple[bytes, IPv6Address, int]] = []
        while True:
            try:
                payload, (host, port, *_) = self.socket.recvfrom(65535)
            except BlockingIOError:
                return datagrams
            except OSError:
                continue  # an ICMPv6 error about an earlier datagram
            datagrams.append((payload, IPv6Address(host.partition("%")[0]), port))

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
