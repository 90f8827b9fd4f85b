"""What the mobile node's runtime acts upon: the paths of packets, and how it is at home."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address

from mcoa.binding.update_list import Registration
from mcoa.engine.policy import AtHome
from mcoa.engine.returning_home import HomeLink, Presence
from mcoa.wire.registry import BindingStatus

_NO_DEFENCE = frozenset({None, BindingStatus.MCOA_RETURNHOME_WO_NDP})


@dataclass(frozen=True, slots=True, kw_only=True)
class UsablePath:
    """A care-of address from which the home agent takes packets.

    Attributes:
        home: the home link, over which packets travel as they are; the care-of address is
            the home address.
    """

    bid: int | None
    link: str
    care_of_address: IPv6Address
    home: bool = False


def usable_paths(
    registrations: Iterable[Registration],
    home: HomeLink,
    use_of_home: AtHome | None,
    home_address: IPv6Address,
) -> tuple[UsablePath, ...]:
    """Return what packets may use now."""
    if use_of_home is AtHome.HOME and home.name is not None:
        alone = UsablePath(bid=None, link=home.name, care_of_address=home_address, home=True)
        return (alone,)
    return tuple(
        UsablePath(bid=each.bid, link=each.link, care_of_address=each.held, home=each.home)
        for each in registrations
        if each.held is not None and each.is_usable
    )


def presence(
    registrations: Iterable[Registration], home: HomeLink, use_of_home: AtHome | None
) -> Presence:
    """Return what may be done on the home link now (RFC 5648 §5.6.3, §5.6.4)."""
    match use_of_home:
        case None | AtHome.FOREIGN:
            return Presence.AWAY
        case AtHome.HOME:
            return Presence.HOME if home.has_returned else Presence.SILENT
        case AtHome.BOTH:
            statuses = [each.status for each in registrations if each.home and each.is_usable]
            defended = statuses and not _NO_DEFENCE.intersection(statuses)
            return Presence.DEFENDED if defended else Presence.SILENT
