"""A router on a path says that a packet did not get there: its sender hears of it (RFC 2473 8)."""

import errno
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv6Address

import pytest

from mcoa.lab.topology import CORE, CORRESPONDENT
from netns.daemon.laboratory import Laboratory, Udp, answers, laboratory, until

pytestmark = [
    pytest.mark.netns,
    pytest.mark.parametrize("data_plane", ["auto", "userspace"], scope="module"),
]

IPV6_RECVERR = 25  # also what is not final is told
UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH}


@pytest.fixture(scope="module")
def lab(data_plane: str) -> Iterator[Laboratory]:
    """Figure 1 with one path alone."""
    with laboratory(data_plane=data_plane) as built:
        built.network.cut("wifi", "sat")
        built.until_registered("lte")
        yield built


def is_told(sender: Udp, within_s: float = 1.0) -> bool:
    """Send until the kernel returns an error about what was sent before."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if sender.send_connected(b"anybody there?") in UNREACHABLE:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("upward", [False, True])
def test_the_sender_hears_that_the_last_path_leads_nowhere(
    lab: Laboratory, *, upward: bool
) -> None:
    topology = lab.topology
    ends = (lab.network[CORRESPONDENT], str(topology.correspondent))
    home = (lab.mobile_node, str(topology.home_address))
    (here, source), (there, destination) = (home, ends) if upward else (ends, home)
    care_of = IPv6Address(dict(lab.registered().values())["lte"])
    blocked = topology.home_agent if upward else care_of
    with Udp(there) as receiver, Udp(here, source=source) as sender:
        sender.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        sender.socket.connect((destination, receiver.port))
        for _ in range(20):
            assert sender.send_connected(b"hello") == 0
        until(receiver.received, "the path works")
        lab.network[CORE].ip(f"route add unreachable {blocked}/128")
        try:
            until(lambda: is_told(sender), "the sender is told", 5.0)
        finally:
            lab.network[CORE].ip(f"route del unreachable {blocked}/128")
    until(
        lambda: answers(lab.network[CORRESPONDENT], topology.home_address, identifier=7),
        "all goes on",
    )
