"""The correspondent's forwarder: what is bound goes straight, and only from there it comes."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mcoa.dataplane.correspondent import CorrespondentForwarder
from mcoa.dataplane.direct import (
    DIRECT_OVERHEAD,
    with_home_address,
    with_routing_header,
    without_routing_header,
)
from mcoa.dataplane.path import Path

HOME = bytes.fromhex("20010db8000100000000000000000100")
PEER = bytes.fromhex("20010db800090000000000000000000c")
LTE, WIFI = (bytes.fromhex(f"20010db8000{n}00000000000000000001") for n in "ab")


class Bench:
    """A correspondent with two paths to a mobile node."""

    def __init__(self, *bound: bytes) -> None:
        self.direct: list[bytes] = []
        self.plain: list[bytes] = []
        self.written: list[bytes] = []
        self.unbound: list[tuple[bytes, bytes, bytes]] = []
        self.forwarder = CorrespondentForwarder(
            emit=lambda _path, packet: self.direct.append(packet),
            plain=self.plain.append,
            write=self.written.append,
            unbound=lambda *claim: self.unbound.append(claim),
            report=lambda *_: None,
            rng=Random(1),
        )
        self.bind(*bound)

    def bind(self, *bound: bytes) -> None:
        paths = tuple(
            Path(bid=number, care_of_address=address, overhead=DIRECT_OVERHEAD)
            for number, address in enumerate(bound, start=1)
        )
        self.forwarder.table.replace(PEER + HOME, paths)


def udp(source: bytes, destination: bytes, ports: tuple[int, int], octets: int = 20) -> bytes:
    one, other = ports
    body = one.to_bytes(2) + other.to_bytes(2) + bytes(octets)
    return b"\x60\0\0\0" + len(body).to_bytes(2) + b"\x11\x40" + source + destination + body


def down(port: int) -> bytes:
    return udp(PEER, HOME, (80, port))


def up(port: int) -> bytes:
    return udp(HOME, PEER, (port, 80))


def test_flows_are_spread_over_what_is_bound_and_stay() -> None:
    bench = Bench(LTE, WIFI)
    for _ in range(3):
        for port in range(10):
            bench.forwarder.from_device(down(port), 0.1)
    by_port: dict[bytes, set[bytes]] = {}
    for packet in bench.direct:
        by_port.setdefault(packet[66:68], set()).add(packet[24:40])
    assert all(len(each) == 1 for each in by_port.values())
    assert {each for used in by_port.values() for each in used} == {LTE, WIFI}
    assert [without_routing_header(p) for p in bench.direct[:10]] == [
        down(n) for n in range(10)
    ]


def test_a_flow_follows_the_mobile_node() -> None:
    bench = Bench(LTE, WIFI)
    for source in (LTE, WIFI, LTE):
        bench.forwarder.from_network(
            with_home_address(up(5), source), 10.0 * len(bench.written)
        )
        bench.forwarder.from_device(down(5), 10.0 * len(bench.written) - 9.9)
        assert bench.direct[-1][24:40] == source
    assert bench.written == [up(5)] * 3


def test_options_beside_the_home_address_do_not_hide_it() -> None:
    bench = Bench(LTE)
    usual = with_home_address(up(5), LTE)
    more = bytes.fromhex("1e06000000000100")  # an option to be skipped, and padding
    length = (len(usual) - 40 + 8).to_bytes(2)
    packet = usual[:4] + length + usual[6:41] + b"\x03" + usual[42:64] + more + usual[64:]
    assert bench.forwarder.from_network(packet, 0.0)
    assert bench.written == [up(5)]


def test_what_is_not_bound_is_dropped_and_told() -> None:
    bench = Bench(LTE)
    assert bench.forwarder.from_network(with_home_address(up(5), WIFI), 0.0)
    assert bench.written == []
    assert bench.unbound == [(PEER, WIFI, HOME)]
    bench.bind()
    bench.forwarder.from_network(with_home_address(up(5), LTE), 0.0)
    assert bench.written == []


def test_a_known_flow_is_looked_at_again_when_its_path_is_gone() -> None:
    bench = Bench(LTE, WIFI)
    for _ in range(3):
        bench.forwarder.from_network(with_home_address(up(5), LTE), 0.0)
    bench.bind(WIFI)
    bench.forwarder.from_network(with_home_address(up(5), LTE), 0.01)
    assert len(bench.written) == 3
    assert bench.unbound


def test_a_known_flow_does_not_go_on_from_an_address_that_is_bound_no_more() -> None:
    bench = Bench(LTE, WIFI)
    for _ in range(3):
        bench.forwarder.from_network(with_home_address(up(5), LTE), 0.0)
    other = Path(bid=2, care_of_address=WIFI, overhead=DIRECT_OVERHEAD)
    bench.forwarder.table.replace(PEER + HOME, (other,))
    bench.forwarder.from_network(with_home_address(up(5), LTE), 0.01)
    assert len(bench.written) == 3
    assert bench.unbound == [(PEER, LTE, HOME)]


def test_for_another_address_of_ours_it_goes_by_the_home_agent() -> None:
    bench = Bench(LTE)
    other = udp(WIFI, HOME, (80, 5))
    bench.forwarder.from_device(other, 0.0)
    assert bench.plain == [other]
    assert bench.direct == []


def test_a_packet_that_cannot_go_straight_goes_by_the_home_agent() -> None:
    bench = Bench(LTE)
    with_options = b"\x60\0\0\0\0\x08\x3c\x40" + PEER + HOME + bytes.fromhex("3b00010400000000")
    bench.forwarder.from_device(with_options, 0.0)
    assert bench.plain == [with_options]


def test_a_too_big_about_what_we_never_sent_is_not_believed() -> None:
    bench = Bench(LTE)
    large = udp(PEER, HOME, (80, 5), 1400)
    for quoted in (
        with_routing_header(large, WIFI),  # not bound
        with_routing_header(udp(WIFI, HOME, (80, 5), 1400), LTE),  # not ours
        large,
        b"",
    ):
        bench.forwarder.packet_too_big(1300, quoted[:1232], 0.0)
    bench.forwarder.from_device(large, 0.0)
    assert len(bench.direct) == 1
    bench.forwarder.packet_too_big(1300, with_routing_header(large, LTE)[:1232], 0.0)
    assert len(bench.written) == 1
    bench.forwarder.from_device(large, 0.0)
    assert len(bench.direct) == 1


def test_rfc6275_9_3_4_what_did_not_reach_the_only_care_of_address_is_told() -> None:
    bench = Bench(LTE, WIFI)
    packet = down(5)
    bench.forwarder.undelivered(with_routing_header(packet, LTE), 0.0)
    assert bench.written == []  # there is another one
    bench.bind(LTE)
    for quoted in (with_routing_header(packet, WIFI), with_routing_header(up(5), LTE), packet):
        bench.forwarder.undelivered(quoted, 0.0)
    assert bench.written == []
    bench.forwarder.undelivered(with_routing_header(packet, LTE), 0.0)
    (answer,) = bench.written
    assert (answer[8:24], answer[24:40]) == (HOME, PEER)
    assert (answer[40:42], answer[48:]) == (b"\1\3", packet)


@given(octets=st.binary(max_size=200))
def test_any_octets_at_any_entrance_do_no_harm(octets: bytes) -> None:
    bench = Bench(LTE)
    bench.forwarder.from_device(octets.ljust(40, b"\0"), 0.0)
    bench.forwarder.from_network(octets, 0.0)
    bench.forwarder.packet_too_big(1300, octets, 0.0)
    bench.forwarder.undelivered(octets, 0.0)
    assert bench.written == []
