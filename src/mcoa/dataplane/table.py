"""Which path a packet takes: bindings, flows that stick to a path, and who moves them.

A flow stays on one path (RFC 5648 3). A new one goes to the path with the fewest active flows
for its weight; when its path is gone or down, any other one serves at once. The mobile node is
the master of its flows: the home agent sends a flow down the path over which the mobile node
sent its last packet. A packet that no flow claims takes the path verified most recently.

Where paths have priorities, all this is about those of the lowest one that are not down: what no
rule claims goes by the others only while there are none (RFC 6089 §5.1.1).

A home address costs its bindings only; flows, counters and the like exist where packets are.
Nothing here grows with the number of home addresses or flows but memory, and that is bounded.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mcoa.dataplane.fast_path import FastPath, NoFastPath
from mcoa.dataplane.flows import Flow, FlowRule, Home, Recency
from mcoa.dataplane.path import Path, PathState

__all__ = ["ForwardingTable", "Path"]

#: A packet that left the old path before a flow moved may be as late as this.
OVERTAKEN_S: Final = 0.25
_MOST_SHORTCUTS: Final = 4
_MOST_FORMER_PATHS: Final = 8
_EXPIRED_AT_ONCE: Final = 4


def _no_prefix(_care_of_address: bytes) -> bytes:
    return b""


class ForwardingTable:
    """Bindings and flows of all home addresses; addresses are sixteen octets, times monotonic.

    Attributes:
        bindings: what replace() was given last, to look at only.
        outbound, inbound: from the shortcut() of a packet to its flow, so that a packet of a
            known flow needs one look. An entry may be used while the flow is fresh and its path
            has room; else the full way is to be gone.
    """

    def __init__(
        self,
        *,
        follows_inbound: bool,
        prefix: Callable[[bytes], bytes] = _no_prefix,
        spreads: bool = True,
        idle_s: float = 300.0,
        active_s: float = 2.0,
        most_flows: int = 1 << 17,
        most_flows_a_home: int = 1 << 13,
        most_idle_homes: int = 1 << 14,
    ) -> None:
        """Make an empty table.

        Args:
            follows_inbound: True at the home agent: inbound packets move flows. At the mobile
                node they only create them.
            prefix: makes the constant part of the tunnel header for a care-of address.
            spreads: False sends new flows down the path verified most recently.
            idle_s: silence after which a flow is forgotten.
            active_s: silence after which a flow is no load any more.
            most_flows: of all home addresses together.
            most_flows_a_home: of one home address, so that nobody displaces the flows of others.
            most_idle_homes: home addresses without flows whose counters are kept.
        """
        self._follows_inbound = follows_inbound
        self._prefix = prefix
        self._spreads = spreads
        self._idle_s = idle_s
        self._most_flows = most_flows
        self._most_flows_a_home = most_flows_a_home
        self._most_idle_homes = most_idle_homes
        self._homes: dict[bytes, Home] = {}
        self._recency = Recency(active_s)
        self._fast_path: FastPath = NoFastPath()
        self.bindings: dict[bytes, tuple[Path, ...]] = {}
        self.outbound: dict[bytes, Flow] = {}
        self.inbound: dict[bytes, Flow] = {}

    def __len__(self) -> int:
        """Return the number of bound home addresses."""
        return len(self.bindings)

    @property
    def flow_count(self) -> int:
        """Flows remembered at present."""
        return len(self._recency)

    def flows_of(self, home_address: bytes) -> Iterable[Flow]:
        """Return the flows of a home address, to look at only."""
        home = self._homes.get(home_address)
        return home.flows.values() if home else ()

    def has_other_way(self, home_address: bytes, path: PathState) -> bool:
        """Return True where another path than this one may be chosen."""
        return any(each.live for each in self.states_of(home_address) if each is not path)

    def states_of(self, home_address: bytes) -> tuple[PathState, ...]:
        """Return the paths of a home address with their counters, bound ones first."""
        home = self._homes.get(home_address)
        return (*home.paths.values(), *home.former.values()) if home else ()

    def active_homes(self) -> Iterable[bytes]:
        """Return the home addresses that have counters."""
        return self._homes.keys()

    def homes_with_flows(self) -> Iterable[bytes]:
        """Return the home addresses that have flows."""
        return (address for address, home in self._homes.items() if home.flows)

    # --- bindings

    def replace(self, home_address: bytes, paths: tuple[Path, ...]) -> None:
        """Let the home address have exactly these paths; none unbinds it.

        A path keeps its flows while its BID stays, also with a new care-of address. The first
        of the paths counts as verified most recently until packets tell otherwise.
        """
        if self.bindings.get(home_address, ()) == paths:
            return
        if len({path.bid for path in paths}) != len(paths):
            raise ValueError("two paths of one home address have the same BID")
        if paths:
            self.bindings[home_address] = paths
        else:
            del self.bindings[home_address]
        self._fast_path.bind(home_address, paths)
        home = self._homes.get(home_address)
        if home is not None:
            self._adopt(home, paths)
            if not paths:
                for flow in list(home.flows.values()):
                    self._remove(flow)
                self._release(home)

    def speed_up(self, fast_path: FastPath) -> None:
        """Tell a fast path of all that is decided from now on; before anything is bound."""
        self._fast_path = fast_path

    def reconsider(self, peer: bytes) -> None:
        """Have packets with a peer looked at again: they may be of another form now."""
        self._fast_path.forget(peer)

    def retunnel(self, prefix: Callable[[bytes], bytes]) -> None:
        """Make tunnel headers in another way, for the paths that replace() gives next."""
        self._prefix = prefix

    def path_down(self, home_address: bytes, bid: int) -> None:
        """Do not use this path any more; its flows move with their next packet.

        It stays down, over any replace() too, until path_up() or another care-of address.
        """
        path = self.state(home_address, bid)
        if path is not None:
            path.down = True
            path.settle()

    def path_up(self, home_address: bytes, bid: int) -> None:
        """Use this path again."""
        path = self.state(home_address, bid)
        if path is not None:
            path.down = False
            path.settle()

    def verified(self, home_address: bytes, bid: int, now: float) -> None:
        """Note that signalling came in over a path."""
        home = self._homes.get(home_address)
        path = home.paths.get(bid) if home else None
        if path is not None:
            path.verified_at_s = now

    def state(self, home_address: bytes, bid: int) -> PathState | None:
        """Return a bound path as it fares."""
        home = self._home(home_address)
        return home.paths.get(bid) if home else None

    def accept(self, outer_source: bytes, inner_source: bytes, port: int = 0) -> int | None:
        """Return the BID of a tunnel packet's path; None refuses the packet (RFC 6275 10.4.5).

        All the BIDs of the inner source are looked at (RFC 5648 9). `port` is the UDP port
        that a datagram came from.
        """
        for path in self.bindings.get(inner_source, ()):
            if path.care_of_address == outer_source and path.port == port and not path.home:
                return path.bid
        return None

    # --- flows

    def choose(self, home_address: bytes, flow_key: bytes | None, now: float) -> Path | None:
        """Return the path for a packet of this flow; None when nothing is bound."""
        state = self.route(home_address, flow_key, now)
        return state.path if state else None

    def route(
        self,
        home_address: bytes,
        flow_key: bytes | None,
        now: float,
        rule: FlowRule | None = None,
    ) -> PathState | None:
        """Do as choose(), for a caller that counts packets, and has a rule for it perhaps."""
        home = self._home(home_address)
        if home is None or not home.paths:
            return None
        if flow_key is None:
            self._release(home)
            return home.most_recently_verified()
        flow = self._flow(home, flow_key, now)
        if flow is None:
            flow = self._create(home, flow_key, self._pick(home, now, rule), now)
            flow.rule = rule
            return flow.path
        flow.rule = flow.rule or rule
        if not flow.path.live and (home.has_live_path or not flow.path.bound):
            self._move(flow, self._pick(home, now, rule), now)
        self._obey(flow, now)
        self._touch(flow, now)
        return flow.path

    def learn(self, home_address: bytes, flow_key: bytes | None, bid: int, now: float) -> None:
        """Take in that a packet of this flow came in over path `bid`."""
        home = self._home(home_address)
        path = home.paths.get(bid) if home else None
        if home is None or path is None:
            return
        path.verified_at_s = now
        if flow_key is None:
            self._release(home)
            return
        flow = self._flow(home, flow_key, now)
        if flow is None:
            if path.live or not home.has_live_path:
                chosen = path if home.prefers(path) else self._pick(home, now)
                self._create(home, flow_key, chosen, now)
            return
        is_elsewhere = self._follows_inbound and flow.path is not path
        if is_elsewhere and not _is_ruled(flow) and _may_follow(flow, path, now):
            self._move(flow, path, now)
        self._touch(flow, now)

    def carried(self, flow: Flow, now: float) -> None:
        """Note that a fast path carried packets of a flow just now."""
        self._touch(flow, now)

    def take_over(
        self, home_address: bytes, flow_key: bytes, bid: int, now: float
    ) -> Flow | None:
        """Return a flow that a fast path knows from before; None where its path is gone."""
        home = self._home(home_address)
        path = home.paths.get(bid) if home else None
        if home is None or path is None:
            return None
        return self._flow(home, flow_key, now) or self._create(home, flow_key, path, now)

    def shorten(
        self,
        home_address: bytes,
        flow_key: bytes,
        *,
        outbound: bytes = b"",
        inbound: bytes = b"",
        direct: bool = False,
    ) -> None:
        """Let the shortcut() of a packet lead to its flow, up to a few for each flow.

        `direct` is for packets that have no tunnel; only a fast path has shortcuts for those
        of paths that lead to correspondents alone.
        """
        home = self._homes.get(home_address)
        flow = home.flows.get(flow_key) if home else None
        if flow is None:
            return
        octets, fast = outbound or inbound, self._fast_path
        if octets and fast.add(flow, octets, inbound=bool(inbound), direct=direct):
            return
        if flow.path.path.direct_only:
            return
        if outbound and outbound not in self.outbound and len(flow.outbound) < _MOST_SHORTCUTS:
            flow.outbound += (outbound,)
            self.outbound[outbound] = flow
        if inbound and inbound not in self.inbound and len(flow.inbound) < _MOST_SHORTCUTS:
            flow.inbound += (inbound,)
            self.inbound[inbound] = flow

    def rebalance(self, home_address: bytes, now: float) -> int:
        """Move active flows until the load is as even as it gets; return how many moved.

        For the mobile node, when a link came back that nothing uses.
        """
        home = self._home(home_address)
        if home is None or not home.has_live_path:
            return 0
        self._recency.settle(now)
        by_path: dict[int, list[Flow]] = {}
        for flow in home.flows.values():
            if flow.counted and flow.path.live and flow.rule is None:
                by_path.setdefault(flow.path.path.bid, []).append(flow)
        moved = 0
        while by_path:
            target = home.least_loaded()
            bid = max(by_path, key=lambda bid: len(by_path[bid]) / home.paths[bid].path.weight)
            if len(by_path[bid]) / home.paths[bid].path.weight <= target.load:
                break
            flow = by_path[bid].pop()
            self._move(flow, target, now)
            by_path.setdefault(target.path.bid, []).append(flow)
            moved += 1
        return moved

    def obey(self, home_address: bytes, now: float) -> None:
        """Move flows to where rules and priorities want them, now that paths have come or gone."""
        home = self._home(home_address)
        for flow in list(home.flows.values()) if home else ():
            self._obey(flow, now)

    def copies(self, home_address: bytes, rule: FlowRule) -> Sequence[PathState]:
        """Return the paths that a rule has packets copied to; none where one is the home link."""
        home = self._home(home_address)
        paths = [] if home is None else rule.copies(home)
        return () if any(path.path.home for path in paths) else paths

    def ask_anew(self, home_address: bytes) -> None:
        """Have the rule of each flow found anew, with its next packet: rules have changed."""
        home = self._homes.get(home_address)
        for flow in home.flows.values() if home else ():
            self.ask_anew_about(flow)

    def ask_anew_about(self, flow: Flow) -> None:
        """Do so for one flow."""
        flow.rule = None
        self._cut_short(flow)

    def expire(self, now: float, most: int = 1000) -> None:
        """Forget flows that were silent too long, at most `most` at a time.

        Every new flow does a little of it; to call this once a second is good for memory.
        """
        self._recency.settle(now)
        for _ in range(most):
            flow = self._recency.oldest
            if flow is None or now - flow.touched_at_s < self._idle_s:
                return
            self._remove(flow)

    # --- within

    def _home(self, home_address: bytes) -> Home | None:
        home = self._homes.get(home_address)
        if home is None and home_address in self.bindings:
            home = self._homes[home_address] = Home(home_address)
            self._adopt(home, self.bindings[home_address])
        return home

    def _adopt(self, home: Home, paths: tuple[Path, ...]) -> None:
        known = {**home.former, **home.paths}
        home.paths = {}
        for path in paths:
            state = known.pop(path.bid, None)
            if state is None:
                state = PathState(
                    path,
                    self._prefix(path.care_of_address),
                    home_address=home.address,
                    settled=self._fast_path.settle,
                )
            else:
                state.adopt(path, self._prefix(path.care_of_address))
            home.paths[path.bid] = state
        for state in known.values():
            state.release()
        home.former = dict(list(known.items())[-_MOST_FORMER_PATHS:])
        home.by_care_of_address = {
            state.path.care_of_address: state for state in home.paths.values()
        }
        home.is_ordered = len({path.priority for path in paths}) > 1

    def _pick(self, home: Home, now: float, rule: FlowRule | None = None) -> PathState:
        self._recency.settle(now)
        wanted = rule.pick(home) if rule else None
        if wanted is not None:
            return wanted
        return home.least_loaded() if self._spreads else home.most_recently_verified()

    def _flow(self, home: Home, key: bytes, now: float) -> Flow | None:
        flow = home.flows.get(key)
        if flow is not None and now - flow.touched_at_s >= self._idle_s:
            self._remove(flow)
            return None
        return flow

    def _obey(self, flow: Flow, now: float) -> None:
        """Move a flow to where its rule wants it, if that can be, or else the priorities do."""
        home, rule = flow.home, flow.rule
        if rule is not None and not rule.keeps(flow.path, home):
            wanted = rule.pick(home)
            if wanted is not None:
                self._move(flow, wanted, now)
        elif not home.prefers(flow.path) and not _is_ruled(flow):
            self._move(flow, self._pick(home, now), now)

    def _move(self, flow: Flow, path: PathState, now: float) -> None:
        flow.move(path, now)
        self._fast_path.move(flow)

    def _touch(self, flow: Flow, now: float) -> None:
        self._recency.touch(flow, now)
        flow.home.flows.move_to_end(flow.key)

    def _create(self, home: Home, key: bytes, path: PathState, now: float) -> Flow:
        if len(home.flows) >= self._most_flows_a_home:
            self._remove(home.least_recently_used())
        oldest = self._recency.oldest
        if oldest is not None and len(self._recency) >= self._most_flows:
            self._remove(oldest)
        flow = home.flows[key] = Flow(home, key, path, now)
        self._homes[home.address] = home  # its last flow may just have gone, and it with that
        self._recency.add(flow, now)
        self.expire(now, _EXPIRED_AT_ONCE)
        return flow

    def _remove(self, flow: Flow) -> None:
        self._recency.remove(flow)
        self._cut_short(flow)
        del flow.home.flows[flow.key]
        self._release(flow.home)

    def _cut_short(self, flow: Flow) -> None:
        """Let no shortcut lead to a flow."""
        self._fast_path.remove(flow)
        for octets in flow.outbound:
            del self.outbound[octets]
        for octets in flow.inbound:
            del self.inbound[octets]
        flow.outbound = flow.inbound = ()

    def _release(self, home: Home) -> None:
        """Let go of a home address without flows, unless there is room to keep its counters."""
        if home.flows or len(self._homes) <= self._most_idle_homes:
            return
        if not any(path.down for path in home.paths.values()):
            self._homes.pop(home.address, None)


def _is_ruled(flow: Flow) -> bool:
    """Tell whether a rule says where a flow goes now, whatever path its packets come by."""
    return flow.rule is not None and flow.rule.pick(flow.home) is not None


def _may_follow(flow: Flow, path: PathState, now: float) -> bool:
    """Tell whether a packet on `path` may take the downlink of its flow with it.

    Not to a path that is down or comes behind others, and not back to the one it just left:
    such a packet was overtaken by the one that moved the flow.
    """
    if not path.live:
        return not flow.path.live
    if not flow.home.prefers(path):
        return False
    overtaken = path is flow.left and now - flow.moved_at_s < OVERTAKEN_S
    return not (overtaken and flow.path.live)
