"""How a verdict is said: the Binding Acknowledgement (RFC 5648 §6.2)."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from mcoa.binding.cache import Binding
from mcoa.engine.actions import Envelope, Send
from mcoa.engine.policy import HomeAgentPolicy
from mcoa.engine.verdict import AnyIdentifier, Verdict
from mcoa.engine.ways import answer_to
from mcoa.wire.flow import FlowIdentification
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate
from mcoa.wire.option_list import Option, alignment_of, emit_options
from mcoa.wire.options import (
    BindingIdentifier,
    BindingRefreshAdvice,
    MalformedBindingIdentifier,
)
from mcoa.wire.options_ipv4 import NatDetection
from mcoa.wire.registry import AcknowledgementFlag, BindingStatus

_NO_FLAGS = AcknowledgementFlag(0)

# What fits into 1280 octets, whatever they asked; nobody has so many bindings.
_MOST_ECHOES: Final = 200
_FIXED_PART: Final = 12  # of a Mobility Header
_MOST_OCTETS: Final = 1280 - 40 - 24


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
    options = (
        *_advice(verdict, policy),
        *_nat_detection(verdict, received),
        *islice(echoes(verdict), _MOST_ECHOES),
    )
    message = BindingAcknowledgement(
        status=verdict.status,
        flags=_NO_FLAGS,
        sequence=sequence,
        lifetime_s=verdict.lifetime_s,
        options=(*options, *_flow_answers(verdict, options)),
    )
    envelope = answer_to(received, policy.address, link_layer_address=link_layer_address)
    return Send(message=message, envelope=envelope)


def _flow_answers(verdict: Verdict, others: Sequence[Option]) -> Iterator[FlowIdentification]:
    """Yield as many answers about flows as have room: a summary of 2 octets may earn 8."""
    at = _FIXED_PART + len(emit_options(others, _FIXED_PART)) if verdict.flows.answers else 0
    for answer in verdict.flows.answers:
        multiple, remainder = alignment_of(answer)
        at += (remainder - at) % multiple + len(answer.emit())
        if at > _MOST_OCTETS:
            return
        yield answer


def _nat_detection(verdict: Verdict, received: Envelope) -> Iterator[NatDetection]:
    """Yield what became of an address that was bound in UDP over IPv4 (RFC 5555 §3.2.2).

    Packets stay in UDP in any case: it passes more firewalls, and kernels take trains of it.
    """
    if received.udp is None or not verdict.lifetime_s:
        return
    bound = next((b for b in verdict.bindings or () if _is_at(b, received)), None)
    if bound is not None:
        refresh_s = NatDetection.USUAL_S if bound.is_translated else NatDetection.NO_KEEPALIVE
        yield NatDetection(force_udp=True, refresh_time_s=refresh_s)


def _is_at(binding: Binding, received: Envelope) -> bool:
    end = received.udp
    return end is not None and (binding.care_of_address, binding.port) == (
        end.address,
        end.port,
    )


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
