"""Flows, the home address they belong to, and the order in which they were used."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

from mcoa.dataplane.path import PathState

#: A flow is looked at closely once in this time; in between, a packet only reads it.
FRESH_S: Final = 1.0


class FlowRule(Protocol):
    """Which links flows choose from, and how."""

    @property
    def name(self) -> str:
        """What a status calls it."""
        ...

    def pick(self, home: "Home") -> PathState | None:
        """Return the path for a flow that has none yet; None for any other rule's choice."""
        ...

    def keeps(self, path: PathState, home: "Home") -> bool:
        """Tell whether a flow may stay on its path."""
        ...

    def copies(self, home: "Home") -> Sequence[PathState]:
        """Return the paths that packets are copied to; none where they are not."""
        ...


class Flow:
    """One flow of one home address, and the path it uses.

    Attributes:
        fresh_until_s: until then nothing but the path's `room` needs to be checked.
        left: the path used before, as long as `moved_at_s` makes that interesting.
        counted: the flow is part of its path's `active_flows`.
        rule: which links it chooses from, and how; None for any.
        outbound, inbound: the shortcuts that lead here.
        older, newer: neighbours in the order of use.
    """

    __slots__ = (
        "counted",
        "fresh_until_s",
        "home",
        "inbound",
        "key",
        "left",
        "moved_at_s",
        "newer",
        "older",
        "outbound",
        "path",
        "rule",
        "touched_at_s",
    )

    def __init__(self, home: "Home", key: bytes, path: PathState, now: float) -> None:
        self.home = home
        self.key = key
        self.path = path
        self.left: PathState | None = None
        self.moved_at_s = now
        self.touched_at_s = now
        self.fresh_until_s = now + FRESH_S
        self.counted = False
        self.rule: FlowRule | None = None
        self.outbound: tuple[bytes, ...] = ()
        self.inbound: tuple[bytes, ...] = ()
        self.older: Flow | None = None
        self.newer: Flow | None = None

    def move(self, path: PathState, now: float) -> None:
        """Use `path` from now on."""
        if self.counted:
            self.path.active_flows -= 1
            path.active_flows += 1
        self.left, self.path, self.moved_at_s = self.path, path, now


class Home:
    """What is kept of a home address as soon as packets come or go.

    Attributes:
        paths: what is bound, by BID, in the order given.
        former: BIDs that were bound before, for their counters; only a few.
        by_care_of_address: the same paths as in `paths`.
        is_ordered: the paths differ in their priorities.
        flows: by their keys, the one of longest silence first. In a plain dictionary, which
            remembers where its first entries were, that one would be ever longer to find.
    """

    __slots__ = ("address", "by_care_of_address", "flows", "former", "is_ordered", "paths")

    def __init__(self, address: bytes) -> None:
        self.address = address
        self.paths: dict[int, PathState] = {}
        self.former: dict[int, PathState] = {}
        self.by_care_of_address: dict[bytes, PathState] = {}
        self.is_ordered = False
        self.flows: OrderedDict[bytes, Flow] = OrderedDict()

    @property
    def has_live_path(self) -> bool:
        """True when at least one path may be chosen."""
        return any(path.live for path in self.paths.values())

    def least_loaded(self) -> PathState:
        """Return the path a new flow should take; the first of equals."""
        return min(self._preferred(), key=_load)

    def most_recently_verified(self) -> PathState:
        """Return the path over which something came in last; the first of equals."""
        return max(self._preferred(), key=_verified)

    def prefers(self, path: PathState) -> bool:
        """Return True if no other path comes before this one, by their priorities."""
        return not self.is_ordered or path in self._preferred()

    def least_recently_used(self) -> Flow:
        """Return the flow of longest silence; there has to be one."""
        return next(iter(self.flows.values()))

    def _preferred(self) -> list[PathState]:
        """Return the paths that come first; there has to be one.

        Where nothing is live, a path that is down is better than none.
        """
        paths = self.paths.values()
        candidates = [path for path in paths if path.live] or list(paths)
        if not self.is_ordered:
            return candidates
        first = min(path.path.priority for path in candidates)
        return [path for path in candidates if path.path.priority == first]


def _load(path: PathState) -> float:
    return path.load


def _verified(path: PathState) -> float:
    return path.verified_at_s


class Recency:
    """A chain through all flows, from the least to the most recently touched.

    Because it is in order, one mark in it parts the active flows from the silent ones; each
    operation costs the same, however many flows there are.
    """

    def __init__(self, active_s: float) -> None:
        self._active_s = active_s
        self._count = 0
        self._newest: Flow | None = None
        self._first_active: Flow | None = None
        self.oldest: Flow | None = None

    def __len__(self) -> int:
        """Return the number of flows."""
        return self._count

    def add(self, flow: Flow, now: float) -> None:
        """Put in a new flow, as touched now."""
        self._count += 1
        self._append(flow, now)

    def touch(self, flow: Flow, now: float) -> None:
        """Note that the flow had a packet."""
        self._unlink(flow)
        self._append(flow, now)

    def remove(self, flow: Flow) -> None:
        """Take a flow out."""
        self._unlink(flow)
        self._count -= 1
        if flow.counted:
            flow.counted = False
            flow.path.active_flows -= 1

    def settle(self, now: float) -> None:
        """Count out the flows that were silent for so long that they are no load any more."""
        flow = self._first_active
        while flow is not None and flow.touched_at_s + self._active_s <= now:
            flow.counted = False
            flow.path.active_flows -= 1
            flow = flow.newer
        self._first_active = flow

    def _append(self, flow: Flow, now: float) -> None:
        flow.touched_at_s = now
        flow.fresh_until_s = now + FRESH_S
        flow.older, flow.newer = self._newest, None
        if self._newest is None:
            self.oldest = flow
        else:
            self._newest.newer = flow
        self._newest = flow
        if self._first_active is None:
            self._first_active = flow
        if not flow.counted:
            flow.counted = True
            flow.path.active_flows += 1

    def _unlink(self, flow: Flow) -> None:
        older, newer = flow.older, flow.newer
        if older is None:
            self.oldest = newer
        else:
            older.newer = newer
        if newer is None:
            self._newest = older
        else:
            newer.older = older
        if self._first_active is flow:
            self._first_active = newer
