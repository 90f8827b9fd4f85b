"""The two daemons of the laboratory: their configuration files, their start and their state."""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from mcoa.engine.policy import AtHome
from mcoa.lab.home_lan import HOME_DEVICE, SECOND_AGENT
from mcoa.lab.namespaces import LabError
from mcoa.lab.topology import CORRESPONDENT, HOME_AGENT, MOBILE_NODE, Network, Topology
from mcoa.runtime.control_client import request
from mcoa.runtime.errors import CommandError, NotRunningError

AGENT, SECOND, NODE, PEER = "agent", "agent2", "node", "peer"
REGISTERED = "registered"

STOP_PATIENCE_S = 10.0
"""A mobile node waits for its home agent's answer before it ends."""

_PLACES = {
    AGENT: HOME_AGENT,
    SECOND: SECOND_AGENT,
    NODE: MOBILE_NODE,
    PEER: CORRESPONDENT,
}

_COMMON = """\
security = "none"
runtime_directory = "{directory}"
state_directory = "{directory}/{name}-state"
"""
_AGENT = """\
role = "home-agent"
name = "{name}"
{common}
[home-agent]
address = "{address}"
home_link = "eth0"
home_prefixes = ["{topology.home_prefix}"]
mobile_nodes = ["{topology.home_address}"]
{extra}"""
_NODE = """\
role = "mobile-node"
name = "node"
{common}
[mobile-node]
home_address = "{topology.home_address}"
multiple_care_of = {multiple_care_of}
{extra}"""
_PEER = """\
role = "correspondent"
name = "peer"
runtime_directory = "{directory}"
state_directory = "{directory}/peer-state"

[correspondent]
interfaces = ["eth0"]
{extra}"""
_LINK = """
[[link]]
name = "{link.name}"
interface = "{link.name}"
bid = {link.bid}
weight = {link.rate_mbit_s}
"""


_HOME_LINK = f"""
[[link]]
name = "{HOME_DEVICE}"
interface = "{HOME_DEVICE}"
bid = 9
weight = 100
"""


def agent_configuration(
    topology: Topology, directory: Path, *, name: str = AGENT, extra: str = ""
) -> str:
    """Return a home agent's configuration file, with more lines of its own table."""
    common = _COMMON.format(directory=directory, name=name)
    address = topology.home_agent if name == AGENT else topology.second_agent
    if topology.home_lan is not None:
        only_router = "false" if topology.home_lan.has_other_router else "true"
        extra += f"advertise = true\nonly_router = {only_router}\n"
    return _AGENT.format(
        topology=topology, common=common, name=name, address=address, extra=extra
    )


def node_configuration(
    topology: Topology,
    directory: Path,
    *,
    multiple_care_of: bool = True,
    at_home: AtHome = AtHome.BOTH,
    finds_agent: bool = False,
    extra: str = "",
) -> str:
    """Return the mobile node's configuration file, with more lines of its own table.

    Args:
        topology: names the addresses and links.
        directory: for its files.
        multiple_care_of: False for plain Mobile IPv6.
        at_home: what to use on the home link.
        finds_agent: it is not told which home agent it has.
        extra: the lines.
    """
    common = _COMMON.format(directory=directory, name=NODE)
    if not finds_agent:
        extra += f'home_agent = "{topology.home_agent}"\n'
    head = _NODE.format(
        topology=topology,
        common=common,
        multiple_care_of="true" if multiple_care_of else "false",
        extra=extra + f'at_home = "{at_home.value}"\n',
    )
    home = "" if topology.home_lan is None else _HOME_LINK
    return head + home + "".join(_LINK.format(link=link) for link in topology.links)


def correspondent_configuration(directory: Path, *, extra: str = "") -> str:
    """Return the correspondent's configuration file, with more lines of its own table."""
    return _PEER.format(directory=directory, extra=extra)


class NodesLike(Protocol):
    """What the demonstration needs of the nodes, so that tests can put others in."""

    def start_agent(self) -> None:
        """Start the home agent."""

    def start_node(self, *, multiple_care_of: bool = True) -> None:
        """Start the mobile node, with several care-of addresses or as plain Mobile IPv6."""

    def stop_node(self) -> None:
        """Stop the mobile node in order."""

    def registered(self) -> tuple[str, ...]:
        """Return the links that the mobile node has registered."""

    def bindings(self) -> dict[str, str]:
        """Return the state of the binding of each link."""


class Nodes:
    """Home agent and mobile node as real daemons in their namespaces.

    Args:
        network: where.
        data_plane: their back end, as in a configuration file.
    """

    def __init__(self, network: Network, data_plane: str = "auto") -> None:
        self._network = network
        self._data_plane = data_plane
        self._directory = network.namespaces.directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_agent(self) -> None:
        """Start the home agent."""
        text = agent_configuration(self._network.topology, self._directory)
        self.start(AGENT, text)

    def start_node(
        self,
        *,
        multiple_care_of: bool = True,
        at_home: AtHome = AtHome.BOTH,
        extra: str = "",
    ) -> None:
        """Start the mobile node, with several care-of addresses or as plain Mobile IPv6."""
        text = node_configuration(
            self._network.topology,
            self._directory,
            multiple_care_of=multiple_care_of,
            at_home=at_home,
            extra=extra,
        )
        self.start(NODE, text)

    def start_correspondent(self) -> None:
        """Start the correspondent."""
        self.start(PEER, correspondent_configuration(self._directory))

    def start(self, name: str, text: str) -> None:
        """Start a daemon, AGENT, NODE or PEER say, with a configuration file of this text."""
        path = self.configuration(name)
        path.write_text(f'dataplane = "{self._data_plane}"\n{text}', "utf-8")
        namespace = self._network[_PLACES[name]]
        with self.log(name).open("ab") as log:
            self._running[name] = self._network.namespaces.start(
                namespace,
                [sys.executable, "-m", "mcoa", "run", str(path)],
                stdout=log,
                stderr=log,
            )

    def stop_node(self) -> None:
        """Stop the mobile node in order: it de-registers."""
        self.stop(NODE)

    def is_running(self, name: str) -> bool:
        """Tell whether a daemon was started and neither stopped nor killed."""
        return name in self._running

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop a daemon in order; returns its exit code."""
        process = self._running.pop(name)
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_PATIENCE_S)
        self._network.namespaces.stop(process)
        return process.returncode

    def kill(self, name: str) -> None:
        """End a daemon without giving it a chance to do anything about it."""
        self._running[name].kill()
        self._network.namespaces.stop(self._running.pop(name))

    def status(self, name: str) -> dict[str, Any]:
        """Return what a daemon says of itself; NotRunningError while it does not answer.

        LabError if it has died.
        """
        self._check()
        return request(self.socket(name), {"command": "status"})

    def registered(self) -> tuple[str, ...]:
        """Return the links that the mobile node has registered, by its own account."""
        return tuple(name for name, state in self.bindings().items() if state == REGISTERED)

    def bindings(self) -> dict[str, str]:
        """Return the state of the binding of each link; nothing while the node is away.

        LabError if a daemon has died.
        """
        self._check()
        if NODE not in self._running:
            return {}
        try:
            status = self.status(NODE)
        except (NotRunningError, CommandError):  # it is still starting
            return {}
        return {
            str(binding["link"]): str(binding["state"])
            for binding in status["bindings"]
            if binding["link"] is not None
        }

    def socket(self, name: str) -> Path:
        """Return the control socket of a daemon."""
        return self._directory / f"{name}.sock"

    def configuration(self, name: str) -> Path:
        """Return the configuration file of a daemon."""
        return self._directory / f"{name}.toml"

    def log(self, name: str) -> Path:
        """Return the file with what a daemon wrote."""
        return self._directory / f"{name}.log"

    def _check(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                lines = self.log(name).read_text("utf-8", "replace").strip().splitlines()
                said = " | ".join(lines[-3:]) or "nothing"
                raise LabError(f"the {name} ended with {process.returncode}; it said: {said}")
