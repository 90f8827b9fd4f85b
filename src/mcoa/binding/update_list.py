"""The binding update list of one home agent (RFC 6275 §11.1, RFC 5648 §4.1)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from math import inf

from mcoa.wire.registry import BindingStatus


@dataclass(slots=True, kw_only=True)
class Registration:
    """What the mobile node wants of one BID, and what it knows that the agent holds.

    Attributes:
        bid: None for the one binding of a plain RFC 6275 node.
        slot: tells the care-of addresses of one link apart; a link with one has slot 0.
        wanted: the care-of address to be bound; None to have none.
        home: what is wanted is the home link; the care-of address is the home address.
        held: the care-of address that the agent last acknowledged.
        doubtful: an unanswered update may have changed what the agent holds.
        expires_at_s: when the agent drops it; monotonic seconds, as all times here.
        refresh_at_s: when to refresh it.
        quiet_until_s: after a refusal, when to try again.
        refusals: refusals in a row.
        status: of the last acknowledgement.
        revoked: the agent has ended it (RFC 5846); what is wanted next is another matter.
        unanswered: updates about it alone in a row to which nobody said anything.
        translated: the agent found a NAT before the address (RFC 5555 §4).
    """

    bid: int | None
    link: str
    slot: int = 0
    wanted: IPv6Address | None = None
    home: bool = False
    held: IPv6Address | None = None
    doubtful: bool = False
    expires_at_s: float = inf
    refresh_at_s: float = inf
    quiet_until_s: float = 0.0
    refusals: int = 0
    status: BindingStatus | None = None
    revoked: bool = False
    unanswered: int = 0
    translated: bool = False

    @property
    def goes_alone(self) -> bool:
        """True for an IPv4 address, which only an update from itself can bind (RFC 5648 §8.1)."""
        return self.wanted is not None and self.wanted.ipv4_mapped is not None

    @property
    def is_usable(self) -> bool:
        """True when the agent takes packets from the address that is wanted."""
        return self.held is not None and self.held == self.wanted

    @property
    def is_gone(self) -> bool:
        """True when nothing is wanted, and the agent holds nothing."""
        return self.wanted is None and self.held is None and not self.doubtful

    @property
    def state(self) -> str:
        """What an operator sees of it, in a word."""
        if self.is_gone:
            return "gone"
        if self.wanted is None:
            return "deregistering"
        if self.revoked:
            return "revoked"
        if self.is_usable:
            return "refreshing" if self.doubtful else "registered"
        if self.status is not None and self.status.is_rejection and not self.doubtful:
            return "rejected"
        return "registering"

    def want(self, care_of_address: IPv6Address | None, *, home: bool = False) -> bool:
        """Change what is wanted; tell whether that is a change."""
        if care_of_address == self.wanted:
            return False
        self.wanted, self.home = care_of_address, home
        self.quiet_until_s, self.refusals, self.revoked = 0.0, 0, False
        self.unanswered, self.translated = 0, False
        if home:
            self.status = None  # what was said of an earlier visit does not hold for this one
        return True

    def forget(self) -> None:
        """Take note that the agent holds nothing."""
        self.held, self.doubtful = None, False
        self.expires_at_s = self.refresh_at_s = inf

    def begin_anew(self) -> None:
        """Take note that another agent is to be asked, which has said nothing of it yet."""
        self.forget()
        self.quiet_until_s, self.refusals, self.revoked = 0.0, 0, False
        self.status = None

    def is_due(self, now: float, *, ahead_s: float = 0.0) -> bool:
        """Tell whether the agent must hear of a care-of address, or soon must."""
        if self.wanted is None or now < self.quiet_until_s:
            return False
        return self.doubtful or self.held != self.wanted or self.refresh_at_s - ahead_s <= now

    def is_leftover(self, now: float) -> bool:
        """Tell whether the agent may hold what is not wanted any more."""
        held = self.held is not None or self.doubtful
        return self.wanted is None and held and now >= self.quiet_until_s


class UpdateList:
    """Registrations by BID; a BID stays with its link and slot (RFC 5648 §2)."""

    __slots__ = ("_by_bid", "_reserved")

    def __init__(self, reserved: Iterable[int]) -> None:
        self._by_bid: dict[int | None, Registration] = {}
        self._reserved = frozenset(reserved)

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._by_bid.values())

    def get(self, bid: int | None) -> Registration | None:
        """Return the registration of a BID; None names the plain one."""
        return self._by_bid.get(bid)

    def add(self, registration: Registration) -> Registration:
        """Add a registration of a BID that is not in the list."""
        if registration.bid in self._by_bid:
            raise ValueError(f"BID {registration.bid} is in the list already")
        self._by_bid[registration.bid] = registration
        return registration

    def clear(self) -> None:
        """Drop all registrations, as a peer that knows no BID has."""
        self._by_bid.clear()

    def slots(self, link: str) -> list[Registration]:
        """Return the registrations of a link, by slot."""
        found = [entry for entry in self if entry.link == link]
        return sorted(found, key=lambda entry: entry.slot)

    def unused_bid(self) -> int:
        """Return the lowest BID that neither stands in the list nor is reserved."""
        bid = 1
        while bid in self._by_bid or bid in self._reserved:
            bid += 1
        return bid
