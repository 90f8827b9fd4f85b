"""RFC 5648 §8, RFC 5555: uplinks that have nothing but IPv4, one of them behind a NAT."""

import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from decode.agreement import compare, descriptions
from decode.captures import ETHERNET, pcap
from decode.tshark import Opinion, needs_tshark, opinions
from mcoa.lab.capture import Tap, open_tap
from mcoa.wire.ipv6 import MOBILITY_HEADER
from netns.daemon.ipv4_network import (
    AGENT,
    AGENT_4,
    COPIED_PORT,
    HOME_ADDRESS,
    LTE,
    LTE_4,
    NAT_4,
    OTHER_NAT_4,
    OTHER_WIFI_4,
    WIFI,
    WIFI_4,
    WIFI_6,
    Ipv4Network,
    Train,
    ipv4_network,
    read_ipv4,
)

pytestmark = pytest.mark.netns

_BEFORE_INNER = 14 + 20 + 8  # Ethernet, IPv4, UDP
OCTETS = Random(7).randbytes(8 << 20)


@pytest.fixture(scope="module", params=["userspace", "ebpf"])
def network(request: pytest.FixtureRequest) -> Iterator[Ipv4Network]:
    with ipv4_network(request.param) as built:
        yield built


@pytest.fixture
def train(network: Ipv4Network) -> Iterator[Train]:
    network.wait(network.is_served)
    built = Train(network)
    yield built
    built.close()


@pytest.mark.requirement("S8.1-01", "S8.1-03", "S8.1-09", "S8.1-10")
def test_two_links_of_ipv4_are_bound_and_a_nat_is_found(network: Ipv4Network) -> None:
    at_agent, at_node = network.bindings("agent"), network.bindings("node")
    assert network.cache() == {LTE: NAT_4, WIFI: WIFI_4}
    assert {bid: each["nat"] for bid, each in at_agent.items()} == {LTE: True, WIFI: False}
    assert at_agent[WIFI]["port"] == 4191
    told = {bid: (each["care_of_address"], each["nat"]) for bid, each in at_node.items()}
    assert told == {LTE: (LTE_4, True), WIFI: (WIFI_4, False)}


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("link", ["lte", "wifi"])
def test_tcp_arrives_whole_over_either_link(network: Ipv4Network, link: str, up: bool) -> None:
    other = {"lte": "wifi", "wifi": "lte"}[link]
    network.command("link", "disable", other)
    try:
        before = network.carried(link)
        received = network.transfer(OCTETS, up=up)
        assert sha256(received).digest() == sha256(OCTETS).digest()
        assert network.carried(link) - before > len(OCTETS)
    finally:
        network.command("link", "enable", other)
    network.wait(network.is_served)


def test_the_doctor_reaches_the_agent_over_ipv4(network: Ipv4Network) -> None:
    at_node = network.examine(network.node, "node")
    for link in ("lte", "wifi"):
        assert at_node[f"home agent by {link} over IPv4"]["verdict"] == "works"
    assert LTE_4 in at_node["link lte (lte)"]["finding"]
    at_agent = network.examine(network.agent, "agent")
    assert at_agent[f"IPv4 address {AGENT_4}"]["verdict"] == "works"


def test_a_dry_run_tells_what_is_for_ipv4(network: Ipv4Network) -> None:
    lines = network.say(network.node, "run", "--dry-run", str(network.file("node")))
    assert f"# UDP port 4191 of {WIFI_4}, for what IPv4 carries" in lines
    lines = network.say(network.agent, "run", "--dry-run", str(network.file("agent")))
    assert f"# UDP port 4191 of {AGENT_4}, for mobile nodes in IPv4 networks" in lines


def test_the_status_shows_ends_as_people_write_them(network: Ipv4Network) -> None:
    lines = network.say(
        network.agent, "show", "--socket", str(network.directory / "agent.sock")
    )
    assert any(f"{NAT_4}:" in line and "(NAT)" in line for line in lines)
    assert any(f"{WIFI_4}:4191" in line for line in lines)
    assert not any("::ffff" in line for line in lines)
    assert "::ffff" not in network.log("agent") + network.log("node")


def test_a_way_that_takes_less_than_the_links_say_gets_fragments(network: Ipv4Network) -> None:
    network.command("link", "disable", "lte")
    network.net.ip("link set home mtu 1400")
    network.agent.ip("link set eth0 mtu 1400")
    try:
        for up in (True, False):
            assert sha256(network.transfer(OCTETS, up=up)).digest() == sha256(OCTETS).digest()
    finally:
        network.net.ip("link set home mtu 1500")
        network.agent.ip("link set eth0 mtu 1500")
        network.command("link", "enable", "lte")
    network.wait(network.is_served)


def test_a_lost_carrier_moves_flows_to_the_other_link(
    network: Ipv4Network, train: Train
) -> None:
    train.run(2.0, during=lambda: network.carrier("lte", present=False))
    network.carrier("lte", present=True)
    assert train.longest_gap_s() < 0.5
    # Duplicates are none, and what is lost was under way.
    numbers = [number for _, number in train.times]
    assert len(set(numbers)) == len(numbers) > train.sent - 50
    network.wait(network.is_served)


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_copies_lose_nothing_when_a_link_goes(network: Ipv4Network, up: bool) -> None:
    network.wait(network.is_served)
    with closing(Train(network, COPIED_PORT, up=up)) as train:
        train.run(0.5)
        train.run(2.0, during=lambda: network.carrier("lte", present=False))
        network.carrier("lte", present=True)
        assert [number for _, number in train.times] == list(range(train.sent))
    network.wait(network.is_served)
    dropped = [
        number
        for name in ("agent", "node")
        for reason, number in network.status(name)["counters"].items()
        if "copy" in reason
    ]
    assert sum(dropped) > 50


def test_a_nat_that_begins_anew_is_found_by_probes(network: Ipv4Network, train: Train) -> None:
    def begin_anew() -> None:
        network.nat.ip(
            f"address delete {NAT_4}/24 dev wan",
            f"address add {OTHER_NAT_4}/24 dev wan",
            "route replace default via 198.18.1.1",
        )

    train.run(2.0, during=begin_anew)
    assert train.longest_gap_s() < 1.0
    network.wait(lambda: network.cache() == {LTE: OTHER_NAT_4, WIFI: WIFI_4}, within_s=5.0)
    network.wait(network.is_served, within_s=10.0)


def test_ipv6_is_taken_where_it_comes_and_ipv4_where_it_goes(network: Ipv4Network) -> None:
    network.node.ip(
        f"address add {WIFI_6}/64 dev wifi nodad",
        "route add default via 2001:db8:b::1 dev wifi metric 2000",
    )
    network.wait(lambda: network.cache().get(WIFI) == WIFI_6)
    assert LTE in network.cache()
    network.node.ip(f"address delete {WIFI_6}/64 dev wifi")
    network.wait(lambda: network.cache().get(WIFI) == WIFI_4)
    network.wait(network.is_served)


def test_an_agent_that_was_killed_serves_the_same_ends(
    network: Ipv4Network, train: Train
) -> None:
    before = network.cache()
    network.kill("agent")
    network.run("agent")
    network.wait(lambda: network.cache() == before, within_s=5.0)
    train.run(0.5)
    assert len(train.times) > 40


@needs_tshark
@pytest.mark.requirement("S8.1-04", "S8.1-05", "S8.1-07", "S8.1-15")
def test_wireshark_reads_what_goes_in_udp(network: Ipv4Network, tmp_path: Path) -> None:
    """An update of a changed address and its answer, at the agent's interface."""
    tap = Tap(namespace=network.agent.path, interface="eth0", label="agent")
    with closing(open_tap(tap)) as tapped:
        tapped.settimeout(0.5)
        network.readdress_wifi(WIFI_4, OTHER_WIFI_4)
        network.wait(lambda: network.cache().get(WIFI) == OTHER_WIFI_4)
        frames = list(_received(tapped))
    capture = tmp_path / "udp.pcap"
    capture.write_bytes(pcap(frames, ETHERNET))
    messages = [each for each in opinions(capture) if "mip6.mhtype" in each.fields]
    updates = [each for each in messages if each.fields["mip6.mhtype"] == "5"]
    news = [each for each in updates if _options(each).get(35) == 8]
    assert news
    for each in updates:
        fields = each.fields
        assert (fields["ip.dst"], fields["udp.dstport"]) == (AGENT_4, "4191")
        assert (fields["ipv6.src"], fields["ipv6.dst"]) == (HOME_ADDRESS, AGENT)
        assert 32 not in _options(each)
    answers = [each for each in messages if each.fields["mip6.mhtype"] == "6"]
    ours = [each for each in answers if each.fields["ip.dst"] == OTHER_WIFI_4]
    assert ours
    for each in ours:
        assert (each.fields["ip.src"], each.fields["udp.srcport"]) == (AGENT_4, "4191")
        assert list(_options(each))[:2] == [31, 35]
    assert len(descriptions(capture.read_bytes())) == len(frames)
    capture.write_bytes(pcap(frame[_BEFORE_INNER:] for frame in frames))
    described = descriptions(capture.read_bytes())
    for number, each in enumerate(opinions(capture), 1):
        assert not each.malformed
        compare(described[number], each)
    network.readdress_wifi(OTHER_WIFI_4, WIFI_4)
    network.wait(lambda: network.cache().get(WIFI) == WIFI_4)
    network.wait(network.is_served)


def _options(opinion: Opinion) -> dict[int, int]:
    """Return the lengths of a message's options, by type."""
    return {kind: length for kind, length, _ in opinion.options}


def _received(tapped: socket.socket) -> Iterator[bytes]:
    with suppress(TimeoutError):
        while True:
            frame = tapped.recv(65535)
            # Within IPv4, UDP and IPv6, whatever is no signalling would be too much.
            if frame[12:14] == b"\x08\0" and frame[48:49] == bytes((MOBILITY_HEADER,)):
                yield frame


@pytest.mark.parametrize("name", ["agent", "node"])
def test_the_fast_path_goes_on_while_a_daemon_is_dead(
    network: Ipv4Network, train: Train, name: str
) -> None:
    def kill() -> None:
        network.kill(name)
        network.run(name)

    train.run(3.0, during=kill)
    lost = train.sent - len({number for _, number in train.times})
    if network.status("node")["data_plane"] == "ebpf":
        assert lost == 0
    assert lost < 0.6 * train.sent  # without, what is sent until the daemon is there again
    network.wait(network.is_served)


def test_whoever_ends_leaves_nothing(network: Ipv4Network) -> None:
    assert read_ipv4(network.node, "conf/wifi/rp_filter") == "2"
    network.end("node")
    network.wait(lambda: not network.cache(), within_s=5.0)
    assert read_ipv4(network.node, "conf/wifi/rp_filter") == "0"
    network.run("node")
    network.wait(network.is_served)
