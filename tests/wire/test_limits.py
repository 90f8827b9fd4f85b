"""What cannot be sent cannot be built: every field refuses what it cannot carry."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest

from mcoa.wire.dual_stack import Ipv4Packet, UdpDatagram
from mcoa.wire.flow import FlowIdentification, FlowSummary, RawSubOption
from mcoa.wire.icmpv6 import (
    EchoRequest,
    HomeAgentInformation,
    Mtu,
    PacketTooBig,
    ParameterProblem,
    PrefixInformation,
    RouterAdvertisement,
    UnknownNeighborOption,
)
from mcoa.wire.ipv6 import Fragment, Ipv6Packet
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingUpdate,
    HomeAgentSwitch,
    HomeTest,
    HomeTestInit,
    UnknownMessage,
)
from mcoa.wire.option_list import MalformedOption
from mcoa.wire.options import (
    BindingAuthorizationData,
    BindingRefreshAdvice,
    LinkLayerAddress,
    NonceIndices,
    RestartCounter,
    UnknownOption,
)
from mcoa.wire.options_ipv4 import Ipv4AddressAcknowledgement, Ipv4HomeAddress, NatDetection
from mcoa.wire.options_security import Authentication, MobileNodeIdentifier, Replay
from mcoa.wire.registry import AcknowledgementFlag, OptionType, UpdateFlag
from mcoa.wire.selectors import Ipv4TrafficSelector, Ipv6TrafficSelector, UnknownTrafficSelector

V4, V6 = IPv4Address(1), IPv6Address(1)

REFUSED: list[Callable[[], object]] = [
    lambda: Authentication(subtype=1, spi=1 << 32, data=b""),
    lambda: Authentication(subtype=1, spi=1, data=bytes(251)),
    lambda: BindingAcknowledgement(sequence=0x10000, lifetime_s=0),
    lambda: BindingAcknowledgement(sequence=1, lifetime_s=0, flags=AcknowledgementFlag(0x100)),
    lambda: BindingAuthorizationData(authenticator=bytes(11)),
    lambda: BindingRefreshAdvice(interval_s=2),
    lambda: BindingUpdate(sequence=-1, flags=UpdateFlag(0), lifetime_s=0),
    lambda: EchoRequest(identifier=0x10000, sequence=0),
    lambda: FlowIdentification(fid=0x10000),
    lambda: FlowIdentification(fid=1, bids=(0x10000,)),
    lambda: FlowSummary(fids=(0x10000,)),
    lambda: Fragment(identification=1 << 32),
    lambda: Fragment(identification=1, offset=0x10000),
    lambda: HomeAgentInformation(preference=0x10000, lifetime_s=1),
    lambda: HomeAgentSwitch(addresses=(V6,) * 128),
    lambda: HomeTest(nonce_index=1, cookie=bytes(8), token=bytes(7)),
    lambda: HomeTestInit(cookie=bytes(9)),
    lambda: Ipv4AddressAcknowledgement(prefix_length=33, address=V4),
    lambda: Ipv4HomeAddress(prefix_length=0, address=V4),
    lambda: Ipv4Packet(source=V4, destination=V4, protocol=17, fragment_offset=4),
    lambda: Ipv4Packet(source=V4, destination=V4, protocol=17, payload=bytes(65516)),
    lambda: Ipv4TrafficSelector(start_protocol=256),
    lambda: Ipv6Packet(source=V6, destination=V6, protocol=256),
    lambda: Ipv6Packet(source=V6, destination=V6, protocol=59, hop_limit=256),
    lambda: Ipv6Packet(source=V6, destination=V6, protocol=59, traffic_class=256),
    lambda: Ipv6Packet(source=V6, destination=V6, protocol=59, flow_label=1 << 20),
    lambda: Ipv6Packet(source=V6, destination=V6, protocol=59, tunnel_encapsulation_limit=256),
    lambda: Ipv6TrafficSelector(start_flow_label=1 << 20),
    lambda: LinkLayerAddress(address=bytes(255)),
    lambda: MobileNodeIdentifier(identifier=bytes(255)),
    lambda: Mtu(mtu=1 << 32),
    lambda: NatDetection(refresh_time_s=1 << 32),
    lambda: NonceIndices(home=0x10000, care_of=0),
    lambda: PacketTooBig(mtu=-1),
    lambda: ParameterProblem(pointer=1, code=256),
    lambda: PrefixInformation(
        prefix=V6, prefix_length=129, valid_lifetime_s=1, preferred_lifetime_s=1
    ),
    lambda: RawSubOption(type=1, data=b""),
    lambda: Replay(timestamp=1 << 64),
    lambda: RestartCounter(counter=1 << 32),
    lambda: RouterAdvertisement(lifetime_s=0x10000),
    lambda: UdpDatagram(source_port=1, destination_port=0x10000),
    lambda: UnknownMessage(type=99, data=bytes(8)),
    lambda: UnknownNeighborOption(type=99, data=bytes(7)),
    lambda: MalformedOption(type=OptionType.NONCE_INDICES, data=bytes(256)),
    lambda: UnknownOption(type=1, data=b""),
    lambda: UnknownOption(type=99, data=bytes(256)),
    lambda: UnknownTrafficSelector(format=2, data=b""),
]


@pytest.mark.parametrize("build", REFUSED, ids=map(str, range(len(REFUSED))))
def test_what_cannot_be_sent_cannot_be_built(build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"outside|multiple|fill|is known"):
        build()
