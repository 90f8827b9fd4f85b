"""The fast path in the kernel: keeps the maps of its programs as the table wants them.

A way has a number, which is its place in an array. Number 0 takes nothing: a flow that has
lost its path stands there, and its next packet comes up. A number that was given back is the
last to be given out again, so that a packet that is being looked at goes nowhere else.

Several ways may have one entrance, as BIDs may share a care-of address, and a path may lead to
correspondents alone under another name. It leads to one of them, and is there while any has it.
"""

import itertools
from collections import deque
from collections.abc import Iterator
from operator import itemgetter
from typing import Final

from mcoa.dataplane.flows import Flow
from mcoa.dataplane.packet import key_of_shortcut
from mcoa.dataplane.path import Path, PathState
from mcoa.dataplane.table import ForwardingTable
from mcoa.runtime.fast_path.layout import (
    FLOW,
    HOME,
    HOME_KEY,
    NO_WAY,
    NUMBER,
    ROOM_AT,
    WAY_COUNTERS,
    WAY_COUNTERS_AT,
    WAYS_OF_A_HOME,
    Direction,
    FlowFlag,
    emit_flow_key,
    parse_flow_key,
)
from mcoa.runtime.fast_path.libbpf import HashMap
from mcoa.runtime.fast_path.maps import Maps
from mcoa.runtime.fast_path.shapes import OVERHEADS, Shape, Shapes

_Numbers = dict[int, tuple[int, int]]
"""By BID, the numbers of its ways: the tunnel's, and the direct one's."""

_NO_WAYS: Final = (NO_WAY, NO_WAY)
_NO_ENTRIES: Final = frozenset[int]()
_SEEN_AT: Final = 1  # in a flow, in words of eight octets
_WORDS_OF_A_FLOW: Final = FLOW.size // 8


class _Way:
    """A way that is in use; there may be hundreds of thousands.

    Attributes:
        identity: what stands in the array, but for the room.
        entrance: the key of its entrance; empty without one.
        counted: what its counters were when they were looked at last.
        entries: the numbers of the entries that lead here.
    """

    __slots__ = ("counted", "entrance", "entries", "form", "identity", "room")

    def __init__(self, shape: Shape, identity: bytes, entrance: bytes) -> None:
        self.form = shape.way.form
        self.room = shape.way.room
        self.identity = identity
        self.entrance = entrance
        self.counted = (0, 0, 0, 0)
        self.entries: set[int] | frozenset[int] = _NO_ENTRIES

    def gain(self, index: int) -> None:
        """Have another entry lead here."""
        if isinstance(self.entries, set):
            self.entries.add(index)
        else:
            self.entries = {index}

    def lose(self, index: int) -> None:
        """Have an entry lead here no more."""
        if isinstance(self.entries, set):
            self.entries.discard(index)


class _Entry:
    """What packets of one shortcut lead to: one of the entries of a flow.

    Attributes:
        far_end: where its packets go by the path, or come from.
    """

    __slots__ = ("direct", "far_end", "flow", "inbound", "key", "way")

    def __init__(self, flow: Flow, key: bytes, shortcut: bytes, *, inbound: bool) -> None:
        self.flow = flow
        self.key = key
        self.inbound = inbound
        self.far_end = shortcut[2:18] if inbound else shortcut[18:34]
        self.direct = False
        self.way = NO_WAY


class KernelFastPath:
    """A memory of decisions in the kernel.

    Attributes:
        refused: how often there was no room for a flow, a path or a home address; their
            packets come up.
    """

    def __init__(self, maps: Maps, shapes: Shapes) -> None:
        """Use maps that are empty, or that a dead daemon filled; see adopt()."""
        self._maps = maps
        self._shapes = shapes
        self._numbers: dict[bytes, _Numbers] = {}
        self._ways: dict[int, _Way] = {}
        self._entrances: dict[bytes, tuple[bytes, int]] = {}
        self._waiting: dict[bytes, dict[bytes, int]] = {}
        self._entries: dict[int, _Entry] = {}
        self._by_key: dict[bytes, int] = {}
        self._by_flow: dict[Flow, list[int]] = {}
        self._seen: list[int] = []
        self.refused = 0
        self._left_ways: dict[bytes, int] = {
            key: NUMBER.unpack(value)[0] for key, value in maps.entrances.items()
        }
        self._left_flows = self._read_flows()
        self._left_homes = {key: HOME.unpack(value)[1:] for key, value in maps.homes.items()}
        # Whatever leads to a way keeps it from being another one's.
        self._left_numbers = {
            *self._left_ways.values(),
            *self._left_flows,
            *(number for numbers in self._left_homes.values() for number in numbers),
        } - {NO_WAY}
        self._free_ways = deque(
            number for number in range(1, maps.ways.entries) if number not in self._left_numbers
        )
        indexes = {index for found in self._left_flows.values() for _, index in found}
        self._high = max(indexes, default=-1) + 1
        self._free_entries = deque(
            i for i in range(maps.flow_states.entries) if i not in indexes
        )

    # --- what the table says

    def bind(self, home_address: bytes, paths: tuple[Path, ...]) -> None:
        """Know what a home address is bound to, from now on and of all there was."""
        before = self._numbers.get(home_address, {})
        after = {path.bid: self._place(home_address, path, before) for path in paths}
        if after:
            self._numbers[home_address] = after
        else:
            self._numbers.pop(home_address, None)
        self._list(home_address, paths, after, existed=bool(before))
        self._open(home_address, before, after)
        kept = {number for numbers in after.values() for number in numbers}
        for bid, numbers in before.items():
            for number, successor in zip(numbers, after.get(bid, _NO_WAYS), strict=True):
                if number and number not in kept:
                    self._give_back(number, successor)

    def settle(self, state: PathState) -> None:
        """Know that a path takes more or less than before, or nothing."""
        numbers = self._numbers.get(state.home_address, {}).get(state.path.bid, _NO_WAYS)
        for number in numbers:
            if number:
                overhead = OVERHEADS[self._ways[number].form]
                self._set_room(number, max(state.outer_room - overhead, 0))

    def add(self, flow: Flow, shortcut: bytes, *, inbound: bool, direct: bool) -> bool:
        """Carry packets of this shortcut() by the path of their flow."""
        number = self._number(flow, direct=direct)
        if number == NO_WAY:
            return False
        key = emit_flow_key(shortcut, Direction.INBOUND if inbound else Direction.OUTBOUND)
        index = self._by_key.get(key)
        if index is not None and self._entries[index].flow is not flow:
            self._by_flow[self._entries[index].flow].remove(index)
            self._forget_entry(index)
            index = None
        if index is None:
            index = self._make(_Entry(flow, key, shortcut, inbound=inbound))
            if index is None:
                return False
        entry = self._entries[index]
        entry.direct = direct
        if entry.way != number:
            self._lead(index, entry, number)
        return True

    def move(self, flow: Flow) -> None:
        """Know that a flow has another path."""
        for index in self._by_flow.get(flow, ()):
            entry = self._entries[index]
            self._lead(index, entry, self._number(flow, direct=entry.direct))

    def remove(self, flow: Flow) -> None:
        """Forget a flow."""
        for index in self._by_flow.pop(flow, ()):
            self._forget_entry(index)

    def forget(self, far_end: bytes) -> None:
        """Forget how the packets to and from a far end look."""
        for index, entry in list(self._entries.items()):
            if entry.far_end == far_end:
                self._by_flow[entry.flow].remove(index)
                self._forget_entry(index)

    # --- what there was before

    def adopt(self, table: ForwardingTable, home_address: bytes, now: float) -> bool:
        """Go on with the flows of a home address that a dead daemon knew; after bind().

        False where there are none.
        """
        before = len(self._by_key)
        for bid, numbers in self._numbers.get(home_address, {}).items():
            for number in filter(None, numbers):
                for key, index in self._left_flows.pop(number, ()):
                    self._adopt_flow(table, home_address, bid, (key, index, number), now)
        return len(self._by_key) > before

    def finish(self) -> None:
        """Give up what was there before and nobody asked for."""
        for found in self._left_flows.values():
            for key, index in found:
                self._maps.flows.remove(key)
                self._free_entries.append(index)
        for key in self._left_ways:
            self._maps.entrances.remove(key)
        for key in self._left_homes:
            self._maps.homes.remove(key)
        for number in self._left_numbers:
            self._set_room(number, 0)
            self._free_ways.append(number)
        self._left_flows, self._left_ways, self._left_homes = {}, {}, {}
        self._left_numbers = set()

    # --- what happened

    def collect(self) -> Iterator[tuple[Flow, bytes]]:
        """Take in what was carried since the last time; yield flows that had packets.

        With each comes its far end, and it has been counted for its path.
        """
        words = self._maps.flow_words[: self._high * _WORDS_OF_A_FLOW]
        seen = words[_SEEN_AT::_WORDS_OF_A_FLOW].tolist()
        before = self._seen + [0] * (len(seen) - len(self._seen))
        pairs = enumerate(zip(seen, before, strict=True))
        active = [index for index, (now, then) in pairs if now != then]
        self._seen = seen
        states: dict[PathState, None] = {}
        for index in active:
            entry = self._entries.get(index)
            if entry is not None:
                states.update(dict.fromkeys(entry.flow.home.paths.values()))
                yield entry.flow, entry.far_end
        for state in states:
            self._count(state)

    # --- within

    def _read_flows(self) -> dict[int, list[tuple[bytes, int]]]:
        found: dict[int, list[tuple[bytes, int]]] = {}
        for key, value in self._maps.flows.items():
            index = NUMBER.unpack(value)[0]
            way, *_ = FLOW.unpack_from(self._maps.flow_states.octets, index * FLOW.size)
            found.setdefault(way, []).append((key, index))
        return found

    def _adopt_flow(
        self,
        table: ForwardingTable,
        home_address: bytes,
        bid: int,
        found: tuple[bytes, int, int],
        now: float,
    ) -> None:
        key, index, number = found
        if key in self._by_key:  # a packet of it came up meanwhile, and was decided about
            self._free_entries.append(index)
            return
        shortcut, direction = parse_flow_key(key)
        flow = table.take_over(home_address, key_of_shortcut(shortcut), bid, now)
        if flow is None:
            self._maps.flows.remove(key)
            self._free_entries.append(index)
            return
        entry = _Entry(flow, key, shortcut, inbound=direction is Direction.INBOUND)
        entry.direct = self._numbers[home_address][bid][1] == number
        self._entries[index], self._by_key[key] = entry, index
        self._by_flow.setdefault(flow, []).append(index)
        self._lead(index, entry, self._number(flow, direct=entry.direct))

    def _number(self, flow: Flow, *, direct: bool) -> int:
        ways = self._numbers.get(flow.home.address, {}).get(flow.path.path.bid, _NO_WAYS)
        return ways[1] if direct else ways[0]

    def _place(self, home_address: bytes, path: Path, before: _Numbers) -> tuple[int, int]:
        """Return the numbers of the ways of a path, which are there from now on."""
        old = before.get(path.bid, _NO_WAYS)
        return (
            self._place_shape(self._shapes.tunnel(home_address, path), old[0]),
            self._place_shape(self._shapes.direct(home_address, path), old[1]),
        )

    def _place_shape(self, shape: Shape | None, old: int) -> int:
        if shape is None:
            return NO_WAY
        octets = shape.way.emit()
        identity = _identity(octets)
        if old and identity == self._ways[old].identity:
            if shape.way.room != self._ways[old].room:
                self._ways[old].room = shape.way.room
                self._set_room(old, shape.way.room)
            return old
        entrance = b"" if shape.entrance is None else shape.entrance.emit()
        number = self._left_ways.pop(entrance, NO_WAY)
        if number == NO_WAY:
            if not self._free_ways:
                self.refused += 1
                self._maps.set_partial()
                return NO_WAY
            number = self._free_ways.popleft()
            self._write(number, octets)
        else:
            self._left_numbers.discard(number)
            self._write(number, octets[: -WAY_COUNTERS.size])
        self._ways[number] = _Way(shape, identity, entrance)
        self._ways[number].counted = self._counters(number)
        return number

    def _open(self, home_address: bytes, before: _Numbers, after: _Numbers) -> None:
        """Let in what comes by the ways of a home address, and no longer what came by others."""
        wanted = self._entrances_of(after)
        for entrance, number in wanted.items():
            owner, _ = self._entrances.get(entrance, (home_address, NO_WAY))
            if owner == home_address:
                self._let_in(entrance, home_address, number)
            else:
                self._waiting.setdefault(entrance, {})[home_address] = number
        for entrance in self._entrances_of(before).keys() - wanted.keys():
            self._close(entrance, home_address)

    def _let_in(self, entrance: bytes, home_address: bytes, number: int) -> None:
        if self._entrances.get(entrance) == (home_address, number):
            return
        if self._put(self._maps.entrances, entrance, NUMBER.pack(number)):
            self._entrances[entrance] = home_address, number
        else:
            self._maps.set_partial()

    def _close(self, entrance: bytes, home_address: bytes) -> None:
        """Have an entrance lead to nothing of a home address, but to what else waits for it."""
        waiting = self._waiting.get(entrance, {})
        owner, _ = self._entrances.get(entrance, (b"", NO_WAY))
        if owner != home_address:
            waiting.pop(home_address, None)
        elif waiting:
            successor = next(iter(waiting))
            self._let_in(entrance, successor, waiting.pop(successor))
        else:
            del self._entrances[entrance]
            self._maps.entrances.remove(entrance)
        if not waiting:
            self._waiting.pop(entrance, None)

    def _entrances_of(self, numbers: _Numbers) -> dict[bytes, int]:
        """Return where each entrance leads: to the first way that has it, as in the table."""
        found: dict[bytes, int] = {}
        for number in itertools.chain.from_iterable(numbers.values()):
            if number != NO_WAY and (entrance := self._ways[number].entrance):
                found.setdefault(entrance, number)
        return found

    def _give_back(self, number: int, successor: int) -> None:
        way = self._ways.pop(number)
        self._set_room(number, 0)
        for index in tuple(way.entries):
            self._lead(index, self._entries[index], successor)
        self._free_ways.append(number)

    def _list(
        self,
        home_address: bytes,
        paths: tuple[Path, ...],
        numbers: _Numbers,
        *,
        existed: bool,
    ) -> None:
        """Say which ways a packet may take that nobody decides about, the preferred ones first."""
        key = HOME_KEY.pack(*self._shapes.home_key(home_address))
        existed = self._left_homes.pop(key, None) is not None or existed
        tunnels = [(path.priority, numbers[path.bid][0]) for path in paths]
        ordered = sorted((each for each in tunnels if each[1]), key=itemgetter(0))
        ways = ordered[:WAYS_OF_A_HOME]
        if ways:
            equals = sum(priority == ways[0][0] for priority, _ in ways)
            padded = [way for _, way in ways] + [NO_WAY] * (WAYS_OF_A_HOME - len(ways))
            if not self._put(self._maps.homes, key, HOME.pack(equals, *padded)):
                self._maps.set_partial()
        elif existed:
            self._maps.homes.remove(key)

    def _make(self, entry: _Entry) -> int | None:
        if not self._free_entries:
            self.refused += 1
            return None
        index = self._free_entries.popleft()
        FLOW.pack_into(self._maps.flow_states.octets, index * FLOW.size, NO_WAY, 0, 0, 0, 0)
        if not self._put(self._maps.flows, entry.key, NUMBER.pack(index)):
            self._free_entries.append(index)
            return None
        self._entries[index], self._by_key[entry.key] = entry, index
        self._by_flow.setdefault(entry.flow, []).append(index)
        self._high = max(self._high, index + 1)
        return index

    def _put(self, entries: HashMap, key: bytes, value: bytes) -> bool:
        """Put an entry into a map; False where it is full."""
        try:
            entries.set(key, value)
        except OSError:
            self.refused += 1
            return False
        return True

    def _lead(self, index: int, entry: _Entry, number: int) -> None:
        at = index * (FLOW.size // NUMBER.size)
        flags = self._shapes.inbound_flags if entry.inbound else FlowFlag.NONE
        self._maps.flow_numbers[at + 1] = flags
        self._maps.flow_numbers[at] = number
        before, after = self._ways.get(entry.way), self._ways.get(number)
        if before is not None:
            before.lose(index)
        if after is not None:
            after.gain(index)
        entry.way = number

    def _forget_entry(self, index: int) -> None:
        """Take an entry out; its flow's list is the caller's business."""
        entry = self._entries.pop(index)
        del self._by_key[entry.key]
        self._maps.flows.remove(entry.key)
        way = self._ways.get(entry.way)
        if way is not None:
            way.lose(index)
        self._free_entries.append(index)

    def _write(self, number: int, octets: bytes) -> None:
        at, where = number * self._maps.ways.stride, self._maps.ways.octets
        self._set_room(number, 0)
        after = ROOM_AT + NUMBER.size
        where[at : at + ROOM_AT] = octets[:ROOM_AT]
        where[at + after : at + len(octets)] = octets[after:]
        self._set_room(number, NUMBER.unpack_from(octets, ROOM_AT)[0])

    def _set_room(self, number: int, room: int) -> None:
        # One store of four octets: a packet sees the old number or the new one.
        at = number * self._maps.ways.stride + ROOM_AT
        self._maps.way_numbers[at // NUMBER.size] = room

    def _counters(self, number: int) -> tuple[int, int, int, int]:
        at = number * self._maps.ways.stride + WAY_COUNTERS_AT
        out, octets_out, into, octets_in, _ = WAY_COUNTERS.unpack_from(
            self._maps.ways.octets, at
        )
        return out, octets_out, into, octets_in

    def _count(self, state: PathState) -> None:
        numbers = self._numbers.get(state.home_address, {}).get(state.path.bid, _NO_WAYS)
        for number in numbers:
            way = self._ways.get(number)
            if way is None:
                continue
            counters = self._counters(number)
            new = [now - then for now, then in zip(counters, way.counted, strict=True)]
            way.counted = counters
            state.packets_out += new[0]
            state.octets_out += new[1]
            state.packets_in += new[2]
            state.octets_in += new[3]


def _identity(octets: bytes) -> bytes:
    """Return what tells a way from others: all but its room."""
    return octets[:ROOM_AT] + octets[ROOM_AT + NUMBER.size :]
