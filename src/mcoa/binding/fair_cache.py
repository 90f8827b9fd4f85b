"""A correspondent's binding cache: bounded, and shared fairly among home networks.

Whoever has a /64 can make bindings for all addresses in it, and prove each (RFC 6275 §15.4).
So who is over the limit loses an entry of the /64 that has the most, the one that was used
longest ago: a flood of home addresses displaces itself.
"""

from collections import OrderedDict
from collections.abc import Iterator
from ipaddress import IPv6Address
from math import inf

from mcoa.binding.cache import CacheEntry

Key = tuple[bytes, bytes]
"""The correspondent's own address and the home address (RFC 6275 §9.1), as octets."""

_NETWORK_LENGTH = 8  # octets of a /64
_MOST_FLOORS = 1024


class FairCache:
    """At most `most` entries by own address and home address, tombstones among them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._networks: dict[bytes, OrderedDict[Key, CacheEntry]] = {}
        # Networks by the number of their entries; what comes first came to it first.
        self._by_size: dict[int, dict[bytes, None]] = {}
        self._largest = 0
        self._count = 0
        self._displaced_at_s: OrderedDict[bytes, float] = OrderedDict()
        self._any_displaced_at_s = -inf

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[IPv6Address, CacheEntry]]:
        for entries in self._networks.values():
            for (own, _), entry in entries.items():
                yield IPv6Address(own), entry

    def get(self, own: IPv6Address, home_address: IPv6Address) -> CacheEntry | None:
        """Return what is known of a home address."""
        entries = self._networks.get(home_address.packed[:_NETWORK_LENGTH])
        return None if entries is None else entries.get((own.packed, home_address.packed))

    def put(
        self, own: IPv6Address, entry: CacheEntry, now: float
    ) -> tuple[IPv6Address, CacheEntry] | None:
        """Add an entry, or note that it was used; return what had to go for it."""
        key = own.packed, entry.home_address.packed
        network = key[1][:_NETWORK_LENGTH]
        entries = self._networks.setdefault(network, OrderedDict())
        is_new = key not in entries
        entries[key] = entry
        entries.move_to_end(key)
        if not is_new:
            return None
        self._count += 1
        self._resize(network, len(entries) - 1, len(entries))
        return self._displace(now) if self._count > self._most else None

    def remove(self, own: IPv6Address, home_address: IPv6Address) -> None:
        """Forget an entry, if there is one."""
        self._remove((own.packed, home_address.packed))

    def displaced_at_s(self, home_address: IPv6Address) -> float:
        """Return when an entry of the same network last had to go; long ago if never.

        What was then forgotten could be replayed as long as its nonces live.
        """
        network = home_address.packed[:_NETWORK_LENGTH]
        return max(self._displaced_at_s.get(network, -inf), self._any_displaced_at_s)

    def _displace(self, now: float) -> tuple[IPv6Address, CacheEntry]:
        network = next(iter(self._by_size[self._largest]))
        key, entry = next(iter(self._networks[network].items()))
        self._remove(key)
        self._displaced_at_s[network] = now
        self._displaced_at_s.move_to_end(network)
        if len(self._displaced_at_s) > _MOST_FLOORS:
            _, earliest_s = self._displaced_at_s.popitem(last=False)
            self._any_displaced_at_s = max(self._any_displaced_at_s, earliest_s)
        return IPv6Address(key[0]), entry

    def _remove(self, key: Key) -> None:
        network = key[1][:_NETWORK_LENGTH]
        entries = self._networks.get(network)
        if entries is None or entries.pop(key, None) is None:
            return
        self._count -= 1
        self._resize(network, len(entries) + 1, len(entries))
        if not entries:
            del self._networks[network]

    def _resize(self, network: bytes, before: int, after: int) -> None:
        if before:
            self._by_size[before].pop(network)
            if not self._by_size[before]:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, {})[network] = None
        # Sizes change by one, so the largest is no further away than that.
        if after > self._largest or (before == self._largest and before not in self._by_size):
            self._largest = after
