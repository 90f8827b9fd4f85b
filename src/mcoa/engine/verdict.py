"""A Binding Update as its home agent looks at it, and what it says to it (RFC 5648 §6.2)."""

from dataclasses import dataclass
from ipaddress import IPv6Address

from mcoa.binding.cache import Binding, CacheEntry
from mcoa.engine.flow_verdict import NO_FLOWS, FlowVerdict
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.option_list import MalformedOption
from mcoa.wire.options import (
    AlternateCareOfAddress,
    BindingIdentifier,
    LinkLayerAddress,
    MalformedBindingIdentifier,
)
from mcoa.wire.registry import BindingStatus, OptionType, UpdateFlag

_BID_OPTION_LENGTHS = (4, 8, 20)

AnyIdentifier = BindingIdentifier | MalformedBindingIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of an update.

    Attributes:
        status: of the acknowledgement.
        identifier_statuses: of the acknowledgement's options; zero defers to `status`.
        identifiers: the update's options, where they are to be answered.
        bindings: all bindings of the home address afterwards; None changes nothing.
        flows: its flow bindings, likewise; they change only where `bindings` does.
    """

    status: BindingStatus
    lifetime_s: int = 0
    identifiers: tuple[AnyIdentifier, ...] = ()
    identifier_statuses: tuple[BindingStatus, ...] = ()
    bindings: tuple[Binding, ...] | None = None
    flows: FlowVerdict = NO_FLOWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An update, seen with what its packet said and what the cache holds.

    Attributes:
        source: an address on the home link, a care-of address, or the IPv4-mapped one that the
            update came from in UDP.
        port: of that UDP; 0 for an update over IPv6.
        may_defend: a mobile node on the home link may defend its home address itself.
    """

    update: BindingUpdate
    source: IPv6Address
    home_address: IPv6Address
    entry: CacheEntry | None
    now: float
    port: int = 0
    may_defend: bool = False

    @property
    def held(self) -> tuple[Binding, ...]:
        """The bindings before the update."""
        return () if self.entry is None else self.entry.bindings

    @property
    def is_deregistration(self) -> bool:
        """True for lifetime zero; RFC 6275 knows no other sign."""
        return self.update.lifetime_s == 0

    @property
    def overwrites(self) -> bool:
        """The O flag, whose bit means another thing in a proxy registration (RFC 6602)."""
        both = UpdateFlag.OVERWRITE | UpdateFlag.PROXY
        return self.update.flags & both == UpdateFlag.OVERWRITE

    @property
    def meets_plain_binding(self) -> bool:
        """True when a binding without BID stands, which the update neither ends nor overwrites."""
        plain_stands = self.entry is not None and self.entry.is_plain
        return plain_stands and not self.overwrites and not self.is_deregistration

    @property
    def link_layer_address(self) -> bytes:
        """Where the mobile node is found on the home link; empty if it never told."""
        cached = b"" if self.entry is None else self.entry.link_layer_address
        return link_layer_address_in(self.update) or cached

    @property
    def leaves_home(self) -> bool:
        """True when nothing is to be forwarded to the home link any more (RFC 5648 §5.6.5).

        No update with lifetime zero says so: it names what it deletes. Nor does one that
        comes from the home link, or one from an IPv4 address, which may name nothing else.
        """
        return (
            not self.is_deregistration
            and self.source != self.home_address
            and not self.port
            and not any(_is_home(identifier) for identifier in self.update.identifiers)
        )


def has_impossible_length(identifiers: tuple[AnyIdentifier, ...]) -> bool:
    """Tell whether any option has a length that none can have (RFC 5648 §6.2)."""
    return any(
        isinstance(each, MalformedBindingIdentifier)
        and len(each.data) not in _BID_OPTION_LENGTHS
        for each in identifiers
    )


def refuse_whole(status: BindingStatus, identifiers: tuple[AnyIdentifier, ...]) -> Verdict:
    """Return a verdict whose status holds for every option alike."""
    return Verdict(
        status=status,
        identifiers=identifiers,
        identifier_statuses=(BindingStatus.ACCEPTED,) * len(identifiers),
    )


def link_layer_address_in(update: BindingUpdate) -> bytes:
    """Return the mobile node's link-layer address that an update tells, or none."""
    for option in update.options:
        if isinstance(option, LinkLayerAddress) and option.code == option.OF_MOBILE_NODE:
            return option.address
    return b""


def plain_care_of_address(request: Request) -> IPv6Address | None:
    """Return what an update without Binding Identifier option binds (RFC 6275 §9.5.1).

    None where it says that this is not its source, and then does not say what it is.
    """
    for option in request.update.options:
        match option:
            case AlternateCareOfAddress():
                return option.address
            case MalformedOption(type=OptionType.ALTERNATE_CARE_OF_ADDRESS):
                return None
            case _:
                pass
    return request.source


def _is_home(identifier: AnyIdentifier) -> bool:
    return isinstance(identifier, BindingIdentifier) and identifier.home
