"""The verdict on a Binding Update at its home agent (RFC 5648 §6.2, RFC 6275 §9.5, §10.3).

Everything here looks and decides; nothing changes. A rejected update therefore leaves the
cache as it was, whatever was right about the rest of it.
"""

from dataclasses import replace
from ipaddress import IPv6Address

from mcoa.binding.cache import Binding
from mcoa.engine.addresses import is_unicast_routable
from mcoa.engine.flow_verdict import decide_flows
from mcoa.engine.identifiers import decide_identifiers
from mcoa.engine.places import Place, plain_place_by_ipv4
from mcoa.engine.policy import HomeAgentPolicy, MultipleCareOf
from mcoa.engine.verdict import (
    AnyIdentifier,
    Request,
    Verdict,
    has_impossible_length,
    plain_care_of_address,
    refuse_whole,
)
from mcoa.wire.registry import BindingStatus

_ACCEPTED = BindingStatus.ACCEPTED


def decide(request: Request, policy: HomeAgentPolicy) -> Verdict:
    """Return the verdict on an update whose sequence number has been accepted."""
    identifiers = request.update.identifiers
    if policy.multiple_care_of is MultipleCareOf.IGNORE:
        identifiers = ()
    status = _refusal_of_node(request, policy)
    if status is None and identifiers:
        status = _refusal_of_identifiers(request, identifiers, policy)
    if status is not None:
        return refuse_whole(status, identifiers)
    lifetime_s, accepted = _grant(request, policy)
    if not identifiers:
        verdict = _decide_plain(request, policy, lifetime_s, accepted)
    else:
        verdict = decide_identifiers(request, identifiers, policy, lifetime_s, accepted)
    return _with_flows(request, verdict, policy)


def _with_flows(request: Request, verdict: Verdict, policy: HomeAgentPolicy) -> Verdict:
    """Return the verdict with that on flow options; a binding without BID has no flows."""
    is_known = policy.flow_bindings and policy.multiple_care_of is MultipleCareOf.ALLOW
    if not verdict.bindings or not is_known:
        return verdict
    bids = [each.bid for each in verdict.bindings if each.bid is not None]
    held = request.entry.flows if bids and request.entry is not None else ()
    flows = decide_flows(request.update, held, bids, policy.max_flows_per_node)
    return replace(verdict, flows=flows)


def refusal_of_home_address(
    home_address: IPv6Address, policy: HomeAgentPolicy
) -> BindingStatus | None:
    """Return why a home address is not served here at all (RFC 6275 §10.3.1, §10.3.2)."""
    if not policy.home_prefixes:
        return BindingStatus.HOME_REGISTRATION_NOT_SUPPORTED
    if policy.home_prefix(home_address) is None:
        return BindingStatus.NOT_HOME_SUBNET
    if policy.home_addresses is not None and home_address not in policy.home_addresses:
        return BindingStatus.ADMINISTRATIVELY_PROHIBITED
    if home_address == policy.address:
        return BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED  # no detection would find it
    return None


def _refusal_of_node(request: Request, policy: HomeAgentPolicy) -> BindingStatus | None:
    if request.held:
        return None  # it was admitted when its first binding was made
    return refusal_of_home_address(request.home_address, policy)


def _refusal_of_identifiers(
    request: Request, identifiers: tuple[AnyIdentifier, ...], policy: HomeAgentPolicy
) -> BindingStatus | None:
    """Return why no Binding Identifier option of the update is looked at singly."""
    if has_impossible_length(identifiers):
        return BindingStatus.MCOA_MALFORMED
    if policy.multiple_care_of is MultipleCareOf.PROHIBIT:
        return BindingStatus.MCOA_PROHIBITED
    if len(identifiers) > 1 and not policy.bulk:
        return BindingStatus.MCOA_BULK_REGISTRATION_PROHIBITED
    if request.meets_plain_binding:
        return BindingStatus.MCOA_NON_MCOA_BINDING_EXISTS
    return None


def _grant(request: Request, policy: HomeAgentPolicy) -> tuple[int, BindingStatus]:
    """Return the lifetime to grant, in seconds, and how to say yes (RFC 6275 §10.3.1)."""
    if request.is_deregistration:
        return 0, _ACCEPTED
    wanted_s = min(request.update.lifetime_s, policy.max_lifetime_s)
    prefix = policy.home_prefix(request.home_address)
    if prefix is None:
        return _whole_units(wanted_s), _ACCEPTED
    lifetime_s = _whole_units(min(wanted_s, prefix.valid_until_s - request.now))
    if request.now + lifetime_s > prefix.preferred_until_s:
        return lifetime_s, BindingStatus.ACCEPTED_PREFIX_DISCOVERY_NECESSARY
    return lifetime_s, _ACCEPTED


def _whole_units(seconds: float) -> int:
    # The wire counts in units of 4 seconds; zero would read as a de-registration.
    return max(4, int(seconds) // 4 * 4)


def _decide_plain(
    request: Request, policy: HomeAgentPolicy, lifetime_s: int, accepted: BindingStatus
) -> Verdict:
    """Return the verdict on an update without Binding Identifier option.

    It replaces, or deletes, all that the home address had (RFC 5648 §6.2).
    """
    if request.is_deregistration:
        if not request.held:
            return Verdict(status=BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE)
        return Verdict(status=_ACCEPTED, bindings=())
    if request.port:
        place = plain_place_by_ipv4(request)
    else:
        address = plain_care_of_address(request)
        if address is None or not _is_foreign(address, policy):
            return Verdict(status=BindingStatus.INVALID_CARE_OF_ADDRESS)
        place = Place(care_of_address=address)
    binding = Binding(
        bid=None,
        care_of_address=place.care_of_address,
        expires_at_s=request.now + lifetime_s,
        verified_at_s=request.now,
        port=place.port,
        told=place.told,
    )
    return Verdict(status=accepted, lifetime_s=lifetime_s, bindings=(binding,))


def _is_foreign(address: IPv6Address, policy: HomeAgentPolicy) -> bool:
    return is_unicast_routable(address) and not policy.is_at_home(address)
