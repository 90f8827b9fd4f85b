"""Discovery, revocation and advertisements, judged by Wireshark and scapy.

Of a Home Agent Switch Wireshark 4.0 looks for options in the middle of the last address.
"""

import struct
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest

from decode.captures import ETHERNET, pcap
from decode.tshark import Fields, needs_tshark, opinions
from mcoa.engine.actions import Discovery, Envelope, Send
from mcoa.engine.addresses import home_agents_anycast
from mcoa.runtime.home_routers import advertisement
from mcoa.runtime.signalling import emit_signalling
from mcoa.wire.icmpv6 import ICMPV6, emit_icmpv6
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
)
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet, parse_packet
from mcoa.wire.messages import (
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    Message,
)
from mcoa.wire.neighbor_discovery import PrefixInformation
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingErrorStatus, RevocationTrigger

NETWORK = IPv6Network("2001:db8:1::/64")
AGENT, SECOND, HOME = NETWORK[1], NETWORK[2], NETWORK[0x100]
LTE = IPv6Address("2001:db8:a::1")
ANYCAST = home_agents_anycast(NETWORK)
ROUTER, ALL_NODES = IPv6Address("fe80::1"), IPv6Address("ff02::1")
TO_AGENT = Envelope(source=LTE, destination=AGENT, home_address=HOME)
TO_NODE = Envelope(source=AGENT, destination=LTE, routing_header_home_address=HOME)
PREFIX = PrefixInformation(
    prefix=AGENT, router_address=True, valid_lifetime_s=7200, preferred_lifetime_s=0
)
REVOKED = (BindingIdentifier(bid=1), BindingIdentifier(bid=3))

CASES: list[tuple[Message | Discovery, Envelope, Fields]] = [
    (
        HomeAgentAddressDiscoveryRequest(identifier=0x1234),
        Envelope(source=LTE, destination=ANYCAST),
        {"icmpv6.type": "144", "icmpv6.mip6.identifier": "4660"},
    ),
    (
        HomeAgentAddressDiscoveryReply(identifier=0x1234, addresses=(SECOND, AGENT)),
        Envelope(source=AGENT, destination=LTE),
        {"icmpv6.type": "145", "icmpv6.mip6.home_agent_address": str(SECOND)},
    ),
    (
        MobilePrefixSolicitation(identifier=7),
        TO_AGENT,
        {"icmpv6.type": "146", "icmpv6.mip6.identifier": "7"},
    ),
    (
        MobilePrefixAdvertisement(identifier=7, options=(PREFIX,)),
        TO_NODE,
        {"icmpv6.type": "147", "icmpv6.opt.prefix.preferred_lifetime": "0"},
    ),
    (
        BindingRevocationIndication(
            trigger=RevocationTrigger.ADMINISTRATIVE_REASON, sequence=9, options=REVOKED
        ),
        TO_NODE,
        {"mip6.mhtype": "16", "mip6.bri_br.type": "1", "mip6.bri_seqnr": "9"},
    ),
    (
        BindingRevocationAcknowledgement(sequence=9, options=REVOKED),
        TO_AGENT,
        {"mip6.mhtype": "16", "mip6.bri_br.type": "2"},
    ),
    (
        BindingError(
            status=BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS, home_address=HOME
        ),
        Envelope(source=AGENT, destination=LTE),
        {"mip6.mhtype": "7", "mip6.be.haddr": str(HOME), "mip6.be.status": "1"},
    ),
]


def judged(packet: bytes, directory: Path) -> Fields:
    """Return Wireshark's fields; scapy has to find the checksum right."""
    from scapy.layers.inet6 import IPv6, in6_chksum  # noqa: PLC0415 - slow to import

    capture = directory / "judged.pcap"
    ethernet = bytes(12) + struct.pack("!H", 0x86DD)
    capture.write_bytes(pcap([ethernet + packet], ETHERNET))
    [opinion] = opinions(capture)
    assert not opinion.malformed
    parsed = parse_packet(packet)
    header = IPv6(src=str(parsed.checksum_source), dst=str(parsed.checksum_destination))
    assert in6_chksum(parsed.protocol, header, parsed.payload) == 0
    return opinion.fields


@needs_tshark
@pytest.mark.parametrize(("message", "envelope", "fields"), CASES)
def test_what_is_sent_is_what_others_read(
    message: Message | Discovery, envelope: Envelope, fields: Fields, tmp_path: Path
) -> None:
    said = judged(emit_signalling(Send(message=message, envelope=envelope)), tmp_path)
    assert {name: said.get(name) for name in fields} == fields


@needs_tshark
def test_a_home_agents_advertisement_is_what_others_read(tmp_path: Path) -> None:
    message = advertisement(AGENT, [NETWORK], preference=0xFFFF, mac=bytes(range(6)))
    packet = Ipv6Packet(
        source=ROUTER,
        destination=ALL_NODES,
        protocol=ICMPV6,
        payload=emit_icmpv6(message, ROUTER, ALL_NODES),
        hop_limit=255,
    )
    said = judged(emit_packet(packet), tmp_path)
    assert said["icmpv6.type"] == "134"
    assert said["icmpv6.nd.ra.flag.h"] in {"1", "True"}
    assert said["icmpv6.opt.home_agent_preference"] == "65535"
    assert said["icmpv6.opt.prefix"] == str(AGENT)
    assert said["icmpv6.opt.prefix.flag.r"] in {"1", "True"}
