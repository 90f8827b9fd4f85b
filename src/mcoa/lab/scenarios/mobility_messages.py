"""Mobility Headers on a link, judged by their octets alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from mcoa.lab.recorder import Recorded
from mcoa.lab.sightings import IPV6, MOBILITY, header_chain

HOME_TEST_INIT, HOME_TEST = 1, 3
CARE_OF_TEST_INIT = 2
UPDATE, ACKNOWLEDGEMENT, ERROR = 5, 6, 7
_LIFETIME = slice(10, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobilityMessage:
    """A Mobility Header and the innermost IPv6 header before it.

    Attributes:
        tunnelled: there was another IPv6 header outside.
    """

    seen: Recorded
    source: IPv6Address
    destination: IPv6Address
    tunnelled: bool
    octets: bytes

    @property
    def type(self) -> int:
        """The kind of message (RFC 6275 §6.1)."""
        return self.octets[2]

    @property
    def deregisters(self) -> bool:
        """True for an update with lifetime zero."""
        return self.type == UPDATE and not any(self.octets[_LIFETIME])


def mobility_messages(seen: Iterable[Recorded]) -> Iterator[MobilityMessage]:
    """Yield the messages among recorded frames."""
    for each in seen:
        chain = header_chain(each.packet)
        outer = [offset for protocol, offset in chain if protocol == IPV6]
        for protocol, offset in chain:
            if protocol == MOBILITY and len(each.packet) >= offset + 12:
                start = outer[-1]
                yield MobilityMessage(
                    seen=each,
                    source=IPv6Address(each.packet[start + 8 : start + 24]),
                    destination=IPv6Address(each.packet[start + 24 : start + 40]),
                    tunnelled=len(outer) > 1,
                    octets=each.packet[offset:],
                )
