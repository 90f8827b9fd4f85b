"""Tunnel packets and messages of strangers go no further, are counted, and told."""

from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from mcoa.dataplane.counters import DropReason
from mcoa.lab.nodes import AGENT, NODE
from mcoa.lab.topology import CORE, CORRESPONDENT
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from mcoa.wire.messages import BindingRefreshRequest, BindingUpdate, emit_message
from netns.daemon.laboratory import Laboratory, Udp, answers, until
from netns.daemon.packets import STRANGER, datagram, send, tunnelled

pytestmark = pytest.mark.netns

MOBILITY = 135
NOT_REGISTERED = f"dropped: {DropReason.NOT_REGISTERED}"
NOT_FROM_AGENT = f"dropped: {DropReason.NOT_FROM_HOME_AGENT}"


def care_of(lab: Laboratory, link: str) -> IPv6Address:
    [address] = [IPv6Address(at) for name, at in lab.registered().values() if name == link]
    return address


@pytest.fixture
def sink(lab: Laboratory) -> Iterator[Udp]:
    """A socket of the correspondent, that nothing spoofed may reach."""
    with Udp(lab.network[CORRESPONDENT]) as opened:
        yield opened


@pytest.mark.requirement("S9-02")
def test_the_agent_forwards_from_a_registered_address_only(lab: Laboratory, sink: Udp) -> None:
    """The same inner packet passes from a registered care-of address, and from none else."""
    topology = lab.topology
    hello = datagram(topology.home_address, topology.correspondent, sink.port)
    agent, core = topology.home_agent, lab.network[CORE]
    before = lab.counter(AGENT, NOT_REGISTERED)
    for outer in (STRANGER, topology.correspondent, topology.home_address, agent):
        send(core, tunnelled(outer, agent, hello))
    another = datagram(topology.home_prefix[0x101], topology.correspondent, sink.port)
    send(core, tunnelled(care_of(lab, "lte"), agent, another))
    until(
        lambda: lab.counter(AGENT, NOT_REGISTERED) >= before + 4,
        lambda: f"four drops; {lab.status(AGENT)['counters']}",
    )
    assert sink.received() == []
    send(core, tunnelled(care_of(lab, "wifi"), agent, hello))
    until(lambda: sink.received() == [(b"hello", topology.home_address, 9999)], "one hello")
    log = lab.nodes.log(AGENT).read_text("utf-8")
    assert any(
        "packet-dropped" in line
        and f"outer_source={STRANGER}" in line
        and f"inner_source={topology.home_address}" in line
        for line in log.splitlines()
    )


def test_a_deregistered_address_is_a_stranger(lab: Laboratory, sink: Udp) -> None:
    topology = lab.topology
    address = care_of(lab, "sat")
    lab.mobile_node.ip(f"address del {address}/64 dev sat")
    lab.until_registered("lte", "wifi")
    before = lab.counter(AGENT, NOT_REGISTERED)
    hello = datagram(topology.home_address, topology.correspondent, sink.port)
    send(lab.network[CORE], tunnelled(address, topology.home_agent, hello))
    until(lambda: lab.counter(AGENT, NOT_REGISTERED) == before + 1, "a drop")
    assert sink.received() == []
    lab.mobile_node.ip(f"address replace {address}/64 dev sat")
    lab.until_registered()


def test_the_node_takes_tunnel_packets_of_its_agent_only(lab: Laboratory) -> None:
    topology = lab.topology
    before = lab.counter(NODE, NOT_FROM_AGENT)
    with Udp(lab.mobile_node) as sink:
        hello = datagram(topology.correspondent, topology.home_address, sink.port)
        for outer in (STRANGER, topology.correspondent):
            send(lab.network[CORE], tunnelled(outer, care_of(lab, "lte"), hello))
        until(
            lambda: lab.counter(NODE, NOT_FROM_AGENT) == before + 2,
            lambda: f"two drops; {lab.status(NODE)['counters']}",
        )
        assert sink.received() == []
        send(lab.network[CORE], tunnelled(topology.home_agent, care_of(lab, "lte"), hello))
        until(lambda: len(sink.received()) == 1, "one hello")
    assert f"outer_source={STRANGER}" in lab.nodes.log(NODE).read_text("utf-8")


@pytest.mark.requirement("S5.8-01", "S5.8-03")
def test_a_message_in_a_strangers_tunnel_is_no_message_of_the_agent(lab: Laboratory) -> None:
    """The inner source claims to be the agent; anybody can write that."""
    topology = lab.topology
    request = emit_message(BindingRefreshRequest(), topology.home_agent, topology.home_address)
    inner = emit_packet(
        Ipv6Packet(
            source=topology.home_agent,
            destination=topology.home_address,
            protocol=MOBILITY,
            payload=request,
        )
    )
    before, seen = lab.counter(NODE, NOT_FROM_AGENT), updates(lab)
    send(lab.network[CORE], tunnelled(STRANGER, care_of(lab, "lte"), inner))
    until(
        lambda: lab.counter(NODE, NOT_FROM_AGENT) == before + 1,
        lambda: f"a drop; {lab.status(NODE)['counters']}",
    )
    assert updates(lab) == seen
    send(lab.network[CORE], tunnelled(topology.home_agent, care_of(lab, "lte"), inner))
    until(lambda: len(updates(lab)) == len(seen) + 1, "the update that was asked for")


def updates(lab: Laboratory) -> set[int]:
    """Return the numbers of all updates seen."""
    messages = lab.wire.messages()
    return {each.sequence for _, each in messages if isinstance(each, BindingUpdate)}


def test_all_goes_on(lab: Laboratory) -> None:
    lab.until_registered()
    assert answers(lab.network[CORRESPONDENT], lab.topology.home_address, identifier=1)
    assert answers(lab.mobile_node, lab.topology.correspondent, identifier=2)
    assert answers(lab.network[CORRESPONDENT], lab.topology.home_agent, identifier=3)


def test_every_message_was_well_formed(lab: Laboratory, tmp_path: Path) -> None:
    names = lab.wire.judge(tmp_path)
    assert names["Binding Update"] > 4
    assert names["Binding Refresh Request"] == 2


def test_no_kernel_answered_anything(lab: Laboratory) -> None:
    assert lab.wire.errors() == []


def test_the_record_would_show_an_answer(lab: Laboratory) -> None:
    lost = datagram(lab.topology.correspondent, care_of(lab, "lte"), 4)
    send(lab.network[CORRESPONDENT], lost)
    until(lambda: [each.icmpv6_type for each in lab.wire.errors()] == [1], "port unreachable")
