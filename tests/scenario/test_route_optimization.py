"""A mobile node and its correspondent in figure 1, packet by packet, in virtual time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network
from itertools import pairwise
from random import Random

import pytest

from mcoa.binding.routability import MAX_TOKEN_LIFETIME_S
from mcoa.engine.patience import IDLE_S
from mcoa.engine.policy import CorrespondentPolicy, MultipleCareOf
from mcoa.lab.sightings import IPV6, MOBILITY, header_chain
from mcoa.lab.simulated.echo import EchoTrain
from mcoa.lab.simulated.links import UP
from mcoa.lab.simulated.network import PacketNetwork
from mcoa.lab.topology import Topology
from mcoa.wire.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    CareOfTestInit,
    HomeTestInit,
    Message,
    decode_message,
)
from mcoa.wire.registry import UpdateFlag

EVERYBODY = (IPv6Network("::/0"),)
LINKS = ("lte", "wifi", "sat")
SLOWEST_S = 0.1  # a round trip, and more


@dataclass
class Seen:
    """A message at an uplink."""

    at_s: float
    link: str
    out: bool
    source: IPv6Address
    destination: IPv6Address
    tunnelled: bool
    message: Message


@dataclass
class World:
    """Figure 1, with everybody in it running."""

    seed: int = 1
    policy: CorrespondentPolicy | None = None
    has_peer: bool = True
    node: dict[str, object] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    data: list[tuple[float, str, bool, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = PacketNetwork(Topology(), Random(self.seed))
        self.clock = self.network.clock
        self.peer = self.network.topology.correspondent
        self.network.taps.append(self.show)
        self.network.start_agent()
        if self.has_peer:
            self.network.start_correspondent(self.policy)
        self.network.start_node(**{"optimized": EVERYBODY, **self.node})
        self.run(2.0)

    def run(self, seconds: float) -> None:
        self.clock.run_until(self.clock.now + seconds)

    def show(self, link: str, way: str, packet: bytes) -> None:
        chain = header_chain(packet)
        outer = [at for protocol, at in chain if protocol == IPV6]
        protocol, offset = chain[-1]
        start = outer[-1]
        if protocol != MOBILITY:
            self.data.append((self.clock.now, link, way == UP, len(outer) > 1))
            return
        self.seen.append(
            Seen(
                at_s=self.clock.now,
                link=link,
                out=way == UP,
                source=IPv6Address(packet[start + 8 : start + 24]),
                destination=IPv6Address(packet[start + 24 : start + 40]),
                tunnelled=len(outer) > 1,
                message=decode_message(packet[offset:]),
            )
        )

    def said(self, kind: type, since_s: float = 0.0) -> list[Seen]:
        """Return what the node said to the correspondent."""
        return [
            each
            for each in self.seen
            if each.out and each.destination == self.peer and each.at_s >= since_s
            if isinstance(each.message, kind)
        ]

    def echo(self, count: int = 20, *, interval_s: float = 0.05, train: int = 1) -> EchoTrain:
        made = EchoTrain(
            self.clock,
            self.network.correspondent,
            self.network.mobile_node.address,
            identifier=train,
            count=count,
            interval_s=interval_s,
        )
        made.begin()
        self.run(count * interval_s + (SLOWEST_S if count > 1 else 0.0))
        return made

    def bound(self) -> dict[int | None, IPv6Address]:
        home = self.network.topology.home_address
        return {b.bid: b.care_of_address for b in self.network.peer.bindings(self.peer, home)}

    def addresses(self, *names: str) -> set[IPv6Address]:
        return {self.network.links[name].address for name in names}

    def is_direct(self) -> bool:
        """Tell whether what goes on now goes without a tunnel."""
        begin = self.clock.now
        self.echo(10)
        self.run(0.2)
        return not any(tunnelled for at_s, _, _, tunnelled in self.data if at_s > begin + 0.1)


@pytest.fixture
def world() -> World:
    made = World()
    made.echo()
    return made


@pytest.mark.requirement("S2-07", "S3-07", "S3-08", "S3-09", "S5.2-05", "S5.2-06", "S5.3-02")
def test_each_care_of_address_is_tested_and_bound_by_an_update_of_its_own(world: World) -> None:
    assert world.bound() == {
        number: world.network.links[name].address for number, name in enumerate(LINKS, start=1)
    }
    (home_test,) = world.said(HomeTestInit)
    assert home_test.tunnelled
    assert home_test.source == world.network.topology.home_address
    tests, updates = world.said(CareOfTestInit), world.said(BindingUpdate)
    assert {each.source for each in tests} == world.addresses(*LINKS)
    assert len({each.message.cookie for each in tests}) == len(tests) == 3
    assert [[i.bid for i in each.message.identifiers] for each in updates] == [[1], [2], [3]]
    for each in updates:
        answered = [s.at_s for s in world.seen if not s.out and s.at_s < each.at_s]
        assert len(answered) >= 2
        assert not each.message.flags & UpdateFlag.HOME
    first, *others = updates
    assert first.message.flags & UpdateFlag.OVERWRITE
    assert not any(each.message.flags & UpdateFlag.OVERWRITE for each in others)


def test_packets_take_the_tunnel_first_and_the_direct_way_then(world: World) -> None:
    assert world.data[0][3]
    assert world.is_direct()
    assert world.echo().result().lost == 0


@pytest.mark.requirement("S6.2-09")
def test_a_dead_links_address_is_deregistered_from_another(world: World) -> None:
    begin = world.clock.now
    world.network.cut("lte")
    train = world.echo(20)
    (farewell,) = [u for u in world.said(BindingUpdate, begin) if not u.message.lifetime_s]
    assert farewell.link in {"wifi", "sat"}
    assert [i.bid for i in farewell.message.identifiers] == [1]
    assert set(world.bound().values()) == world.addresses("wifi", "sat")
    assert train.result().longest_silence(begin) < 0.2
    assert world.is_direct()
    world.network.restore("lte")
    world.echo(40)
    assert set(world.bound().values()) == world.addresses(*LINKS)


def test_a_correspondent_that_forgot_is_gone_round_and_then_bound_again(world: World) -> None:
    world.network.start_correspondent()
    begin = world.clock.now
    train = world.echo(40, train=2)
    errors = [s for s in world.seen if isinstance(s.message, BindingError)]
    assert errors
    assert any(tunnelled for at_s, _, _, tunnelled in world.data if at_s > begin)
    assert set(world.bound().values()) == world.addresses(*LINKS)
    assert train.result().lost <= 2
    assert world.is_direct()


@pytest.mark.requirement("S3-27")
@pytest.mark.parametrize("multiple", [MultipleCareOf.IGNORE, MultipleCareOf.PROHIBIT])
def test_a_correspondent_without_identifiers_gets_one_plain_binding(
    multiple: MultipleCareOf,
) -> None:
    world = World(policy=CorrespondentPolicy(multiple_care_of=multiple))
    world.echo(60)
    (bid,) = world.bound()
    assert bid is None
    assert world.echo(60, train=2).result().lost == 0
    world.network.cut(*(n for n in LINKS if world.addresses(n) == set(world.bound().values())))
    world.echo(100)
    assert list(world.bound()) == [None]
    assert world.bound()[None] in world.addresses(*world.network.registered())


@pytest.mark.requirement("S3-11")
def test_a_plain_mobile_node_has_one_plain_binding_there() -> None:
    world = World(node={"multiple_care_of": False})
    world.echo(40)
    assert list(world.bound()) == [None]
    assert all(u.message.identifiers == () for u in world.said(BindingUpdate))
    assert world.echo(40).result().lost == 0


def test_a_host_that_knows_no_mobility_is_asked_ever_more_seldom() -> None:
    world = World(has_peer=False)
    train = world.echo(12_000, interval_s=0.1)
    assert train.result().lost == 0
    assert 3 <= len(world.said(HomeTestInit)) <= 3 * 8
    assert world.said(BindingUpdate) == []


def test_who_is_not_to_be_optimized_is_left_alone() -> None:
    peer = IPv6Network("2001:db8:2::/64")
    world = World(node={"optimized": (IPv6Network("2001:db8:77::/48"),)})
    world.echo()
    assert world.said(HomeTestInit) == []
    policy = world.network.node.policy
    assert not policy.optimizes(peer[0x10])


def test_bindings_and_tokens_are_renewed_while_they_are_used(world: World) -> None:
    begin = world.clock.now
    for _ in range(360):
        world.echo(1, interval_s=10.0)
        assert set(world.bound().values()) == world.addresses(*LINKS)
    assert world.is_direct()
    times = [each.at_s for each in world.said(HomeTestInit)]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert max(pauses) < MAX_TOKEN_LIFETIME_S
    assert world.clock.now - begin > 3600
    refused = [
        s
        for s in world.seen
        if isinstance(s.message, BindingAcknowledgement) and s.message.status.is_rejection
    ]
    assert refused == []


def test_who_is_not_talked_to_is_forgotten_without_a_word(world: World) -> None:
    begin = world.clock.now
    world.run(IDLE_S + 500.0)
    assert world.bound() == {}
    assert list(world.network.node.optimization) == []
    late = [s for s in world.said(BindingUpdate, begin) if s.at_s > begin + IDLE_S]
    assert late == []


@pytest.mark.requirement("S5.8-04")
def test_rfc5648_5_8_what_is_asked_for_is_proven_anew_where_the_tokens_are_stale() -> None:
    world = World(policy=CorrespondentPolicy(max_lifetime_s=212))
    world.echo()
    node, begin = world.network.node, world.clock.now
    (known,) = node.optimization
    for entry in known.update_list:
        entry.refresh_at_s = float("inf")  # it leaves the asking to the correspondent
    for _ in range(20):
        world.echo(1, interval_s=10.0)
    world.echo(4, interval_s=5.0)
    asked = [s for s in world.seen if isinstance(s.message, BindingRefreshRequest)]
    assert asked
    updates = world.said(BindingUpdate, asked[0].at_s)
    assert len(updates) >= 3
    for update in updates:
        tested = [s.at_s for s in world.said(CareOfTestInit, begin) if s.at_s < update.at_s]
        assert update.at_s - max(tested) < MAX_TOKEN_LIFETIME_S
    assert len(world.bound()) == 3


def test_a_node_that_stops_deregisters_at_its_correspondents_too(world: World) -> None:
    world.network.stop_node()
    world.run(1.0)
    assert world.network.is_node_stopped
    assert world.bound() == {}


@pytest.mark.requirement("S9.3.1-01", "S9.3.1-04", "S9.3.1-05")
def test_rfc5648_9_3_1_a_home_test_is_good_over_whichever_address_it_came() -> None:
    world = World()
    world.network.cut("lte")
    world.run(1.0)
    world.echo()
    (init,) = world.said(HomeTestInit)
    assert init.link == "wifi"
    assert len(world.bound()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_the_echo_comes_back_and_becomes_direct(seed: int) -> None:
    world = World(seed=seed)
    rng = Random(seed)
    down: set[str] = set()
    for step in range(30):
        match rng.randrange(4):
            case 0:
                world.network.start_correspondent()
            case 1 if len(down) < 2:
                name = rng.choice([each for each in LINKS if each not in down])
                world.network.cut(name)
                down.add(name)
            case 2 if down:
                name = rng.choice(sorted(down))
                world.network.restore(name)
                down.discard(name)
            case _:
                pass
        world.echo(rng.randrange(1, 30), train=step)
        world.run(rng.choice((0.0, 0.5, 70.0, 250.0)) * rng.random())
    world.network.restore(*down)
    for train in range(100, 130):
        world.echo(20, train=train)
    assert set(world.bound().values()) == world.addresses(*LINKS), f"seed {seed}"
    assert world.echo(40, train=200).result().lost == 0, f"seed {seed}"
    assert world.is_direct(), f"seed {seed}"
    for kind in (HomeTestInit, CareOfTestInit, BindingUpdate):
        assert busiest_second(each.at_s for each in world.said(kind)) <= 3, f"seed {seed}"


def busiest_second(times: Iterator[float]) -> int:
    """Return how many of these lie within any one second."""
    ordered = list(times)
    return max((sum(t <= other < t + 0.999 for other in ordered) for t in ordered), default=0)
