"""Messages between mobile node and correspondent, signed and checked (RFC 6275 §6.2.7)."""

from dataclasses import replace
from ipaddress import IPv6Address
from typing import Final, TypeVar

from mcoa.binding.routability import authenticator, is_authentic
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate, emit_message
from mcoa.wire.options import BindingAuthorizationData

SignedT = TypeVar("SignedT", BindingUpdate, BindingAcknowledgement)

_BLANK: Final = BindingAuthorizationData(authenticator=bytes(12))
_ANY = bytes(16)  # the checksum is not covered, and so its addresses do not matter


def sign(
    message: SignedT, key: bytes, *, care_of_address: IPv6Address, correspondent: IPv6Address
) -> SignedT:
    """Return the message with Binding Authorization Data for its last option.

    Args:
        message: without that option.
        key: Kbm.
        care_of_address: what is bound; for a deletion the home address.
        correspondent: the address of the node that is not the mobile one.
    """
    header = emit_message(replace(message, options=(*message.options, _BLANK)), _ANY, _ANY)
    octets = authenticator(key, care_of_address.packed, correspondent.packed, header)
    option = BindingAuthorizationData(authenticator=octets)
    return replace(message, options=(*message.options, option))


def authorization_of(
    message: BindingUpdate | BindingAcknowledgement,
) -> BindingAuthorizationData | None:
    """Return the Binding Authorization Data of a message that ends with it."""
    last = message.options[-1] if message.options else None
    return last if isinstance(last, BindingAuthorizationData) else None


def is_signed(
    message: BindingUpdate | BindingAcknowledgement,
    header: bytes,
    key: bytes,
    *,
    care_of_address: IPv6Address,
    correspondent: IPv6Address,
) -> bool:
    """Tell whether a received message proves that its sender knows the key.

    Args:
        message: as it was read from `header`.
        header: the octets of its Mobility Header.
        key: Kbm.
        care_of_address: as in sign().
        correspondent: as in sign().
    """
    option = authorization_of(message)
    if option is None:
        return False
    expected = authenticator(key, care_of_address.packed, correspondent.packed, header)
    return is_authentic(expected, option.authenticator)
