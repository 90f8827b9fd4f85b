"""Movement: careful and fast (RFC 6275 §11.5, RFC 4429)."""

import time
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

import pytest

from mcoa.lab.capture import Tap
from mcoa.lab.meters.launch import Meter, start_echo
from mcoa.lab.meters.results import EchoResult
from mcoa.lab.mishaps import renumber, roam
from mcoa.lab.nodes import NODE
from mcoa.lab.recorder import Recorded, Recorder
from mcoa.lab.sightings import ICMPV6, header_chain
from mcoa.lab.topology import CORRESPONDENT
from mcoa.wire.messages import BindingUpdate
from netns.daemon.laboratory import Laboratory, answers, laboratory, until
from netns.daemon.wire import Sighting

pytestmark = pytest.mark.netns

ELSEWHERE, TAKEN = IPv6Network("2001:db8:e::/64"), IPv6Network("2001:db8:e1::/64")
ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION = 134, 135
IPV6 = 41
ATTEMPTS = 3
DETECTION_S = 1.0  # what a stack loses that waits for its end


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with laboratory() as built:
        yield built


@pytest.fixture(autouse=True)
def all_carriers(lab: Laboratory) -> Iterator[None]:
    """Leave every link its carrier, whatever a test came to."""
    yield
    lab.network.set_loss("sat", 0)
    missing = [
        each.name for each in lab.topology.links if not lab.network.has_carrier(each.name)
    ]
    if missing:
        lab.network.restore(*missing)


def train(
    lab: Laboratory, identifier: int, *, duration_s: float, interval_s: float = 0.01
) -> Meter[EchoResult]:
    """Start echo requests from the correspondent to the home address."""
    return start_echo(
        lab.network.namespaces,
        lab.network[CORRESPONDENT],
        str(lab.topology.home_address),
        identifier=identifier,
        duration_s=duration_s,
        interval_s=interval_s,
    )


def icmpv6_type(seen: Recorded) -> int | None:
    """Return the type of an ICMPv6 message, in a tunnel too."""
    protocol, offset = header_chain(seen.packet)[-1]
    return seen.packet[offset] if protocol == ICMPV6 else None


def is_tunnelled_data(seen: Recorded) -> bool:
    """A packet of the echo train inside a tunnel."""
    chain = [protocol for protocol, _ in header_chain(seen.packet)]
    return chain[:2] == [IPV6, IPV6] and icmpv6_type(seen) in (128, 129)


def handover_s(lab: Laboratory, network: IPv6Network, router: int) -> float:
    """Lose the last link and get another network; return the seconds from its word to data."""
    lab.network.cut("wifi", "sat")
    lab.until_registered("lte")
    running = train(lab, router, duration_s=9.0, interval_s=0.005)
    time.sleep(1.0)
    lab.network.cut("lte")
    tap = Tap(namespace=lab.mobile_node.path, interface="wifi", label="wifi")
    with Recorder([tap]) as recorder:
        roam(lab.network, "wifi", network, router=router)
        until(lambda: addresses_of(lab, "wifi", network), "an address of the new network")
        time.sleep(0.3)
        seen = [each for each in recorder.seen() if not each.outbound]
    advertised_s = min(e.time_s for e in seen if icmpv6_type(e) == ROUTER_ADVERTISEMENT)
    data = [each for each in seen if is_tunnelled_data(each) and each.time_s > advertised_s]
    lab.network.restore("lte", "sat")
    lab.until_registered()
    running.result()
    return data[0].time_s - advertised_s


def test_a_handover_without_overlap_takes_a_round_trip_and_little_more(lab: Laboratory) -> None:
    """From the new router's advertisement to the first packet of the home address."""
    bound_s = lab.topology.link("wifi").rtt_s + 0.080  # a detection of duplicates takes 1 s
    taken_s: list[float] = []
    while len(taken_s) < ATTEMPTS and min(taken_s, default=9.0) > bound_s:
        number = len(taken_s)
        network = IPv6Network(f"2001:db8:f{number}::/64")
        taken_s.append(handover_s(lab, network, router=0xF0 + number))
    assert min(taken_s) <= bound_s, taken_s


def detections_of(lab: Laboratory, address: IPv6Address, since_s: float) -> list[Sighting]:
    """Return the solicitations from nowhere that look for duplicates of an address."""
    return [
        each
        for each in lab.wire.seen(since_s)
        if each.icmpv6_type == NEIGHBOUR_SOLICITATION
        and each.source == IPv6Address(0)
        and IPv6Address(each.packet[48:64]) == address
    ]


def updates_with(lab: Laboratory, address: IPv6Address, since_s: float) -> list[Sighting]:
    return [
        seen
        for seen, message in lab.wire.messages(since_s)
        if isinstance(message, BindingUpdate)
        and address in [each.care_of_address for each in message.identifiers]
    ]


def addresses_of(lab: Laboratory, link: str, network: IPv6Network) -> list[IPv6Address]:
    held = [IPv6Address(a) for name, a in lab.registered().values() if name == link]
    return [each for each in held if each in network]


def test_detection_of_duplicates_runs_and_nobody_waits_for_it(lab: Laboratory) -> None:
    began_s = time.time()
    roam(lab.network, "lte", ELSEWHERE, router=0xE1)
    until(lambda: addresses_of(lab, "lte", ELSEWHERE), "the new address registered")
    [address] = addresses_of(lab, "lte", ELSEWHERE)
    [detection, *_] = detections_of(lab, address, began_s)
    [update, *_] = updates_with(lab, address, began_s)
    assert detection.place == "lte"
    assert update.time_s - detection.time_s < 0.5 * DETECTION_S


def test_an_address_that_somebody_else_has_is_given_up(lab: Laboratory) -> None:
    """Detection fails after the address has been registered: the binding goes with it."""
    [present] = [IPv6Address(a) for name, a in lab.registered().values() if name == "lte"]
    taken = IPv6Address(int(TAKEN[0]) | int(present) & (1 << 64) - 1)
    router = lab.network[lab.topology.link("lte").router]
    router.ip(f"address add {taken}/128 dev radio nodad")
    began_s = time.time()
    renumber(lab.network, "lte", TAKEN, ending=(ELSEWHERE,))
    until(lambda: detections_of(lab, taken, began_s), "a detection")
    until(lambda: updates_with(lab, taken, began_s), "an update with it")

    def is_given_up() -> bool:
        held = {bid: address for bid, (_, address) in lab.registered().items()}
        return held == lab.cache() and str(taken) not in held.values()

    until(is_given_up, lambda: f"{taken}; {lab.registered()}, agent {lab.cache()}")
    number = len(updates_with(lab, taken, began_s))
    time.sleep(4.0)  # the router goes on advertising the prefix, and the kernel to hope
    assert len(updates_with(lab, taken, began_s)) == number
    router.ip(f"address del {taken}/128 dev radio")
    roam(lab.network, "lte", ELSEWHERE, router=0xE2)
    lab.until_registered()


def test_a_router_that_does_not_answer_takes_its_link_along(lab: Laboratory) -> None:
    """The carrier stays, and nobody says anything: neighbour unreachability tells."""
    lab.mobile_node.sysctl(
        neigh__sat__base_reachable_time_ms=1000,
        neigh__sat__delay_first_probe_time=1,
        neigh__sat__retrans_time_ms=200,
    )
    # So many that each link has some: who says nothing to a router hears nothing of it.
    trains = [train(lab, 430 + number, duration_s=12.0) for number in range(6)]
    time.sleep(1.0)
    lab.network.blackhole("sat")
    lab.until_registered("lte", "wifi")
    assert lab.status(NODE)["links"][2]["state"] == "router silent"
    assert answers(lab.network[CORRESPONDENT], lab.topology.home_address, identifier=44)
    lab.network.set_loss("sat", 0)
    lab.until_registered()
    for each in trains:
        each.result()


def test_a_network_that_claims_to_be_home_cannot_take_the_traffic(lab: Laboratory) -> None:
    """A hostile router advertises the home prefix: the agent is not there, and nothing moves."""
    began_s = time.time()
    home = lab.topology.home_prefix
    running = train(lab, 45, duration_s=8.0)
    time.sleep(1.0)
    roam(lab.network, "lte", home, router=0xED)
    time.sleep(4.0)
    assert set(lab.nodes.registered()) == {"wifi", "sat"}, lab.status(NODE)["bindings"]
    result = running.result()
    assert result.longest_silence() < 1.0
    roam(lab.network, "lte", ELSEWHERE, router=0xE3)
    lab.until_registered()
    home_address = lab.topology.home_address
    bare = [
        each
        for each in lab.wire.seen(began_s)
        if each.source == home_address and each.place == "lte"
    ]
    assert all(each.message is not None for each in bare)
