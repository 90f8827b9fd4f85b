"""When a Binding Acknowledgement passed a link, judged by its octets alone."""

from collections.abc import Iterable

from mcoa.lab.recorder import Recorded
from mcoa.lab.sightings import MOBILITY, header_chain

_ACKNOWLEDGEMENT = 6  # mobility header type (RFC 6275 §6.1.8)


def first_acknowledgement(seen: Iterable[Recorded]) -> float | None:
    """Return the real time of the first one, tunnelled or not; None if there was none."""
    for each in seen:
        for protocol, offset in header_chain(each.packet):
            mobility = each.packet[offset:]
            if protocol == MOBILITY and mobility[2:3] == bytes([_ACKNOWLEDGEMENT]):
                return each.time_s
    return None
