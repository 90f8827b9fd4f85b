"""The refresh that mobile nodes send most, answered from octets to octets.

Of a home agent's updates nearly all have one layout: a Home Address option, the flags A and
H, and options that name known BIDs without address (RFC 5648 §5.1). For those this module
does what parsing, `registration.decide`, `HomeAgent` and emitting do, at a fraction of the
cost; a property test holds it to that. Whatever is not plainly such a refresh is left to
them, and so is every refusal.
"""

from collections.abc import Sequence
from math import inf
from struct import Struct
from typing import Final

from mcoa.binding.cache import Binding, CacheEntry
from mcoa.binding.sequence import is_newer
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.policy import MultipleCareOf

_MOBILITY_HEADER: Final = 135
_HEADERS: Final = 64  # of IPv6, and of the Home Address option or the routing header
_OPTIONS: Final = _HEADERS + 12

_UPDATE: Final = Struct("!4xHBx16s16s8s16sBBBxHHHH")
_DESTINATION_OPTIONS: Final = 60
_HOME_ADDRESS_OPTION: Final = bytes.fromhex("8702 01020000 c910")
_FIRST_OCTETS: Final = (59, 5)  # Payload Proto, MH Type
_FLAGS: Final = 0xC000  # acknowledge, home registration
_BID_OPTION: Final = Struct("!HHBB")
_BID_OPTION_HEAD: Final = 0x2304
_PADDING: Final = {0: b"", 2: b"\1\0", 4: b"\1\2\0\0", 6: b"\1\4\0\0\0\0"}

_PACKET: Final = Struct("!IHBB16s16sI4x16sHHHHHH")
_VERSION_6: Final = 0x60000000
_ROUTING: Final = 43
_HOP_LIMIT: Final = 64
_TYPE_2_HEADER: Final = 0x87020201
_PAYLOAD_PROTO: Final = 59
_ACKNOWLEDGEMENT: Final = 0x0600  # MH Type and Reserved
_ACCEPTED: Final = 0  # and no flags


class Refresher:
    """Answers plain refreshes for a home agent; has no state of its own."""

    __slots__ = ("_agent", "_is_bulk", "_is_offered", "_max_units", "_source")

    def __init__(self, agent: HomeAgent) -> None:
        policy = agent.policy
        self._agent = agent
        self._source = policy.address.packed
        self._max_units = policy.max_lifetime_s // 4
        self._is_bulk = policy.bulk
        # What would have to be looked at for each update is left to the general way.
        self._is_offered = (
            policy.multiple_care_of is MultipleCareOf.ALLOW
            and policy.refresh_advice_s is None
            and all(
                prefix.valid_until_s == prefix.preferred_until_s == inf
                for prefix in policy.home_prefixes
            )
        )

    def answer(self, packet: bytes, now: float) -> tuple[bytes, bytes] | None:
        """Refresh what a packet asks for.

        Returns:
            The home address, whose record is to be remembered, and the acknowledgement's
            packet; None, with nothing changed, for a packet that is to go the general way.
        """
        if len(packet) < _OPTIONS or not self._is_offered:
            return None
        (
            length,
            next_header,
            source,
            destination,
            option,
            home_address,
            protocol,
            units,
            kind,
            _,
            sequence,
            flags,
            lifetime,
        ) = _UPDATE.unpack_from(packet)
        if (
            option != _HOME_ADDRESS_OPTION
            or (protocol, kind) != _FIRST_OCTETS
            or flags != _FLAGS
            or not lifetime
            or next_header != _DESTINATION_OPTIONS
            or packet[0] & 0xF0 != 0x60
            or length != len(packet) - 40
            or length != 32 + 8 * units
            or destination != self._source
        ):
            return None
        header = packet[_HEADERS:]
        covered = int.from_bytes(home_address + destination + header)
        if (covered + len(header) + _MOBILITY_HEADER) % 65535:
            return None
        entry = self._agent.cache.entry_of(home_address)
        if entry is None or not is_newer(sequence, entry.sequence):
            return None
        options = packet[_OPTIONS:]
        named = self._named(options, entry)
        granted = min(lifetime, self._max_units)
        if named is None or not _apply(entry, named, source, 4 * granted, now):
            return None
        entry.sequence = sequence
        return home_address, self._acknowledgement(
            source, home_address, sequence, granted, options
        )

    def _named(self, options: bytes, entry: CacheEntry) -> Sequence[Binding] | None:
        """Return the bindings that the options name; None when one cannot be refreshed.

        A mobile node refreshes all it has with the same octets each time: those are kept.
        """
        if options == entry.usual_options and entry.usual_bindings is entry.bindings:
            return entry.bindings
        named: list[Binding] = []
        at, end = 0, len(options)
        while end - at >= _BID_OPTION.size:
            head, bid, status, priority = _BID_OPTION.unpack_from(options, at)
            if head != _BID_OPTION_HEAD:
                break
            binding = entry.find(bid)
            if binding is None or binding.priority != priority or status:
                return None
            if any(binding is other for other in named):
                return None
            named.append(binding)
            at += _BID_OPTION.size
        if not named or (len(named) > 1 and not self._is_bulk):
            return None
        if options[at:] != _PADDING.get(end - at):
            return None
        if tuple(named) == entry.bindings:
            entry.usual_options, entry.usual_bindings = options, entry.bindings
        return named

    def _acknowledgement(
        self, source: bytes, home_address: bytes, sequence: int, lifetime: int, options: bytes
    ) -> bytes:
        """Return the packet that accepts everything; it repeats the options as they came."""
        length = 12 + len(options)
        start = _PAYLOAD_PROTO << 8 | (length // 8 - 1)
        covered = int.from_bytes(self._source + home_address + options)
        covered += start + _ACKNOWLEDGEMENT + sequence + lifetime + length + _MOBILITY_HEADER
        head = _PACKET.pack(
            _VERSION_6,
            24 + length,
            _ROUTING,
            _HOP_LIMIT,
            self._source,
            source,
            _TYPE_2_HEADER,
            home_address,
            start,
            _ACKNOWLEDGEMENT,
            -covered % 65535,
            _ACCEPTED,
            sequence,
            lifetime,
        )
        return head + options


def _apply(
    entry: CacheEntry, named: Sequence[Binding], source: bytes, lifetime_s: int, now: float
) -> bool:
    """Refresh some bindings; False, with nothing changed, when one would expire sooner.

    The entry's wake-up stays where it is: it comes too early now, and so moves by itself.
    """
    expires_at_s = now + lifetime_s
    origin = None
    for binding in named:
        if binding.expires_at_s > expires_at_s:
            return False
        if origin is None and binding.care_of_address.packed == source:
            origin = binding
    if origin is None:
        return False  # from elsewhere: the general way looks at such a source
    for binding in named:
        binding.expires_at_s = expires_at_s
        if binding.care_of_address is origin.care_of_address:
            binding.verified_at_s = now
    entry.lifetime_s = lifetime_s
    entry.refresh_requested = False
    return True
