"""Captures of any of the kinds that are read: pcap, pcapng, or one packet in hex a line."""

from typing import BinaryIO, Final

from mcoa.decode.frames import LONGEST_FRAME, Damage, Frame, Frames, Source
from mcoa.decode.pcap import MAGICS, read_pcap
from mcoa.decode.pcapng import SECTION_HEADER, read_pcapng

_LONGEST_LINE: Final = 4 * LONGEST_FRAME
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")
_BETWEEN_DIGITS: Final = bytes.maketrans(b":-", b"  ")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_TEXT: Final = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n\f\v")


def read_frames(stream: BinaryIO) -> Frames:
    """Yield every frame of a capture, and every damage in it.

    It never raises for what it reads, and holds no more than one block of it at a time.
    """
    beginning = stream.read(4)
    source = Source(stream, beginning)
    if beginning in MAGICS:
        yield from read_pcap(source)
    elif beginning == SECTION_HEADER:
        yield from read_pcapng(source)
    elif not _TEXT.issuperset(beginning.removeprefix(_BYTE_ORDER_MARK)):
        reason = "neither pcap, pcapng nor packets in hex"
        yield Damage(number=1, offset=0, reason=reason)
    else:
        yield from _read_text(source)


def _read_text(source: Source) -> Frames:
    """Yield a frame a line; empty lines and comments (#) are skipped."""
    number = 1
    while line := source.line(_LONGEST_LINE):
        digits = line.translate(_BETWEEN_DIGITS).split(b"#")[0].strip()
        digits = digits.removeprefix(_BYTE_ORDER_MARK).removeprefix(b"0x")
        if not digits:
            continue
        compact = b"".join(digits.split())
        wrong = next((at for at, octet in enumerate(compact) if octet not in _HEX_DIGITS), None)
        if wrong is not None or len(compact) % 2:
            reason = "not a packet in hex" if wrong is not None else "an odd number of digits"
            offset = len(compact) // 2 if wrong is None else wrong // 2
            yield Damage(number=number, offset=offset, reason=reason)
        else:
            data = bytes.fromhex(compact.decode("ascii"))
            yield Frame(number=number, link_type=None, data=data)
        number += 1
