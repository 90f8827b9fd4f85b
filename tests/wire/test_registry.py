"""Numbers keep their names, and numbers without a name are still values."""

import copy
import pickle

import pytest

from mcoa.wire.registry import (
    AcknowledgementFlag,
    BindingErrorStatus,
    BindingStatus,
    FlowStatus,
    Icmpv6Type,
    Ipv4AddressStatus,
    MessageType,
    OptionType,
    RevocationFlag,
    RevocationStatus,
    RevocationTrigger,
)

REGISTRIES = (
    BindingErrorStatus,
    BindingStatus,
    FlowStatus,
    Icmpv6Type,
    Ipv4AddressStatus,
    MessageType,
    OptionType,
    RevocationStatus,
    RevocationTrigger,
)


@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_octet_is_a_member(registry: type[BindingStatus]) -> None:
    for number in range(256):
        member = registry(number)
        assert member == number
        assert member.label
        assert pickle.loads(pickle.dumps(member)) == copy.copy(member) == member  # noqa: S301


@pytest.mark.parametrize("number", [-1, 256, 1.5, "x", None])
def test_nothing_else_is_a_member(number: object) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        BindingStatus(number)


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (0, "accepted (0)"),
        (4, "some bindings were not accepted (4)"),
        (135, "sequence number out of window (135)"),
        (167, "unknown care-of address (167)"),
        (200, "unassigned 200 (200)"),
    ],
)
def test_a_status_reads_as_a_sentence(status: int, phrase: str) -> None:
    assert BindingStatus(status).phrase == phrase


@pytest.mark.parametrize(
    ("member", "label"),
    [
        (MessageType.CARE_OF_TEST_INIT, "Care-of Test Init"),
        (MessageType.BINDING_UPDATE, "Binding Update"),
        (OptionType.BINDING_IDENTIFIER, "Binding Identifier"),
        (OptionType.NAT_DETECTION, "NAT Detection"),
        (OptionType(99), "Unassigned 99"),
    ],
)
def test_a_member_has_the_words_of_its_rfc(member: MessageType, label: str) -> None:
    assert member.label == label


@pytest.mark.parametrize("status", [FlowStatus(128), Ipv4AddressStatus(131)])
def test_other_registries_reject_from_128_on(status: FlowStatus) -> None:
    assert status.is_rejection
    assert not type(status)(127).is_rejection


def test_flags_have_letters() -> None:
    assert AcknowledgementFlag(0xF0).letters == "KRPT"
    assert RevocationFlag(0xE000).letters == "PVG"
    assert AcknowledgementFlag(0).letters == ""
