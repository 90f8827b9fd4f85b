"""Tokens, keys and authenticators of return routability (RFC 6275 §5.2), and the nonces behind.

A correspondent keeps one secret key and a few nonces, and nothing of those who ask: each token
can be made again from the address that it was sent to and the index of its nonce.
"""

import hmac
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha1
from typing import Final

KEY_LENGTH: Final = 20  # octets of the node key Kcn
NONCE_LENGTH: Final = 8
COOKIE_LENGTH: Final = 8
MAX_TOKEN_LIFETIME_S: Final = 210.0  # RFC 6275 §12
MAX_NONCE_LIFETIME_S: Final = 240.0
MAX_RR_BINDING_LIFETIME_S: Final = 420

_HOME, _CARE_OF = b"\x00", b"\x01"
_TOKEN_LENGTH, _AUTHENTICATOR_LENGTH = 8, 12
_CHECKSUM: Final = slice(4, 6)
_NONCE_INTERVAL_S: Final = MAX_NONCE_LIFETIME_S - MAX_TOKEN_LIFETIME_S
_NONCE_INDEXES: Final = 0x10000

Draw = Callable[[int], bytes]
"""Draws so many octets that nobody can guess."""


def home_keygen_token(key: bytes, home_address: bytes, nonce: bytes) -> bytes:
    """Return the eight octets that prove a home address (RFC 6275 §5.2.5)."""
    return _token(key, home_address, nonce, _HOME)


def care_of_keygen_token(key: bytes, care_of_address: bytes, nonce: bytes) -> bytes:
    """Return the eight octets that prove a care-of address (RFC 6275 §5.2.5)."""
    return _token(key, care_of_address, nonce, _CARE_OF)


def _token(key: bytes, address: bytes, nonce: bytes, kind: bytes) -> bytes:
    return hmac.digest(key, address + nonce + kind, "sha1")[:_TOKEN_LENGTH]


def binding_management_key(home_token: bytes, care_of_token: bytes = b"") -> bytes:
    """Return Kbm, twenty octets (RFC 6275 §5.2.5); a deletion needs the home token alone."""
    return sha1(home_token + care_of_token, usedforsecurity=False).digest()


def authenticator(key: bytes, care_of_address: bytes, peer: bytes, header: bytes) -> bytes:
    """Return the twelve octets that authenticate a Mobility Header (RFC 6275 §6.2.7).

    Args:
        key: Kbm.
        care_of_address: what is bound; for a deletion the home address.
        peer: the correspondent's address.
        header: from Payload Proto on, with any checksum, up to and with twelve octets in the
            place of the authenticator.
    """
    blank = (
        header[: _CHECKSUM.start] + b"\0\0" + header[_CHECKSUM.stop : -_AUTHENTICATOR_LENGTH]
    )
    return hmac.digest(key, care_of_address + peer + blank, "sha1")[:_AUTHENTICATOR_LENGTH]


def is_authentic(expected: bytes, received: bytes) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(expected, received)


class Nonces:
    """A correspondent's secrets (RFC 6275 §5.2.2): one key, and the nonces of four minutes.

    A nonce is in use for half a minute and known for four, so that a token lives for three and
    a half at least. They are made when they are asked for: a node that nobody asks does nothing.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._key = draw(KEY_LENGTH)
        self._index = int.from_bytes(draw(2))
        # By index, the oldest first, with the time of making.
        self._nonces: OrderedDict[int, tuple[bytes, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of nonces that are kept."""
        return len(self._nonces)

    def current(self, now: float) -> int:
        """Return the index of the nonce that new tokens are to be made with."""
        self._forget_old(now)
        known = self._nonces.get(self._index)
        if known is None or now - known[1] >= _NONCE_INTERVAL_S:
            # Zero is what a deletion says where it needs no care-of nonce.
            self._index = (self._index + 1) % _NONCE_INDEXES or 1
            self._nonces[self._index] = (self._draw(NONCE_LENGTH), now)
        return self._index

    def home_token(self, home_address: bytes, index: int, now: float) -> bytes | None:
        """Return the token of a home address; None when the nonce is none of ours any more."""
        nonce = self._nonce(index, now)
        return None if nonce is None else home_keygen_token(self._key, home_address, nonce)

    def care_of_token(self, care_of_address: bytes, index: int, now: float) -> bytes | None:
        """Return the token of a care-of address; None as above."""
        nonce = self._nonce(index, now)
        return (
            None if nonce is None else care_of_keygen_token(self._key, care_of_address, nonce)
        )

    def made_at_s(self, index: int) -> float:
        """Return when a nonce was made; one that is not known was made long ago."""
        _, made_at_s = self._nonces.get(index, (b"", float("-inf")))
        return made_at_s

    def _nonce(self, index: int, now: float) -> bytes | None:
        self._forget_old(now)
        return self._nonces[index][0] if index in self._nonces else None

    def _forget_old(self, now: float) -> None:
        nonces = self._nonces
        while nonces and now - next(iter(nonces.values()))[1] >= MAX_NONCE_LIFETIME_S:
            nonces.popitem(last=False)
