"""The mobile node on its home link (RFC 6275 §11.5.5, RFC 5648 §5.5, §5.6)."""

from dataclasses import dataclass
from enum import Enum
from math import inf

from mcoa.engine.policy import AtHome

# Nothing is worth waiting longer for: a return that takes a second is not noticed, either.
MOST_DRAINING_S = 1.0


class Presence(Enum):
    """What the mobile node may do on its home link."""

    AWAY = "it uses no home link"
    SILENT = "packets travel there in frames of our own making; no neighbour discovery"
    DEFENDED = "the home address is the interface's, other links carry traffic as well"
    HOME = "the home address is the interface's, and nothing is tunnelled"

    @property
    def defends(self) -> bool:
        """True where neighbours are to be answered about the home address."""
        return self in {Presence.DEFENDED, Presence.HOME}


@dataclass(slots=True, kw_only=True)
class HomeLink:
    """What the mobile node knows of its home link, and has done about it.

    Attributes:
        choice: the operator's.
        name: of the link that is the home link now; None while there is none.
        link_layer_address: of the mobile node on it.
        is_alone: the agent does not take home and visited links at once.
        is_unheard: the agent did not answer there, and there is no other link to ask it by.
        drained_at_s: when nothing is under way to the agent over visited links any more.
        has_returned: the agent has been told that all is to come over the home link.
        was_left: the agent has to hear that nothing is to go to the home link any more.
    """

    choice: AtHome
    name: str | None = None
    link_layer_address: bytes = b""
    is_alone: bool = False
    is_unheard: bool = False
    drained_at_s: float = inf
    has_returned: bool = False
    was_left: bool = False

    def use(self, *, several: bool) -> AtHome | None:
        """Return which links are used now; None away from home.

        Args:
            several: the agent takes several care-of addresses.
        """
        if self.name is None:
            return None
        if self.choice is AtHome.BOTH and (self.is_alone or self.is_unheard or not several):
            return AtHome.HOME
        return self.choice
