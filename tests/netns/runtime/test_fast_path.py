"""The programs in the kernel, with real packets: each form out and in, judged by others' eyes."""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from mcoa.dataplane.direct import with_home_address, with_routing_header
from mcoa.dataplane.fast_path import Form
from mcoa.dataplane.packet import encapsulate, flow_key, shortcut, tunnel_prefix
from mcoa.dataplane.path import Path
from mcoa.dataplane.table import ForwardingTable
from mcoa.runtime.fast_path.acceleration import Acceleration
from mcoa.runtime.fast_path.layout import (
    Entrance,
    FlowFlag,
    Reason,
    Role,
    Settings,
    Way,
)
from mcoa.runtime.fast_path.maps import Sizes
from mcoa.runtime.fast_path.shapes import Shape
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.udp_socket import Datagrams, UdpSocket
from mcoa.runtime.undo import Journal
from netns.daemon.packets import datagram
from netns.runtime.pair import Pair

pytestmark = pytest.mark.netns

HOME, PEER = IPv6Address("2001:db8:1::100"), IPv6Address("2001:db8:2::10")
CARE_OF, FAR = IPv6Address("2001:db8:a::2"), IPv6Address("2001:db8:f::1")
CARE_OF_4, FAR_4 = IPv4Address("192.0.2.2"), IPv4Address("192.0.2.1")
PORT_4, NAT_PORT = 4191, 40_000
SIZES = Sizes(homes=4, ways=8, flows=16)
ETHERNET, WITHIN_S = 14, 2.0
ETH_P_IPV6, ETH_P_ALL = 0x86DD, 3
IGNORE_OUTGOING = (263, 23)


def mapped(address: IPv4Address) -> bytes:
    return bytes(10) + b"\xff\xff" + address.packed


@dataclass
class OneShape:
    """Shapes of one way and one entrance."""

    shape: Shape
    role: Role = Role.MOBILE_NODE
    address: bytes = bytes(16)
    inbound_flags: FlowFlag = FlowFlag.SAME_FORM

    def settings(self, device: int) -> Settings:
        return Settings(role=self.role, device=device, address=self.address)

    def home_key(self, home_address: bytes) -> tuple[bytes, bytes]:
        return home_address, bytes(16)

    def tunnel(self, home_address: bytes, path: Path) -> Shape | None:
        del home_address, path
        return self.shape

    def direct(self, home_address: bytes, path: Path) -> Shape | None:
        del home_address, path
        return None


class ByCareOfAddress(OneShape):
    """The same shape for all paths, but for where they lead."""

    def tunnel(self, home_address: bytes, path: Path) -> Shape | None:
        del home_address
        known = self.shape.entrance
        assert known is not None
        return Shape(
            way=replace(self.shape.way, destination=path.care_of_address),
            entrance=replace(known, source=path.care_of_address),
        )


class Bed:
    """A node with a device, an uplink, and the programs on both."""

    def __init__(self, pair: Pair, shapes: OneShape) -> None:
        self.pair = pair
        pair.address()
        pair.node.sysctl(conf__all__forwarding=1)
        pair.node.ip(f"address add {CARE_OF_4}/24 dev wwan0")
        pair.net.ip(f"address add {FAR_4}/24 dev acc0", f"address add {FAR}/128 dev acc0 nodad")
        self.shapes = shapes
        self.open()
        self.taken = pair.net.call(lambda: listener("acc0"))
        self.delivered = pair.node.call(lambda: listener("mip0"))
        self.thrown = pair.net.call(lambda: thrower("acc0"))
        self.routed = pair.node.call(lambda: thrower("mip0"))

    def open(self) -> None:
        """Begin to live, as a daemon does."""
        self.pair.node.call(lambda: self._open(self.shapes))

    def _open(self, shapes: OneShape) -> None:
        self.netlink, journal = Netlink(), Journal.open(self.pair.journal)
        self.tun = Tun.open("mip0", mtu=1500, netlink=self.netlink, journal=journal)
        link = self.netlink.link("wwan0")
        assert link is not None
        self.mac = link.mac
        self.journal = journal
        way = shapes.shape.way
        if way.device:
            shapes.shape = replace(shapes.shape, way=replace(way, device=link.index))
        if way.form is Form.FRAME:
            frame = b"\x04" * 6 + link.mac + b"\x86\xdd"
            shapes.shape = replace(shapes.shape, way=replace(shapes.shape.way, frame=frame))
        self.fast = Acceleration.open(
            self.tun, shapes=shapes, sizes=SIZES, netlink=self.netlink
        )
        self.fast.attach("wwan0", journal)
        self.fast.attend()
        self.table = ForwardingTable(follows_inbound=False)
        self.table.speed_up(self.fast.fast_path)
        self.table.replace(HOME.packed, (Path(bid=1, care_of_address=CARE_OF.packed),))

    def know(self, packet: bytes, *, inbound: bool) -> None:
        """Decide about the flow of a packet, as a forwarder does."""
        key = flow_key(packet)
        assert key is not None
        self.table.route(HOME.packed, key, 0.0)
        octets = shortcut(packet)
        if inbound:
            self.table.shorten(HOME.packed, key, inbound=octets)
        else:
            self.table.shorten(HOME.packed, key, outbound=octets)

    def leave(self, packet: bytes) -> bytes | None:
        """Return what comes out of the uplink, Ethernet's header and all."""
        self.routed.sendto(packet, ("mip0", ETH_P_IPV6))
        return first(self.taken, lambda frame: packet[-13:] in frame)

    def ends_without_a_daemon(self) -> set[IPv6Address]:
        """Die, return where packets of some flows go, and live again."""
        self.die()
        self.leave(OUT)  # the kernel takes note of a death a moment later
        frames = [self.leave(datagram(HOME, PEER, port)) for port in range(7000, 9000, 83)]
        self.open()
        assert None not in frames
        return {IPv6Address(frame[ETHERNET + 24 : ETHERNET + 40]) for frame in frames if frame}

    def arrive(self, packet: bytes, kind: int = ETH_P_IPV6) -> bytes | None:
        """Return what comes out of the device."""
        self.thrown.send(self.mac + b"\x04" * 6 + kind.to_bytes(2) + packet)
        return first(self.delivered, lambda each: packet[-13:] in each)

    def close(self) -> None:
        for each in (self.taken, self.delivered, self.thrown, self.routed):
            each.close()
        self.die()

    def die(self) -> None:
        """Let go of all, as the kernel does for a process that is killed."""
        self.fast.close()
        self.tun.close()
        self.netlink.close()
        self.journal.close()


def listener(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    opened.setsockopt(*IGNORE_OUTGOING, 1)
    opened.bind((interface, ETH_P_ALL))
    opened.settimeout(0.05)
    return opened


def thrower(interface: str) -> socket.socket:
    kind = socket.SOCK_DGRAM if interface == "mip0" else socket.SOCK_RAW
    opened = socket.socket(socket.AF_PACKET, kind, 0)
    opened.bind((interface, 0))
    return opened


def first(opened: socket.socket, wanted: object, within_s: float = WITHIN_S) -> bytes | None:
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        try:
            frame = opened.recv(65535)
        except TimeoutError:
            continue
        if wanted(frame):  # type: ignore[operator]
            return frame
    return None


TUNNEL = Shape(
    way=Way(
        form=Form.TUNNEL, room=1460, device=1, source=CARE_OF.packed, destination=FAR.packed
    ),
    entrance=Entrance(
        form=Form.TUNNEL, home=HOME.packed, source=FAR.packed, destination=CARE_OF.packed
    ),
)
BY_FRAME = replace(TUNNEL, way=replace(TUNNEL.way, frame=b"\x04" * 12 + b"\x86\xdd"))
BY_ROUTES = replace(TUNNEL, way=replace(TUNNEL.way, device=0))
IN_UDP = Shape(
    way=Way(
        form=Form.UDP,
        room=1472,
        device=1,
        source=mapped(CARE_OF_4),
        destination=mapped(FAR_4),
        source_port=PORT_4,
        destination_port=NAT_PORT,
    ),
    entrance=Entrance(
        form=Form.UDP,
        home=HOME.packed,
        source=mapped(FAR_4),
        destination=mapped(CARE_OF_4),
        source_port=NAT_PORT,
    ),
)
WITH_HOME_ADDRESS = Shape(
    way=Way(form=Form.HOME_ADDRESS, room=1476, device=1, source=CARE_OF.packed),
    entrance=Entrance(form=Form.ROUTING_HEADER, home=HOME.packed, destination=CARE_OF.packed),
)
FRAME = Shape(way=Way(form=Form.FRAME, room=1500, device=1), entrance=None)

OUT, IN = datagram(HOME, PEER, 7000), datagram(PEER, HOME, 7000)


@pytest.fixture
def bed(pair: Pair, request: pytest.FixtureRequest) -> Iterator[Bed]:
    made = Bed(pair, request.param)
    yield made
    made.close()


def shaped(*shapes: Shape) -> pytest.MarkDecorator:
    cases = [OneShape(shape) for shape in shapes]
    return pytest.mark.parametrize("bed", cases, indirect=True)


@shaped(TUNNEL, BY_FRAME, BY_ROUTES)
def test_a_tunnel_header_is_the_forwarders(bed: Bed) -> None:
    packet = bytes.fromhex("6ba12345") + OUT[4:]
    bed.know(packet, inbound=False)
    frame = bed.leave(packet)
    assert frame is not None
    assert frame[12:14] == b"\x86\xdd"
    assert frame[ETHERNET:] == encapsulate(packet, tunnel_prefix(CARE_OF.packed, FAR.packed))


@shaped(TUNNEL)
def test_what_is_not_known_comes_up(bed: Bed) -> None:
    bed.routed.sendto(OUT, ("mip0", ETH_P_IPV6))
    assert first(bed.taken, lambda frame: OUT[-13:] in frame, 0.1) is None
    assert OUT in bed.tun.receive()


@shaped(TUNNEL)
def test_without_a_daemon_a_way_is_taken(bed: Bed) -> None:
    assert bed.leave(OUT) is None
    bed.die()
    assert bed.leave(OUT) is not None
    assert bed.leave(datagram(HOME, IPv6Address("ff02::1"), 7000)) is None
    bed.open()
    assert bed.fast.goes_on
    assert bed.leave(OUT) is None


@pytest.mark.parametrize("bed", [ByCareOfAddress(BY_FRAME)], indirect=True)
def test_rfc6089_5_1_1_without_a_daemon_the_ways_are_taken_in_their_order(bed: Bed) -> None:
    ends = [IPv6Address(int(FAR) + number) for number in range(1, 4)]
    paths = tuple(
        Path(bid=bid, care_of_address=end.packed, priority=priority)
        for bid, (end, priority) in enumerate(zip(ends, (20, 10, 10), strict=True), start=1)
    )
    bed.table.replace(HOME.packed, paths)
    assert bed.ends_without_a_daemon() == set(ends[1:])
    bed.table.replace(HOME.packed, paths)
    for bid in (2, 3):
        bed.table.path_down(HOME.packed, bid)
    assert bed.ends_without_a_daemon() == {ends[0]}


@shaped(TUNNEL)
def test_a_tunnel_packet_is_itself_again(bed: Bed) -> None:
    bed.know(IN, inbound=True)
    outer = encapsulate(IN, tunnel_prefix(FAR.packed, CARE_OF.packed))
    assert bed.arrive(outer) == IN
    marked = outer[:1] + bytes((outer[1] | 0x30,)) + outer[2:]
    assert bed.arrive(marked) is None  # congestion, and no mark on the packet for it
    assert bed.fast.collect(lambda *_: None)[Reason.CONGESTION] == 1
    able = bytes((0x60, 0x20)) + IN[2:]
    outer = encapsulate(able, tunnel_prefix(FAR.packed, CARE_OF.packed))
    marked = outer[:1] + bytes((outer[1] | 0x30,)) + outer[2:]
    assert bed.arrive(marked) == bytes((0x60, 0x30)) + IN[2:]


@shaped(IN_UDP)
def test_udp_over_ipv4_is_right_for_others(bed: Bed) -> None:
    from scapy.layers.inet import IP  # noqa: PLC0415 - slow to import

    packet = bytes.fromhex("6ba12345") + OUT[4:]
    bed.know(packet, inbound=False)
    frame = bed.leave(packet)
    assert frame is not None
    assert frame[12:14] == b"\x08\x00"
    outer = IP(frame[ETHERNET:])
    checksum = outer.chksum
    del outer.chksum
    assert IP(bytes(outer)).chksum == checksum
    assert (outer.src, outer.dst, outer.tos) == (str(CARE_OF_4), str(FAR_4), 0xBA)
    assert (outer["UDP"].sport, outer["UDP"].dport) == (PORT_4, NAT_PORT)
    assert outer["UDP"].len == len(packet) + 8
    assert bytes(outer["UDP"].payload) == packet
    assert not outer.flags
    ids = {IP((bed.leave(packet) or b"")[ETHERNET:]).id for _ in range(4)}
    assert len(ids) > 1  # routers may fragment it


@shaped(IN_UDP)
def test_udp_over_ipv4_comes_in_from_its_port_alone(bed: Bed) -> None:
    from scapy.layers.inet import IP, UDP  # noqa: PLC0415 - slow to import

    bed.know(IN, inbound=True)

    def outer(port: int) -> bytes:
        header = IP(src=str(FAR_4), dst=str(CARE_OF_4)) / UDP(sport=port, dport=PORT_4)
        return bytes(header / IN)

    assert bed.arrive(outer(NAT_PORT), 0x0800) == IN
    assert bed.arrive(outer(NAT_PORT + 1), 0x0800) is None


@shaped(TUNNEL, IN_UDP)
@pytest.mark.parametrize("gone", [1, 2])
def test_a_care_of_address_of_two_bids_stays_open_while_one_has_it(bed: Bed, gone: int) -> None:
    from scapy.layers.inet import IP, UDP  # noqa: PLC0415 - slow to import

    both = [Path(bid=bid, care_of_address=CARE_OF.packed) for bid in (1, 2)]
    bed.table.replace(HOME.packed, tuple(both))
    bed.table.replace(HOME.packed, tuple(each for each in both if each.bid != gone))
    bed.know(IN, inbound=True)
    if bed.shapes.shape.way.form is Form.TUNNEL:
        assert bed.arrive(encapsulate(IN, tunnel_prefix(FAR.packed, CARE_OF.packed))) == IN
    else:
        header = IP(src=str(FAR_4), dst=str(CARE_OF_4)) / UDP(sport=NAT_PORT, dport=PORT_4)
        assert bed.arrive(bytes(header / IN), 0x0800) == IN


@shaped(IN_UDP)
def test_udp_over_ipv4_is_what_user_space_takes_and_gives(bed: Bed) -> None:
    far = bed.pair.net.call(lambda: UdpSocket(FAR_4, NAT_PORT))
    try:
        bed.know(OUT, inbound=False)
        assert bed.leave(OUT) is not None
        (arrived,) = received(far)
        assert arrived.segments.packets() == [OUT]
        assert (arrived.source, arrived.port) == (mapped(CARE_OF_4), PORT_4)
        bed.know(IN, inbound=True)
        assert far.send(IN, (str(CARE_OF_4), PORT_4)) == 0
        assert first(bed.delivered, lambda each: IN[-13:] in each) == IN
    finally:
        far.close()


def received(far: UdpSocket) -> list[Datagrams]:
    end_s = time.monotonic() + WITHIN_S
    while not (arrived := far.receive()) and time.monotonic() < end_s:
        time.sleep(0.01)
    return arrived


@shaped(WITH_HOME_ADDRESS)
def test_a_home_address_option_is_the_forwarders(bed: Bed) -> None:
    bed.know(OUT, inbound=False)
    frame = bed.leave(OUT)
    assert frame is not None
    assert frame[ETHERNET:] == with_home_address(OUT, CARE_OF.packed)


@shaped(WITH_HOME_ADDRESS)
def test_a_routing_header_is_taken_out(bed: Bed) -> None:
    bed.know(IN, inbound=True)
    assert bed.arrive(with_routing_header(IN, CARE_OF.packed)) == IN
    another = IN[:24] + PEER.packed + IN[40:]  # another's home address
    assert bed.arrive(with_routing_header(another, CARE_OF.packed)) is None


@shaped(FRAME)
def test_a_frame_goes_to_a_link_layer_address(bed: Bed) -> None:
    bed.know(OUT, inbound=False)
    assert bed.leave(OUT) == b"\x04" * 6 + bed.mac + b"\x86\xdd" + OUT


AS_AGENT = OneShape(
    replace(
        TUNNEL,
        entrance=Entrance(
            form=Form.TUNNEL, home=PEER.packed, source=FAR.packed, destination=CARE_OF.packed
        ),
    ),
    role=Role.HOME_AGENT,
    address=CARE_OF.packed,
)


@pytest.mark.parametrize("bed", [AS_AGENT], indirect=True)
def test_a_stranger_is_dropped_counted_and_told_of(bed: Bed) -> None:
    stranger = IPv6Address("2001:db8:bad::1")
    outer = encapsulate(IN, tunnel_prefix(stranger.packed, CARE_OF.packed))
    for _ in range(3):
        assert bed.arrive(outer) is None
    assert bed.fast.collect(lambda *_: None)[Reason.NOT_REGISTERED] == 3
    event, *_ = bed.fast.receive()
    assert event.reason is Reason.NOT_REGISTERED
    assert (event.outer_source, event.inner_source) == (stranger.packed, PEER.packed)


@shaped(TUNNEL)
def test_what_is_larger_than_the_room_comes_up(bed: Bed) -> None:
    bed.know(OUT, inbound=False)
    assert bed.leave(OUT) is not None
    bed.table.replace(HOME.packed, (Path(bid=1, care_of_address=CARE_OF.packed, mtu=1280),))
    (state,) = bed.table.states_of(HOME.packed)
    state.down = True
    state.settle()
    assert bed.leave(OUT) is None
    assert OUT in bed.tun.receive()


@shaped(TUNNEL)
def test_what_passed_is_counted(bed: Bed) -> None:
    bed.know(OUT, inbound=False)
    bed.know(IN, inbound=True)
    for _ in range(3):
        bed.leave(OUT)
    bed.arrive(encapsulate(IN, tunnel_prefix(FAR.packed, CARE_OF.packed)))
    ends = []
    bed.fast.collect(lambda _flow, far_end: ends.append(far_end))
    assert set(ends) == {PEER.packed}
    (state,) = bed.table.states_of(HOME.packed)
    assert (state.packets_out, state.octets_out) == (3, 3 * len(OUT))
    assert (state.packets_in, state.octets_in) == (1, len(IN))
