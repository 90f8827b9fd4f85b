"""The verdict on a Binding Update at its home agent (RFC 5648 §6.2, RFC 6275 §9.5, §10.3).

Everything here looks and decides; nothing changes. A rejected update therefore leaves the
cache as it was, whatever was right about the rest of it.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from mcoa.binding.cache import Binding, CacheEntry
from mcoa.engine.addresses import is_unicast_routable
from mcoa.engine.policy import HomeAgentPolicy, MultipleCareOf
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.options import (
    AlternateCareOfAddress,
    BindingIdentifier,
    MalformedBindingIdentifier,
)
from mcoa.wire.registry import BindingStatus, UpdateFlag

AnyIdentifier = BindingIdentifier | MalformedBindingIdentifier

_BID_OPTION_LENGTHS = (4, 8, 20)
_ACCEPTED = BindingStatus.ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of an update.

    Attributes:
        status: of the acknowledgement.
        identifier_statuses: of the acknowledgement's options; zero defers to `status`.
        identifiers: the update's options, where they are to be answered.
        bindings: all bindings of the home address afterwards; None changes nothing.
    """

    status: BindingStatus
    lifetime_s: int = 0
    identifiers: tuple[AnyIdentifier, ...] = ()
    identifier_statuses: tuple[BindingStatus, ...] = ()
    bindings: tuple[Binding, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An update, seen with what its packet said and what the cache holds."""

    update: BindingUpdate
    source: IPv6Address
    home_address: IPv6Address
    entry: CacheEntry | None
    now: float

    @property
    def held(self) -> tuple[Binding, ...]:
        """The bindings before the update."""
        return () if self.entry is None else self.entry.bindings

    @property
    def is_deregistration(self) -> bool:
        """True for lifetime zero; RFC 6275 knows no other sign."""
        return self.update.lifetime_s == 0


def decide(request: Request, policy: HomeAgentPolicy) -> Verdict:
    """Return the verdict on an update whose sequence number has been accepted."""
    identifiers = request.update.identifiers
    if policy.multiple_care_of is MultipleCareOf.IGNORE:
        identifiers = ()
    status = _refusal_of_node(request, policy)
    if status is None and identifiers:
        status = _refusal_of_identifiers(request, identifiers, policy)
    if status is not None:
        return _whole(status, identifiers)
    lifetime_s, accepted = _grant(request, policy)
    if identifiers:
        return _decide_identifiers(request, identifiers, policy, lifetime_s, accepted)
    return _decide_plain(request, policy, lifetime_s, accepted)


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
    for identifier in identifiers:
        match identifier:
            case MalformedBindingIdentifier(data=data) if len(data) not in _BID_OPTION_LENGTHS:
                return BindingStatus.MCOA_MALFORMED
    if policy.multiple_care_of is MultipleCareOf.PROHIBIT:
        return BindingStatus.MCOA_PROHIBITED
    if len(identifiers) > 1 and not policy.bulk:
        return BindingStatus.MCOA_BULK_REGISTRATION_PROHIBITED
    overwrites = _overwrites(request.update)
    plain_stands = request.entry is not None and request.entry.is_plain
    if plain_stands and not overwrites and not request.is_deregistration:
        return BindingStatus.MCOA_NON_MCOA_BINDING_EXISTS
    return None


def _overwrites(update: BindingUpdate) -> bool:
    """Read the O flag, whose bit means another thing in a proxy registration (RFC 6602)."""
    return update.flags & (UpdateFlag.OVERWRITE | UpdateFlag.PROXY) == UpdateFlag.OVERWRITE


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
    care_of_address = _plain_care_of_address(request)
    if not _is_foreign(care_of_address, policy):
        return Verdict(status=BindingStatus.INVALID_CARE_OF_ADDRESS)
    binding = Binding(
        bid=None,
        care_of_address=care_of_address,
        expires_at_s=request.now + lifetime_s,
        verified_at_s=request.now,
    )
    return Verdict(status=accepted, lifetime_s=lifetime_s, bindings=(binding,))


def _plain_care_of_address(request: Request) -> IPv6Address:
    for option in request.update.options:
        if isinstance(option, AlternateCareOfAddress):
            return option.address
    return request.source


def _is_foreign(address: IPv6Address, policy: HomeAgentPolicy) -> bool:
    return is_unicast_routable(address) and not _is_ours(address, policy)


def _is_ours(address: IPv6Address, policy: HomeAgentPolicy) -> bool:
    # The agent would tunnel to itself.
    return address == policy.address or policy.home_prefix(address) is not None


def _decide_identifiers(
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
    overwrites = _overwrites(request.update) and lifetime_s > 0
    after: dict[int, Binding] = {} if overwrites else dict(bindings)
    statuses: list[BindingStatus] = []
    named: set[int] = set()
    for identifier in identifiers:
        match identifier:
            case BindingIdentifier(bid=bid) if bid not in named:
                named.add(bid)
                status = judge(request, identifier, policy, bindings, after, lifetime_s)
            case _:  # BID zero, or named before in this update
                status = BindingStatus.MCOA_MALFORMED
        statuses.append(status)
    if all(status.is_rejection for status in statuses):
        return _none_accepted(identifiers, tuple(statuses))
    good = (_ACCEPTED,) * len(statuses)
    complete = not any(status.is_rejection for status in statuses)
    return Verdict(
        status=accepted if complete else BindingStatus.MCOA_NOTCOMPLETE,
        lifetime_s=lifetime_s,
        identifiers=identifiers,
        identifier_statuses=good if complete else tuple(statuses),
        bindings=tuple(after.values()),
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
    known = before.get(identifier.bid)
    if identifier.home:
        return BindingStatus.MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED
    if identifier.care_of_address is not None:
        status = _refusal_of_address(identifier.care_of_address, policy)
        if status is not None:
            return status
        care_of_address = IPv6Address(identifier.care_of_address)
    elif known is not None:
        care_of_address = known.care_of_address
    else:
        return BindingStatus.MCOA_UNKNOWN_COA
    if identifier.bid not in after and len(after) >= policy.max_bindings_per_node:
        return BindingStatus.INSUFFICIENT_RESOURCES
    verified = care_of_address == request.source
    after[identifier.bid] = Binding(
        bid=identifier.bid,
        care_of_address=care_of_address,
        expires_at_s=request.now + lifetime_s,
        verified_at_s=request.now if verified or known is None else known.verified_at_s,
        priority=identifier.priority,
    )
    return _ACCEPTED


def _refusal_of_address(
    address: IPv4Address | IPv6Address, policy: HomeAgentPolicy
) -> BindingStatus | None:
    """Return why nothing can be bound to a care-of address."""
    if not is_unicast_routable(address):
        return BindingStatus.MCOA_MALFORMED
    match address:
        case IPv6Address():
            is_ours = _is_ours(address, policy)
            return BindingStatus.INVALID_CARE_OF_ADDRESS if is_ours else None
        case IPv4Address():
            # Tunnels over IPv4 are RFC 5555's, which this agent does not speak.
            return BindingStatus.ADMINISTRATIVELY_PROHIBITED


def _none_accepted(
    identifiers: tuple[AnyIdentifier, ...], statuses: tuple[BindingStatus, ...]
) -> Verdict:
    if len(set(statuses)) == 1:
        return _whole(statuses[0], identifiers)
    return Verdict(
        status=BindingStatus.MCOA_NOTCOMPLETE,
        identifiers=identifiers,
        identifier_statuses=statuses,
    )


def _whole(status: BindingStatus, identifiers: tuple[AnyIdentifier, ...]) -> Verdict:
    """Return a verdict whose status holds for every option alike."""
    return Verdict(
        status=status,
        identifiers=identifiers,
        identifier_statuses=(_ACCEPTED,) * len(identifiers),
    )
