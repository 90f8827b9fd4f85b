"""The same codec work, done with scapy as its users would: it knows no option of type 35."""

import logging
from struct import Struct
from typing import Final

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)  # it warns of missing routes

from scapy.layers.inet6 import (  # noqa: E402
    HAO,
    MIP6MH_BA,
    MIP6MH_BU,
    IPv6,
    IPv6ExtHdrRouting,
    MIP6OptUnknown,
    in6_chksum,
)

_MOBILITY_HEADER: Final = 135
_BINDING_IDENTIFIER: Final = 35
_BODY: Final = Struct("!HBB")


def read_update(packet: bytes) -> tuple[int, tuple[int, ...]]:
    """Return the sequence number and the BIDs of a Binding Update.

    Raises:
        ValueError: its checksum is wrong.
    """
    header = IPv6(packet)[MIP6MH_BU]
    # It finds the home address for a checksum only where there is no padding beside it.
    destination_options = header.underlayer
    destination_options.options = [
        option for option in destination_options.options if isinstance(option, HAO)
    ]
    if in6_chksum(_MOBILITY_HEADER, destination_options, header.original):
        raise ValueError("the checksum is wrong")
    bids = tuple(
        _BODY.unpack_from(option.odata)[0]
        for option in header.options
        if option.otype == _BINDING_IDENTIFIER
    )
    return header.seq, bids


def write_acknowledgement(
    source: str,
    destination: str,
    home_address: str,
    sequence: int,
    lifetime_s: int,
    bids: tuple[int, ...],
) -> bytes:
    """Return the packet of a Binding Acknowledgement that accepts some BIDs."""
    options = [
        MIP6OptUnknown(otype=_BINDING_IDENTIFIER, odata=_BODY.pack(bid, 0, 0)) for bid in bids
    ]
    packet = (
        IPv6(src=source, dst=destination)
        / IPv6ExtHdrRouting(type=2, segleft=1, addresses=[home_address])
        / MIP6MH_BA(seq=sequence, mhtime=lifetime_s // 4, flags=0, res=0, options=options)
    )
    return bytes(packet)
