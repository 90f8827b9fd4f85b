"""The bookkeeping of the fast path: what stands in the maps is what the table has decided."""

import errno
from dataclasses import dataclass, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mcoa.dataplane.fast_path import Form
from mcoa.dataplane.flows import Flow
from mcoa.dataplane.mobile_node import DIRECT
from mcoa.dataplane.packet import flow_key, shortcut
from mcoa.dataplane.path import Path
from mcoa.dataplane.table import ForwardingTable
from mcoa.runtime.fast_path.kernel import KernelFastPath
from mcoa.runtime.fast_path.layout import (
    ENTRANCE,
    FLOW,
    HOME,
    HOME_KEY,
    NO_WAY,
    NUMBER,
    WAY,
    Direction,
    emit_flow_key,
)
from mcoa.runtime.fast_path.shapes import HomeAgentShapes, MobileNodeShapes
from runtime.fast_path.memory import MemoryMaps

AGENT = bytes.fromhex("20010db8000100000000000000000001")
HOMES = [AGENT[:15] + bytes((0x10 + number,)) for number in range(3)]
PEER = bytes.fromhex("20010db8000200000000000000000010")
OWN_MAC, MAC = b"\x02" * 6, b"\x04" * 6
USUAL_ROOM = 1460


def care_of(number: int) -> bytes:
    return bytes.fromhex("20010db8000a0000") + number.to_bytes(8)


def packet(home: bytes, port: int, *, up: bool = False) -> bytes:
    source, destination = (home, PEER) if up else (PEER, home)
    start = bytes.fromhex("60000000 0008 11 40") + source + destination
    return start + port.to_bytes(2) + port.to_bytes(2) + bytes(4)


@dataclass
class Bed:
    """A home agent's table with the fast path below it, whose maps are in memory."""

    maps: MemoryMaps
    table: ForwardingTable
    fast_path: KernelFastPath

    @classmethod
    def made(cls, maps: MemoryMaps | None = None, **limits: int) -> "Bed":
        maps = maps or MemoryMaps()
        table = ForwardingTable(follows_inbound=True, **limits)  # type: ignore[arg-type]
        shapes = HomeAgentShapes(AGENT, lambda: OWN_MAC)
        fast_path = KernelFastPath(maps, shapes)  # type: ignore[arg-type]
        table.speed_up(fast_path)
        return cls(maps=maps, table=table, fast_path=fast_path)

    def sent(self, home: bytes, port: int, now: float = 0.0) -> None:
        """Do as a forwarder with a packet down."""
        down = packet(home, port)
        key = flow_key(down)
        if self.table.route(home, key, now) is not None and key is not None:
            self.table.shorten(home, key, outbound=shortcut(down))

    def came(self, home: bytes, port: int, bid: int, now: float = 0.0) -> None:
        """Do as a forwarder with a packet up."""
        above = packet(home, port, up=True)
        key = flow_key(above)
        self.table.learn(home, key, bid, now)
        if key is not None:
            self.table.shorten(home, key, inbound=shortcut(above))

    def way(self, octets: bytes, direction: Direction) -> tuple[int, ...] | None:
        """Return form, room, and care-of address for a packet; None where none is known."""
        value = self.maps.flows.entries.get(emit_flow_key(shortcut(octets), direction))
        if value is None:
            return None
        number, *_ = FLOW.unpack_from(
            self.maps.flow_states.octets, NUMBER.unpack(value)[0] * FLOW.size
        )
        return self.numbered(number)

    def numbered(self, number: int) -> tuple[int, ...]:
        fields = WAY.unpack_from(self.maps.ways.octets, number * WAY.size)
        return fields[0], fields[1], fields[6]

    def down(self, home: bytes, port: int) -> tuple[int, ...] | None:
        return self.way(packet(home, port), Direction.OUTBOUND)


def path(bid: int, number: int | None = None) -> Path:
    return Path(bid=bid, care_of_address=care_of(number or bid))


def test_a_flow_has_the_way_that_the_table_chose() -> None:
    bed = Bed.made()
    bed.table.replace(HOMES[0], (path(1), path(2)))
    bed.sent(HOMES[0], 5000)
    assert bed.down(HOMES[0], 5000) == (Form.TUNNEL, USUAL_ROOM, care_of(1))
    assert bed.down(HOMES[0], 5001) is None


def test_a_path_that_is_down_takes_nothing_and_its_flow_moves() -> None:
    bed = Bed.made()
    bed.table.replace(HOMES[0], (path(1), path(2)))
    bed.sent(HOMES[0], 5000)
    bed.table.path_down(HOMES[0], 1)
    assert bed.down(HOMES[0], 5000) == (Form.TUNNEL, 0, care_of(1))
    bed.sent(HOMES[0], 5000)
    assert bed.down(HOMES[0], 5000) == (Form.TUNNEL, USUAL_ROOM, care_of(2))
    bed.table.path_up(HOMES[0], 1)
    bed.sent(HOMES[0], 5001)
    assert bed.down(HOMES[0], 5001) == (Form.TUNNEL, USUAL_ROOM, care_of(1))


def test_a_new_care_of_address_takes_the_flows_of_its_bid_along() -> None:
    bed = Bed.made()
    bed.table.replace(HOMES[0], (path(1),))
    bed.sent(HOMES[0], 5000)
    bed.table.replace(HOMES[0], (path(1, 77),))
    assert bed.down(HOMES[0], 5000) == (Form.TUNNEL, USUAL_ROOM, care_of(77))


def test_a_flow_whose_path_is_gone_is_the_daemons_business() -> None:
    bed = Bed.made()
    bed.table.replace(HOMES[0], (path(1), path(2)))
    bed.sent(HOMES[0], 5000)
    bed.table.replace(HOMES[0], (path(2),))
    found = bed.down(HOMES[0], 5000)
    assert found is not None
    assert found[1] == 0


def test_the_home_link_is_reached_by_frames() -> None:
    bed = Bed.made()
    at_home = Path(
        bid=9, care_of_address=HOMES[0], home=True, link_layer_address=MAC, device=4, mtu=1500
    )
    bed.table.replace(HOMES[0], (at_home,))
    bed.sent(HOMES[0], 5000)
    found = bed.down(HOMES[0], 5000)
    assert found is not None
    assert found[:2] == (Form.FRAME, 1500)
    assert MAC + OWN_MAC + b"\x86\xdd" in bytes(bed.maps.ways.octets)
    assert not bed.maps.entrances.entries  # what comes from there is nobody's tunnel packet


def test_without_room_in_the_maps_the_daemon_does_it_all() -> None:
    bed = Bed.made(MemoryMaps(ways=2, flows=1))
    bed.table.replace(HOMES[0], (path(1), path(2)))
    assert bed.maps.is_partial
    bed.sent(HOMES[0], 5000)
    bed.sent(HOMES[0], 5001)
    known = [port for port in (5000, 5001) if bed.down(HOMES[0], port)]
    assert len(known) == 1
    assert len(bed.table.outbound) == 1  # the other has a shortcut in the daemon
    assert bed.fast_path.refused == 1


def test_a_map_that_takes_no_more_is_no_end() -> None:
    bed = Bed.made()

    def full(_key: bytes, _value: bytes) -> None:
        raise OSError(errno.E2BIG, "full")

    for entries in (bed.maps.homes, bed.maps.entrances):
        entries.set = full  # type: ignore[method-assign]
    bed.table.replace(HOMES[0], (path(1),))
    assert bed.maps.is_partial
    assert bed.fast_path.refused == 2
    bed.table.replace(HOMES[0], ())


def test_what_was_carried_is_counted_and_keeps_flows_alive() -> None:
    bed = Bed.made(idle_s=10)
    bed.table.replace(HOMES[0], (path(1),))
    bed.sent(HOMES[0], 5000)
    bed.maps.flow_words[1] = 123  # the first entry has had a packet
    at = NUMBER.unpack(next(iter(bed.maps.entrances.entries.values())))[0] * WAY.size
    counters = bed.maps.ways.octets[at + WAY.size - 40 :].cast("Q")
    counters[0], counters[1], counters[2], counters[3] = 7, 700, 5, 500
    carried = list(bed.fast_path.collect())
    assert [far_end for _, far_end in carried] == [HOMES[0]]
    for flow, _ in carried:
        bed.table.carried(flow, 9.0)
    assert list(bed.fast_path.collect()) == []
    bed.table.expire(15.0)
    assert bed.table.flow_count == 1
    (state,) = bed.table.states_of(HOMES[0])
    assert (state.packets_out, state.octets_out) == (7, 700)
    assert (state.packets_in, state.octets_in) == (5, 500)
    bed.table.expire(19.5)
    assert bed.table.flow_count == 0
    assert not bed.maps.flows.entries


def test_a_daemon_goes_on_with_the_flows_of_a_dead_one() -> None:
    dead = Bed.made()
    dead.table.replace(HOMES[0], (path(1), path(2), path(3)))
    for port in range(5000, 5009):
        dead.sent(HOMES[0], port)
        dead.came(HOMES[0], port, 1 + port % 3)
    before = {port: dead.down(HOMES[0], port) for port in range(5000, 5009)}
    bed = Bed.made(dead.maps)
    # Until it has a say, all is as it was.
    assert {port: bed.down(HOMES[0], port) for port in before} == before
    bed.table.replace(HOMES[0], (path(1), path(2)))
    bed.fast_path.adopt(bed.table, HOMES[0], 1.0)
    bed.fast_path.finish()
    assert bed.table.flow_count == 6
    for port, found in before.items():
        if found is not None and found[2] == care_of(3):
            assert bed.down(HOMES[0], port) is None
        else:
            assert bed.down(HOMES[0], port) == found
            chosen = bed.table.choose(HOMES[0], flow_key(packet(HOMES[0], port)), 2.0)
            assert chosen is not None
            assert found is not None
            assert chosen.care_of_address == found[2]
    check(bed)


def test_what_is_decided_before_a_path_is_bound_again_stands() -> None:
    dead = Bed.made()
    dead.table.replace(HOMES[0], (path(1), path(2)))
    dead.sent(HOMES[0], 5000)
    dead.sent(HOMES[0], 5001)
    assert dead.down(HOMES[0], 5001) == (Form.TUNNEL, USUAL_ROOM, care_of(2))
    bed = Bed.made(dead.maps)
    bed.table.replace(HOMES[0], (path(1),))
    bed.fast_path.adopt(bed.table, HOMES[0], 1.0)
    bed.sent(HOMES[0], 5001)  # it was too large, say
    bed.table.replace(HOMES[0], (path(1), path(2)))
    bed.fast_path.adopt(bed.table, HOMES[0], 2.0)
    bed.fast_path.finish()
    assert bed.down(HOMES[0], 5001) == (Form.TUNNEL, USUAL_ROOM, care_of(1))
    check(bed)
    bed.table.expire(1000.0)
    assert not bed.maps.flows.entries
    check(bed)


def test_a_mobile_nodes_packets_are_of_two_forms() -> None:
    maps = MemoryMaps()
    table = ForwardingTable(follows_inbound=False)
    fast_path = KernelFastPath(maps, MobileNodeShapes(HOMES[0], AGENT))  # type: ignore[arg-type]
    table.speed_up(fast_path)
    bed = Bed(maps=maps, table=table, fast_path=fast_path)
    table.replace(HOMES[0], (Path(bid=1, care_of_address=care_of(1), device=5),))
    above = packet(HOMES[0], 5000, up=True)
    key = flow_key(above)
    assert key is not None
    for direct, form, room in ((False, Form.TUNNEL, 1460), (True, Form.HOME_ADDRESS, 1476)):
        table.route(HOMES[0], key, 0.0)
        table.shorten(HOMES[0], key, outbound=shortcut(above), direct=direct)
        found = bed.way(above, Direction.OUTBOUND)
        assert found is not None
        assert found[:2] == (form, room)
    table.reconsider(PEER)
    assert bed.way(above, Direction.OUTBOUND) is None
    table.reconsider(PEER)  # once more does no harm


@pytest.mark.requirement("S9-02")
@pytest.mark.parametrize("port", [0, 4191])
@pytest.mark.parametrize("gone", [1, 2])
@pytest.mark.parametrize("successor", [None, 77])
def test_the_entrance_of_two_bids_stays_while_one_has_it(
    port: int, gone: int, successor: int | None
) -> None:
    """Over IPv6 and in UDP: one BID is removed, or moves to another address."""
    maps = MemoryMaps()
    table = ForwardingTable(follows_inbound=True)
    shapes = HomeAgentShapes(AGENT, lambda: OWN_MAC, ipv4=bytes(10) + b"\xff\xff\1\2\3\4")
    table.speed_up(KernelFastPath(maps, shapes))  # type: ignore[arg-type]
    shared = [Path(bid=bid, care_of_address=care_of(9), port=port) for bid in (1, 2)]
    table.replace(HOMES[0], tuple(shared))
    assert len(maps.entrances.entries) == 1
    left = [each for each in shared if each.bid != gone]
    if successor:
        left.append(Path(bid=gone, care_of_address=care_of(successor), port=port))
    table.replace(HOMES[0], tuple(left))
    sources = {ENTRANCE.unpack(key)[1] for key in maps.entrances.entries}
    assert sources == {each.care_of_address for each in left}
    table.replace(HOMES[0], ())
    assert not maps.entrances.entries


def test_a_path_that_changes_its_name_keeps_its_entrance() -> None:
    """At home, a mobile node's visited links lead to correspondents alone."""
    maps = MemoryMaps()
    table = ForwardingTable(follows_inbound=False)
    table.speed_up(KernelFastPath(maps, MobileNodeShapes(HOMES[0], AGENT)))  # type: ignore[arg-type]
    usual = Path(bid=1, care_of_address=care_of(1), device=5)
    alone = replace(usual, direct_only=True)
    table.replace(DIRECT, (alone,))
    assert len(maps.entrances.entries) == 1
    table.replace(HOMES[0], (usual,))
    table.replace(DIRECT, ())
    assert len(maps.entrances.entries) == 2  # of the tunnel, and of what comes straight
    table.replace(DIRECT, (alone,))
    table.replace(HOMES[0], ())
    assert len(maps.entrances.entries) == 1


def check(bed: Bed) -> None:
    """Compare all that stands in the maps with the table."""
    table, maps = bed.table, bed.maps
    entrances = {
        ENTRANCE.unpack(key)[:2]: NUMBER.unpack(value)[0]
        for key, value in maps.entrances.entries.items()
    }
    bound = {
        (home, each.care_of_address) for home, paths in table.bindings.items() for each in paths
    }
    assert entrances.keys() == bound
    assert len(set(entrances.values())) == len(entrances)
    for (home, address), number in entrances.items():
        accepted = table.accept(address, home)
        assert accepted is not None
        assert bed.fast_path._numbers[home][accepted][0] == number
    assert NO_WAY not in entrances.values()
    homes = {
        HOME_KEY.unpack(key)[0]: HOME.unpack(value) for key, value in maps.homes.entries.items()
    }
    assert homes.keys() == table.bindings.keys()
    for home, (equals, *numbers) in homes.items():
        listed = [bed.numbered(number)[2] for number in numbers if number != NO_WAY]
        paths = sorted(table.bindings[home], key=lambda each: each.priority)
        assert listed == [each.care_of_address for each in paths]
        assert equals == sum(each.priority == paths[0].priority for each in paths)
    for (home, address), number in entrances.items():
        form, room, destination = bed.numbered(number)
        assert (form, destination) == (Form.TUNNEL, address)
        state = table.state(home, table.accept(address, home) or 0)
        if state is not None and state.bound:
            assert bool(room) == state.live
    for flow in flows_of(table):
        for octets, direction in packets_of(flow):
            found = bed.way(octets, direction)
            if found is not None and found[1]:
                assert found[2] == flow.path.path.care_of_address
                assert flow.path.live
    keys = {
        emit_flow_key(shortcut(octets), direction)
        for flow in flows_of(table)
        for octets, direction in packets_of(flow)
    }
    assert maps.flows.entries.keys() <= keys
    indexes = [NUMBER.unpack(value)[0] for value in maps.flows.entries.values()]
    assert len(set(indexes)) == len(indexes)


def flows_of(table: ForwardingTable) -> list[Flow]:
    return [flow for home in table._homes.values() for flow in home.flows.values()]


def packets_of(flow: Flow) -> list[tuple[bytes, Direction]]:
    port = int.from_bytes(flow.key[17:19])
    home = flow.home.address
    return [
        (packet(home, port), Direction.OUTBOUND),
        (packet(home, port, up=True), Direction.INBOUND),
    ]


homes, ports, bids = st.sampled_from(HOMES), st.integers(5000, 5007), st.integers(1, 4)


class Agent(RuleBasedStateMachine):
    """Whatever happens, the maps say what the table says, and nothing is leaked."""

    @initialize()
    def begin(self) -> None:
        self.bed = Bed.made(MemoryMaps(ways=32, flows=24), most_flows_a_home=5)
        self.now = 0.0

    @rule(
        home=homes,
        chosen=st.dictionaries(bids, st.integers(1, 6), max_size=4),
        first=st.none() | bids,
    )
    def replace(self, home: bytes, chosen: dict[int, int], first: int | None) -> None:
        """Several BIDs may have one care-of address."""
        paths = tuple(
            replace(path(bid, number), priority=0 if bid == first else 5)
            for bid, number in chosen.items()
        )
        self.bed.table.replace(home, paths)
        self.bed.table.obey(home, self.now)

    @rule(home=homes, port=ports)
    def send(self, home: bytes, port: int) -> None:
        self.bed.sent(home, port, self.now)

    @rule(home=homes, port=ports, bid=bids)
    def receive(self, home: bytes, port: int, bid: int) -> None:
        self.bed.came(home, port, bid, self.now)

    @rule(home=homes, bid=bids, is_up=st.booleans())
    def judge(self, home: bytes, bid: int, is_up: bool) -> None:
        (self.bed.table.path_up if is_up else self.bed.table.path_down)(home, bid)

    @rule(passed_s=st.sampled_from((0.3, 3.0, 400.0)))
    def wait(self, passed_s: float) -> None:
        self.now += passed_s
        self.bed.table.expire(self.now)

    @rule(home=homes)
    def rebalance(self, home: bytes) -> None:
        self.bed.table.rebalance(home, self.now)

    @rule()
    def reconsider(self) -> None:
        self.bed.table.reconsider(PEER)

    @rule(lost=st.sets(homes))
    def die_and_start_again(self, lost: set[bytes]) -> None:
        """Bindings may have ended while it was dead."""
        bindings = {
            home: paths for home, paths in self.bed.table.bindings.items() if home not in lost
        }
        self.bed = Bed.made(self.bed.maps, most_flows_a_home=5)
        for home, paths in bindings.items():
            self.bed.table.replace(home, paths)
            self.bed.fast_path.adopt(self.bed.table, home, self.now)
        self.bed.fast_path.finish()

    @invariant()
    def agrees(self) -> None:
        check(self.bed)


TestAgent = Agent.TestCase
TestAgent.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_a_number_given_back_is_the_last_to_be_used_again() -> None:
    bed = Bed.made(MemoryMaps(ways=8))
    numbers = []
    for turn in range(1, 15):
        bed.table.replace(HOMES[0], (path(1, turn),))
        numbers.append(NUMBER.unpack(next(iter(bed.maps.entrances.entries.values())))[0])
    assert all(len(set(numbers[at : at + 7])) == 7 for at in range(len(numbers) - 7))


@pytest.mark.parametrize("direction", Direction)
def test_a_refused_flow_leaves_no_trace(direction: Direction) -> None:
    bed = Bed.made(MemoryMaps(flows=0))
    bed.table.replace(HOMES[0], (path(1),))
    bed.sent(HOMES[0], 5000)
    bed.came(HOMES[0], 5000, 1)
    assert bed.way(packet(HOMES[0], 5000), direction) is None
    check(bed)
