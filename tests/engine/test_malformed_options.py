"""An option of a length that it cannot have refuses itself, not the message (docs/wire.md).

Where a text says more, that counts: RFC 5648 §6.2 and RFC 6089 §4.2 have statuses for it, and
RFC 6275 §9.5.1 wants silence of those who do not prove what they say.
"""

from dataclasses import replace

import pytest

from engine import bench_of_agent, bench_of_correspondent
from engine.bench_of_agent import AGENT, HOME, LTE, WIFI
from engine.bench_of_correspondent import PEER
from engine.bench_of_node import Bench as Node
from mcoa.engine.actions import Envelope, Report
from mcoa.runtime.signalling import emit_signalling, parse_signalling
from mcoa.wire.flow import FlowIdentification
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from mcoa.wire.messages import BindingAcknowledgement, BindingUpdate, emit_message
from mcoa.wire.option_list import MalformedOption
from mcoa.wire.options import AlternateCareOfAddress, BindingAuthorizationData, NonceIndices
from mcoa.wire.registry import BindingStatus, FlowStatus, OptionType, UpdateFlag
from wire import strategies

KINDS = sorted(strategies.MODELLED - {OptionType.BINDING_IDENTIFIER})
FLOWS = (OptionType.FLOW_IDENTIFICATION, OptionType.FLOW_SUMMARY)


def malformed(kind: int) -> MalformedOption:
    """Return an option of a type with a body too short for it."""
    data = b"" if kind != OptionType.FLOW_SUMMARY else b"\0"
    return MalformedOption(type=OptionType(kind), data=data)


def test_the_option_that_another_implementation_cut_short_is_answered_with_130() -> None:
    """The octets of one whole update, as they came, and of its answer (RFC 6089 §4.2)."""
    bench = bench_of_agent.Bench()
    options = bytes.fromhex(
        "0102 0000 2314 0002 0000"
        + LTE.packed.hex()
        + "2d140005000a00000308020000800000005002200002"
    )
    update = bytes.fromhex("3b00 0500 0000 0001 c000 0019") + options
    update += bytes(-len(update) % 8)
    update = update[:1] + bytes((len(update) // 8 - 1,)) + update[2:]
    blank = Ipv6Packet(
        source=LTE, destination=AGENT, protocol=135, payload=update, home_address=HOME
    )
    packet = emit_packet(replace(blank, payload=with_checksum(update)))
    received = parse_signalling(packet)
    bench.deliver(received.message, received.envelope)
    [sent] = bench.sent()
    answer = parse_signalling(emit_signalling(sent)).message
    assert isinstance(answer, BindingAcknowledgement)
    assert answer.status is BindingStatus.ACCEPTED
    assert bench.bound() == {2: LTE}
    assert answer.options[-1] == FlowIdentification(
        fid=5, priority=10, status=FlowStatus.MALFORMED
    )


@pytest.mark.parametrize("kind", KINDS)
def test_at_a_home_agent_bindings_are_made_beside_any_malformed_option(kind: int) -> None:
    bench = bench_of_agent.Bench()
    answer = bench.send(bench_of_agent.bid(1, LTE), malformed(kind))
    if kind == OptionType.NONCE_INDICES:  # no home registration has any: RFC 6275 §9.5.1
        assert answer is None
        assert bench.bound() == {}
        return
    status, statuses = bench_of_agent.statuses(answer)
    assert (status, statuses) == (BindingStatus.ACCEPTED, {1: BindingStatus.ACCEPTED})
    assert bench.bound() == {1: LTE}
    assert answer is not None
    flows = [each.status for each in answer.options if isinstance(each, FlowIdentification)]
    assert flows == ([FlowStatus.MALFORMED] if kind in FLOWS else [])


@pytest.mark.parametrize("kind", KINDS)
def test_at_a_home_agent_a_plain_binding_is_made_but_not_of_an_address_unread(
    kind: int,
) -> None:
    bench = bench_of_agent.Bench()
    answer = bench.send(malformed(kind))
    match kind:
        case OptionType.NONCE_INDICES:
            assert answer is None
        case OptionType.ALTERNATE_CARE_OF_ADDRESS:  # its sender did not mean the source
            assert answer is not None
            assert answer.status is BindingStatus.INVALID_CARE_OF_ADDRESS
            assert bench.bound() == {}
        case _:
            assert answer is not None
            assert answer.status is BindingStatus.ACCEPTED
            assert bench.bound() == {None: LTE}


@pytest.mark.parametrize("at_home", [True, False])
def test_a_malformed_address_is_no_reason_to_keep_a_binding(*, at_home: bool) -> None:
    bench = bench_of_agent.Bench()
    bench.send()
    answer = bench.send(
        malformed(OptionType.ALTERNATE_CARE_OF_ADDRESS), lifetime_s=0, at_home=at_home
    )
    assert answer is not None
    assert answer.status is BindingStatus.ACCEPTED
    assert bench.bound() == {}


def test_the_first_alternate_care_of_address_counts() -> None:
    bench = bench_of_agent.Bench()
    broken = malformed(OptionType.ALTERNATE_CARE_OF_ADDRESS)
    bench.send(AlternateCareOfAddress(address=WIFI), broken)
    assert bench.bound() == {None: WIFI}
    answer = bench.send(broken, AlternateCareOfAddress(address=LTE))
    assert answer is not None
    assert answer.status is BindingStatus.INVALID_CARE_OF_ADDRESS


@pytest.mark.parametrize("kind", KINDS)
def test_at_a_correspondent_a_proven_binding_is_made_beside_any_malformed_option(
    kind: int,
) -> None:
    bench = bench_of_correspondent.Bench()
    answer = bench.send(bench_of_correspondent.bid(1, LTE), malformed(kind), care_of=LTE)
    assert answer is not None
    assert answer.status is BindingStatus.ACCEPTED
    assert bench.bound() == {1: LTE}


def test_at_a_correspondent_an_address_unread_is_not_bound() -> None:
    bench = bench_of_correspondent.Bench()
    answer = bench.send(malformed(OptionType.ALTERNATE_CARE_OF_ADDRESS), care_of=LTE)
    assert answer is not None
    assert answer.status is BindingStatus.INVALID_CARE_OF_ADDRESS
    assert bench.bound() == {}


@pytest.mark.parametrize(
    "kind", [OptionType.NONCE_INDICES, OptionType.BINDING_AUTHORIZATION_DATA]
)
def test_rfc6275_9_5_1_at_a_correspondent_malformed_proof_is_none(kind: OptionType) -> None:
    bench = bench_of_correspondent.Bench()
    index = bench.node.nonces.current(bench.now)
    proof = {
        OptionType.NONCE_INDICES: NonceIndices(home=index, care_of=index),
        OptionType.BINDING_AUTHORIZATION_DATA: BindingAuthorizationData(
            authenticator=bytes(12)
        ),
    }
    options = [malformed(each) if each == kind else option for each, option in proof.items()]
    update = BindingUpdate(
        sequence=1, flags=UpdateFlag.ACKNOWLEDGE, lifetime_s=40, options=tuple(options)
    )
    envelope = Envelope(source=LTE, destination=PEER, home_address=bench_of_correspondent.HOME)
    bench.deliver(update, envelope, emit_message(update, bytes(16), bytes(16)))
    assert bench.sent() == []
    assert "update-without-proof" in bench.events()


@pytest.mark.parametrize("kind", KINDS)
def test_at_a_mobile_node_an_acknowledgement_counts_beside_any_malformed_option(
    kind: int,
) -> None:
    bench = Node()
    bench.all_links()
    asked = set(bench.said())
    actions = bench.answer(extra=(malformed(kind),))
    assert set(bench.usable()) == asked
    assert not any(isinstance(each, Report) for each in actions)


def with_checksum(header: bytes) -> bytes:
    """Return a Mobility Header from HOME to AGENT with its checksum."""
    pseudo = HOME.packed + AGENT.packed + len(header).to_bytes(4) + bytes((0, 0, 0, 135))
    total = sum(
        int.from_bytes((pseudo + header)[at : at + 2])
        for at in range(0, len(pseudo + header), 2)
    )
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header[:4] + (total ^ 0xFFFF).to_bytes(2) + header[6:]
