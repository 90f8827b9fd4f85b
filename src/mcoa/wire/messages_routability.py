"""Mobility Header messages of return routability (RFC 6275 §6.1.3-6.1.6)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from mcoa.wire.messages_binding import WithIdentifiers
from mcoa.wire.option_list import parse_options
from mcoa.wire.reader import Reader, require_range
from mcoa.wire.registry import MessageType


@dataclass(frozen=True, slots=True, kw_only=True)
class _TestInit(WithIdentifiers):
    MINIMUM: ClassVar = 16

    cookie: bytes

    def __post_init__(self) -> None:
        require_range("length of cookie", len(self.cookie), 8, 8)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the checksum."""
        body.uint16("Reserved")
        return cls(cookie=body.take(8, "init cookie"), options=parse_options(body))

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        return bytes(2) + self.cookie


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeTestInit(_TestInit):
    """Home Test Init (RFC 6275 §6.1.3); the cookie has 8 octets."""

    TYPE: ClassVar = MessageType.HOME_TEST_INIT


@dataclass(frozen=True, slots=True, kw_only=True)
class CareOfTestInit(_TestInit):
    """Care-of Test Init (RFC 6275 §6.1.4); the cookie has 8 octets."""

    TYPE: ClassVar = MessageType.CARE_OF_TEST_INIT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test(WithIdentifiers):
    MINIMUM: ClassVar = 24

    nonce_index: int
    cookie: bytes
    token: bytes

    def __post_init__(self) -> None:
        require_range("nonce_index", self.nonce_index, 0, 0xFFFF)
        require_range("length of cookie", len(self.cookie), 8, 8)
        require_range("length of token", len(self.token), 8, 8)

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read what follows the checksum."""
        return cls(
            nonce_index=body.uint16("nonce index"),
            cookie=body.take(8, "init cookie"),
            token=body.take(8, "keygen token"),
            options=parse_options(body),
        )

    def fixed(self) -> bytes:
        """Return the octets between the checksum and the options."""
        return self.nonce_index.to_bytes(2) + self.cookie + self.token


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeTest(_Test):
    """Home Test (RFC 6275 §6.1.5); cookie and token have 8 octets each."""

    TYPE: ClassVar = MessageType.HOME_TEST


@dataclass(frozen=True, slots=True, kw_only=True)
class CareOfTest(_Test):
    """Care-of Test (RFC 6275 §6.1.6); cookie and token have 8 octets each."""

    TYPE: ClassVar = MessageType.CARE_OF_TEST
