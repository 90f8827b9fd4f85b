"""Binary traffic selectors (RFC 6088), as sub-options of a Flow Identification option."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, Final, Self

from mcoa.wire.reader import ParseError, Reader, require_range

TRAFFIC_SELECTOR: Final = 3

_FLOW_LABEL_MASK: Final = 0xFFFFF

Field = tuple[IPv4Address | IPv6Address | int | None, int]


class _PresentFields:
    """Reads the fields of a selector, each announced by the next bit of its flags word."""

    def __init__(self, body: Reader) -> None:
        self._flags = body.uint32("flags of the traffic selector")
        self._body = body

    def _next(self) -> bool:
        present = bool(self._flags & 0x8000_0000)
        self._flags <<= 1
        return present

    def ipv4_address(self, field: str) -> IPv4Address | None:
        return self._body.ipv4_address(field) if self._next() else None

    def address(self, field: str) -> IPv6Address | None:
        return self._body.address(field) if self._next() else None

    def number(self, size: int, field: str) -> int | None:
        return int.from_bytes(self._body.take(size, field)) if self._next() else None


def _emit_selector(form: int, fields: Iterable[Field]) -> bytes:
    flags, parts = 0, []
    for bit, (value, size) in enumerate(fields):
        if value is None:
            continue
        flags |= 0x8000_0000 >> bit
        parts.append(value.to_bytes(size) if isinstance(value, int) else value.packed)
    body = b"".join(parts)
    header = bytes((TRAFFIC_SELECTOR, 6 + len(body), form, 0))
    return header + flags.to_bytes(4) + body


def _widest(fields: Iterable[Field]) -> int:
    """Return the alignment that the widest field asks for; nothing asks for more than 8."""
    return min(8, max((size for value, size in fields if value is not None), default=1))


def _check_fields(fields: tuple[Field, ...]) -> None:
    """Refuse an end without a start, and numbers that their field cannot carry."""
    for (start, size), (end, _) in zip(fields[::2], fields[1::2], strict=True):
        if start is None and end is not None:
            raise ValueError("a traffic selector has the end of a range without its start")
        for value in (start, end):
            if isinstance(value, int):
                require_range("traffic selector field", value, 0, (1 << 8 * size) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv4TrafficSelector:
    """IPv4 binary traffic selector (RFC 6088 §3.1); None where a field is absent.

    A start without an end matches exactly that value. Source is the correspondent node.
    """

    FORMAT: ClassVar = 1

    start_source: IPv4Address | None = None
    end_source: IPv4Address | None = None
    start_destination: IPv4Address | None = None
    end_destination: IPv4Address | None = None
    start_spi: int | None = None
    end_spi: int | None = None
    start_source_port: int | None = None
    end_source_port: int | None = None
    start_destination_port: int | None = None
    end_destination_port: int | None = None
    start_ds: int | None = None
    end_ds: int | None = None
    start_protocol: int | None = None
    end_protocol: int | None = None

    def __post_init__(self) -> None:
        _check_fields(self._fields())

    def _fields(self) -> tuple[Field, ...]:
        return (
            (self.start_source, 4),
            (self.end_source, 4),
            (self.start_destination, 4),
            (self.end_destination, 4),
            (self.start_spi, 4),
            (self.end_spi, 4),
            (self.start_source_port, 2),
            (self.end_source_port, 2),
            (self.start_destination_port, 2),
            (self.end_destination_port, 2),
            (self.start_ds, 1),
            (self.end_ds, 1),
            (self.start_protocol, 1),
            (self.end_protocol, 1),
        )

    @property
    def alignment(self) -> int:
        """The sub-option starts at a multiple of this many octets."""
        return _widest(self._fields())

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the selector from its flags word on."""
        present = _PresentFields(body)
        return cls(
            start_source=present.ipv4_address("start source address"),
            end_source=present.ipv4_address("end source address"),
            start_destination=present.ipv4_address("start destination address"),
            end_destination=present.ipv4_address("end destination address"),
            start_spi=present.number(4, "start SPI"),
            end_spi=present.number(4, "end SPI"),
            start_source_port=present.number(2, "start source port"),
            end_source_port=present.number(2, "end source port"),
            start_destination_port=present.number(2, "start destination port"),
            end_destination_port=present.number(2, "end destination port"),
            start_ds=present.number(1, "start DS"),
            end_ds=present.number(1, "end DS"),
            start_protocol=present.number(1, "start protocol"),
            end_protocol=present.number(1, "end protocol"),
        )

    def emit(self) -> bytes:
        """Return the whole traffic selector sub-option."""
        return _emit_selector(self.FORMAT, self._fields())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ipv6TrafficSelector:
    """IPv6 binary traffic selector (RFC 6088 §3.2); None where a field is absent.

    A start without an end matches exactly that value. Source is the correspondent node.
    """

    FORMAT: ClassVar = 2

    start_source: IPv6Address | None = None
    end_source: IPv6Address | None = None
    start_destination: IPv6Address | None = None
    end_destination: IPv6Address | None = None
    start_spi: int | None = None
    end_spi: int | None = None
    start_flow_label: int | None = None
    end_flow_label: int | None = None
    start_source_port: int | None = None
    end_source_port: int | None = None
    start_destination_port: int | None = None
    end_destination_port: int | None = None
    start_traffic_class: int | None = None
    end_traffic_class: int | None = None
    start_next_header: int | None = None
    end_next_header: int | None = None

    def __post_init__(self) -> None:
        _check_fields(self._fields())
        for label in (self.start_flow_label, self.end_flow_label):
            require_range("flow label", label or 0, 0, _FLOW_LABEL_MASK)

    def _fields(self) -> tuple[Field, ...]:
        return (
            (self.start_source, 16),
            (self.end_source, 16),
            (self.start_destination, 16),
            (self.end_destination, 16),
            (self.start_spi, 4),
            (self.end_spi, 4),
            (self.start_flow_label, 4),
            (self.end_flow_label, 4),
            (self.start_source_port, 2),
            (self.end_source_port, 2),
            (self.start_destination_port, 2),
            (self.end_destination_port, 2),
            (self.start_traffic_class, 1),
            (self.end_traffic_class, 1),
            (self.start_next_header, 1),
            (self.end_next_header, 1),
        )

    @property
    def alignment(self) -> int:
        """The sub-option starts at a multiple of this many octets."""
        return _widest(self._fields())

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the selector from its flags word on."""
        present = _PresentFields(body)
        return cls(
            start_source=present.address("start source address"),
            end_source=present.address("end source address"),
            start_destination=present.address("start destination address"),
            end_destination=present.address("end destination address"),
            start_spi=present.number(4, "start SPI"),
            end_spi=present.number(4, "end SPI"),
            start_flow_label=_flow_label(present.number(4, "start flow label")),
            end_flow_label=_flow_label(present.number(4, "end flow label")),
            start_source_port=present.number(2, "start source port"),
            end_source_port=present.number(2, "end source port"),
            start_destination_port=present.number(2, "start destination port"),
            end_destination_port=present.number(2, "end destination port"),
            start_traffic_class=present.number(1, "start traffic class"),
            end_traffic_class=present.number(1, "end traffic class"),
            start_next_header=present.number(1, "start next header"),
            end_next_header=present.number(1, "end next header"),
        )

    def emit(self) -> bytes:
        """Return the whole traffic selector sub-option."""
        return _emit_selector(self.FORMAT, self._fields())


def _flow_label(word: int | None) -> int | None:
    """Return the 20 bits of a flow label; the rest of its word is reserved."""
    return None if word is None else word & _FLOW_LABEL_MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownTrafficSelector:
    """A traffic selector of a format that RFC 6088 does not define, to be answered with 133."""

    format: int
    data: bytes

    def __post_init__(self) -> None:
        require_range("format", self.format, 0, 0xFF)
        require_range("length", len(self.data), 0, 0xFD)
        if self.format in _PARSERS:
            raise ValueError(f"traffic selector format {self.format} is known")

    @property
    def alignment(self) -> int:
        """Nothing is known of it, so nothing is asked."""
        return 1

    def emit(self) -> bytes:
        """Return the whole traffic selector sub-option."""
        header = bytes((TRAFFIC_SELECTOR, 2 + len(self.data), self.format, 0))
        return header + self.data


TrafficSelector = Ipv4TrafficSelector | Ipv6TrafficSelector | UnknownTrafficSelector

_PARSERS: Final[dict[int, Callable[[Reader], TrafficSelector]]] = {
    Ipv4TrafficSelector.FORMAT: Ipv4TrafficSelector.parse,
    Ipv6TrafficSelector.FORMAT: Ipv6TrafficSelector.parse,
}


def parse_selector(data: bytes) -> TrafficSelector:
    """Read a traffic selector from its TS Format on.

    Raises:
        ParseError: it is cut short, too long, or ends a range that it does not start.
    """
    body = Reader(data)
    form = body.uint8("TS Format")
    body.uint8("Reserved")
    if form not in _PARSERS:
        return UnknownTrafficSelector(format=form, data=body.rest())
    try:
        selector = _PARSERS[form](body)
    except ParseError:
        raise
    except ValueError as error:
        raise ParseError(2, str(error)) from error
    if body.remaining:
        raise ParseError(body.offset, f"{body.remaining} octets after the traffic selector")
    return selector
