"""A node and a network, joined."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcoa.lab.namespaces import Namespaces
from netns.runtime.pair import Pair


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
        made = Pair(node=node, net=net, journal=tmp_path / "journal")
        made.wait_for_carrier()
        yield made
