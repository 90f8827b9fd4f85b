"""The forwarding table agrees with a naive one, whatever the order of calls."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mcoa.dataplane.table import ForwardingTable, Path

homes = st.sampled_from([b"A" * 16, b"B" * 16])
keys = st.sampled_from([b"f", b"g", b"h", b"i"])
bids = st.integers(1, 4)
weights = st.sampled_from([1.0, 2.0, 3.0])
priorities = st.sampled_from([0, 0, 7])
pauses = st.sampled_from([0.0, 0.1, 0.25, 1.0, 4.9, 5.0, 29.0, 30.0])

IDLE_S, ACTIVE_S, OVERTAKEN_S = 30.0, 5.0, 0.25


@dataclass
class ModelFlow:
    bid: int
    touched_s: float
    left: int | None = None
    moved_s: float = 0.0


class Model:
    """The rules in their plainest form: every question looks at everything."""

    def __init__(self, *, follows_inbound: bool) -> None:
        self.follows_inbound = follows_inbound
        self.paths: dict[bytes, tuple[Path, ...]] = {}
        self.down: set[tuple[bytes, int]] = set()
        self.flows: dict[tuple[bytes, bytes], ModelFlow] = {}
        self.now = 0.0

    def bound(self, home: bytes) -> dict[int, Path]:
        return {path.bid: path for path in self.paths.get(home, ())}

    def live(self, home: bytes) -> dict[int, Path]:
        return {b: p for b, p in self.bound(home).items() if (home, b) not in self.down}

    def replace(self, home: bytes, paths: tuple[Path, ...]) -> None:
        before = self.bound(home)
        self.paths[home] = paths
        for bid in range(1, 5):
            after = self.bound(home).get(bid)
            known = before.get(bid)
            if after is None or (known and after.care_of_address != known.care_of_address):
                self.down.discard((home, bid))
        if not paths:
            self.flows = {at: flow for at, flow in self.flows.items() if at[0] != home}

    def load(self, home: bytes, path: Path) -> float:
        flows = [
            flow
            for at, flow in self.flows.items()
            if at[0] == home and flow.bid == path.bid and flow.touched_s + ACTIVE_S > self.now
        ]
        return (len(flows) + 1) / path.weight

    def preferred(self, home: bytes) -> dict[int, Path]:
        candidates = self.live(home) or self.bound(home)
        first = min(path.priority for path in candidates.values())
        return {b: p for b, p in candidates.items() if p.priority == first}

    def pick(self, home: bytes) -> int:
        candidates = self.preferred(home)
        return min(candidates.values(), key=lambda path: self.load(home, path)).bid

    def flow(self, home: bytes, key: bytes) -> ModelFlow | None:
        flow = self.flows.get((home, key))
        if flow and self.now - flow.touched_s >= IDLE_S:
            del self.flows[home, key]
            return None
        return flow

    def move(self, flow: ModelFlow, bid: int) -> None:
        flow.left, flow.bid, flow.moved_s = flow.bid, bid, self.now

    def choose(self, home: bytes, key: bytes) -> int | None:
        if not self.bound(home):
            return None
        flow = self.flow(home, key)
        if flow is None:
            flow = self.flows[home, key] = ModelFlow(self.pick(home), self.now)
        elif flow.bid not in self.live(home) and (
            self.live(home) or flow.bid not in self.bound(home)
        ):
            self.move(flow, self.pick(home))
        if flow.bid not in self.preferred(home) and self.differ(home):
            self.move(flow, self.pick(home))
        flow.touched_s = self.now
        return flow.bid

    def differ(self, home: bytes) -> bool:
        return len({path.priority for path in self.bound(home).values()}) > 1

    def learn(self, home: bytes, key: bytes, bid: int) -> None:
        if bid not in self.bound(home):
            return
        flow, live = self.flow(home, key), self.live(home)
        if flow is None:
            if bid in live or not live:
                first = bid if bid in self.preferred(home) else self.pick(home)
                self.flows[home, key] = ModelFlow(first, self.now)
            return
        late = bid == flow.left and self.now - flow.moved_s < OVERTAKEN_S and flow.bid in live
        fit = bid in self.preferred(home) if bid in live else flow.bid not in live
        if self.follows_inbound and bid != flow.bid and fit and not (late and bid in live):
            self.move(flow, bid)
        flow.touched_s = self.now


class ForwardingTableMachine(RuleBasedStateMachine):
    @initialize(follows_inbound=st.booleans())
    def begin(self, *, follows_inbound: bool) -> None:
        self.table = ForwardingTable(
            follows_inbound=follows_inbound,
            idle_s=IDLE_S,
            active_s=ACTIVE_S,
            most_idle_homes=0 if follows_inbound else 9,
        )
        self.model = Model(follows_inbound=follows_inbound)

    @rule(
        home=homes,
        paths=st.lists(
            st.tuples(bids, weights, st.sampled_from([b"x", b"y"]), priorities), max_size=4
        ),
    )
    def replace(self, home: bytes, paths: list[tuple[int, float, bytes, int]]) -> None:
        unique = {bid: rest for bid, *rest in paths}
        given = tuple(
            Path(
                bid=bid,
                care_of_address=at * 15 + bytes((bid,)),
                weight=weight,
                priority=priority,
            )
            for bid, (weight, at, priority) in unique.items()
        )
        self.table.replace(home, given)
        self.model.replace(home, given)

    @rule(home=homes, bid=bids)
    def path_down(self, home: bytes, bid: int) -> None:
        self.table.path_down(home, bid)
        if bid in self.model.bound(home):
            self.model.down.add((home, bid))

    @rule(home=homes, bid=bids)
    def path_up(self, home: bytes, bid: int) -> None:
        self.table.path_up(home, bid)
        self.model.down.discard((home, bid))

    @rule(home=homes, key=keys)
    def choose(self, home: bytes, key: bytes) -> None:
        chosen = self.table.choose(home, key, self.model.now)
        assert (chosen.bid if chosen else None) == self.model.choose(home, key)

    @rule(home=homes, key=keys, bid=bids)
    def learn(self, home: bytes, key: bytes, bid: int) -> None:
        self.table.learn(home, key, bid, self.model.now)
        self.model.learn(home, key, bid)

    @rule(home=homes, bid=bids)
    def accept(self, home: bytes, bid: int) -> None:
        for at in (b"x", b"y"):
            address = at * 15 + bytes((bid,))
            known = self.model.bound(home).get(bid)
            right = bid if known and known.care_of_address == address else None
            assert self.table.accept(address, home) == right

    @rule(pause_s=pauses)
    def wait(self, pause_s: float) -> None:
        self.model.now += pause_s

    @rule()
    def expire(self) -> None:
        self.table.expire(self.model.now)

    @invariant()
    def chosen_paths_are_bound(self) -> None:
        if hasattr(self, "table"):
            assert self.table.flow_count <= 8
            states = [
                s for home in self.table.active_homes() for s in self.table.states_of(home)
            ]
            assert all(state.active_flows >= 0 for state in states)


ForwardingTableMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50)
TestForwardingTable = ForwardingTableMachine.TestCase
