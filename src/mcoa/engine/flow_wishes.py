"""What the mobile node wants its home agent to do with flows, and what the agent knows of it.

Each update names every flow binding that is to stay (RFC 6089 §5.2.2): in full what the agent
has not confirmed yet, in a summary what it has. What an unanswered update said in full counts
as unknown, whatever was known of it before.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mcoa.binding.update_list import Registration
from mcoa.engine.actions import Report
from mcoa.engine.policy import FlowPolicy
from mcoa.wire.flow import FlowIdentification, FlowSummary
from mcoa.wire.messages import BindingAcknowledgement
from mcoa.wire.option_list import MalformedOption
from mcoa.wire.registry import OptionType

PRIORITY: Final = 64
"""BID-PRI of all bindings: which one packets of no rule use is left to the agent."""

_MOST_IN_FULL: Final = 6  # with these and sixteen addresses an update has 1280 octets
_QUIET_S: Final = 60.0

FlowOption = FlowIdentification | FlowSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowsSaid:
    """What one update says of flows.

    Attributes:
        in_full: the BIDs of each FID.
        summarised: FIDs that the agent has confirmed.
    """

    in_full: Mapping[int, tuple[int, ...]]
    summarised: tuple[int, ...] = ()


SAYS_NOTHING: Final = FlowsSaid(in_full={})


class FlowWishes:
    """The flow bindings of one mobile node at the home agent in use.

    Attributes:
        avoided: links that packets do not use now, though they are registered.
        is_supported: False once the agent has shown that it knows no flow bindings.
    """

    def __init__(self, policies: Iterable[FlowPolicy]) -> None:
        self._policies = {policy.fid: policy for policy in policies}
        self._known: dict[int, tuple[int, ...]] = {}
        self._refused: dict[int, tuple[tuple[int, ...], float]] = {}
        self.avoided: Collection[str] = frozenset()
        self.is_supported = True

    @property
    def is_wanted(self) -> bool:
        """Whether updates speak of flows at all."""
        return bool(self._policies) and self.is_supported

    def state(self, rule: str) -> str | None:
        """Return in a word what the agent says to a rule; None for one it is not told of."""
        fids = {fid for fid, policy in self._policies.items() if policy.rule == rule}
        if not fids:
            return None
        if not self.is_supported:
            return "not supported"
        if fids & self._refused.keys():
            return "refused"
        return "accepted" if fids <= self._known.keys() else "pending"

    def begin_anew(self) -> None:
        """Take note that another agent is to be told, which may be of another kind."""
        self.forget()
        self.is_supported = True

    def forget(self) -> None:
        """Take note that the agent holds nothing."""
        self._known.clear()
        self._refused.clear()

    def is_due(self, bindings: Iterable[Registration], now: float) -> bool:
        """Tell whether the agent does not know how flows are to go."""
        if not self.is_wanted:
            return False
        wanted = self._wanted(entry for entry in bindings if entry.is_usable)
        return any(
            self._known.get(fid) != bids and not self._is_refused(fid, bids, now)
            for fid, bids in wanted.items()
        )

    def say(
        self, bindings: Collection[Registration], named: Collection[int | None], now: float
    ) -> FlowsSaid:
        """Return what an update is to say that names these BIDs, and bindings known before."""
        if not self.is_wanted:
            return SAYS_NOTHING
        there = [each for each in bindings if each.is_usable or each.bid in named]
        in_full: dict[int, tuple[int, ...]] = {}
        summarised: list[int] = []
        for fid, bids in self._wanted(there).items():
            is_known = self._known.get(fid) == bids
            if is_known or (fid in self._known and len(in_full) >= _MOST_IN_FULL):
                summarised.append(fid)
            elif len(in_full) < _MOST_IN_FULL and not self._is_refused(fid, bids, now):
                in_full[fid] = bids
                self._known.pop(fid, None)
        return FlowsSaid(in_full=in_full, summarised=tuple(summarised))

    def options(self, said: FlowsSaid) -> tuple[FlowOption, ...]:
        """Return the options that say so."""
        full = tuple(
            FlowIdentification(
                fid=fid, priority=fid, bids=bids, selector=self._policies[fid].selector
            )
            for fid, bids in said.in_full.items()
        )
        return (*full, FlowSummary(fids=said.summarised)) if said.summarised else full

    def answered(
        self, said: FlowsSaid, message: BindingAcknowledgement, now: float
    ) -> list[Report]:
        """Take in what the acknowledgement of an accepted update says of flows."""
        answers = {
            each.fid: each.status
            for each in message.options
            if isinstance(each, FlowIdentification)
        }
        if said.in_full and not answers and not _has_broken_answer(message):
            self.forget()
            self.is_supported = False
            return [Report(event="agent-knows-no-flow-bindings")]
        kept = (fid for fid in said.summarised if fid not in answers)
        self._known = {fid: self._known[fid] for fid in kept if fid in self._known}
        reports: list[Report] = []
        for fid, bids in said.in_full.items():
            status = answers.get(fid)
            if status is not None and not status.is_rejection:
                self._known[fid] = bids
                self._refused.pop(fid, None)
                continue
            # One that is not answered at all is left alone, too: else we would ask for ever.
            self._refused[fid] = (bids, now + _QUIET_S)
            why = "no answer" if status is None else f"status {int(status)}"
            reports.append(Report(event="flow-binding-refused", detail=f"FID {fid}: {why}"))
        return reports

    def _is_refused(self, fid: int, bids: tuple[int, ...], now: float) -> bool:
        refused = self._refused.get(fid)
        return refused is not None and refused[0] == bids and now < refused[1]

    def _wanted(self, bindings: Iterable[Registration]) -> dict[int, tuple[int, ...]]:
        """Return the BIDs for each FID, for which there are any."""
        by_link: dict[str, int] = {}
        for entry in sorted(bindings, key=lambda entry: -entry.slot):
            if entry.bid is not None and entry.wanted is not None:
                by_link[entry.link] = entry.bid
        wanted = {
            policy.fid: _bids(policy, by_link, self.avoided)
            for policy in self._policies.values()
        }
        return {fid: bids for fid, bids in wanted.items() if bids}


def _has_broken_answer(message: BindingAcknowledgement) -> bool:
    """Return True if an agent that knows flow bindings has answered, though not readably."""
    return any(
        isinstance(each, MalformedOption) and each.type == OptionType.FLOW_IDENTIFICATION
        for each in message.options
    )


def _bids(
    policy: FlowPolicy, by_link: Mapping[str, int], avoided: Collection[str]
) -> tuple[int, ...]:
    there = [link for link in policy.links if link in by_link]
    if policy.copies:
        return tuple(by_link[link] for link in there)
    preferred = [link for link in there if link not in avoided] or there
    return tuple(by_link[link] for link in preferred[:1])
