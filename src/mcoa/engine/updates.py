"""The mobile node's Binding Update, from what it has to say (RFC 6275 §11.7.1, RFC 5648 §5)."""

from dataclasses import dataclass
from ipaddress import IPv6Address

from mcoa.engine.actions import Send
from mcoa.engine.addresses import as_written
from mcoa.engine.flow_wishes import SAYS_NOTHING, FlowOption, FlowsSaid
from mcoa.engine.policy import MobileNodePolicy
from mcoa.engine.ways import to_agent
from mcoa.engine.wish import Wish
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.options import BindingIdentifier, LinkLayerAddress
from mcoa.wire.options_ipv4 import Ipv4CareOfAddress
from mcoa.wire.registry import UpdateFlag

Option = BindingIdentifier | LinkLayerAddress | Ipv4CareOfAddress | FlowOption

_HOME_UPDATE = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """The update that waits for its acknowledgement."""

    sequence: int
    wish: Wish
    agent: IPv6Address
    source: IPv6Address
    sent_at_s: float
    lifetime_s: int
    timeout_s: float
    attempt: int
    flows: FlowsSaid = SAYS_NOTHING


def make_update(
    outstanding: Outstanding,
    policy: MobileNodePolicy,
    *,
    link: str | None,
    link_layer_address: bytes = b"",
    flows: tuple[FlowOption, ...] = (),
    priority: int = 0,
) -> Send:
    """Return the message and how it travels.

    From the home link it goes without Home Address option: the home address is its source.
    From an IPv4 address it goes in UDP, and asks for user packets to do so, too (RFC 5555
    §3.1.3). Whatever concerns the home link says where the mobile node is found there, because
    it answers no neighbour's question yet (RFC 5648 §5.6.3).

    Args:
        outstanding: what to say.
        policy: names the home address.
        link: that the update uses.
        link_layer_address: on the home link.
        flows: options that say which flows go where.
        priority: BID-PRI of all bindings.
    """
    wish = outstanding.wish
    is_at_home = outstanding.source == policy.home_address
    ipv4 = outstanding.source.ipv4_mapped
    options: list[Option] = [
        BindingIdentifier(
            bid=item.bid,
            care_of_address=item.care_of_address and as_written(item.care_of_address),
            home=item.home,
            priority=priority,
        )
        for item in wish.items
        if item.bid is not None
    ]
    if link_layer_address and (is_at_home or wish.names_home):
        options.append(LinkLayerAddress(address=link_layer_address))
    if ipv4 is not None and any(item.bid is None for item in wish.items):
        options.append(Ipv4CareOfAddress(address=ipv4))
    flags = _HOME_UPDATE
    if wish.overwrites:
        flags |= UpdateFlag.OVERWRITE
    if ipv4 is not None:
        flags |= UpdateFlag.FORCE_UDP
    message = BindingUpdate(
        sequence=outstanding.sequence,
        flags=flags,
        lifetime_s=outstanding.lifetime_s,
        options=(*options, *flows),
    )
    envelope = to_agent(outstanding.agent, policy.home_address, outstanding.source, link)
    return Send(message=message, envelope=envelope)
