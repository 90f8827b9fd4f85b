"""The few facts that messages of many kinds share: name, sequence number, status, flags."""

from mcoa.wire.icmpv6 import Icmpv6Message
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    BindingUpdate,
    Heartbeat,
    Message,
)
from mcoa.wire.registry import MessageType

Content = Message | Icmpv6Message


def message_name(number: int, message: Message | None) -> str:
    """Return the RFC's name of a message; the two of type 16 differ by their content."""
    match message:
        case BindingRevocationIndication():
            return "Binding Revocation Indication"
        case BindingRevocationAcknowledgement():
            return "Binding Revocation Acknowledgement"
        case _:
            return MessageType(number).label


def sequence_of(content: Content | None) -> int | None:
    """Return the sequence number of a message that has one."""
    match content:
        case (
            BindingUpdate()
            | BindingAcknowledgement()
            | Heartbeat()
            | BindingRevocationIndication()
            | BindingRevocationAcknowledgement()
        ):
            return content.sequence
        case _:
            return None


def status_of(content: Content | None) -> int | None:
    """Return the status of a message that has one."""
    match content:
        case BindingAcknowledgement() | BindingError() | BindingRevocationAcknowledgement():
            return int(content.status)
        case _:
            return None


def flags_of(content: Content | None) -> str | None:
    """Return the letters of the flags that are set, in the order of their figure."""
    match content:
        case (
            BindingUpdate()
            | BindingAcknowledgement()
            | BindingRevocationIndication()
            | BindingRevocationAcknowledgement()
        ):
            return content.flags.letters
        case Heartbeat():
            return "U" * content.unsolicited + "R" * content.response
        case _:
            return None


def lifetime_of(content: Content | None) -> int | None:
    """Return the lifetime in seconds of a message that has one."""
    match content:
        case BindingUpdate() | BindingAcknowledgement():
            return content.lifetime_s
        case _:
            return None
