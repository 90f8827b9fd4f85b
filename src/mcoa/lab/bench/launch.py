"""Starts home agents to be measured, each in a namespace of its own, and talks to them."""

import json
import subprocess
import sys
from pathlib import Path

from mcoa.lab.bench.agent import Answer, Order
from mcoa.lab.bench.population import ACCESS_NETWORKS
from mcoa.lab.namespaces import LabError, Namespace, Namespaces

_NEXT_HOP = "fe80::2"
_NEXT_HOP_MAC = "02:00:00:00:00:02"


class Agent:
    """A running agent; it is there when the constructor returns."""

    def __init__(self, namespaces: Namespaces, name: str, order: Order) -> None:
        self._errors = namespaces.directory / f"{name}.errors"
        command = [sys.executable, "-m", "mcoa.lab.bench.agent", order.to_json()]
        Path(order.directory).mkdir()
        with self._errors.open("wb") as errors:
            self._process = namespaces.start(
                _network(namespaces, name),
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.started = self._read()

    def ask(self, command: str) -> Answer:
        """Return the answer to a command; it may take its time."""
        if self._process.stdin is None:
            raise LabError("a measured agent cannot be spoken to")
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()
        return self._read()

    def measure(self, command: str) -> float:
        """Return the microseconds for one packet that a command answers."""
        return self.ask(command)["us"]

    def _read(self) -> Answer:
        line = b"" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            last = self._errors.read_text("utf-8").strip().rpartition("\n")[2]
            raise LabError(f"a measured agent failed: {last or 'without a word'}")
        answer: Answer = json.loads(line)
        return answer


def _network(namespaces: Namespaces, name: str) -> Namespace:
    """Return a namespace whose way to the access networks ends at the first router.

    Acknowledgements leave by an interface to a next hop, as they do in life; that one is no
    router and drops them.
    """
    here, there = namespaces.add(name), namespaces.add(f"{name}-beyond")
    here.ip(
        f"link add wan type veth peer name lan address {_NEXT_HOP_MAC} netns {there.full_name}",
        "link set wan up",
        f"neighbour add {_NEXT_HOP} lladdr {_NEXT_HOP_MAC} dev wan nud permanent",
    )
    there.ip("link set lan up")
    here.ip(*(f"route add {net} via {_NEXT_HOP} dev wan onlink" for net in ACCESS_NETWORKS))
    return here
