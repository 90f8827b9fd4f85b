"""Where the mobile node is attached: its links, the home link among them, and how far it is.

Nothing here knows what the agent holds; that is the update list's matter.
"""

from ipaddress import IPv6Address

from mcoa.engine.addresses import is_possible_care_of_address
from mcoa.engine.offers import Offers
from mcoa.engine.policy import AtHome, MobileNodePolicy
from mcoa.engine.returning_home import HomeLink
from mcoa.engine.wish import Wish


class Attachments:
    """What each link offers, and from where to send.

    Attributes:
        takes_ipv4: the agent in use can be reached over IPv4, and binds such addresses.
        prefers_ipv4: it was not heard over IPv6.
    """

    def __init__(self, policy: MobileNodePolicy, *, unknown_round_trip_s: float) -> None:
        self.home = HomeLink(choice=policy.at_home)
        self.use_of_home: AtHome | None = None
        self.round_trip_s: dict[IPv6Address, float] = {}
        self.takes_ipv4 = self.prefers_ipv4 = False
        self._both = {link.name for link in policy.links if link.both_families}
        self._policy = policy
        self._unknown_s = unknown_round_trip_s
        self._links: dict[str, tuple[IPv6Address, ...]] = {}

    def reach(self, agent: IPv6Address | None) -> None:
        """Take note of which agent is to bind the addresses, and whether IPv4 leads to it."""
        is_known = agent is not None and agent == self._policy.home_agent
        self.takes_ipv4 = is_known and self._policy.home_agent_by_ipv4

    def change_link(self, link: str, addresses: tuple[IPv6Address, ...]) -> bool:
        """Take note of a link's addresses; tell whether that changes what it offers.

        Those of IPv4 are IPv4-mapped ones.
        """
        network = self._policy.home_network
        usable = tuple(
            a for a in addresses if is_possible_care_of_address(a) and a not in network
        )
        if link == self.home.name or self._links.get(link, ()) == usable:
            return False
        self._links[link] = usable
        known = self.round_trip_s.items()
        self.round_trip_s = {a: seconds for a, seconds in known if self.link_of(a)}
        return True

    def change_home(self, link: str | None, link_layer_address: bytes) -> bool:
        """Take note of which link is the home link; tell whether that is news."""
        home = self.home
        if (link, link_layer_address) == (home.name, home.link_layer_address):
            return False
        home.name, home.link_layer_address = link, link_layer_address
        if link is None:
            home.is_alone = home.is_unheard = False
        else:
            self._links.pop(link, None)
        return True

    def offers(self) -> Offers:
        """Return the addresses that may be bound, by link."""
        match self.use_of_home:
            case AtHome.HOME:
                return {}
            case AtHome.BOTH if self.home.name is not None:
                return {**self._visited(), self.home.name: (self._policy.home_address,)}
            case _:
                return self._visited()

    def _visited(self) -> Offers:
        """Return the care-of addresses that the agent in use can bind, by link."""
        return {link: self._best(link, every) for link, every in self._links.items()}

    def _best(self, link: str, every: tuple[IPv6Address, ...]) -> tuple[IPv6Address, ...]:
        ipv6 = tuple(each for each in every if each.ipv4_mapped is None)
        ipv4 = tuple(each for each in every if each not in ipv6) if self.takes_ipv4 else ()
        if link in self._both:
            return (*ipv6, *ipv4)
        return (ipv4 or ipv6) if self.prefers_ipv4 else (ipv6 or ipv4)

    @property
    def has_visited_links(self) -> bool:
        """True when there is a care-of address that the agent in use can bind."""
        return any(self._visited().values())

    def turn_family(self) -> bool:
        """Prefer the other family where a link has both; False if none has (RFC 5555 §4)."""
        before, is_preferred = self.offers(), self.prefers_ipv4
        self.prefers_ipv4 = not is_preferred
        if self.offers() == before:
            self.prefers_ipv4 = is_preferred
            return False
        return True

    def sources(self) -> list[tuple[IPv6Address, str]]:
        """Return the IPv6 care-of addresses there are, with their links, by preference."""
        return [
            (address, link.name)
            for link in self._policy.links
            for address in self._links.get(link.name, ())
            if address.ipv4_mapped is None
        ]

    def is_complete(self) -> bool:
        """Tell whether no link is left to wait for."""
        offered = self.offers()
        every = all(offered.get(link.name) for link in self._policy.links)
        return every or self.use_of_home is AtHome.HOME

    def link_of(self, address: IPv6Address) -> str | None:
        """Return the link that has an address."""
        if address == self._policy.home_address:
            return self.home.name
        for link, addresses in self._links.items():
            if address in addresses:
                return link
        return None

    def source_of(
        self, wish: Wish, own: IPv6Address | None, attempt: int
    ) -> IPv6Address | None:
        """Choose where to send from: the address concerned, else the quickest, in turns.

        Args:
            wish: what is to be said.
            own: the address that it is about, if it is about one.
            attempt: how often it was said before.
        """
        home_address = self._policy.home_address
        if self.use_of_home is AtHome.HOME:
            return home_address
        offered = self.offers()
        live = [a for link in self._policy.links for a in offered.get(link.name, ())]
        if not live:
            return None
        # The source of some is what they bind.
        is_bound = wish.goes_alone or [item.bid for item in wish.items] == [None]
        if own in live and (attempt % 2 == 0 or is_bound):
            return own
        live.sort(key=lambda address: self.round_trip_s.get(address, self._unknown_s))
        if wish.names_home:
            live.sort(key=lambda address: address != home_address)
        return live[attempt % len(live)]
