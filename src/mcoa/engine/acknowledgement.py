"""How a verdict is said: the Binding Acknowledgement (RFC 5648 §6.2)."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from mcoa.engine.actions import Envelope, Send
from mcoa.engine.policy import HomeAgentPolicy
from mcoa.engine.verdict import AnyIdentifier, Verdict
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate
from mcoa.wire.options import (
    BindingIdentifier,
    BindingRefreshAdvice,
    MalformedBindingIdentifier,
)
from mcoa.wire.registry import AcknowledgementFlag, BindingStatus

_NO_FLAGS = AcknowledgementFlag(0)

# What fits into 1280 octets, whatever they asked; nobody has so many bindings.
_MOST_ECHOES: Final = 200


def refusal(status: BindingStatus, update: BindingUpdate) -> Verdict:
    """Return the same status for all that an update asks."""
    identifiers = update.identifiers
    none = (BindingStatus.ACCEPTED,) * len(identifiers)
    return Verdict(status=status, identifiers=identifiers, identifier_statuses=none)


def acknowledge(
    verdict: Verdict,
    received: Envelope,
    policy: HomeAgentPolicy,
    sequence: int,
    link_layer_address: bytes = b"",
) -> Send:
    """Answer to where an update came from, whatever care-of address it named.

    The type 2 routing header carries the home address, except towards the home address
    itself (RFC 6275 §9.5.4). That is on the home link, where the mobile node cannot be asked
    for its link-layer address yet (RFC 5648 §6.3); empty where it told none.
    """
    home_address = received.home_address or received.source
    is_at_home = received.source == home_address
    message = BindingAcknowledgement(
        status=verdict.status,
        flags=_NO_FLAGS,
        sequence=sequence,
        lifetime_s=verdict.lifetime_s,
        options=(
            *_advice(verdict, policy),
            *islice(echoes(verdict), _MOST_ECHOES),
            *verdict.flows.answers,
        ),
    )
    envelope = Envelope(
        source=policy.address,
        destination=received.source,
        routing_header_home_address=None if is_at_home else home_address,
        link_layer_address=link_layer_address or None if is_at_home else None,
    )
    return Send(message=message, envelope=envelope)


def _advice(verdict: Verdict, policy: HomeAgentPolicy) -> Iterator[BindingRefreshAdvice]:
    advice_s = policy.refresh_advice_s
    if advice_s is not None and advice_s < verdict.lifetime_s:
        yield BindingRefreshAdvice(interval_s=advice_s)


def echoes(verdict: Verdict) -> Iterator[AnyIdentifier]:
    """Yield the update's options as the acknowledgement repeats them."""
    pairs = zip(verdict.identifiers, verdict.identifier_statuses, strict=True)
    for identifier, status in pairs:
        match identifier:
            case BindingIdentifier():
                yield identifier.echo(status)
            case MalformedBindingIdentifier():
                yield from _echo_malformed(identifier.data, status)


def _echo_malformed(data: bytes, status: BindingStatus) -> Iterator[AnyIdentifier]:
    """Repeat an option of a bad length by its BID; one too short for that, not at all."""
    if len(data) < 2:
        return
    flags = data[3] if len(data) > 3 else 0
    bid = int.from_bytes(data[:2])
    if bid:
        yield BindingIdentifier(
            bid=bid, status=status, home=bool(flags & 0x80), priority=flags & 0x7F
        )
    else:
        yield MalformedBindingIdentifier(data=bytes((0, 0, status, flags)))
