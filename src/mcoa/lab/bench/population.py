"""Mobile nodes with three links each, and the updates that they send to one home agent."""

from array import array
from collections.abc import Iterator
from ipaddress import IPv6Address
from random import Random
from struct import Struct
from typing import Final

from mcoa.binding.cache import Binding, CacheEntry
from mcoa.engine.actions import Envelope, Send
from mcoa.runtime.records import emit_record
from mcoa.runtime.signalling import emit_signalling
from mcoa.wire.checksum import MOBILITY_HEADER, upper_layer_checksum
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import UpdateFlag

HOME_AGENT: Final = IPv6Address("2001:db8:1::1")
HOME_PREFIX: Final = "2001:db8:1::/64"
LIFETIME_S: Final = 600
BIDS: Final = (1, 2, 3)

_FLAGS: Final = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME
_PREFIX: Final = IPv6Address("2001:db8:1::").packed[:8]
_CARE_OF: Final = Struct("!4sH2xI3xB")
_CARE_OF_START: Final = IPv6Address("2001:db8::").packed[:4]
_FIRST_ACCESS_NETWORK: Final = 0xA
ACCESS_NETWORKS: Final = tuple(f"2001:db8:{_FIRST_ACCESS_NETWORK + n:x}::/48" for n in range(3))


def care_of_address(node: int, link: int) -> bytes:
    """Return the address of a node on one of its links, which are numbered from 0."""
    return _CARE_OF.pack(_CARE_OF_START, _FIRST_ACCESS_NETWORK + link, node, 1)


def registration(home_address: IPv6Address, sequence: int) -> Send:
    """Return the update with which a node registers all its addresses at once."""
    return _update(
        home_address,
        sequence,
        tuple(
            BindingIdentifier(bid=bid, care_of_address=IPv6Address(care_of_address(1, link)))
            for link, bid in enumerate(BIDS)
        ),
    )


def acknowledgement(home_address: IPv6Address, sequence: int) -> Send:
    """Return the answer to it."""
    return Send(
        message=BindingAcknowledgement(
            sequence=sequence,
            lifetime_s=LIFETIME_S,
            options=tuple(BindingIdentifier(bid=bid) for bid in BIDS),
        ),
        envelope=Envelope(
            source=HOME_AGENT,
            destination=IPv6Address(care_of_address(1, 0)),
            routing_header_home_address=home_address,
        ),
    )


def _update(
    home_address: IPv6Address, sequence: int, options: tuple[BindingIdentifier, ...]
) -> Send:
    message = BindingUpdate(
        sequence=sequence, flags=_FLAGS, lifetime_s=LIFETIME_S, options=options
    )
    envelope = Envelope(
        source=IPv6Address(care_of_address(1, 0)),
        destination=HOME_AGENT,
        home_address=home_address,
    )
    return Send(message=message, envelope=envelope)


class Population:
    """Nodes at addresses all over the home prefix; each counts its own sequence numbers."""

    _AFTER_SOURCE: Final = slice(24, 48)
    _HEADER: Final = 64  # octets before the Mobility Header
    _CHECKSUM: Final = 4
    _SEQUENCE: Final = 6

    def __init__(self, count: int, rng: Random) -> None:
        self._identifiers = array("Q", rng.sample(range(1 << 32, 1 << 62), count))
        self._sequences = array("H", bytes(2 * count))
        refresh = emit_signalling(
            _update(self._home(0), 0, tuple(BindingIdentifier(bid=bid) for bid in BIDS))
        )
        self._before_source = refresh[:8]
        self._after_source = refresh[self._AFTER_SOURCE]
        header = refresh[self._HEADER :]
        self._header_start = header[: self._CHECKSUM]
        self._header_end = header[self._SEQUENCE + 2 :]

    def __len__(self) -> int:
        return len(self._identifiers)

    def home_address(self, node: int) -> bytes:
        """Return the home address of a node."""
        return _PREFIX + self._identifiers[node].to_bytes(8)

    def sequence(self, node: int) -> int:
        """Return the number of the last update that a node sent."""
        return self._sequences[node]

    def refresh(self, node: int) -> bytes:
        """Return the packet with a node's next update, which names its BIDs alone."""
        sequence = self._sequences[node] = (self._sequences[node] + 1) & 0xFFFF
        home = self.home_address(node)
        number = sequence.to_bytes(2)
        start, end = self._header_start, number + self._header_end
        checksum = upper_layer_checksum(
            start + b"\0\0" + end, home, HOME_AGENT, MOBILITY_HEADER
        ).to_bytes(2)
        source = care_of_address(node, node % len(BIDS))
        return b"".join(
            (self._before_source, source, self._after_source, home, start, checksum, end)
        )

    def records(
        self, now: float, offset_s: float, rng: Random
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield what an agent has on disk when the nodes refreshed over a whole lifetime."""
        for node in range(len(self)):
            since_s = rng.uniform(0, LIFETIME_S / 2)
            bindings = tuple(
                Binding(
                    bid=bid,
                    care_of_address=IPv6Address(care_of_address(node, link)),
                    expires_at_s=now + LIFETIME_S - since_s,
                    verified_at_s=now - since_s,
                )
                for link, bid in enumerate(BIDS)
            )
            entry = CacheEntry(
                home_address=self._home(node),
                sequence=0,
                bindings=bindings,
                lifetime_s=LIFETIME_S,
            )
            yield self.home_address(node), emit_record(entry, offset_s=offset_s)

    def _home(self, node: int) -> IPv6Address:
        return IPv6Address(self.home_address(node))
