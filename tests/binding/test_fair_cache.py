"""The shared cache against a plain model: never too large, and fair by /64."""

from collections import Counter
from ipaddress import IPv6Address

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcoa.binding.cache import CacheEntry
from mcoa.binding.fair_cache import FairCache

OWN = (IPv6Address("2001:db8:9::c"), IPv6Address("2001:db8:9::d"))
MOST = 7


class FairCacheMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cache = FairCache(MOST)
        self.model: dict[tuple[IPv6Address, IPv6Address], CacheEntry] = {}
        self.now = 0.0

    @rule(own=st.sampled_from(OWN), network=st.integers(1, 4), host=st.integers(1, 5))
    def put(self, own: IPv6Address, network: int, host: int) -> None:
        self.now += 1
        home = IPv6Address(network << 64 | host)
        entry = self.model.pop((own, home), None) or CacheEntry(home_address=home, sequence=1)
        displaced = self.cache.put(own, entry, self.now)
        self.model[own, home] = entry
        if len(self.model) <= MOST:
            assert displaced is None
            return
        assert displaced is not None
        owner, gone = displaced
        sizes = Counter(int(each) >> 64 for _, each in self.model)
        gone_network = int(gone.home_address) >> 64
        assert sizes[gone_network] == max(sizes.values())
        oldest = next(k for k in self.model if int(k[1]) >> 64 == gone_network)
        assert oldest == (owner, gone.home_address)
        del self.model[oldest]
        assert self.cache.displaced_at_s(gone.home_address) == self.now

    @rule(own=st.sampled_from(OWN), network=st.integers(1, 4), host=st.integers(1, 5))
    def remove(self, own: IPv6Address, network: int, host: int) -> None:
        home = IPv6Address(network << 64 | host)
        self.cache.remove(own, home)
        self.model.pop((own, home), None)

    @invariant()
    def agrees(self) -> None:
        assert len(self.cache) == len(self.model) <= MOST
        assert {(own, entry.home_address) for own, entry in self.cache} == self.model.keys()
        for own, home in self.model:
            assert self.cache.get(own, home) is self.model[own, home]


FairCacheMachine.TestCase.settings = settings(max_examples=60, deadline=None)
TestFairCache = FairCacheMachine.TestCase


def test_very_many_networks_are_remembered_by_one_time() -> None:
    cache = FairCache(1)
    for number in range(3000):
        home = IPv6Address(number + 1 << 64)
        cache.put(OWN[0], CacheEntry(home_address=home, sequence=1), float(number))
    never_seen = IPv6Address("2001:db8::1")
    assert cache.displaced_at_s(never_seen) > 1000.0
