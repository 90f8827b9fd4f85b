"""Capture files in the pcapng format: sections, interfaces and packets of either byte order."""

from typing import Final, Literal

from mcoa.decode.frames import LONGEST_FRAME, Captured, Damage, Frame, Frames, Source

SECTION_HEADER: Final = b"\n\r\r\n"

_BLOCK_HEADER: Final = 8
_SIMPLE_PACKET = 3
_ENHANCED_PACKET = 6
_LONGEST_BLOCK: Final = 64 * LONGEST_FRAME
_MOST_INTERFACES: Final = 65536
_BYTE_ORDERS: Final[dict[bytes, Literal["big", "little"]]] = {
    b"\x1a\x2b\x3c\x4d": "big",
    b"\x4d\x3c\x2b\x1a": "little",
}


class _DamagedError(Exception):
    """The file makes no sense from here on."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


class _Section:
    """The section that is being read: its byte order and its interfaces."""

    def __init__(self) -> None:
        self.order: Literal["big", "little"] = "little"
        self._interfaces: list[tuple[int, int]] = []

    def number(self, octets: bytes) -> int:
        return int.from_bytes(octets, self.order)

    def begin(self, magic: bytes, offset: int) -> None:
        if magic not in _BYTE_ORDERS:
            raise _DamagedError(offset, "a section without its byte-order magic")
        self.order = _BYTE_ORDERS[magic]
        self._interfaces = []

    def add_interface(self, body: bytes, offset: int) -> None:
        if len(body) < 8:
            raise _DamagedError(offset, "an interface description of less than 8 octets")
        if len(self._interfaces) == _MOST_INTERFACES:
            raise _DamagedError(offset, f"more than {_MOST_INTERFACES} interfaces")
        self._interfaces.append((self.number(body[:2]), self.number(body[4:8])))

    def frame(self, kind: int, body: bytes, number: int, offset: int) -> Captured:
        """Read a packet block of any of the three kinds."""
        head, interface, length = self._layout(kind, body)
        if len(body) < head or interface >= len(self._interfaces):
            reason = "a packet block that is too short or names no interface"
            return Damage(number=number, offset=offset, reason=reason)
        link_type, snapshot = self._interfaces[interface]
        if kind == _SIMPLE_PACKET and snapshot:
            length = min(length, snapshot)
        data = body[head : head + length]
        if length > LONGEST_FRAME or len(data) < length:
            reason = f"a packet block claims to hold {length} octets"
            return Damage(number=number, offset=offset, reason=reason)
        return Frame(number=number, link_type=link_type, data=data)

    def _layout(self, kind: int, body: bytes) -> tuple[int, int, int]:
        """Return octets before the packet, its interface, and its captured length."""
        if kind == _SIMPLE_PACKET:
            return 4, 0, self.number(body[:4])
        size = 4 if kind == _ENHANCED_PACKET else 2
        return 20, self.number(body[:size]), self.number(body[12:16])


def read_pcapng(source: Source) -> Frames:
    """Yield the frames of a file, and where a packet block makes no sense its damage.

    A block whose own length makes no sense ends the file.
    """
    section = _Section()
    number = 1
    try:
        while head := source.take(_BLOCK_HEADER):
            start = source.offset - len(head)
            kind, body = _block(source, head, section)
            match kind:
                case 1:
                    section.add_interface(body, start)
                case 2 | 3 | 6:
                    yield section.frame(kind, body, number, start)
                    number += 1
                case _:
                    pass
    except _DamagedError as damage:
        yield Damage(number=number, offset=damage.offset, reason=damage.reason)


def _block(source: Source, head: bytes, section: _Section) -> tuple[int, bytes]:
    """Return the type and the body of the block that `head` begins."""
    start = source.offset - len(head)
    if len(head) < _BLOCK_HEADER:
        raise _DamagedError(start, "the file ends in a block header")
    begun = b""
    if head[:4] == SECTION_HEADER:
        # Its byte order has to be known before its length can be.
        begun = source.take(4)
        section.begin(begun, start + 8)
    length = section.number(head[4:])
    if length < 12 + len(begun) or length % 4 or length > _LONGEST_BLOCK:
        raise _DamagedError(start + 4, f"a block claims to have {length} octets")
    rest = source.take(length - _BLOCK_HEADER - len(begun))
    if len(rest) < length - _BLOCK_HEADER - len(begun):
        raise _DamagedError(start, f"the file ends in a block of {length} octets")
    if section.number(rest[-4:]) != length:
        raise _DamagedError(start + length - 4, "the two lengths of a block differ")
    return section.number(head[:4]), begun + rest[:-4]
