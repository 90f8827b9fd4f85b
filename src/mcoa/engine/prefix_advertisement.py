"""What a home agent tells a mobile node of the home link's prefixes (RFC 6275 §10.6)."""

from mcoa.engine.actions import Envelope, Send
from mcoa.engine.policy import HomeAgentPolicy, HomePrefix
from mcoa.engine.ways import answer_to
from mcoa.wire.icmpv6_mobility import MobilePrefixAdvertisement, MobilePrefixSolicitation
from mcoa.wire.neighbor_discovery import INFINITE, PrefixInformation

DEPRECATED_VALID_S = 7200
"""How long a prefix that is given up counts from each time it is told, if no end is set."""


def advertise_prefixes(
    solicitation: MobilePrefixSolicitation,
    received: Envelope,
    policy: HomeAgentPolicy,
    now: float,
) -> Send:
    """Answer a solicitation, whose sender has a binding, with all prefixes as they are now.

    Of the prefix that the agent's own address is in, the address is told (the R flag).
    """
    options = tuple(_information(prefix, policy, now) for prefix in policy.home_prefixes)
    message = MobilePrefixAdvertisement(identifier=solicitation.identifier, options=options)
    return Send(message=message, envelope=answer_to(received, policy.address))


def _information(prefix: HomePrefix, policy: HomeAgentPolicy, now: float) -> PrefixInformation:
    is_ours = policy.address in prefix.network
    preferred_s = _left_s(prefix.preferred_until_s, now)
    valid_s = _left_s(prefix.valid_until_s, now)
    return PrefixInformation(
        prefix=policy.address if is_ours else prefix.network.network_address,
        prefix_length=prefix.network.prefixlen,
        on_link=True,
        autonomous=prefix.network.prefixlen == 64,
        router_address=is_ours,
        valid_lifetime_s=valid_s if preferred_s else min(valid_s, DEPRECATED_VALID_S),
        preferred_lifetime_s=preferred_s,
    )


def _left_s(until_s: float, now: float) -> int:
    left_s = until_s - now
    return INFINITE if left_s >= INFINITE else int(max(0.0, left_s))
