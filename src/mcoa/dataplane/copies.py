"""Copies of a packet over several paths, of which the other end keeps the first.

Packets that really are equal must survive, so copies are told by a number that they have in
common: in a destination option of the tunnel header (RFC 2473 §5.1), of the type that RFC 4727
sets aside for experiments and that whoever does not know it skips. Such an end gets all copies.
"""

from typing import Final

from mcoa.dataplane.packet import BASE_LENGTH, DESTINATION_OPTIONS, IPV6

OVERHEAD: Final = 8
"""Octets of the header with the number."""

_OPTION: Final = 0x1E
_START: Final = bytes((IPV6, 0, _OPTION, 4))
_NUMBERS: Final = 1 << 24
_WINDOW: Final = 1 << 13
_HALF: Final = _NUMBERS >> 1


def mark(number: int) -> bytes:
    """Return the header that marks a packet as a copy.

    Its seventh octet stays zero: a filter that looks for a Home Address option looks there.
    """
    octets = number.to_bytes(3)
    return _START + octets[:2] + b"\0" + octets[2:]


def number_of(header: bytes) -> int | None:
    """Return the number in a destination options header; None where it is none of ours."""
    if len(header) < OVERHEAD or header[:4] != _START or header[6]:
        return None
    return header[4] << 16 | header[5] << 8 | header[7]


def number_in(packet: bytes) -> int | None:
    """Return the number of a tunnel packet; None for one that is no copy."""
    if packet[6] != DESTINATION_OPTIONS:
        return None
    return number_of(packet[BASE_LENGTH : BASE_LENGTH + OVERHEAD])


class Numbering:
    """Gives each packet that is copied a number of its own, from `first` on."""

    def __init__(self, first: int) -> None:
        self._next = first % _NUMBERS

    def take(self) -> int:
        """Return the next number."""
        number, self._next = self._next, (self._next + 1) % _NUMBERS
        return number


class Window:
    """Which numbers have come from one sender, as far back as paths differ in delay.

    A number from far outside is that of a sender who has begun anew.
    """

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest: int | None = None
        self._seen = 0  # bit n: the number n below the highest has come

    def is_first(self, number: int) -> bool:
        """Take a number; False when it has come before."""
        if self._highest is None:
            return self._begin(number)
        ahead = (number - self._highest) % _NUMBERS
        if 0 < ahead < _HALF:
            if ahead >= _WINDOW:
                return self._begin(number)
            self._seen = (self._seen << ahead | 1) & (1 << _WINDOW) - 1
            self._highest = number
            return True
        behind = -ahead % _NUMBERS
        if behind >= _WINDOW:
            return self._begin(number)
        is_first = not self._seen >> behind & 1
        self._seen |= 1 << behind
        return is_first

    def _begin(self, number: int) -> bool:
        self._highest, self._seen = number, 1
        return True


class Windows:
    """The windows of many senders; who has been silent longest is forgotten first."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._windows: dict[bytes, Window] = {}

    def is_first(self, sender: bytes, number: int) -> bool:
        """Take a number of a sender; False when it has come before."""
        window = self._windows.pop(sender, None) or Window()
        if len(self._windows) >= self._most:
            del self._windows[next(iter(self._windows))]
        self._windows[sender] = window
        return window.is_first(number)
