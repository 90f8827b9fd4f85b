"""The refresh that mobile nodes send most, answered from octets to octets.

Of a home agent's updates nearly all have one layout: a Home Address option, the flags A and
H, and options that name known BIDs without address (RFC 5648 §5.1). For those this module
does what parsing, `registration.decide`, `HomeAgent` and emitting do, at a fraction of the
cost; a property test holds it to that. Whatever is not plainly such a refresh is left to
them, and so is every refusal.

What follows the sequence number is the same in each refresh of a mobile node, and in those
of all others with as many links. It is understood once, and known again by its octets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from struct import Struct
from typing import Final

from mcoa.binding.cache import Binding, CacheEntry
from mcoa.binding.sequence import is_newer
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.policy import MultipleCareOf

_MOBILITY_HEADER: Final = 135
_MOST_LAYOUTS: Final = 1024

# A packet up to the sequence number. The addresses are taken for sums of words, too: a sum
# modulo 65535 does not mind how many words are taken at a time.
_unpack_start: Final = Struct("!B3x3sx16s24sQQIHH").unpack_from
_HOME_ADDRESS: Final = slice(48, 64)
_REST: Final = slice(72, None)
_BEFORE_REST: Final = 8  # octets of the Mobility Header
_HOME_ADDRESS_OPTION: Final = bytes.fromhex("8702 01020000 c910")
_LENGTHS: Final = Struct("!HB")
_DESTINATION_OPTIONS: Final = 60
_HEADER_START: Final = Struct("!BBH")
_PAYLOAD_PROTO: Final = 59
_UPDATE: Final = 0x0500  # MH Type and Reserved
_FLAGS: Final = 0xC000  # acknowledge, home registration

_FIXED: Final = Struct("!HH")  # flags, lifetime
_BID_OPTION: Final = Struct("!HHBB")
_BID_OPTION_HEAD: Final = 0x2304
_PADDING: Final = {0: b"", 2: b"\1\0", 4: b"\1\2\0\0", 6: b"\1\4\0\0\0\0"}

_PACKET: Final = Struct("!IHBB16s")
_VERSION_6: Final = 0x60000000
_ROUTING: Final = 43
_HOP_LIMIT: Final = 64
_TYPE_2_HEADER: Final = bytes.fromhex("8702 0201 00000000")
_EXTENSIONS: Final = 24  # octets, of either packet
_ACKNOWLEDGEMENT: Final = 0x0600
_ACCEPTED: Final = 0  # and no flags


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What the octets behind the sequence number say, and what the answer to them is made of.

    Attributes:
        rest: these octets.
        lengths: Payload Length and Next Header that go with them.
        start: of the Mobility Header, before the checksum.
        names: BID and priority of each option, no BID twice.
        lifetime_s: what is granted.
        covered: the sum of all that the checksum covers, but for home address and sequence.
        answer: makes a packet of the parts below and those that vary.
        answer_covered: like `covered`, for the answer.
    """

    rest: bytes
    lengths: bytes
    start: int
    names: tuple[tuple[int, int], ...]
    lifetime_s: int
    covered: int
    answer: Callable[..., bytes]
    answer_head: bytes
    answer_start: bytes
    answer_rest: bytes
    answer_covered: int


class Refresher:
    """Answers plain refreshes for a home agent; what it keeps only saves work."""

    __slots__ = ("_entry_of", "_fixed", "_is_bulk", "_is_offered", "_layouts", "_max_units")

    def __init__(self, agent: HomeAgent) -> None:
        policy = agent.policy
        self._entry_of = agent.cache.entry_of
        self._fixed = policy.address.packed + _HOME_ADDRESS_OPTION
        self._max_units = policy.max_lifetime_s // 4
        self._is_bulk = policy.bulk
        self._layouts: dict[bytes, _Layout] = {}
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
        rest = packet[_REST]
        layout = self._layouts.get(rest) or self._understand(rest)
        if layout is None:
            return None
        version, lengths, source, fixed, high, low, start, checksum, sequence = _unpack_start(
            packet
        )
        variable = high + low + sequence
        if (
            fixed != self._fixed
            or start != layout.start
            or lengths != layout.lengths
            or version & 0xF0 != 0x60
            or (variable + checksum + layout.covered) % 65535
        ):
            return None
        home_address = packet[_HOME_ADDRESS]
        entry = self._entry_of(home_address)
        # An update that does not name the flow bindings deletes them (RFC 6089 §5.2.2).
        if entry is None or entry.flows or not is_newer(sequence, entry.sequence):
            return None
        if entry.usual_bindings is entry.bindings and entry.usual_options is layout.rest:
            named: Sequence[Binding] | None = entry.bindings
        else:
            named = self._named(entry, layout)
        if named is None or not _apply(entry, named, source, layout.lifetime_s, now):
            return None
        entry.sequence = sequence
        return home_address, layout.answer(
            layout.answer_head,
            source,
            _TYPE_2_HEADER,
            home_address,
            layout.answer_start,
            -(variable + layout.answer_covered) % 65535,
            _ACCEPTED,
            sequence,
            layout.answer_rest,
        )

    def _named(self, entry: CacheEntry, layout: _Layout) -> list[Binding] | None:
        """Return the bindings that the options name; None when one cannot be refreshed."""
        if any(binding.home for binding in entry.bindings):
            return None  # what such an update means depends on its H flag and source
        named: list[Binding] = []
        for bid, priority in layout.names:
            binding = entry.find(bid)
            if binding is None or binding.priority != priority:
                return None
            named.append(binding)
        # A layout is kept for those whose updates were good: others cannot crowd them out.
        if len(self._layouts) >= _MOST_LAYOUTS:
            self._layouts.clear()
        kept = self._layouts.setdefault(layout.rest, layout)
        if tuple(named) == entry.bindings:
            entry.usual_options, entry.usual_bindings = kept.rest, entry.bindings
        return named

    def _understand(self, rest: bytes) -> _Layout | None:
        """Return what the octets behind a sequence number say, if that is a plain refresh."""
        is_whole = len(rest) >= _FIXED.size and not (_BEFORE_REST + len(rest)) % 8
        if not is_whole or not self._is_offered:
            return None
        flags, units = _FIXED.unpack_from(rest)
        names = _names(rest)
        if flags != _FLAGS or not units or not names or len(dict(names)) < len(names):
            return None
        if len(names) > 1 and not self._is_bulk:
            return None
        granted = min(units, self._max_units)
        return self._layout(rest, names, granted)

    def _layout(self, rest: bytes, names: tuple[tuple[int, int], ...], granted: int) -> _Layout:
        length = _BEFORE_REST + len(rest)
        payload_length, header_length = _EXTENSIONS + length, length // 8 - 1
        agent = self._fixed[:16]
        start = _HEADER_START.pack(_PAYLOAD_PROTO, header_length, _UPDATE)
        answer_start = _HEADER_START.pack(_PAYLOAD_PROTO, header_length, _ACKNOWLEDGEMENT)
        answer_rest = granted.to_bytes(2) + rest[_FIXED.size :]
        covered = int.from_bytes(agent) + length + _MOBILITY_HEADER
        return _Layout(
            rest=rest,
            lengths=_LENGTHS.pack(payload_length, _DESTINATION_OPTIONS),
            start=int.from_bytes(start),
            names=names,
            lifetime_s=4 * granted,
            covered=(covered + int.from_bytes(start + rest)) % 65535,
            answer=Struct(f"!24s16s8s16s4sHHH{len(answer_rest)}s").pack,
            answer_head=_PACKET.pack(_VERSION_6, payload_length, _ROUTING, _HOP_LIMIT, agent),
            answer_start=answer_start,
            answer_rest=answer_rest,
            answer_covered=(
                covered + int.from_bytes(answer_start) + int.from_bytes(answer_rest)
            )
            % 65535,
        )


def _names(rest: bytes) -> tuple[tuple[int, int], ...]:
    """Return BID and priority of each option; none when there is anything else."""
    names: list[tuple[int, int]] = []
    at, end = _FIXED.size, len(rest)
    while end - at >= _BID_OPTION.size:
        head, bid, status, priority = _BID_OPTION.unpack_from(rest, at)
        if head != _BID_OPTION_HEAD or status:
            break
        names.append((bid, priority))
        at += _BID_OPTION.size
    return tuple(names) if rest[at:] == _PADDING.get(end - at) else ()


def _apply(
    entry: CacheEntry, named: Sequence[Binding], source: bytes, lifetime_s: int, now: float
) -> bool:
    """Refresh some bindings; False, with nothing changed, when one would expire sooner.

    The entry's wake-up stays where it is: it comes too early now, and so moves by itself.
    """
    expires_at_s = now + lifetime_s
    is_from_named = False
    for binding in named:
        if binding.expires_at_s > expires_at_s:
            return False
        if binding.octets == source:
            is_from_named = True
    if not is_from_named:
        return False  # from elsewhere: the general way looks at such a source
    for binding in named:
        binding.expires_at_s = expires_at_s
        if binding.octets == source:
            binding.verified_at_s = now
    entry.lifetime_s = lifetime_s
    entry.refresh_requested = False
    return True
