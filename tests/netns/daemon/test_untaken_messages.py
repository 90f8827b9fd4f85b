"""What no role takes is answered by each, from where it came, and by nobody twice."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import IPv6Address
from typing import Self

import pytest

from mcoa.lab.capture import ETHERNET_OCTETS, Tap, open_tap
from mcoa.lab.nodes import PEER
from mcoa.lab.topology import CORE, CORRESPONDENT
from mcoa.wire.checksum import internet_checksum
from mcoa.wire.icmpv6 import ParameterProblem, parse_icmpv6
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet, parse_packet
from mcoa.wire.messages import BindingError, decode_message
from mcoa.wire.reader import ParseError
from mcoa.wire.registry import BindingErrorStatus
from netns.daemon.laboratory import Laboratory, answers, laboratory, until
from netns.daemon.packets import STRANGER, send

pytestmark = pytest.mark.netns

MOBILITY, ICMPV6, NO_NEXT_HEADER = 135, 58, 59
TYPES = (8, 13, 14, 17, 99)
ROLES = ("home agent", "correspondent", "mobile node")


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with laboratory() as built:
        built.nodes.start_correspondent()
        until(lambda: built.status(PEER), "the correspondent")
        yield built


def address_of(lab: Laboratory, role: str) -> IPv6Address:
    topology = lab.topology
    if role == "mobile node":
        return IPv6Address(dict(lab.registered().values())["lte"])
    return topology.home_agent if role == "home agent" else topology.correspondent


def packet(lab: Laboratory, role: str, kind: int, protocol: int = NO_NEXT_HEADER) -> bytes:
    """Return a packet of a stranger with a message of 16 octets, with its checksum."""
    to = address_of(lab, role)
    home = lab.topology.home_address if role == "mobile node" else None
    header = bytearray(bytes((protocol, 1, kind, 0)) + bytes(12))
    pseudo = STRANGER.packed + (home or to).packed
    pseudo += len(header).to_bytes(4) + bytes((0, 0, 0, MOBILITY))
    header[4:6] = internet_checksum(pseudo + header).to_bytes(2)
    return emit_packet(
        Ipv6Packet(
            source=STRANGER,
            destination=to,
            protocol=MOBILITY,
            payload=bytes(header),
            routing_home_address=home,
        )
    )


@contextmanager
def answers_of(lab: Laboratory, role: str) -> Iterator["Answers"]:
    """Gather what a role sends to the stranger; to be used inside the with statement."""
    namespace, interface = {
        "home agent": (lab.home_agent, "eth0"),
        "correspondent": (lab.network[CORRESPONDENT], "eth0"),
        "mobile node": (lab.mobile_node, "lte"),
    }[role]
    tap = Tap(namespace=namespace.path, interface=interface, label=role)
    with closing(open_tap(tap)) as tapped:
        yield Answers(tapped)


class Answers(list[Ipv6Packet]):
    """Packets to the stranger that a tap has seen."""

    def __init__(self, tapped: socket.socket) -> None:
        super().__init__()
        self._tapped = tapped

    def look(self) -> Self:
        with suppress(BlockingIOError):
            while True:
                with suppress(ParseError):
                    parsed = parse_packet(self._tapped.recv(65535)[ETHERNET_OCTETS:])
                    if parsed.destination == STRANGER:
                        self.append(parsed)
        return self

    def errors(self) -> list[BindingError]:
        messages = [decode_message(e.payload) for e in self.look() if e.protocol == MOBILITY]
        return [each for each in messages if isinstance(each, BindingError)]

    def problems(self) -> list[ParameterProblem]:
        messages = [
            parse_icmpv6(each.payload, each.source.packed, each.destination.packed)
            for each in self.look()
            if each.protocol == ICMPV6
        ]
        return [each for each in messages if isinstance(each, ParameterProblem)]


@pytest.mark.parametrize("role", ROLES)
def test_rfc6275_9_2_each_untaken_type_gets_a_binding_error(lab: Laboratory, role: str) -> None:
    with answers_of(lab, role) as answered:
        for kind in TYPES:
            send(lab.network[CORE], packet(lab, role, kind))
        until(lambda: len(answered.errors()) >= len(TYPES), lambda: f"{answered}")
        assert {each.source for each in answered} == {address_of(lab, role)}
        status = BindingErrorStatus.UNRECOGNIZED_MESSAGE_TYPE
        assert [each.status for each in answered.errors()] == [status] * len(TYPES)


@pytest.mark.parametrize("role", ROLES)
def test_rfc6275_9_2_a_payload_proto_is_a_parameter_problem(lab: Laboratory, role: str) -> None:
    octets = packet(lab, role, 0, protocol=41)
    with answers_of(lab, role) as answered:
        send(lab.network[CORE], octets)
        until(answered.problems, "a Parameter Problem")
        (problem,) = answered.problems()
        assert problem.code == 0
        assert problem.pointer == len(octets) - 16  # the octet itself
        assert problem.invoking_packet[8:] == octets[8:]
        assert {each.source for each in answered} == {address_of(lab, role)}


def test_all_goes_on(lab: Laboratory) -> None:
    lab.until_registered()
    assert answers(lab.mobile_node, lab.topology.correspondent, identifier=2)
