"""The verdict on a Binding Update at a correspondent (RFC 5648 §6.2, RFC 6275 §9.5).

Everything here looks and decides; nothing changes. A correspondent takes one care-of address an
update, because one return routability procedure proves no more; and says what it thinks of it
in the status of the acknowledgement alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address

from mcoa.binding.cache import Binding
from mcoa.engine.addresses import is_unicast_routable
from mcoa.engine.policy import CorrespondentPolicy, MultipleCareOf
from mcoa.engine.verdict import (
    AnyIdentifier,
    Request,
    Verdict,
    has_impossible_length,
    plain_care_of_address,
    refuse_whole,
)
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.options import BindingIdentifier, MalformedBindingIdentifier
from mcoa.wire.registry import BindingStatus

_ACCEPTED = BindingStatus.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an operator decided, and which addresses are ours: nothing is bound to those."""

    policy: CorrespondentPolicy
    is_own: Callable[[IPv6Address], bool]

    def identifiers(self, update: BindingUpdate) -> tuple[AnyIdentifier, ...]:
        """Return the Binding Identifier options that count."""
        ignored = self.policy.multiple_care_of is MultipleCareOf.IGNORE
        return () if ignored else update.identifiers


def proven_address(request: Request, rules: Rules) -> IPv6Address:
    """Return the care-of address that an update has to prove (RFC 6275 §9.5.4, §6.2.7).

    For a deletion that is the home address; for a BID without address, the one that is bound.
    """
    if request.is_deregistration:
        return request.home_address
    for identifier in rules.identifiers(request.update):
        match identifier:
            case BindingIdentifier(care_of_address=IPv6Address() as address):
                return address
            case BindingIdentifier(bid=bid):
                held = None if request.entry is None else request.entry.find(bid)
                return request.source if held is None else held.care_of_address
            case _:
                return request.source
    return plain_care_of_address(request) or request.source


def decide_at_correspondent(request: Request, rules: Rules) -> Verdict:
    """Return the verdict on an update that is authentic and newer than what came before."""
    identifiers = rules.identifiers(request.update)
    if not identifiers:
        return _decide_plain(request, rules)
    status = _refusal_of_identifiers(request, identifiers, rules.policy)
    if status is not None:
        return refuse_whole(status, identifiers)
    match identifiers[0]:
        case BindingIdentifier() as identifier:
            judge = _deregister if request.is_deregistration else _register
            return judge(request, identifier, rules)
        case MalformedBindingIdentifier():  # BID zero
            return refuse_whole(BindingStatus.MCOA_MALFORMED, identifiers)


def _refusal_of_identifiers(
    request: Request, identifiers: tuple[AnyIdentifier, ...], policy: CorrespondentPolicy
) -> BindingStatus | None:
    if has_impossible_length(identifiers):
        return BindingStatus.MCOA_MALFORMED
    if policy.multiple_care_of is MultipleCareOf.PROHIBIT:
        return BindingStatus.MCOA_PROHIBITED
    if len(identifiers) > 1:
        return BindingStatus.MCOA_BULK_REGISTRATION_PROHIBITED
    if request.meets_plain_binding:
        return BindingStatus.MCOA_NON_MCOA_BINDING_EXISTS
    return None


def _deregister(request: Request, identifier: BindingIdentifier, rules: Rules) -> Verdict:
    del rules
    kept = tuple(each for each in request.held if each.bid != identifier.bid)
    if len(kept) == len(request.held):
        nothing = BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE
        return refuse_whole(nothing, (identifier,))
    return _accept((identifier,), kept)


def _register(request: Request, identifier: BindingIdentifier, rules: Rules) -> Verdict:
    """Bind one care-of address; that a correspondent has no home link, the H flag cannot change."""
    known = None if request.entry is None else request.entry.find(identifier.bid)
    address = identifier.care_of_address
    if address is None:
        if known is None:
            return refuse_whole(BindingStatus.MCOA_UNKNOWN_COA, (identifier,))
        address = known.care_of_address
    if not isinstance(address, IPv6Address) or not is_unicast_routable(address):
        return refuse_whole(BindingStatus.MCOA_MALFORMED, (identifier,))
    if _leads_nowhere(address, request, rules):
        return refuse_whole(BindingStatus.INVALID_CARE_OF_ADDRESS, (identifier,))
    others = () if request.overwrites else request.held
    kept = {each.bid: each for each in others}
    if identifier.bid not in kept and len(kept) >= rules.policy.max_bindings_per_node:
        return refuse_whole(BindingStatus.INSUFFICIENT_RESOURCES, (identifier,))
    lifetime_s = _granted_s(request, rules.policy)
    kept[identifier.bid] = _binding(request, address, lifetime_s, identifier)
    return _accept((identifier,), tuple(kept.values()), lifetime_s)


def _decide_plain(request: Request, rules: Rules) -> Verdict:
    """Replace, or delete, all that the home address had (RFC 5648 §6.2)."""
    if request.is_deregistration:
        if not request.held:
            return Verdict(status=BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE)
        return Verdict(status=_ACCEPTED, bindings=())
    address = plain_care_of_address(request)
    if address is None or not is_unicast_routable(address):
        return Verdict(status=BindingStatus.INVALID_CARE_OF_ADDRESS)
    if _leads_nowhere(address, request, rules):
        return Verdict(status=BindingStatus.INVALID_CARE_OF_ADDRESS)
    lifetime_s = _granted_s(request, rules.policy)
    return _accept((), (_binding(request, address, lifetime_s),), lifetime_s)


def _leads_nowhere(address: IPv6Address, request: Request, rules: Rules) -> bool:
    """Tell whether packets to a care-of address came back here, or were no better off."""
    return address == request.home_address or rules.is_own(address)


def _granted_s(request: Request, policy: CorrespondentPolicy) -> int:
    return min(request.update.lifetime_s, policy.max_lifetime_s)


def _binding(
    request: Request,
    address: IPv6Address,
    lifetime_s: int,
    identifier: BindingIdentifier | None = None,
) -> Binding:
    return Binding(
        bid=None if identifier is None else identifier.bid,
        care_of_address=address,
        expires_at_s=request.now + lifetime_s,
        verified_at_s=request.now,
        priority=0 if identifier is None else identifier.priority,
    )


def _accept(
    identifiers: tuple[AnyIdentifier, ...], bindings: tuple[Binding, ...], lifetime_s: int = 0
) -> Verdict:
    return Verdict(
        status=_ACCEPTED,
        lifetime_s=lifetime_s,
        identifiers=identifiers,
        identifier_statuses=(_ACCEPTED,) * len(identifiers),
        bindings=bindings,
    )
