"""Runs the capture of the demonstration beside it."""

import subprocess
import sys
from pathlib import Path

from mcoa.lab.capture import Tap
from mcoa.lab.namespaces import LabError
from mcoa.lab.topology import CORRESPONDENT, HOME_AGENT, MOBILE_NODE, Network

LIMIT_OCTETS = 32 << 20
FINISH_TIMEOUT_S = 5.0


class CaptureControl:
    """A capture at the mobile node's uplinks, and of the signalling on the home link."""

    def __init__(self, network: Network, file: Path) -> None:
        node, home = network[MOBILE_NODE].path, network[HOME_AGENT].path
        taps = [
            Tap(namespace=node, interface=link.name, label=f"{MOBILE_NODE}:{link.name}")
            for link in network.topology.links
        ]
        home_link = Tap(
            namespace=home, interface="eth0", label=f"{HOME_AGENT}:eth0", signalling_only=True
        )
        taps.append(home_link)
        try:
            file.touch()
        except OSError as error:
            raise LabError(f"{file} cannot be written: {error.strerror}") from None
        arguments = [str(file), str(LIMIT_OCTETS), *[tap.argument() for tap in taps]]
        self._process = network.namespaces.start(
            network[CORRESPONDENT],
            [sys.executable, "-m", "mcoa.lab.capture", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if self._process.stdout is None or self._process.stdout.readline() != b"ready\n":
            raise LabError(f"the capture into {file} did not start")

    def select_signalling(self) -> None:
        """Take no data packets: for the time of a throughput measurement."""
        self._tell("signalling\n")

    def select_everything(self) -> None:
        """Take data packets, too."""
        self._tell("everything\n")

    def finish(self) -> None:
        """Write what is left and end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(FINISH_TIMEOUT_S)

    def _tell(self, line: str) -> None:
        if self._process.stdin is None or self._process.poll() is not None:
            raise LabError("the capture has ended")
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
