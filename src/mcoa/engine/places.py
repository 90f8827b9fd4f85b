"""Where a mobile node can be reached that asks for a binding (RFC 5648 §6.2, §8.1, RFC 5555 §4)."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from mcoa.binding.cache import Binding
from mcoa.engine.addresses import ipv4_mapped, is_unicast_routable
from mcoa.engine.policy import HomeAgentPolicy
from mcoa.engine.verdict import Request
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.options_ipv4 import Ipv4CareOfAddress
from mcoa.wire.registry import BindingStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A care-of address; port and what was told of it are as in a binding."""

    care_of_address: IPv6Address
    port: int = 0
    told: IPv6Address | None = None


def find_place(
    request: Request,
    identifier: BindingIdentifier,
    known: Binding | None,
    policy: HomeAgentPolicy,
) -> Place | BindingStatus:
    """Return what a Binding Identifier option binds, or why it binds nothing.

    `known` is the binding that has this BID so far.
    """
    match identifier.care_of_address:
        case None:
            if known is None or known.home:
                return BindingStatus.MCOA_UNKNOWN_COA
            return _refreshed(request, known) if known.port else _of(known)
        case address if not is_unicast_routable(address):
            return BindingStatus.MCOA_MALFORMED
        case IPv6Address() as address if policy.is_at_home(address):
            return BindingStatus.INVALID_CARE_OF_ADDRESS
        case IPv6Address() as address:
            return Place(care_of_address=address)
        case address:
            return _place_by_ipv4(request, address, known, policy)


def plain_place_by_ipv4(request: Request) -> Place:
    """Return what an update in UDP binds that has no Binding Identifier option."""
    told = None
    for option in request.update.options:
        if isinstance(option, Ipv4CareOfAddress):
            told = ipv4_mapped(option.address)
    return Place(care_of_address=request.source, port=request.port, told=told)


def _place_by_ipv4(
    request: Request, address: IPv4Address, known: Binding | None, policy: HomeAgentPolicy
) -> Place | BindingStatus:
    """Bind the end that an update came from: the option only tells whether there is a NAT.

    So a new address has to come alone and from itself; one that is known may be repeated.
    """
    told = ipv4_mapped(address)
    if not policy.ipv4:
        return BindingStatus.ADMINISTRATIVELY_PROHIBITED
    if request.port and len(request.update.identifiers) == 1:
        return Place(care_of_address=request.source, port=request.port, told=told)
    if known is not None and known.told == told:
        return _of(known)
    if len(request.update.identifiers) > 1:
        return BindingStatus.MCOA_BULK_REGISTRATION_PROHIBITED
    return BindingStatus.INVALID_CARE_OF_ADDRESS


def _refreshed(request: Request, known: Binding) -> Place:
    """Return where a binding is that is refreshed: a NAT may have given it another port.

    What comes by way of another binding of the mobile node says nothing of this one.
    """
    end = (request.source, request.port)
    is_alone = len(request.update.identifiers) == 1
    others = [each for each in request.held if each.bid != known.bid]
    if not request.port or not is_alone or end in [_end(each) for each in others]:
        return _of(known)
    return Place(care_of_address=request.source, port=request.port, told=known.told)


def _end(binding: Binding) -> tuple[IPv6Address, int]:
    return binding.care_of_address, binding.port


def _of(binding: Binding) -> Place:
    return Place(care_of_address=binding.care_of_address, port=binding.port, told=binding.told)
