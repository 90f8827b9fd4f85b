"""The verdict on the Binding Identifier options of an update (RFC 5648 §5.6.3, §6.2, §6.3)."""

from mcoa.binding.cache import Binding
from mcoa.engine.addresses import is_unicast_routable
from mcoa.engine.places import find_place
from mcoa.engine.policy import HomeAgentPolicy
from mcoa.engine.verdict import AnyIdentifier, Request, Verdict, refuse_whole
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingStatus

_ACCEPTED = BindingStatus.ACCEPTED


def decide_identifiers(
    request: Request,
    identifiers: tuple[AnyIdentifier, ...],
    policy: HomeAgentPolicy,
    lifetime_s: int,
    accepted: BindingStatus,
) -> Verdict:
    """Judge each option, then say it in one acknowledgement (RFC 5648 §6.2)."""
    judge = _deregister if request.is_deregistration else _register
    bindings: dict[int, Binding] = {
        binding.bid: binding for binding in request.held if binding.bid is not None
    }
    overwrites = request.overwrites and not request.is_deregistration
    after: dict[int, Binding] = {} if overwrites else dict(bindings)
    statuses: list[BindingStatus] = []
    named: set[int] = set()
    home_bid: int | None = None
    for identifier in identifiers:
        match identifier:
            case BindingIdentifier(bid=bid, home=True) if home_bid is not None:
                named.add(bid)
                status = BindingStatus.MCOA_MALFORMED  # of home bindings there is one
            case BindingIdentifier(bid=bid) if bid not in named:
                named.add(bid)
                home_bid = bid if identifier.home else home_bid
                status = judge(request, identifier, policy, bindings, after, lifetime_s)
            case _:  # BID zero, or named before in this update
                status = BindingStatus.MCOA_MALFORMED
        statuses.append(status)
    if all(status.is_rejection for status in statuses):
        return _none_accepted(identifiers, tuple(statuses))
    living = (b for b in after.values() if not (b.home and request.leaves_home))
    return _some_accepted(identifiers, statuses, accepted, lifetime_s, tuple(living))


def _some_accepted(
    identifiers: tuple[AnyIdentifier, ...],
    statuses: list[BindingStatus],
    accepted: BindingStatus,
    lifetime_s: int,
    bindings: tuple[Binding, ...],
) -> Verdict:
    """Return the verdict whose options speak for themselves unless all is simply well.

    That the home address is not to be defended (status 5) is said in the option, and in the
    message where that is about nothing else.
    """
    status = accepted
    if any(each is not _ACCEPTED for each in statuses):
        status = statuses[0] if len(statuses) == 1 else BindingStatus.MCOA_NOTCOMPLETE
    return Verdict(
        status=status,
        lifetime_s=lifetime_s,
        identifiers=identifiers,
        identifier_statuses=tuple(statuses),
        bindings=bindings,
    )


def _deregister(
    request: Request,
    identifier: BindingIdentifier,
    policy: HomeAgentPolicy,
    before: dict[int, Binding],
    after: dict[int, Binding],
    lifetime_s: int,
) -> BindingStatus:
    del request, policy, lifetime_s
    if identifier.bid not in before:
        return BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE
    del after[identifier.bid]
    return _ACCEPTED


def _register(
    request: Request,
    identifier: BindingIdentifier,
    policy: HomeAgentPolicy,
    before: dict[int, Binding],
    after: dict[int, Binding],
    lifetime_s: int,
) -> BindingStatus:
    if identifier.home:
        return _register_home(request, identifier, policy, after, lifetime_s)
    known = before.get(identifier.bid)
    place = find_place(request, identifier, known, policy)
    if isinstance(place, BindingStatus):
        return place
    if identifier.bid not in after and len(after) >= policy.max_bindings_per_node:
        return BindingStatus.INSUFFICIENT_RESOURCES
    verified = place.care_of_address == request.source
    after[identifier.bid] = Binding(
        bid=identifier.bid,
        care_of_address=place.care_of_address,
        expires_at_s=request.now + lifetime_s,
        verified_at_s=request.now if verified or known is None else known.verified_at_s,
        priority=identifier.priority,
        port=place.port,
        told=place.told,
    )
    return _ACCEPTED


def _register_home(
    request: Request,
    identifier: BindingIdentifier,
    policy: HomeAgentPolicy,
    after: dict[int, Binding],
    lifetime_s: int,
) -> BindingStatus:
    """Bind the home link, in place of any other home binding (RFC 5648 §5.6.3, §6.3)."""
    address = identifier.care_of_address
    if not policy.simultaneous_home:
        return BindingStatus.MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED
    if address is not None and not is_unicast_routable(address):
        return BindingStatus.MCOA_MALFORMED
    if not request.link_layer_address:
        return BindingStatus.REASON_UNSPECIFIED  # nobody told us where to deliver
    for bid in [each.bid for each in after.values() if each.home and each.bid is not None]:
        del after[bid]
    if identifier.bid not in after and len(after) >= policy.max_bindings_per_node:
        return BindingStatus.INSUFFICIENT_RESOURCES
    after[identifier.bid] = Binding(
        bid=identifier.bid,
        care_of_address=request.home_address,  # whatever the option says
        expires_at_s=request.now + lifetime_s,
        verified_at_s=request.now,
        priority=identifier.priority,
        home=True,
        defended=request.may_defend,
    )
    return _ACCEPTED if request.may_defend else BindingStatus.MCOA_RETURNHOME_WO_NDP


def _none_accepted(
    identifiers: tuple[AnyIdentifier, ...], statuses: tuple[BindingStatus, ...]
) -> Verdict:
    if len(set(statuses)) == 1:
        return refuse_whole(statuses[0], identifiers)
    return Verdict(
        status=BindingStatus.MCOA_NOTCOMPLETE,
        identifiers=identifiers,
        identifier_statuses=statuses,
    )
