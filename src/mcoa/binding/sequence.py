"""Sequence numbers of Binding Updates (RFC 6275 §9.5.1): 16 bits, compared in a circle."""

SEQUENCE_MODULUS = 0x10000
_HALF = 0x8000


def is_newer(sequence: int, last: int) -> bool:
    """Tell whether `sequence` may follow the accepted number `last`.

    Numbers from `last` - 32768 to `last` are old, the 32767 after it are new.
    """
    return 0 < (sequence - last) % SEQUENCE_MODULUS < _HALF


def successor(sequence: int) -> int:
    """Return the number that follows `sequence`."""
    return (sequence + 1) % SEQUENCE_MODULUS
