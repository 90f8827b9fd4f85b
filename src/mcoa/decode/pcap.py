"""Classic capture files of libpcap, of either byte order and either clock."""

from struct import Struct
from typing import Final

from mcoa.decode.frames import LONGEST_FRAME, Damage, Frame, Frames, Source

_FILE_HEADER: Final = 24
_RECORD_HEADER: Final = 16

# First octets of a file, and the struct prefix of its byte order.
MAGICS: Final = {
    b"\xa1\xb2\xc3\xd4": ">",
    b"\xd4\xc3\xb2\xa1": "<",
    b"\xa1\xb2\x3c\x4d": ">",
    b"\x4d\x3c\xb2\xa1": "<",
}


def read_pcap(source: Source) -> Frames:
    """Yield the frames of a file, and at most one damage, which ends it."""
    header = source.take(_FILE_HEADER)
    if len(header) < _FILE_HEADER:
        yield Damage(number=1, offset=len(header), reason="the file ends in its header")
        return
    order = MAGICS[header[:4]]
    record = Struct(order + "8xII")
    # The upper bits of this field speak of frame check sequences.
    link_type = int.from_bytes(header[20:24], "big" if order == ">" else "little") & 0xFFFF
    number = 1
    while head := source.take(_RECORD_HEADER):
        start = source.offset - len(head)
        if len(head) < _RECORD_HEADER:
            yield Damage(number=number, offset=start, reason="the file ends in a record header")
            return
        captured, _ = record.unpack(head)
        if captured > LONGEST_FRAME:
            reason = f"a record claims to hold {captured} octets"
            yield Damage(number=number, offset=start + 8, reason=reason)
            return
        data = source.take(captured)
        if len(data) < captured:
            reason = f"the file ends in a record of {captured} octets"
            yield Damage(number=number, offset=start + 16, reason=reason)
            return
        yield Frame(number=number, link_type=link_type, data=data)
        number += 1
