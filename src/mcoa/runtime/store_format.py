"""The octets of the binding log: a header, then one frame a record.

Header, 32 octets, written twice so that one bad sector does not cost the file:
magic (8), version (2), zero (2), salt (16), CRC-32 (4).
Frame: magic (4), CRC-32 (4), length of the record (4), key (16), record. Integers are in
network order. The CRC of a frame begins with that of the salt and covers all that follows
it: frames of an older log that a file system brings back do not pass, and nobody who does
not read the file can make record octets that look like a frame.
"""

from collections.abc import Iterator
from mmap import mmap
from struct import Struct
from typing import NamedTuple
from zlib import crc32

VERSION = 1
KEY_LENGTH = 16
SALT_LENGTH = 16
LONGEST_RECORD = 0xFFFF

_FILE_MAGIC = b"mcoa log"
_HEADER = Struct(f">8sHxx{SALT_LENGTH}s")
_CRC = Struct(">I")
_ONE_HEADER = _HEADER.size + _CRC.size
HEADER_LENGTH = 2 * _ONE_HEADER

_FRAME_MAGIC = b"\xf5mc\x8a"
_FRAME = Struct(">4sII")  # magic, CRC, length of the record
_BODY_OFFSET = 8
_KEY_OFFSET = _FRAME.size
FRAME_OVERHEAD = _KEY_OFFSET + KEY_LENGTH  # octets of a frame before its record

Octets = bytes | mmap


class Header(NamedTuple):
    """What the first octets of a log say; `damaged` where one of the two copies is bad."""

    version: int
    salt: bytes
    damaged: bool

    @property
    def seed(self) -> int:
        """Where the CRC of each frame begins."""
        return crc32(self.salt)


class Frame(NamedTuple):
    """A record that passed its checksum, and where it is; tuples, since logs have millions."""

    offset: int
    end: int
    key: bytes
    record: bytes


class Gap(NamedTuple):
    """Octets that are no frame; at the end of a log a write that was cut short."""

    offset: int
    end: int


def emit_header(salt: bytes) -> bytes:
    """Return both copies of the header of a new log."""
    fields = _HEADER.pack(_FILE_MAGIC, VERSION, salt)
    return 2 * (fields + _CRC.pack(crc32(fields)))


def parse_header(octets: bytes) -> Header | None:
    """Return what the header says; None when neither copy can be trusted."""
    found = [
        _parse_one_header(octets[:_ONE_HEADER]),
        _parse_one_header(octets[_ONE_HEADER:HEADER_LENGTH]),
    ]
    for fields in found:
        if fields is not None:
            version, salt = fields
            return Header(version=version, salt=salt, damaged=found[0] != found[1])
    return None


def _parse_one_header(octets: bytes) -> tuple[int, bytes] | None:
    if len(octets) != _ONE_HEADER or _CRC.pack(crc32(octets[:-4])) != octets[-4:]:
        return None
    magic, version, salt = _HEADER.unpack_from(octets)
    return (version, salt) if magic == _FILE_MAGIC else None


def emit_frame(key: bytes, record: bytes, seed: int) -> bytes:
    """Return one frame.

    Raises:
        ValueError: the key or the record has a length that cannot be read back.
    """
    if len(key) != KEY_LENGTH or len(record) > LONGEST_RECORD:
        raise ValueError(f"a key of {len(key)} and a record of {len(record)} octets")
    body = len(record).to_bytes(4) + key + record
    return _FRAME_MAGIC + crc32(body, seed).to_bytes(4) + body


def parse_frames(octets: Octets, start: int, end: int, seed: int) -> Iterator[Frame | Gap]:
    """Yield what octets[start:end] hold, in order and without a hole."""
    at = start
    while at < end:
        part: Frame | Gap | None = _frame_at(octets, at, end, seed)
        if part is None:
            part = Gap(at, _next_frame(octets, at + 1, end, seed))
        yield part
        at = part.end


def _frame_at(octets: Octets, at: int, end: int, seed: int) -> Frame | None:
    if at + FRAME_OVERHEAD > end:
        return None
    magic, crc, length = _FRAME.unpack_from(octets, at)
    frame_end = at + FRAME_OVERHEAD + length
    if magic != _FRAME_MAGIC or length > LONGEST_RECORD or frame_end > end:
        return None
    if crc32(octets[at + _BODY_OFFSET : frame_end], seed) != crc:
        return None
    record_at = at + FRAME_OVERHEAD
    return Frame(
        at, frame_end, octets[at + _KEY_OFFSET : record_at], octets[record_at:frame_end]
    )


def _next_frame(octets: Octets, at: int, end: int, seed: int) -> int:
    """Return where the next good frame begins, or `end`."""
    while (at := octets.find(_FRAME_MAGIC, at, end)) != -1:
        if _frame_at(octets, at, end, seed) is not None:
            return at
        at += 1
    return end
