"""Care-of addresses come, change and go, and the bindings follow."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import pytest

from mcoa.engine.policy import AtHome
from mcoa.lab.flows import FlowTally
from mcoa.lab.mishaps import plug_in, renumber, roam, unplug
from mcoa.lab.namespaces import run
from mcoa.lab.nodes import AGENT, NODE
from mcoa.lab.sightings import Flow
from mcoa.lab.topology import CORE, CORRESPONDENT
from mcoa.wire.messages import BindingUpdate
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import UpdateFlag
from netns.daemon.laboratory import Laboratory, Udp, answers, frozen, laboratory, until
from netns.daemon.wire import HOME_LINK

pytestmark = pytest.mark.netns

SECOND, THIRD = IPv6Network("2001:db8:a2::/64"), IPv6Network("2001:db8:a3::/64")
ELSEWHERE = IPv6Network("2001:db8:e::/64")
FLOWS = 6
BIDS = {"lte": 1, "wifi": 2, "sat": 3}


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    """Figure 1 with a mobile node that stays away from home wherever the home link seems to be."""
    with laboratory(at_home=AtHome.FOREIGN) as built:
        yield built


def is_served(lab: Laboratory, identifier: int) -> bool:
    """Tell whether the correspondent reaches the home address."""
    return answers(lab.network[CORRESPONDENT], lab.topology.home_address, identifier=identifier)


def addresses_of(lab: Laboratory, link: str) -> list[IPv6Address]:
    """Return what is registered of a link."""
    return [IPv6Address(address) for name, address in lab.registered().values() if name == link]


def until_bound(lab: Laboratory, link: str, *prefixes: IPv6Network) -> None:
    """Wait until both ends hold one address of a link out of each prefix, and no other."""

    def is_bound() -> bool:
        found = addresses_of(lab, link)
        return len(found) == len(prefixes) and all(
            any(address in prefix for address in found) for prefix in prefixes
        )

    others = [each.name for each in lab.topology.links if each.name != link]
    until(
        lambda: is_bound() and lab.agree(*others, *[link] * len(prefixes)),
        lambda: f"{link} bound in {prefixes}; {lab.registered()}, agent {lab.cache()}",
    )


@pytest.mark.requirement("S2-06", "S5.9-01")
def test_three_advertised_prefixes_are_registered_in_one_update(lab: Laboratory) -> None:
    assert {link: bid for bid, (link, _) in lab.registered().items()} == BIDS
    for link in lab.topology.links:
        until_bound(lab, link.name, link.prefix)
    updates = {
        message.sequence: message
        for sighting, message in lab.wire.messages()
        if isinstance(message, BindingUpdate) and sighting.place == HOME_LINK
    }
    [update] = updates.values()
    assert update.flags & UpdateFlag.OVERWRITE
    assert len(update.identifiers) == 3
    assert is_served(lab, 1)


@pytest.mark.requirement("S10-03")
def test_the_agent_tells_whose_every_binding_is(lab: Laboratory) -> None:
    lines = lab.nodes.log(AGENT).read_text("utf-8").splitlines()
    told = [line for line in lines if "bindings-changed" in line][-1]
    assert f"home_address={lab.topology.home_address}" in told
    for bid, address in lab.cache().items():
        assert f"{bid}:{address}" in told


def test_each_care_of_address_is_reached_by_its_own_link(lab: Laboratory) -> None:
    """What is said to it directly is answered from it, and by no tunnel."""
    for number, link in enumerate(BIDS, 100):
        [address] = addresses_of(lab, link)
        with FlowTally(lab.mobile_node, list(BIDS)) as tally:
            assert answers(lab.network[CORRESPONDENT], address, identifier=number)
            assert tally.counts().carriers_of(Flow.echo(number)) == {link}


def test_a_renumbered_link_binds_the_new_address_alone(lab: Laboratory) -> None:
    """The kernel keeps a prefix that has come to its end for two hours more."""
    old = lab.topology.link("lte").prefix
    renumber(lab.network, "lte", SECOND, ending=(old,))
    until_bound(lab, "lte", SECOND)
    assert is_served(lab, 2)
    renumber(lab.network, "lte", old, ending=(SECOND,))
    until_bound(lab, "lte", old)


def test_nothing_is_lost_while_an_address_gives_way_to_its_successor(lab: Laboratory) -> None:
    """Until the agent knows the new one, it sends to the old one."""
    old = lab.topology.link("lte").prefix
    # While it asks for the new neighbour, the router keeps packets: more than usual here.
    lab.network[lab.topology.link("lte").router].sysctl(neigh__radio__unres_qlen_bytes=1 << 20)
    got: Counter[int] = Counter()
    with Udp(lab.mobile_node) as sink, ExitStack() as stack:
        sources = [stack.enter_context(Udp(lab.network[CORRESPONDENT])) for _ in range(FLOWS)]
        for number in range(1000):
            if number == 300:
                renumber(lab.network, "lte", SECOND, ending=(old,))
            for source in sources:
                payload = number.to_bytes(2)
                assert source.send(payload, lab.topology.home_address, sink.port) == 0
            time.sleep(0.001)
            got.update(port for _, _, port in sink.received())
        until_bound(lab, "lte", SECOND)
        time.sleep(0.2)  # for what is still on its way
        got.update(port for _, _, port in sink.received())
    renumber(lab.network, "lte", old, ending=(SECOND,))
    until_bound(lab, "lte", old)
    assert got == dict.fromkeys([source.port for source in sources], 1000)


def test_two_prefixes_on_one_link_are_two_bindings(lab: Laboratory) -> None:
    first = lab.topology.link("sat").prefix
    [before] = addresses_of(lab, "sat")
    renumber(lab.network, "sat", first, THIRD)
    until_bound(lab, "sat", first, THIRD)
    assert lab.cache()[BIDS["sat"]] == str(before)
    assert is_served(lab, 3)
    renumber(lab.network, "sat", first, ending=(THIRD,))
    until_bound(lab, "sat", first)
    assert lab.cache()[BIDS["sat"]] == str(before)


@pytest.mark.parametrize("busy", [False, True])
def test_a_link_may_be_switched_off_and_on(lab: Laboratory, *, busy: bool) -> None:
    with frozen(lab, NODE) if busy else nullcontext():
        lab.mobile_node.ip("link set lte down")
        if not busy:
            lab.until_registered("wifi", "sat")
        lab.mobile_node.ip("link set lte up")
    until(
        lambda: (
            lab.agree("lte", "wifi", "sat")
            and lab.network.care_of_addresses().get("lte") in addresses_of(lab, "lte")
        ),
        "lte registered",
    )
    assert is_served(lab, 110 + busy)


def test_an_address_that_vanishes_is_deregistered_and_its_bid_comes_back(
    lab: Laboratory,
) -> None:
    [address] = addresses_of(lab, "wifi")
    lab.mobile_node.sysctl(conf__wifi__accept_ra=0)  # or the kernel forms it anew at once
    lab.mobile_node.ip(f"address del {address}/64 dev wifi")
    lab.until_registered("lte", "sat")
    assert is_served(lab, 4)
    lab.mobile_node.sysctl(conf__wifi__accept_ra=1)
    lab.mobile_node.ip(f"address replace {address}/64 dev wifi")
    lab.until_registered()
    assert addresses_of(lab, "wifi") == [address]


def test_a_static_address_and_route_will_do(lab: Laboratory) -> None:
    link = lab.topology.link("wifi")
    address = link.prefix[0xABC]
    lab.mobile_node.sysctl(conf__wifi__accept_ra=0)
    lab.mobile_node.ip("address flush dev wifi scope global", "route flush dev wifi proto ra")
    lab.until_registered("lte", "sat")
    lab.mobile_node.ip(
        f"address add {address}/128 dev wifi",
        f"route add {link.prefix[1]} dev wifi",
        f"route add default via {link.prefix[1]} dev wifi metric 2048",
    )
    lab.until_registered()
    assert addresses_of(lab, "wifi") == [address]
    assert is_served(lab, 5)
    lab.mobile_node.ip("address flush dev wifi scope global", "route flush dev wifi")
    lab.mobile_node.sysctl(conf__wifi__accept_ra=1)
    lab.until_registered()
    assert addresses_of(lab, "wifi") != [address]


@pytest.mark.parametrize("link", ["lte", "wifi"])
def test_an_interface_may_be_unplugged_and_put_back(lab: Laboratory, link: str) -> None:
    others = {"lte", "wifi", "sat"} - {link}
    unplug(lab.network, link)
    lab.until_registered(*others)
    [state] = [each["state"] for each in lab.status(NODE)["links"] if each["name"] == link]
    assert state == "missing"
    assert is_served(lab, 6)
    plug_in(lab.network, link)
    lab.until_registered()
    assert is_served(lab, 7)


def test_an_interface_that_comes_back_with_another_number_is_used_again(
    lab: Laboratory,
) -> None:
    number = lab.mobile_node.call(lambda: socket.if_nametoindex("sat"))
    unplug(lab.network, "sat")
    lab.mobile_node.ip(f"link add taken0 index {number} type veth peer name taken1")
    plug_in(lab.network, "sat")
    assert lab.mobile_node.call(lambda: socket.if_nametoindex("sat")) != number
    lab.until_registered()
    lab.mobile_node.ip("link del taken0")
    lab.until_registered()
    assert is_served(lab, 7)


@pytest.mark.parametrize("there", [True, False])
def test_what_befell_an_interface_while_the_daemon_was_busy_is_seen(
    lab: Laboratory, *, there: bool
) -> None:
    """It is gone, back and perhaps gone again, all in one reading of the announcements."""
    with frozen(lab, NODE):
        unplug(lab.network, "wifi")
        plug_in(lab.network, "wifi")
        until(lambda: "wifi" in lab.network.care_of_addresses(), "an address")
        time.sleep(0.1)  # for its default route
        lab.mobile_node.ip(f"link set wifi txqueuelen {900 + there}")  # is announced, too
        if not there:
            unplug(lab.network, "wifi")
    if not there:
        lab.until_registered("lte", "sat")
        plug_in(lab.network, "wifi")
    lab.until_registered()
    assert is_served(lab, 8 + there)
    assert "internal-fault" not in lab.nodes.log(NODE).read_text("utf-8")


def test_updates_leave_a_link_whose_former_network_was_the_agents(lab: Laboratory) -> None:
    """The kernel keeps the on-link route of the home link, with the agent's address in it."""
    home, transit = lab.topology.home_prefix, lab.topology.link("lte").transit
    addresses = ("ip", "-n", lab.mobile_node.full_name, "-6", "address", "show", "dev", "lte")
    roam(lab.network, "lte", home, router=0xED)
    lab.network[CORE].ip(f"route del {home} via {transit[2]}")
    until(
        lambda: any(
            IPv6Address(each) in home for each in lab.status(NODE)["links"][0]["addresses"]
        ),
        "an address of the home link",
    )
    lab.until_registered("wifi", "sat")
    roam(lab.network, "lte", ELSEWHERE, router=0xEE)
    until_bound(lab, "lte", ELSEWHERE)
    # Until its detection ends, an optimistic address sends to neighbours by the router.
    until(lambda: "tentative" not in run(*addresses), "an address beyond doubt")
    lab.network.cut("wifi", "sat")
    lab.until_registered("lte")
    assert is_served(lab, 10)
    lab.network.restore("wifi", "sat")
    lab.until_registered()


@pytest.mark.requirement("S2-05")
def test_no_bid_ever_went_to_another_link(lab: Laboratory) -> None:
    networks = {
        "lte": (lab.topology.link("lte").prefix, SECOND, ELSEWHERE),
        "wifi": (lab.topology.link("wifi").prefix,),
        "sat": (lab.topology.link("sat").prefix, THIRD),
    }
    links: dict[int, set[str]] = {}
    for _, message in lab.wire.messages():
        for identifier in message.identifiers if isinstance(message, BindingUpdate) else ():
            assert isinstance(identifier, BindingIdentifier)
            address = identifier.care_of_address
            for link, prefixes in networks.items():
                if address and any(address in prefix for prefix in prefixes):
                    links.setdefault(identifier.bid, set()).add(link)
    assert {link: links[bid] for link, bid in BIDS.items()} == {link: {link} for link in BIDS}
    assert all(len(names) == 1 for names in links.values())


def test_nothing_left_a_link_from_the_home_address(lab: Laboratory) -> None:
    home_address = lab.topology.home_address
    seen = [each for each in lab.wire.seen() if each.source == home_address]
    assert {each.place for each in seen} == {HOME_LINK}


def test_every_message_was_well_formed(lab: Laboratory, tmp_path: Path) -> None:
    names = lab.wire.judge(tmp_path)
    assert names["Binding Update"] > 10
    assert names["Binding Acknowledgement"] > 10


def test_no_kernel_answered_anything(lab: Laboratory) -> None:
    assert [each.packet.hex() for each in lab.wire.errors()] == []
