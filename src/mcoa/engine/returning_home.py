"""The mobile node on its home link (RFC 6275 §11.5.5, RFC 5648 §5.5, §5.6)."""

from enum import Enum


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
