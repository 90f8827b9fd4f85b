"""A node and a network, joined."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcoa.lab.namespaces import Namespace, Namespaces, run
from netns.runtime.pair import Pair


def is_up(namespace: Namespace, interface: str) -> bool:
    return " state UP " in run("ip", "-n", namespace.full_name, "link", "show", interface)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Join two namespaces; the addresses of both ends are the test's to give."""
    with Namespaces() as namespaces:
        node, net = namespaces.add("node"), namespaces.add("net")
        # Equal interface numbers at both ends delay carrier events: keep them apart.
        net.ip("link add unused0 type veth peer name unused1")
        node.ip(f"link add wwan0 type veth peer name acc0 netns {net.full_name}")
        node.ip("link set wwan0 up")
        net.ip("link set acc0 up")
        # On a busy machine the kernel takes its time to find that a cable is plugged in.
        end = time.monotonic() + 5
        while time.monotonic() < end and not (is_up(node, "wwan0") and is_up(net, "acc0")):
            time.sleep(0.01)
        yield Pair(node=node, net=net, journal=tmp_path / "journal")
