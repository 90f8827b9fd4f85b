"""Raw sockets: tunnel packets, fragments, traffic class, and a silent kernel."""

import asyncio
import errno

import pytest

from mcoa.dataplane.copies import mark
from mcoa.dataplane.packet import encapsulate_with, tunnel_prefix
from mcoa.runtime.sockets import (
    IcmpPacket,
    IcmpSocket,
    PacketSender,
    Silencer,
    TunnelSocket,
    endpoint,
)
from netns.runtime.packets import (
    CORRESPONDENT,
    HOME_ADDRESS,
    NODE,
    OTHER,
    ROUTER,
    plain,
    tunnelled,
    with_home_address_option,
)
from netns.runtime.pair import Pair, collected

pytestmark = pytest.mark.netns

ERRORS = (1, 2, 3, 4)
INNER = plain(CORRESPONDENT, HOME_ADDRESS, 100)


def test_a_tunnel_packet_arrives_with_its_outer_addresses_and_traffic_class(
    pair: Pair,
) -> None:
    pair.address()

    async def scenario() -> None:
        tunnel = TunnelSocket(interface="wwan0")
        sender = pair.net.call(lambda: PacketSender(interface="acc0"))
        for destination in (NODE, OTHER):
            packet = tunnelled(INNER, destination, traffic_class=0x2B)
            assert sender.send(packet, endpoint(destination)) == 0
        # In either order: the network has two neighbours to find first.
        assert set(await collected(tunnel.receive, 2)) == {
            (INNER, ROUTER.packed, destination.packed, 0x2B, None)
            for destination in (NODE, OTHER)
        }
        sender.close()
        tunnel.close()

    pair.run(scenario)


def test_the_number_of_a_copy_arrives_with_it(pair: Pair) -> None:
    pair.address()
    prefix = tunnel_prefix(ROUTER.packed, NODE.packed)

    async def scenario() -> None:
        tunnel = TunnelSocket(interface="wwan0")
        sender = pair.net.call(lambda: PacketSender(interface="acc0"))
        for number in (7, 0xC9C9C9):
            packet = encapsulate_with(mark(number), INNER, prefix)
            assert sender.send(packet, endpoint(NODE)) == 0
        assert await collected(tunnel.receive, 2) == [
            (INNER, ROUTER.packed, NODE.packed, 0, number) for number in (7, 0xC9C9C9)
        ]
        sender.close()
        tunnel.close()

    pair.run(scenario)


def test_a_tunnel_packet_leaves_with_source_and_traffic_class(pair: Pair) -> None:
    pair.address()

    async def scenario() -> None:
        there = pair.net.call(lambda: TunnelSocket(interface="acc0"))
        here = TunnelSocket(interface="wwan0", source=OTHER)
        assert here.send(INNER, endpoint(ROUTER)) == 0
        assert here.send(INNER, endpoint(ROUTER), 3) == 0
        assert await collected(there.receive, 2) == [
            (INNER, OTHER.packed, ROUTER.packed, traffic_class, None)
            for traffic_class in (0, 3)
        ]
        there.close()
        here.close()

    pair.run(scenario)


def test_what_is_too_large_is_fragmented_and_put_together_again(pair: Pair) -> None:
    pair.address()
    large = plain(CORRESPONDENT, HOME_ADDRESS, 1460)

    async def scenario() -> None:
        there = pair.net.call(lambda: TunnelSocket(interface="acc0"))
        here = TunnelSocket(interface="wwan0", source=NODE)
        whole = PacketSender(interface="wwan0", source=NODE)
        assert whole.send(tunnelled(large), endpoint(ROUTER)) == errno.EMSGSIZE
        here.set_mtu(1280)
        assert here.send(large, endpoint(ROUTER)) == 0
        assert await collected(there.receive, 1) == [
            (large, NODE.packed, ROUTER.packed, 0, None)
        ]
        for each in (there, here, whole):
            each.close()

    pair.run(scenario)


def test_sending_without_a_route_is_an_answer_and_no_exception(pair: Pair) -> None:
    async def scenario() -> None:
        sender, tunnel = PacketSender(interface="wwan0"), TunnelSocket(interface="wwan0")
        assert sender.send(tunnelled(INNER), endpoint(ROUTER)) == errno.ENETUNREACH
        assert tunnel.send(INNER, endpoint(ROUTER)) == errno.ENETUNREACH
        sender.close()
        tunnel.close()

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


@pytest.mark.parametrize("silent", [False, True])
def test_the_kernel_answers_tunnel_packets_only_without_us(pair: Pair, *, silent: bool) -> None:
    pair.address()

    async def scenario() -> list[bytes]:
        errors = pair.net.call(lambda: IcmpSocket(ERRORS))
        there = pair.net.call(lambda: TunnelSocket(interface="acc0", source=ROUTER))
        ours = [Silencer(), TunnelSocket(interface="wwan0", source=NODE)] if silent else []
        assert there.send(INNER, endpoint(OTHER)) == 0
        # More than fits the socket: a full one alone would let the kernel answer.
        for _ in range(6000):
            there.send(plain(CORRESPONDENT, HOME_ADDRESS, 1000), endpoint(NODE))
        await asyncio.sleep(0.3)
        answers = [packet.message[:2] for packet in errors.receive()]
        for each in (errors, there, *ours):
            each.close()
        return answers

    assert bool(pair.run(scenario)) is not silent


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
