"""RFC 6275 §9.5.5, RFC 5648 §6.4: the agent asks through the tunnel, and the node answers."""

import os
import signal
import time

import pytest

from mcoa.lab.nodes import NODE, node_configuration
from mcoa.lab.topology import CORRESPONDENT
from mcoa.runtime.sockets import PacketSender, endpoint
from mcoa.wire.ipv6 import IPV6_ENCAPSULATION, MOBILITY_HEADER, parse_packet
from mcoa.wire.messages import BindingRefreshRequest, BindingUpdate, decode_message
from netns.daemon.laboratory import Laboratory, Udp, laboratory, until

pytestmark = pytest.mark.netns

LIFETIME_S = 20


def requests(lab: Laboratory) -> list[tuple[bytes, BindingRefreshRequest]]:
    """Return the tunnel packets with a Binding Refresh Request, as the agent sent them."""
    found = []
    for sighting in lab.wire.seen():
        outer = parse_packet(sighting.packet)
        if outer.protocol != IPV6_ENCAPSULATION:
            continue
        inner = parse_packet(outer.payload)
        if inner.protocol == MOBILITY_HEADER:
            message = decode_message(inner.payload)
            assert isinstance(message, BindingRefreshRequest)
            found.append((sighting.packet, message))
    return found


def start(lab: Laboratory) -> None:
    lab.nodes.start_agent()
    text = node_configuration(lab.topology, lab.network.namespaces.directory)
    where = "[mobile-node]\n"
    lab.nodes.start(NODE, text.replace(where, f'{where}lifetime = "{LIFETIME_S}s"\n'))
    lab.until_registered()


@pytest.mark.requirement("S6.4-01", "S6.4-02", "S5.8-03")
def test_rfc5648_6_4_bindings_in_use_are_asked_for_and_refreshed() -> None:
    with laboratory(started=False) as lab:
        start(lab)
        pid = int(lab.status(NODE)["pid"])
        os.kill(pid, signal.SIGSTOP)  # it forgets to refresh
        try:
            with Udp(lab.network[CORRESPONDENT]) as correspondent:

                def asked() -> bool:
                    correspondent.send(b"in use", lab.topology.home_address, 9)
                    return bool(requests(lab))

                until(asked, "the agent asks for a refresh", LIFETIME_S + 5.0)
        finally:
            os.kill(pid, signal.SIGCONT)
        packet, message = requests(lab)[0]
        assert [identifier.bid for identifier in message.identifiers] == [1, 2, 3]

        lab.until_registered()
        answers_to_another_copy(lab, packet)


def answers_to_another_copy(lab: Laboratory, packet: bytes) -> None:
    """Send the request again, long before anything is due."""
    since_s = time.time()
    sender = lab.home_agent.call(PacketSender)
    sender.send(packet, endpoint(parse_packet(packet).destination))
    sender.close()

    def refreshed() -> bool:
        messages = [message for _, message in lab.wire.messages(since_s)]
        return any(isinstance(message, BindingUpdate) for message in messages)

    until(refreshed, "the node answers with an update", 3.0)
