"""Raw sockets: whole packets out, ICMPv6 in."""

import errno

import pytest

from mcoa.runtime.sockets import (
    IcmpPacket,
    IcmpSocket,
    PacketSender,
    endpoint,
)
from netns.runtime.packets import (
    CORRESPONDENT,
    HOME_ADDRESS,
    NODE,
    ROUTER,
    plain,
    tunnelled,
    with_home_address_option,
)
from netns.runtime.pair import Pair, collected

pytestmark = pytest.mark.netns

ERRORS = (1, 2, 3, 4)
INNER = plain(CORRESPONDENT, HOME_ADDRESS, 100)


def test_what_is_larger_than_the_device_passes_is_not_fragmented(pair: Pair) -> None:
    pair.address()
    large = tunnelled(plain(CORRESPONDENT, HOME_ADDRESS, 1460))

    async def scenario() -> None:
        sender = PacketSender(interface="wwan0", source=NODE)
        assert sender.send(large, endpoint(ROUTER)) == errno.EMSGSIZE
        sender.close()

    pair.run(scenario)


def test_sending_without_a_route_is_an_answer_and_no_exception(pair: Pair) -> None:
    async def scenario() -> None:
        sender = PacketSender(interface="wwan0")
        assert sender.send(tunnelled(INNER), endpoint(ROUTER)) == errno.ENETUNREACH
        sender.close()

    pair.run(scenario)


def test_a_home_address_option_leaves_untouched(pair: Pair) -> None:
    pair.address()
    packet = with_home_address_option(ROUTER)

    async def scenario() -> IcmpPacket:
        errors = pair.net.call(lambda: IcmpSocket(ERRORS))
        here = IcmpSocket(ERRORS, interface="wwan0")
        sender = PacketSender(interface="wwan0", source=NODE)
        spoken = packet[:8] + NODE.packed + packet[24:]
        assert sender.send(spoken, endpoint(ROUTER)) == 0
        answers = await collected(here.receive, 1)
        # The other kernel quotes what it did not understand.
        assert answers[0].message[8:] == spoken
        for each in (errors, here, sender):
            each.close()
        return answers[0]

    answer = pair.run(scenario)
    assert (answer.message[:2], answer.source, answer.destination) == (b"\4\2", ROUTER, NODE)


def test_only_wanted_types_are_heard_with_hop_limit_and_device(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        heard = pair.net.call(lambda: IcmpSocket((135,), interface="acc0"))
        sender = PacketSender(interface="wwan0", source=NODE)
        # The kernel asks for its neighbour, which answers by another type.
        assert sender.send(plain(NODE, ROUTER), endpoint(ROUTER)) == 0
        packets = await collected(heard.receive, 1)
        assert {packet.message[0] for packet in packets} == {135}
        assert packets[0].hop_limit == 255
        assert packets[0].index > 0
        heard.close()
        sender.close()

    pair.run(scenario)
