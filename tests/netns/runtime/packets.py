"""Packets that the tests send, and what a network's router says."""

from ipaddress import IPv6Address, IPv6Network

from mcoa.runtime.sockets import PacketSender, endpoint
from mcoa.wire.icmpv6 import EchoRequest, emit_icmpv6
from mcoa.wire.icmpv6_neighbor import RouterAdvertisement
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from mcoa.wire.neighbor_discovery import PrefixInformation, SourceLinkLayerAddress

ALL_NODES = IPv6Address("ff02::1")
NO_NEXT_HEADER = 59
PREFIX = IPv6Network("2001:db8:a::/64")
ROUTER, NODE, OTHER = PREFIX[1], PREFIX[2], PREFIX[3]
HOME_ADDRESS = IPv6Address("2001:db8:1::100")
CORRESPONDENT = IPv6Address("2001:db8:c::1")


def plain(source: IPv6Address, destination: IPv6Address, octets: int = 0) -> bytes:
    """Return a packet of zeros and of no protocol."""
    return emit_packet(
        Ipv6Packet(
            source=source,
            destination=destination,
            protocol=NO_NEXT_HEADER,
            payload=bytes(octets),
        )
    )


def with_routing_header(destination: IPv6Address = NODE) -> bytes:
    """Return a packet with a type 2 routing header."""
    return emit_packet(
        Ipv6Packet(
            source=ROUTER,
            destination=destination,
            protocol=NO_NEXT_HEADER,
            payload=b"",
            routing_home_address=HOME_ADDRESS,
        )
    )


def with_home_address_option(destination: IPv6Address = NODE) -> bytes:
    """Return a packet with a Home Address option."""
    return emit_packet(
        Ipv6Packet(
            source=ROUTER,
            destination=destination,
            protocol=NO_NEXT_HEADER,
            payload=b"",
            home_address=HOME_ADDRESS,
        )
    )


def tunnelled(inner: bytes, destination: IPv6Address = NODE, traffic_class: int = 0) -> bytes:
    """Return a packet with another inside."""
    return emit_packet(
        Ipv6Packet(
            source=ROUTER,
            destination=destination,
            protocol=41,
            payload=inner,
            traffic_class=traffic_class,
        )
    )


def echo_request(source: IPv6Address, destination: IPv6Address) -> bytes:
    """Return a packet that asks for an echo."""
    request = EchoRequest(identifier=7, sequence=1)
    payload = emit_icmpv6(request, source.packed, destination.packed)
    return emit_packet(
        Ipv6Packet(source=source, destination=destination, protocol=58, payload=payload)
    )


def advertise(
    sender: PacketSender,
    router: IPv6Address,
    prefixes: tuple[IPv6Network, ...],
    *,
    index: int,
    lifetime_s: int = 1800,
    mac: bytes = b"\x02\0\0\0\0\1",
) -> None:
    """Send a router advertisement for prefixes that hosts make their addresses from."""
    options = tuple(
        PrefixInformation(
            prefix=prefix.network_address,
            on_link=True,
            autonomous=True,
            valid_lifetime_s=3600,
            preferred_lifetime_s=1800,
        )
        for prefix in prefixes
    )
    advertisement = RouterAdvertisement(
        lifetime_s=lifetime_s, options=(SourceLinkLayerAddress(address=mac), *options)
    )
    packet = Ipv6Packet(
        source=router,
        destination=ALL_NODES,
        protocol=58,
        payload=emit_icmpv6(advertisement, router.packed, ALL_NODES.packed),
        hop_limit=255,
    )
    assert sender.send(emit_packet(packet), endpoint(ALL_NODES, index)) == 0
