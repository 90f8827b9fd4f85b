"""A bounds-checked cursor over received octets, and the error that names what is wrong."""

from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Final


class Disposition(Enum):
    """What the receiver owes the sender of octets it could not parse (RFC 6275 §9.2)."""

    DISCARD = "discard silently"
    PARAMETER_PROBLEM = "answer with an ICMPv6 Parameter Problem that points at `offset`"
    BINDING_ERROR = "answer with a Binding Error, status 2"


class ParseError(ValueError):
    """Received octets that are not well formed.

    Attributes:
        offset: octets from the start of the message or packet to the field at fault.
        reason: what is wrong there, in words an operator can act on.
        disposition: the answer that the RFC asks for.
        code: of the Parameter Problem, where that is the answer (RFC 4443 §3.4).
    """

    def __init__(
        self,
        offset: int,
        reason: str,
        disposition: Disposition = Disposition.DISCARD,
        *,
        code: int = 0,
    ) -> None:
        super().__init__(f"{reason} (at octet {offset})")
        self.offset: Final = offset
        self.reason: Final = reason
        self.disposition: Final = disposition
        self.code: Final = code


class Reader:
    """Reads big-endian fields in order and never beyond the end.

    `offset` counts from the first octet of `data`, so that a reader over a part of a message
    (one option, say) still reports where in the whole message it found a fault.
    """

    __slots__ = ("_data", "end", "offset")

    def __init__(self, data: bytes, offset: int = 0, end: int | None = None) -> None:
        self._data = data
        self.end = len(data) if end is None else end
        self.offset = offset

    @property
    def remaining(self) -> int:
        """Octets not read yet."""
        return self.end - self.offset

    def take(self, count: int, field: str) -> bytes:
        """Return the next `count` octets.

        Raises:
            ParseError: fewer than `count` octets remain; the error names `field`.
        """
        start = self.offset
        if count > self.end - start:
            raise ParseError(start, f"{field} needs {count} octets, {self.end - start} remain")
        self.offset = start + count
        return self._data[start : self.offset]

    def rest(self) -> bytes:
        """Return all octets that remain, perhaps none."""
        start, self.offset = self.offset, self.end
        return self._data[start : self.end]

    def within(self, count: int, field: str) -> "Reader":
        """Return a reader of the next `count` octets alone, and step over them.

        Raises:
            ParseError: fewer than `count` octets remain; the error names `field`.
        """
        start = self.offset
        if count > self.end - start:
            raise ParseError(start, f"{field} needs {count} octets, {self.end - start} remain")
        self.offset = start + count
        return Reader(self._data, start, self.offset)

    def uint8(self, field: str) -> int:
        """Return the next octet as an integer."""
        return self.take(1, field)[0]

    def uint16(self, field: str) -> int:
        """Return the next two octets as a big-endian integer."""
        return int.from_bytes(self.take(2, field))

    def uint32(self, field: str) -> int:
        """Return the next four octets as a big-endian integer."""
        return int.from_bytes(self.take(4, field))

    def uint64(self, field: str) -> int:
        """Return the next eight octets as a big-endian integer."""
        return int.from_bytes(self.take(8, field))

    def address(self, field: str) -> IPv6Address:
        """Return the next sixteen octets as an IPv6 address."""
        return IPv6Address(self.take(16, field))

    def ipv4_address(self, field: str) -> IPv4Address:
        """Return the next four octets as an IPv4 address."""
        return IPv4Address(self.take(4, field))


def require_length(body: Reader, length: int, option: str) -> None:
    """Refuse an option whose body is not exactly `length` octets long.

    Raises:
        ParseError: it points at the option's Length, the octet before the body.
    """
    if body.remaining != length:
        raise ParseError(
            body.offset - 1, f"Length of {option} is {body.remaining}, not {length}"
        )


def require_range(name: str, value: int, low: int, high: int) -> None:
    """Refuse a value that its field cannot carry.

    Raises:
        ValueError: `value` is outside `low`..`high`.
    """
    if not low <= value <= high:
        raise ValueError(f"{name} {value} is outside {low}..{high}")
