"""How signalling travels between a mobile node and its home agent (RFC 6275 §9.5.4, RFC 5555 §4)."""

from ipaddress import IPv6Address

from mcoa.engine.actions import Envelope, UdpEnd


def to_agent(
    agent: IPv6Address, home_address: IPv6Address, source: IPv6Address, link: str | None
) -> Envelope:
    """Return how a mobile node sends from one of its addresses.

    From a care-of address it names its home address in an option; from the home address, which
    is on the home link, there is no need. Within UDP over IPv4 the home address is the source.
    """
    if source.ipv4_mapped is not None:
        end = UdpEnd(address=source)
        return Envelope(source=home_address, destination=agent, link=link, udp=end)
    return Envelope(
        source=source,
        destination=agent,
        home_address=None if source == home_address else home_address,
        link=link,
    )


def answer_to(
    received: Envelope, agent: IPv6Address, *, link_layer_address: bytes = b""
) -> Envelope:
    """Return how an agent answers: to where the packet came from, whatever it said.

    Args:
        received: how the packet came.
        agent: our address.
        link_layer_address: where the mobile node is found on the home link, if it is there.
    """
    home_address = received.sender
    if received.udp is not None:
        return Envelope(source=agent, destination=home_address, udp=received.udp)
    is_at_home = received.source == home_address
    return Envelope(
        source=agent,
        destination=received.source,
        routing_header_home_address=None if is_at_home else home_address,
        link_layer_address=link_layer_address or None if is_at_home else None,
    )


def to_node(
    agent: IPv6Address, home_address: IPv6Address, care_of_address: IPv6Address, port: int
) -> Envelope:
    """Return how an agent speaks first, to a care-of address that is bound.

    `port` is that of UDP over IPv4, or 0.
    """
    if port:
        end = UdpEnd(address=care_of_address, port=port)
        return Envelope(source=agent, destination=home_address, udp=end)
    return Envelope(
        source=agent,
        destination=care_of_address,
        routing_header_home_address=home_address,
    )
