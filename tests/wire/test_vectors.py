"""Ten messages decode to their meaning and encode back to their octets."""

import pytest

from mcoa.wire.messages import decode_message, emit_message, parse_message
from mcoa.wire.reader import Disposition, ParseError
from wire.vectors import VECTORS, Vector

vectors = pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)


@vectors
@pytest.mark.requirement(
    "S4.3-02", "S4.3-03", "S4.3-04", "S4.3-06", "S4.3-18", "S5.6.3-07", "S5.8-02", "S6.4-02"
)
def test_rfc5648_4_3_a_vector_decodes_to_its_meaning(vector: Vector) -> None:
    message = parse_message(vector.octets, vector.source.packed, vector.destination.packed)
    assert message == vector.message
    assert decode_message(vector.octets) == vector.message


@vectors
@pytest.mark.requirement("S4.2-01", "S5.2-07")
def test_rfc5648_4_3_a_meaning_encodes_to_its_vector(vector: Vector) -> None:
    assert emit_message(vector.message, vector.source, vector.destination) == vector.octets


@vectors
def test_rfc6275_9_2_a_wrong_checksum_is_dropped_silently(vector: Vector) -> None:
    octets = bytearray(vector.octets)
    octets[5] ^= 1
    with pytest.raises(ParseError, match="checksum") as caught:
        parse_message(bytes(octets), vector.source.packed, vector.destination.packed)
    assert caught.value.disposition is Disposition.DISCARD
    assert caught.value.offset == 4


@vectors
def test_octets_behind_the_header_are_not_part_of_the_message(vector: Vector) -> None:
    padded = vector.octets + b"\xff" * 7
    message = parse_message(padded, vector.source.packed, vector.destination.packed)
    assert message == vector.message
