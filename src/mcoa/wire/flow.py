"""Flow Identification and Flow Summary options (RFC 6089 §4.2, §4.3).

A sub-option that makes no sense survives with its octets, because the answer to it is a
status in the acknowledgement and not silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mcoa.wire.options import Alignment
from mcoa.wire.reader import ParseError, Reader, require_range
from mcoa.wire.registry import FlowStatus, OptionType
from mcoa.wire.selectors import TRAFFIC_SELECTOR, TrafficSelector, parse_selector

_PAD1: Final = 0
_PADN: Final = 1
_BINDING_REFERENCE: Final = 2
_FIXED_PART: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSubOption:
    """A sub-option kept as it is: unknown, malformed, or a second one of its type."""

    type: int
    data: bytes

    def __post_init__(self) -> None:
        require_range("type", self.type, 2, 0xFF)
        require_range("length", len(self.data), 0, 0xFF)

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        return bytes((self.type, len(self.data))) + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowIdentification:
    """Flow Identification option (RFC 6089 §4.2).

    Attributes:
        fid: names the flow; zero is reserved, and to be answered as malformed.
        priority: the lower, the earlier a packet is compared with the selector; zero is
            reserved, too, but where an acknowledgement knows none.
        bids: of the Binding Reference sub-option; None without one.
        selector: what belongs to the flow; None without that sub-option.
        others: sub-options that say neither.
    """

    TYPE: ClassVar = OptionType.FLOW_IDENTIFICATION
    ALIGNMENT: ClassVar[Alignment] = (2, 0)

    fid: int
    priority: int = 0
    status: FlowStatus = FlowStatus.ACCEPTED
    bids: tuple[int, ...] | None = None
    selector: TrafficSelector | None = None
    others: tuple[RawSubOption, ...] = ()

    def __post_init__(self) -> None:
        require_range("fid", self.fid, 0, 0xFFFF)
        require_range("priority", self.priority, 0, 0xFFFF)
        require_range("status", self.status, 0, 0xFF)
        for bid in self.bids or ():
            require_range("bid", bid, 0, 0xFFFF)
        require_range("length of bids", len(self.bids or ()), 0, 0x7F)
        for other in self.others:
            if self.bids is None and _bids(other) is not None:
                raise ValueError("a Binding Reference that makes sense belongs in `bids`")
            if self.selector is None and _selector(other) is not None:
                raise ValueError("a traffic selector that makes sense belongs in `selector`")
        require_range("length", len(self.emit()) - 2, 6, 0xFF)

    @property
    def is_malformed(self) -> bool:
        """True of a request that uses a reserved number, or of whose sub-options one is broken.

        Both FID and FID-PRI reserve zero (RFC 6089 §4.2); a sub-option of a known type makes no
        sense, or is there twice.
        """
        known = (_BINDING_REFERENCE, TRAFFIC_SELECTOR)
        is_reserved = self.fid == 0 or self.priority == 0
        return is_reserved or any(other.type in known for other in self.others)

    @property
    def alignment(self) -> Alignment:
        """Where the option may start, so that its selector starts where it has to."""
        return (max(2, self.selector.alignment), 0) if self.selector else self.ALIGNMENT

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body.

        Raises:
            ParseError: it is shorter than its fixed part, a sub-option overruns it, or there
                is no room for the padding that its selector should have had.
        """
        start = body.offset
        fid, priority = body.uint16("FID"), body.uint16("FID-PRI")
        body.uint8("Reserved")
        status = FlowStatus(body.uint8("Status"))
        bids: tuple[int, ...] | None = None
        selector: TrafficSelector | None = None
        others = []
        for sub_option in _sub_options(body):
            if bids is None and (found_bids := _bids(sub_option)) is not None:
                bids = found_bids
            elif selector is None and (found := _selector(sub_option)) is not None:
                selector = found
            else:
                others.append(sub_option)
        try:
            return cls(
                fid=fid,
                priority=priority,
                status=status,
                bids=bids,
                selector=selector,
                others=tuple(others),
            )
        except ValueError as error:
            raise ParseError(start, str(error)) from error

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        parts = []
        if self.bids is not None:
            references = b"".join(bid.to_bytes(2) for bid in self.bids)
            parts.append(bytes((_BINDING_REFERENCE, len(references))) + references)
        if self.selector is not None:
            offset = _FIXED_PART + sum(map(len, parts))
            parts.append(_padding(-offset % self.selector.alignment))
            parts.append(self.selector.emit())
        parts.extend(other.emit() for other in self.others)
        body = b"".join(parts)
        header = bytes((self.TYPE, 6 + len(body) & 0xFF))
        fixed = self.fid.to_bytes(2) + self.priority.to_bytes(2) + bytes((0, self.status))
        return header + fixed + body


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSummary:
    """Flow Summary option (RFC 6089 §4.3): flows to keep as they are."""

    TYPE: ClassVar = OptionType.FLOW_SUMMARY
    ALIGNMENT: ClassVar[Alignment] = (2, 0)

    fids: tuple[int, ...]

    def __post_init__(self) -> None:
        require_range("number of fids", len(self.fids), 0, 0x7F)
        for fid in self.fids:
            require_range("fid", fid, 0, 0xFFFF)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body."""
        if body.remaining % 2:
            raise ParseError(body.offset - 1, f"Length {body.remaining} is not even")
        return cls(fids=_numbers(body.rest()))

    def emit(self) -> bytes:
        """Return Type, Length and body."""
        header = bytes((self.TYPE, 2 * len(self.fids)))
        return header + b"".join(fid.to_bytes(2) for fid in self.fids)


def _sub_options(body: Reader) -> Iterator[RawSubOption]:
    """Cut the rest of the option into sub-options, without the padding."""
    while body.remaining:
        number = body.uint8("sub-option type")
        if number == _PAD1:
            continue
        length = body.uint8("sub-option length")
        data = body.take(length, f"sub-option {number}")
        if number != _PADN:
            yield RawSubOption(type=number, data=data)


def _bids(sub_option: RawSubOption) -> tuple[int, ...] | None:
    if sub_option.type != _BINDING_REFERENCE or len(sub_option.data) % 2:
        return None
    return _numbers(sub_option.data)


def _selector(sub_option: RawSubOption) -> TrafficSelector | None:
    if sub_option.type != TRAFFIC_SELECTOR:
        return None
    try:
        return parse_selector(sub_option.data)
    except ParseError:
        return None


def _numbers(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[start : start + 2]) for start in range(0, len(data), 2))


def _padding(count: int) -> bytes:
    """Return `count` octets of Pad1 and PadN sub-options (RFC 6089 §4.2.1)."""
    return b"\0" * count if count < 2 else bytes((_PADN, count - 2)) + bytes(count - 2)
