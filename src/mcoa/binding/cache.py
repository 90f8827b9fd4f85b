"""The binding cache (RFC 6275 §9.1, RFC 5648 §4.1): one entry a home address.

What RFC 5648 shares between the bindings of a mobile node, above all the sequence number,
lies in the entry; what differs lies in its bindings. An entry without bindings is the
tombstone of RFC 6275 §10.3.2: it keeps the sequence number while late updates may arrive.
"""

from collections.abc import Iterator, ValuesView
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from mcoa.binding.flow_bindings import FlowBinding


@dataclass(slots=True, kw_only=True)
class Binding:
    """One care-of address of a home address.

    Attributes:
        bid: None for a plain RFC 6275 binding.
        expires_at_s: monotonic seconds.
        verified_at_s: when data or signalling last proved this binding (RFC 5648 §3).
        priority: BID-PRI of RFC 6089; 0 when the mobile node gave none.
        home: made with the H flag (RFC 5648 §5.6.3); the care-of address is the home address.
        defended: of a home binding, the mobile node itself answers for its home address
            (status 0, RFC 5648 §6.3).
        port: of UDP over IPv4, where the care-of address is an IPv4-mapped one; else 0.
        told: that address as the mobile node has it, before any NAT; None where it told none.
        octets: of the care-of address, which does not change: to compare addresses by their
            objects takes ten times as long.
    """

    bid: int | None
    care_of_address: IPv6Address
    expires_at_s: float
    verified_at_s: float
    priority: int = 0
    home: bool = False
    defended: bool = False
    port: int = 0
    told: IPv6Address | None = None
    octets: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.octets = self.care_of_address.packed

    @property
    def is_translated(self) -> bool:
        """True behind a NAT (RFC 5555 §4)."""
        return self.port > 0 and self.told != self.care_of_address


@dataclass(slots=True, kw_only=True)
class CacheEntry:
    """All that is known of one home address.

    Attributes:
        sequence: number of the last accepted update, whatever BID it named.
        bindings: one without BID, or any number with different BIDs, oldest first.
        lifetime_s: what the last update was granted.
        forget_at_s: of a tombstone, when it may go.
        wake_at_s: the second in which the owner looks at this entry again.
        refresh_requested: a Binding Refresh Request went out since the last update.
        link_layer_address: of the mobile node on the home link, as it last told; empty before.
            A tombstone has it if the mobile node went home.
        link_local: the mobile node has said that its link-local address ends as the home address
            does (the L flag).
        flows: which packets go to which BIDs, in the order of comparison (RFC 6089).
        usual_options: the octets that named all of `usual_bindings` last; one object for
            all entries that have the same.
    """

    home_address: IPv6Address
    sequence: int
    bindings: tuple[Binding, ...] = ()
    lifetime_s: int = 0
    forget_at_s: float | None = None
    wake_at_s: int | None = None
    refresh_requested: bool = False
    link_layer_address: bytes = b""
    link_local: bool = False
    flows: tuple[FlowBinding, ...] = ()
    usual_options: bytes = b""
    usual_bindings: tuple[Binding, ...] | None = None

    def find(self, bid: int | None) -> Binding | None:
        """Return the binding of this BID; None names the plain binding."""
        for binding in self.bindings:
            if binding.bid == bid:
                return binding
        return None

    @property
    def is_plain(self) -> bool:
        """True for an entry of RFC 6275: one binding that has no BID."""
        return bool(self.bindings) and self.bindings[0].bid is None


class BindingCache:
    """Entries by home address; at most one for each."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        # By octets: an address object takes twenty times as long to hash.
        self._entries: dict[bytes, CacheEntry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[CacheEntry]:
        return iter(self._entries.values())

    def entries(self) -> ValuesView[CacheEntry]:
        """Return a live view of all entries, tombstones among them."""
        return self._entries.values()

    def entry(self, home_address: IPv6Address) -> CacheEntry | None:
        """Return what is known of a home address."""
        return self._entries.get(home_address.packed)

    def entry_of(self, home_address: bytes) -> CacheEntry | None:
        """Return what is known of a home address, given as sixteen octets."""
        return self._entries.get(home_address)

    def put(self, entry: CacheEntry) -> None:
        """Add an entry, or replace the one of the same home address."""
        self._entries[entry.home_address.packed] = entry

    def remove(self, home_address: IPv6Address) -> None:
        """Forget a home address and its sequence number."""
        self._entries.pop(home_address.packed, None)

    def lookup(self, home_address: IPv6Address, bid: int | None = None) -> Binding | None:
        """Find a binding for data (RFC 5648 §3, §6.1).

        A BID that is not bound gives way to the home address alone; that look-up returns
        the binding which was verified last.
        """
        entry = self.entry(home_address)
        if entry is None or not entry.bindings:
            return None
        if bid is not None and (found := entry.find(bid)) is not None:
            return found
        return max(entry.bindings, key=lambda binding: binding.verified_at_s)
