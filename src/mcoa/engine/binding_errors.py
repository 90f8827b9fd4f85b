"""Binding Errors: what a sender is told whose packet means nothing here (RFC 6275 §9.3.3)."""

from ipaddress import IPv6Address

from mcoa.engine.actions import Action, Envelope, Report, Send
from mcoa.engine.addresses import is_unicast_routable
from mcoa.wire.messages import BindingError
from mcoa.wire.registry import BindingErrorStatus

_UNSPECIFIED = IPv6Address(0)


def unrecognized_message(address: IPv6Address, received: Envelope) -> list[Action]:
    """Say that a message is of a type that this role does not take (RFC 6275 §9.2).

    Not about a Binding Error, lest two nodes go on for ever; the runtime limits the rate.
    """
    status = BindingErrorStatus.UNRECOGNIZED_MESSAGE_TYPE
    home_address = received.home_address or _UNSPECIFIED
    report = Report(event="unrecognized-message")
    if received.udp is not None:
        return [report]  # there may be no way to whom it claims to be from
    return _told(report, address, received.source, status, home_address)


def unknown_binding(
    address: IPv6Address, source: IPv6Address, home_address: IPv6Address
) -> list[Action]:
    """Say that a home address is not bound to where a packet of it came from.

    RFC 6275 §9.3.1, RFC 5648 §6.5; the runtime limits the rate.
    """
    status = BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS
    report = Report(event="home-address-not-bound-to-source", home_address=home_address)
    return _told(report, address, source, status, home_address)


def _told(
    report: Report,
    address: IPv6Address,
    to: IPv6Address,
    status: BindingErrorStatus,
    home_address: IPv6Address,
) -> list[Action]:
    if not is_unicast_routable(to):
        return []
    message = BindingError(status=status, home_address=home_address)
    return [report, Send(message=message, envelope=Envelope(source=address, destination=to))]
