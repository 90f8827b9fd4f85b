"""Mobile prefix discovery, the mobile node's side (RFC 6275 §11.4.2, §11.4.3)."""

from ipaddress import IPv6Address, IPv6Network
from random import Random

from mcoa.engine.actions import Action, Report, Send
from mcoa.engine.ways import to_agent
from mcoa.wire.icmpv6_mobility import MobilePrefixAdvertisement, MobilePrefixSolicitation
from mcoa.wire.neighbor_discovery import PrefixInformation

INITIAL_SOLICIT_TIMER_S = 3.0  # RFC 6275 §12
LONGEST_SOLICIT_TIMER_S = 32.0
ASKED_AGAIN_S = 600.0
"""Before that nothing is asked again, however often the agent says that it is necessary."""


class PrefixDiscovery:
    """Asks the home agent for the prefixes of the home link when that says so.

    Attributes:
        due_s: when solicit() is to be called; None while nothing is asked.
        prefixes: as they were told last; None before.
    """

    def __init__(self, home_address: IPv6Address, rng: Random) -> None:
        self.due_s: float | None = None
        self.prefixes: tuple[PrefixInformation, ...] | None = None
        self._home_address = home_address
        self._rng = rng
        self._identifier: int | None = None
        self._interval_s = INITIAL_SOLICIT_TIMER_S
        self._answered_s = -ASKED_AGAIN_S

    @property
    def is_asking(self) -> bool:
        """True from the first solicitation to its answer."""
        return self._identifier is not None

    def necessary(self, now: float) -> None:
        """The agent says that the prefixes have changed (status 1)."""
        if self.due_s is None and now >= self._answered_s + ASKED_AGAIN_S:
            self.due_s, self._interval_s = now, INITIAL_SOLICIT_TIMER_S

    def end(self) -> None:
        """Ask no more; another agent has other prefixes."""
        self.due_s = self._identifier = None
        self._answered_s = -ASKED_AGAIN_S

    def solicit(
        self, agent: IPv6Address, source: IPv6Address, link: str | None, now: float
    ) -> Send:
        """Return the solicitation that is due, from a registered care-of address."""
        if self._identifier is None:
            self._identifier = self._rng.randrange(0x10000)
        self.due_s = now + self._interval_s
        self._interval_s = min(2 * self._interval_s, LONGEST_SOLICIT_TIMER_S)
        envelope = to_agent(agent, self._home_address, source, link)
        message = MobilePrefixSolicitation(identifier=self._identifier)
        return Send(message=message, envelope=envelope)

    def answered(self, message: MobilePrefixAdvertisement, now: float) -> list[Action]:
        """Take in an advertisement from our agent, if it is the one that was asked for.

        Advertisements unasked for are not believed: this agent sends none, and whoever forges
        one had to guess no number.
        """
        if message.identifier != self._identifier:
            return [Report(event="prefix-advertisement-unexpected")]
        self.due_s = self._identifier = None
        self._answered_s = now
        options = message.options
        self.prefixes = tuple(each for each in options if isinstance(each, PrefixInformation))
        ours = [each for each in self.prefixes if self._home_address in _network(each)]
        if not ours or not ours[0].valid_lifetime_s:
            event = "home-prefix-is-gone"
        elif not ours[0].preferred_lifetime_s:
            event = "home-prefix-is-deprecated"
        else:
            event = "home-prefixes-told"
        names = " ".join(
            f"{_network(each)}:{each.preferred_lifetime_s}/{each.valid_lifetime_s}s"
            for each in self.prefixes
        )
        return [Report(event=event, home_address=self._home_address, detail=names)]


def _network(information: PrefixInformation) -> IPv6Network:
    return IPv6Network((information.prefix, information.prefix_length), strict=False)
