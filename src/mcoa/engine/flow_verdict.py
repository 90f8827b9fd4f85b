"""The verdict on the flow options of an update (RFC 6089 §5.2, §5.3).

Every update names all flow bindings that are to stay, either in full or in a summary; whatever
it does not name is deleted. A wish that cannot be granted leaves what there was of that FID.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from mcoa.binding.flow_bindings import FlowBinding
from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.registry import FlowStatus
from mcoa.wire.selectors import Ipv6TrafficSelector


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
    summaries = [each for each in update.options if isinstance(each, FlowSummary)]
    summarised = [fid for each in summaries for fid in each.fids]
    before = {flow.fid: flow for flow in held}
    times = Counter(each.fid for each in listed)
    named = times.keys() | set(summarised)
    made = [
        FlowStatus.REASON_UNSPECIFIED
        if times[wanted.fid] > 1
        else _judge(wanted, before.get(wanted.fid), bids)
        for wanted in listed
    ]
    # Two flows may change places: what is replaced stands in nobody's way.
    replaced = {each.fid for each in made if isinstance(each, FlowBinding)}
    after = {fid: flow for fid, flow in before.items() if fid in named - replaced}
    answers: list[FlowIdentification] = []
    for wanted, each in zip(listed, made, strict=True):
        status = (
            _add(each, after, before.get(wanted.fid), most)
            if isinstance(each, FlowBinding)
            else each
        )
        answers.append(replace(wanted, status=status))
    answers += [
        FlowIdentification(fid=fid, status=FlowStatus.FID_NOT_FOUND)
        for fid in dict.fromkeys(summarised)
        if fid not in before
    ]
    flows = sorted(after.values(), key=lambda flow: flow.priority)
    return FlowVerdict(flows=tuple(flows), answers=tuple(answers))


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
