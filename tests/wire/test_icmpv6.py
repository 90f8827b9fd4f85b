"""RFC 4443, RFC 4861, RFC 6275 §6.5-6.8, §7: ICMPv6 and neighbor discovery."""

from ipaddress import IPv6Address

import pytest

from mcoa.wire.icmpv6 import (
    AdvertisementInterval,
    EchoRequest,
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    HomeAgentInformation,
    Icmpv6Message,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
    Mtu,
    NeighborAdvertisement,
    NeighborSolicitation,
    PacketTooBig,
    PrefixInformation,
    RouterAdvertisement,
    SourceLinkLayerAddress,
    TargetLinkLayerAddress,
    UnknownIcmpv6,
    decode_icmpv6,
    emit_icmpv6,
    parse_icmpv6,
)
from mcoa.wire.reader import ParseError

ADDRESS = IPv6Address("2001:db8::1")
OCTETS = "20010db8000000000000000000000001"
PREFIX = PrefixInformation(
    prefix=ADDRESS,
    on_link=True,
    autonomous=True,
    router_address=True,
    valid_lifetime_s=0xFFFFFFFF,
    preferred_lifetime_s=600,
)
PREFIX_OCTETS = "0304 40e0 ffffffff 00000258 00000000" + OCTETS

MESSAGES: list[tuple[Icmpv6Message, str]] = [
    (PacketTooBig(mtu=1280, invoking_packet=b"ab"), "0200 {} 00000500 6162"),
    (EchoRequest(identifier=1, sequence=2, data=b"abc"), "8000 {} 0001 0002 616263"),
    (
        NeighborSolicitation(
            target=ADDRESS, options=(SourceLinkLayerAddress(address=b"\2\0\0\0\0\1"),)
        ),
        "8700 {} 00000000" + OCTETS + "0101 020000000001",
    ),
    (
        NeighborAdvertisement(
            target=ADDRESS,
            solicited=True,
            override=True,
            options=(TargetLinkLayerAddress(address=b"\2\0\0\0\0\1"),),
        ),
        "8800 {} 60000000" + OCTETS + "0201 020000000001",
    ),
    (
        RouterAdvertisement(
            hop_limit=64,
            home_agent=True,
            lifetime_s=1800,
            options=(
                PREFIX,
                Mtu(mtu=1400),
                AdvertisementInterval(interval_ms=3000),
                HomeAgentInformation(preference=0xFFFE, lifetime_s=1800, mobile_routers=True),
            ),
        ),
        "8600 {} 4020 0708 00000000 00000000"
        + PREFIX_OCTETS
        + "0501 0000 00000578 0701 0000 00000bb8 0801 8000 fffe 0708",
    ),
    (HomeAgentAddressDiscoveryRequest(identifier=7), "9000 {} 0007 0000"),
    (
        HomeAgentAddressDiscoveryReply(
            identifier=7, mobile_routers=True, addresses=(ADDRESS, ADDRESS)
        ),
        "9100 {} 0007 8000" + OCTETS + OCTETS,
    ),
    (MobilePrefixSolicitation(identifier=8), "9200 {} 0008 0000"),
    (
        MobilePrefixAdvertisement(identifier=8, managed=True, options=(PREFIX,)),
        "9300 {} 0008 8000" + PREFIX_OCTETS,
    ),
    (UnknownIcmpv6(type=200, code=3, data=b"abc"), "c803 {} 616263"),
]


@pytest.mark.parametrize(
    ("message", "octets"), MESSAGES, ids=lambda value: type(value).__name__
)
def test_messages_have_their_layout(message: Icmpv6Message, octets: str) -> None:
    sent = emit_icmpv6(message, ADDRESS, ADDRESS)
    assert sent == bytes.fromhex(octets.format(sent[2:4].hex()))
    assert parse_icmpv6(sent, ADDRESS, ADDRESS) == message


def test_rfc4443_2_3_a_wrong_checksum_is_an_error() -> None:
    sent = emit_icmpv6(EchoRequest(identifier=1, sequence=2), ADDRESS, ADDRESS)
    with pytest.raises(ParseError, match="checksum") as caught:
        parse_icmpv6(sent[:-1] + b"\xff", ADDRESS, ADDRESS)
    assert caught.value.offset == 2


@pytest.mark.parametrize(
    ("octets", "offset", "reason"),
    [
        ("", 0, "Type needs 1"),
        ("860000", 2, "Checksum needs 2"),
        ("8600 0000 4000", 6, "Router Lifetime"),
        ("8500 0000 00000000 0100", 9, "Length of option 1 is zero"),
        ("8500 0000 00000000 0101 0000", 10, "option 1 needs 6"),
        ("8500 0000 00000000 0301 000000000000", 9, "Prefix Information is 6, not 30"),
        ("8500 0000 00000000 0304 81" + "00" * 29, 10, "Prefix Length 129"),
        ("9100 0000 00000000 00", 8, "home agent address needs 16"),
    ],
)
def test_a_malformed_message_is_an_error_with_its_place(
    octets: str, offset: int, reason: str
) -> None:
    with pytest.raises(ParseError, match=reason) as caught:
        decode_icmpv6(bytes.fromhex(octets))
    assert caught.value.offset == offset


@pytest.mark.parametrize("length", [0, 5, 7, 8])
def test_a_link_layer_address_that_fills_no_option_cannot_be_built(length: int) -> None:
    with pytest.raises(ValueError, match=r"octets|length"):
        SourceLinkLayerAddress(address=bytes(length))
