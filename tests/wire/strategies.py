"""Every value of the wire that can be built, for hypothesis."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network

from hypothesis import strategies as st

from mcoa.wire import icmpv6, messages, registry
from mcoa.wire.dual_stack import Ipv4Packet, UdpDatagram
from mcoa.wire.flow import FlowIdentification, FlowSummary, RawSubOption
from mcoa.wire.ipv6 import Fragment, Ipv6Packet
from mcoa.wire.option_list import MalformedOption, Option
from mcoa.wire.options import (
    AlternateCareOfAddress,
    BindingAuthorizationData,
    BindingIdentifier,
    BindingRefreshAdvice,
    LinkLayerAddress,
    MalformedBindingIdentifier,
    MobileNetworkPrefix,
    NonceIndices,
    RestartCounter,
    UnknownOption,
)
from mcoa.wire.options_ipv4 import (
    Ipv4AddressAcknowledgement,
    Ipv4CareOfAddress,
    Ipv4HomeAddress,
    NatDetection,
)
from mcoa.wire.options_security import Authentication, MobileNodeIdentifier, Replay
from mcoa.wire.selectors import (
    Ipv4TrafficSelector,
    Ipv6TrafficSelector,
    UnknownTrafficSelector,
)

uint8 = st.integers(0, 0xFF)
uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFF_FFFF)
uint64 = st.integers(0, (1 << 64) - 1)
ipv4 = st.binary(min_size=4, max_size=4).map(IPv4Address)
ipv6 = st.binary(min_size=16, max_size=16).map(IPv6Address)
durations = uint16.map(lambda units: 4 * units)
eight_octets = st.binary(min_size=8, max_size=8)

identifiers = st.builds(
    BindingIdentifier,
    bid=st.integers(1, 0xFFFF),
    status=uint8.map(registry.BindingStatus),
    home=st.booleans(),
    priority=st.integers(0, 0x7F),
    care_of_address=st.none() | ipv4 | ipv6,
)
malformed_identifiers = st.one_of(
    st.binary(max_size=40).filter(lambda data: len(data) not in (4, 8, 20)),
    st.sampled_from((4, 8, 20)).map(bytes),
).map(lambda data: MalformedBindingIdentifier(data=data))


def _range(values: st.SearchStrategy[object], start: str) -> st.SearchStrategy[dict]:
    """Neither end of a range, its start, or both."""
    end = start.replace("start", "end")
    return st.one_of(
        st.just({}),
        st.fixed_dictionaries({start: values}),
        st.fixed_dictionaries({start: values, end: values}),
    )


def _selector(kind: type, **starts: st.SearchStrategy[object]) -> st.SearchStrategy:
    ranges = st.tuples(*(_range(values, start) for start, values in starts.items()))
    return ranges.map(
        lambda parts: kind(**{name: value for part in parts for name, value in part.items()})
    )


ipv4_selectors = _selector(
    Ipv4TrafficSelector,
    start_source=ipv4,
    start_destination=ipv4,
    start_spi=uint32,
    start_source_port=uint16,
    start_destination_port=uint16,
    start_ds=uint8,
    start_protocol=uint8,
)
ipv6_selectors = _selector(
    Ipv6TrafficSelector,
    start_source=ipv6,
    start_destination=ipv6,
    start_spi=uint32,
    start_flow_label=st.integers(0, 0xF_FFFF),
    start_source_port=uint16,
    start_destination_port=uint16,
    start_traffic_class=uint8,
    start_next_header=uint8,
)
unknown_selectors = st.builds(
    UnknownTrafficSelector,
    format=uint8.filter(lambda number: number not in (1, 2)),
    data=st.binary(max_size=20),
)
flow_identifications = st.builds(
    FlowIdentification,
    fid=uint16,
    priority=uint16,
    status=uint8.map(registry.FlowStatus),
    bids=st.none() | st.lists(uint16, max_size=5).map(tuple),
    selector=st.none() | ipv4_selectors | ipv6_selectors | unknown_selectors,
    others=st.lists(
        st.builds(RawSubOption, type=st.integers(4, 0xFF), data=st.binary(max_size=9)),
        max_size=2,
    ).map(tuple),
)

MODELLED = {2, 3, 4, 5, 6, 7, 8, 9, 10, 28, 29, 30, 31, 32, 35, 44, 45}
malformed_options = st.one_of(
    st.tuples(st.sampled_from((4, 6, 10, 28, 29, 30, 31, 32)), st.binary(max_size=3)),
    st.tuples(st.just(2), st.binary(max_size=1)),
    st.tuples(st.sampled_from((3, 5)), st.binary(max_size=11)),
    st.tuples(st.sampled_from((7, 8)), st.just(b"")),
    st.tuples(st.just(9), st.binary(max_size=4)),
    st.tuples(st.just(44), st.binary(max_size=9).filter(lambda data: len(data) % 2)),
    st.tuples(st.just(45), st.binary(max_size=5)),
).map(lambda pair: MalformedOption(type=registry.OptionType(pair[0]), data=pair[1]))
options_but_authorization: st.SearchStrategy[Option] = st.one_of(
    identifiers,
    malformed_identifiers,
    malformed_options,
    st.builds(AlternateCareOfAddress, address=ipv6),
    st.builds(Authentication, subtype=uint8, spi=uint32, data=st.binary(max_size=20)),
    st.builds(BindingRefreshAdvice, interval_s=durations),
    flow_identifications,
    st.builds(FlowSummary, fids=st.lists(uint16, max_size=5).map(tuple)),
    st.builds(
        Ipv4AddressAcknowledgement,
        status=uint8.map(registry.Ipv4AddressStatus),
        prefix_length=st.integers(0, 32),
        address=ipv4,
    ),
    st.builds(Ipv4CareOfAddress, address=ipv4),
    st.builds(
        Ipv4HomeAddress,
        prefix_length=st.integers(1, 32),
        wants_prefix=st.booleans(),
        address=ipv4,
    ),
    st.builds(LinkLayerAddress, code=uint8, address=st.binary(max_size=16)),
    st.builds(
        MobileNetworkPrefix,
        prefix=st.tuples(ipv6, st.integers(0, 128)).map(
            lambda pair: IPv6Network((pair[0], pair[1]), strict=False)
        ),
    ),
    st.builds(MobileNodeIdentifier, subtype=uint8, identifier=st.binary(max_size=20)),
    st.builds(NatDetection, force_udp=st.booleans(), refresh_time_s=uint32),
    st.builds(NonceIndices, home=uint16, care_of=uint16),
    st.builds(Replay, timestamp=uint64),
    st.builds(RestartCounter, counter=uint32),
    st.builds(
        UnknownOption,
        type=st.integers(2, 0xFF).filter(lambda number: number not in MODELLED),
        data=st.binary(max_size=20),
    ),
)
authorizations = st.builds(
    BindingAuthorizationData, authenticator=st.binary(min_size=12, max_size=12)
)
options = options_but_authorization | authorizations
option_lists = st.tuples(
    st.lists(options_but_authorization, max_size=5), st.lists(authorizations, max_size=1)
).map(lambda parts: (*parts[0], *parts[1]))

update_flags = st.integers(0, 0x3FF).map(lambda bits: registry.UpdateFlag(bits << 6))
revocation_flags = st.integers(0, 7).map(lambda bits: registry.RevocationFlag(bits << 13))

binding_updates = st.builds(
    messages.BindingUpdate,
    sequence=uint16,
    flags=update_flags,
    lifetime_s=durations,
    options=option_lists,
)
binding_acknowledgements = st.builds(
    messages.BindingAcknowledgement,
    status=uint8.map(registry.BindingStatus),
    flags=st.integers(0, 15).map(lambda bits: registry.AcknowledgementFlag(bits << 4)),
    sequence=uint16,
    lifetime_s=durations,
    options=option_lists,
)
known_messages = st.one_of(
    st.builds(messages.BindingRefreshRequest, options=option_lists),
    st.builds(messages.HomeTestInit, cookie=eight_octets, options=option_lists),
    st.builds(messages.CareOfTestInit, cookie=eight_octets, options=option_lists),
    st.builds(
        messages.HomeTest,
        nonce_index=uint16,
        cookie=eight_octets,
        token=eight_octets,
        options=option_lists,
    ),
    st.builds(
        messages.CareOfTest,
        nonce_index=uint16,
        cookie=eight_octets,
        token=eight_octets,
        options=option_lists,
    ),
    binding_updates,
    binding_acknowledgements,
    st.builds(
        messages.BindingError,
        status=uint8.map(registry.BindingErrorStatus),
        home_address=ipv6,
        options=option_lists,
    ),
    st.builds(
        messages.HomeAgentSwitch,
        addresses=st.lists(ipv6, max_size=4).map(tuple),
        options=option_lists,
    ),
    st.builds(
        messages.Heartbeat,
        sequence=uint32,
        response=st.booleans(),
        unsolicited=st.booleans(),
        options=option_lists,
    ),
    st.builds(
        messages.BindingRevocationIndication,
        trigger=uint8.map(registry.RevocationTrigger),
        sequence=uint16,
        flags=revocation_flags,
        options=option_lists,
    ),
    st.builds(
        messages.BindingRevocationAcknowledgement,
        status=uint8.map(registry.RevocationStatus),
        sequence=uint16,
        flags=revocation_flags,
        options=option_lists,
    ),
)
unknown_messages = st.builds(
    messages.UnknownMessage,
    type=st.sampled_from((8, 9, 10, 11, 14, 15, 17, 23, 24, 255)),
    data=st.integers(0, 4).flatmap(
        lambda words: st.binary(min_size=8 * words + 2, max_size=8 * words + 2)
    ),
)
all_messages = known_messages | unknown_messages

fragments = st.builds(
    Fragment,
    identification=uint32,
    offset=st.integers(0, 0x1FFF).map(lambda units: 8 * units),
    more=st.booleans(),
)
packets = st.builds(
    Ipv6Packet,
    source=ipv6,
    destination=ipv6,
    protocol=uint8.filter(lambda number: number not in (0, 43, 44, 60)),
    payload=st.binary(max_size=40),
    home_address=st.none() | ipv6,
    routing_home_address=st.none() | ipv6,
    hop_limit=uint8,
    traffic_class=uint8,
    flow_label=st.integers(0, 0xF_FFFF),
    fragment=st.none() | fragments,
    tunnel_encapsulation_limit=st.none() | uint8,
)
ipv4_packets = st.builds(
    Ipv4Packet,
    source=ipv4,
    destination=ipv4,
    protocol=uint8,
    payload=st.binary(max_size=40),
    ttl=uint8,
    traffic_class=uint8,
    identification=uint16,
    dont_fragment=st.booleans(),
    more_fragments=st.booleans(),
    fragment_offset=st.integers(0, 0x1FFF).map(lambda units: 8 * units),
)
datagrams = st.builds(
    UdpDatagram, source_port=uint16, destination_port=uint16, payload=st.binary(max_size=40)
)

link_layer = st.integers(0, 3).flatmap(
    lambda units: st.binary(min_size=8 * units + 6, max_size=8 * units + 6)
)
neighbor_options = st.lists(
    st.one_of(
        st.builds(icmpv6.SourceLinkLayerAddress, address=link_layer),
        st.builds(icmpv6.TargetLinkLayerAddress, address=link_layer),
        st.builds(
            icmpv6.PrefixInformation,
            prefix=ipv6,
            prefix_length=st.integers(0, 128),
            on_link=st.booleans(),
            autonomous=st.booleans(),
            router_address=st.booleans(),
            valid_lifetime_s=uint32,
            preferred_lifetime_s=uint32,
        ),
        st.builds(icmpv6.Mtu, mtu=uint32),
        st.builds(icmpv6.AdvertisementInterval, interval_ms=uint32),
        st.builds(
            icmpv6.HomeAgentInformation,
            preference=st.integers(0, 0xFFFF),
            lifetime_s=uint16,
            mobile_routers=st.booleans(),
        ),
        st.builds(
            icmpv6.UnknownNeighborOption,
            type=uint8.filter(lambda number: number not in (1, 2, 3, 5, 7, 8)),
            data=link_layer,
        ),
    ),
    max_size=3,
).map(tuple)
icmpv6_messages = st.one_of(
    st.builds(icmpv6.DestinationUnreachable, code=uint8, invoking_packet=st.binary()),
    st.builds(icmpv6.PacketTooBig, mtu=uint32, code=uint8, invoking_packet=st.binary()),
    st.builds(icmpv6.TimeExceeded, code=uint8, invoking_packet=st.binary()),
    st.builds(icmpv6.ParameterProblem, code=uint8, pointer=uint32, invoking_packet=st.binary()),
    st.builds(icmpv6.EchoRequest, identifier=uint16, sequence=uint16, data=st.binary()),
    st.builds(icmpv6.EchoReply, identifier=uint16, sequence=uint16, data=st.binary()),
    st.builds(icmpv6.RouterSolicitation, options=neighbor_options),
    st.builds(
        icmpv6.RouterAdvertisement,
        hop_limit=uint8,
        managed=st.booleans(),
        other=st.booleans(),
        home_agent=st.booleans(),
        lifetime_s=uint16,
        reachable_time_ms=uint32,
        retransmit_timer_ms=uint32,
        options=neighbor_options,
    ),
    st.builds(icmpv6.NeighborSolicitation, target=ipv6, options=neighbor_options),
    st.builds(
        icmpv6.NeighborAdvertisement,
        target=ipv6,
        router=st.booleans(),
        solicited=st.booleans(),
        override=st.booleans(),
        options=neighbor_options,
    ),
    st.builds(
        icmpv6.HomeAgentAddressDiscoveryRequest,
        identifier=uint16,
        mobile_routers=st.booleans(),
    ),
    st.builds(
        icmpv6.HomeAgentAddressDiscoveryReply,
        identifier=uint16,
        mobile_routers=st.booleans(),
        addresses=st.lists(ipv6, max_size=3).map(tuple),
    ),
    st.builds(icmpv6.MobilePrefixSolicitation, identifier=uint16),
    st.builds(
        icmpv6.MobilePrefixAdvertisement,
        identifier=uint16,
        managed=st.booleans(),
        other=st.booleans(),
        options=neighbor_options,
    ),
    st.builds(
        icmpv6.UnknownIcmpv6,
        type=st.integers(150, 255),
        code=uint8,
        data=st.binary(max_size=20),
    ),
)
