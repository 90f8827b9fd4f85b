"""A mobile node of others, played here: its agent goes by BID-PRI where no flow binding matches."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from mcoa.engine.actions import Envelope, Send
from mcoa.lab.nodes import AGENT
from mcoa.lab.topology import CORE, CORRESPONDENT
from mcoa.runtime.signalling import emit_signalling, parse_signalling
from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.ipv6 import parse_packet
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate
from mcoa.wire.option_list import MalformedOption, Option
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingStatus, FlowStatus, OptionType, UpdateFlag
from mcoa.wire.selectors import Ipv6TrafficSelector
from netns.daemon.laboratory import Laboratory, laboratory, until
from netns.daemon.packets import IPV6, UDP, datagram, send
from netns.daemon.sniffer import Sniffer

pytestmark = pytest.mark.netns

ROUTING = 43
PACKETS = 4
"""Of a flow: the first ones tell the daemon of it, the others are carried as it decided."""

PRIORITIES = {"lte": 30, "wifi": 10, "sat": 20}
MATCHED, UNMATCHED = 7100, 7000


@pytest.fixture(scope="module", params=["ebpf", "userspace"])
def lab(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    """Figure 1 with the agent's daemon alone."""
    with laboratory(data_plane=request.param, started=False) as built:
        built.nodes.start_agent()
        until(
            lambda: built.status(AGENT).get("data_plane") == request.param, "the agent's daemon"
        )
        yield built


class Other:
    """A mobile node without a daemon; its packets are taken as they come in."""

    def __init__(self, lab: Laboratory, opened: ExitStack) -> None:
        self.lab = lab
        self.home_address = lab.topology.home_address
        self.sequence = 0
        self.bids = {each.name: each.bid for each in lab.topology.links}
        self.sniffers = {
            name: opened.enter_context(Sniffer(lab.mobile_node, name)) for name in self.bids
        }
        self.addresses = lab.network.care_of_addresses()

    def register(
        self, links: Sequence[str], *options: Option, lifetime_s: int = 600
    ) -> BindingAcknowledgement:
        """Send an update from the first of some links; return what the agent answers."""
        self.sequence += 1
        named = tuple(
            BindingIdentifier(
                bid=self.bids[link],
                priority=PRIORITIES[link],
                care_of_address=self.addresses[link] if lifetime_s else None,
            )
            for link in links
        )
        update = BindingUpdate(
            sequence=self.sequence,
            flags=UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME,
            lifetime_s=lifetime_s,
            options=(*named, *options),
        )
        envelope = Envelope(
            source=self.addresses[links[0]],
            destination=self.lab.topology.home_agent,
            home_address=self.home_address,
        )
        send(self.lab.network[CORE], emit_signalling(Send(message=update, envelope=envelope)))
        [answer] = self.sniffers[links[0]].wait(lambda each: each[6] == ROUTING, within_s=5.0)
        message = parse_signalling(answer).message
        assert isinstance(message, BindingAcknowledgement)
        assert message.sequence == self.sequence
        return message

    def links_of(self, port: int) -> list[str]:
        """Return the links by which the packets of a flow come, sent one after the other."""
        sent = datagram(self.lab.topology.correspondent, self.home_address, port)
        came: list[str] = []
        for _ in range(PACKETS):
            send(self.lab.network[CORRESPONDENT], sent)
            came += [link for link, each in self.sniffers.items() if self._took(each, port)]
        assert len(came) == PACKETS, came
        return sorted(set(came))

    def _took(self, sniffer: Sniffer, port: int) -> bool:
        def is_of_flow(outer: bytes) -> bool:
            inner = parse_packet(outer).payload if outer[6] == IPV6 else bytes(44)
            return inner[6] == UDP and inner[42:44] == port.to_bytes(2)

        return bool(sniffer.wait(is_of_flow, within_s=0.4))


@pytest.fixture(scope="module")
def other(lab: Laboratory) -> Iterator[Other]:
    with ExitStack() as opened:
        yield Other(lab, opened)


def test_rfc6089_4_2_flow_options_are_answered_one_by_one(other: Other) -> None:
    good = FlowIdentification(
        fid=5,
        priority=1,
        selector=Ipv6TrafficSelector(start_destination_port=MATCHED),
        bids=(other.bids["lte"],),
    )
    overrun = bytes.fromhex("0006000a00000308020000800000005002200002")
    broken = MalformedOption(type=OptionType.FLOW_IDENTIFICATION, data=overrun)
    answer = other.register(("lte", "wifi", "sat"), good, broken)
    assert answer.status is BindingStatus.ACCEPTED
    flows = [each for each in answer.options if isinstance(each, FlowIdentification)]
    assert {each.fid: each.status for each in flows} == {
        5: FlowStatus.ACCEPTED,
        6: FlowStatus.MALFORMED,
    }
    assert other.lab.counter(AGENT, "option-malformed") == 1


def test_rfc6089_5_1_1_what_matches_no_flow_goes_by_the_lowest_bid_pri(other: Other) -> None:
    assert other.links_of(MATCHED) == ["lte"]
    for port in range(UNMATCHED, UNMATCHED + 3):
        assert other.links_of(port) == ["wifi"]


def test_the_next_one_serves_when_the_first_is_gone_and_until_it_is_back(other: Other) -> None:
    kept = FlowSummary(fids=(5,))
    other.register(("wifi",), kept, lifetime_s=0)
    assert other.links_of(UNMATCHED) == ["sat"]
    assert other.links_of(MATCHED) == ["lte"]
    other.register(("wifi",), kept)
    assert other.links_of(UNMATCHED) == ["wifi"]
    assert other.links_of(MATCHED) == ["lte"]


def test_without_flow_bindings_the_order_counts_too(other: Other) -> None:
    other.register(("sat", "wifi", "lte"))
    assert other.links_of(MATCHED) == ["wifi"]
    other.register(("wifi",), lifetime_s=0)
    assert other.links_of(MATCHED) == ["sat"]
