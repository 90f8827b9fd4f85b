"""The verdict on the flow options of an update (RFC 6089 §5.2, §5.3).

Every update names all flow bindings that are to stay, either in full or in a summary; whatever
it does not name is deleted. A wish that cannot be granted leaves what there was of that FID, and
so does an option that cannot be read, which is answered as malformed.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from mcoa.binding.flow_bindings import FlowBinding
from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.option_list import MalformedOption
from mcoa.wire.registry import FlowStatus, OptionType
from mcoa.wire.selectors import Ipv6TrafficSelector

_FID = _PRIORITY = 2  # octets
_OF_NO_FID: Final = FlowIdentification(fid=0, status=FlowStatus.MALFORMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowVerdict:
    """What becomes of the flow bindings of a home address.

    Attributes:
        flows: all of them afterwards, in the order of comparison.
        answers: the options of the acknowledgement.
    """

    flows: tuple[FlowBinding, ...] = ()
    answers: tuple[FlowIdentification, ...] = ()


NO_FLOWS: Final = FlowVerdict()


def decide_flows(
    update: BindingUpdate,
    held: Collection[FlowBinding],
    bids: Collection[int],
    most: int,
) -> FlowVerdict:
    """Judge the flow options of an accepted update.

    Args:
        update: whose Binding Identifier options have been dealt with.
        held: the flow bindings before.
        bids: those that are bound now.
        most: flow bindings that a mobile node may have.
    """
    listed = [each for each in update.options if isinstance(each, FlowIdentification)]
    broken = [_answer_to(each) for each in _malformed(update, OptionType.FLOW_IDENTIFICATION)]
    times = Counter(each.fid for each in (*listed, *broken) if each is not _OF_NO_FID)
    summarised = _summarised(update)
    unclear = _unclear(update, times.keys() | set(summarised))
    before = {flow.fid: flow for flow in held}
    made = [
        FlowStatus.REASON_UNSPECIFIED
        if any(count > 1 for count in times.values())  # of any FID: RFC 6089 §5.3.2
        else _judge(wanted, before.get(wanted.fid), bids)
        for wanted in listed
    ]
    # Two flows may change places: what is replaced stands in nobody's way.
    replaced = {each.fid for each in made if isinstance(each, FlowBinding)}
    named = times.keys() | set(summarised) | set(unclear)
    after = {fid: flow for fid, flow in before.items() if fid in named - replaced}
    answers: list[FlowIdentification] = []
    for wanted, each in zip(listed, made, strict=True):
        status = (
            _add(each, after, before.get(wanted.fid), most)
            if isinstance(each, FlowBinding)
            else each
        )
        answers.append(replace(wanted, status=status))
    unknown = [fid for fid in summarised if fid not in before]
    answers += [*broken, *_refuse(unknown, FlowStatus.FID_NOT_FOUND)]
    answers += _refuse(unclear, FlowStatus.MALFORMED)
    flows = sorted(after.values(), key=lambda flow: flow.priority)
    return FlowVerdict(flows=tuple(flows), answers=tuple(answers))


def _refuse(fids: Iterable[int], status: FlowStatus) -> list[FlowIdentification]:
    return [FlowIdentification(fid=fid, status=status) for fid in fids]


def _malformed(update: BindingUpdate, kind: OptionType) -> Iterator[bytes]:
    """Yield the bodies of the options of a type that have a length they cannot have."""
    for option in update.options:
        if isinstance(option, MalformedOption) and option.type == kind:
            yield option.data


def _answer_to(body: bytes) -> FlowIdentification:
    """Return what is said to a Flow Identification option that cannot be read (RFC 6089 §4.2).

    It repeats the numbers that are there whole, and none of the sub-options: the mobile node
    could not read them either.
    """
    if len(body) < _FID:
        return _OF_NO_FID
    has_priority = len(body) >= _FID + _PRIORITY
    return FlowIdentification(
        fid=int.from_bytes(body[:_FID]),
        priority=int.from_bytes(body[_FID : _FID + _PRIORITY]) if has_priority else 0,
        status=FlowStatus.MALFORMED,
    )


def _summarised(update: BindingUpdate) -> list[int]:
    """Return the FIDs of all Flow Summary options, each once."""
    summaries = [each for each in update.options if isinstance(each, FlowSummary)]
    return list(dict.fromkeys(fid for each in summaries for fid in each.fids))


def _unclear(update: BindingUpdate, clear: Collection[int]) -> list[int]:
    """Return the FIDs that only a Flow Summary option of odd length names, each once.

    Zero stands for such an option that has no whole FID of this kind.
    """
    unclear: list[int] = []
    for body in _malformed(update, OptionType.FLOW_SUMMARY):
        fids = [int.from_bytes(body[at : at + _FID]) for at in range(0, len(body) - 1, _FID)]
        unclear += [fid for fid in fids if fid not in clear] or [0]
    return list(dict.fromkeys(unclear))


def _judge(
    wanted: FlowIdentification, known: FlowBinding | None, bids: Collection[int]
) -> FlowBinding | FlowStatus:
    """Return the flow binding that an option asks for, or why there is none."""
    selector, references = wanted.selector, wanted.bids
    if known is not None:
        selector = selector or known.selector
        references = known.bids if references is None else references
    if wanted.is_malformed or selector is None or not references:
        return FlowStatus.MALFORMED
    if not isinstance(selector, Ipv6TrafficSelector):
        return FlowStatus.TRAFFIC_SELECTOR_FORMAT_NOT_SUPPORTED
    if any(bid not in bids for bid in references):
        return FlowStatus.BID_NOT_FOUND
    return FlowBinding(
        fid=wanted.fid,
        priority=wanted.priority,
        selector=selector,
        bids=tuple(dict.fromkeys(references)),
    )


def _add(
    made: FlowBinding, others: dict[int, FlowBinding], known: FlowBinding | None, most: int
) -> FlowStatus:
    """Put a flow binding beside the others, or back the one that was known; return the status."""
    priorities = {each.priority for each in others.values()}
    if len(others) >= most:
        return FlowStatus.ADMINISTRATIVELY_PROHIBITED
    if made.priority not in priorities:
        others[made.fid] = made
        return FlowStatus.ACCEPTED
    # The order of comparison would be anybody's guess.
    if known is not None and known.priority not in priorities:
        others[known.fid] = known
    return FlowStatus.REASON_UNSPECIFIED
