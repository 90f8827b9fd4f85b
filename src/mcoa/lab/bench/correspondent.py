"""Binding Updates with proof at a correspondent, beside plain ones at a home agent.

Both come as packets with one Binding Identifier that is bound already, go through parser, engine
and emitter, and are answered; what differs is the return routability: four hashes for tokens,
two for keys, and two marks.
"""

import gc
import time
from collections.abc import Iterable
from ipaddress import IPv6Address, IPv6Network
from random import Random

from mcoa.binding.routability import MAX_RR_BINDING_LIFETIME_S, binding_management_key
from mcoa.engine.actions import Engine, Envelope, Send
from mcoa.engine.authorization import sign
from mcoa.engine.correspondent_node import CorrespondentNode
from mcoa.engine.home_agent import HomeAgent
from mcoa.engine.policy import CorrespondentPolicy, HomeAgentPolicy, HomePrefix
from mcoa.lab.bench.figures import Contest
from mcoa.lab.namespaces import LabError
from mcoa.runtime.signalling import emit_signalling, parse_signalling
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate
from mcoa.wire.options import BindingIdentifier, NonceIndices
from mcoa.wire.registry import UpdateFlag

_PEER = IPv6Address("2001:db8:1::1")
_HOME_ADDRESS = IPv6Address("2001:db8:1::100")
_CARE_OF = IPv6Address("2001:db8:a::1")
_NOW = 1000.0


def correspondent_contest(rounds: int, messages: int) -> Contest:
    """Return the contest of "authenticated" and "plain"; microseconds an update.

    Args:
        rounds: of each of the two.
        messages: a round.
    """
    contenders = {
        "authenticated": lambda: _authenticated(messages),
        "plain": lambda: _plain(messages),
    }
    return Contest(contenders, rounds)


def _authenticated(messages: int) -> float:
    node = CorrespondentNode(CorrespondentPolicy(), rng=Random(1))
    index = node.nonces.current(_NOW)
    home = node.nonces.home_token(_HOME_ADDRESS.packed, index, _NOW) or b""
    care_of = node.nonces.care_of_token(_CARE_OF.packed, index, _NOW) or b""
    key = binding_management_key(home, care_of)
    indices = NonceIndices(home=index, care_of=index)
    updates = (
        sign(
            _update(number, UpdateFlag.ACKNOWLEDGE, indices),
            key,
            care_of_address=_CARE_OF,
            correspondent=_PEER,
        )
        for number in range(1, messages + 1)
    )
    return _time(node, updates)


def _plain(messages: int) -> float:
    prefix = HomePrefix(network=IPv6Network("2001:db8:1::/64"))
    agent = HomeAgent(
        HomeAgentPolicy(address=_PEER, home_prefixes=(prefix,), detect_duplicates=False)
    )
    flags = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME
    return _time(agent, (_update(number, flags) for number in range(1, messages + 1)))


def _update(sequence: int, flags: UpdateFlag, *more: NonceIndices) -> BindingUpdate:
    identifier = BindingIdentifier(bid=1, care_of_address=_CARE_OF)
    return BindingUpdate(
        sequence=sequence,
        flags=flags,
        lifetime_s=MAX_RR_BINDING_LIFETIME_S,
        options=(identifier, *more),
    )


def _time(engine: Engine, updates: Iterable[BindingUpdate]) -> float:
    envelope = Envelope(source=_CARE_OF, destination=_PEER, home_address=_HOME_ADDRESS)
    packets = [emit_signalling(Send(message=each, envelope=envelope)) for each in updates]
    gc.collect()
    answered = 0
    begun_s = time.perf_counter()
    for packet in packets:
        for action in engine.receive(parse_signalling(packet), _NOW):
            if isinstance(action, Send):
                emit_signalling(action)
                answered += isinstance(action.message, BindingAcknowledgement)
    spent_s = time.perf_counter() - begun_s
    if answered != len(packets):
        raise LabError(f"{answered} of {len(packets)} updates were acknowledged")
    return spent_s / len(packets) * 1e6
