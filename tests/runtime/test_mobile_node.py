"""A mobile node's service without its kernel: what strangers, routers and agents can do to it."""

import asyncio
import io
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address, IPv6Network
from random import Random

import pytest

from mcoa.dataplane.direct import with_home_address
from mcoa.dataplane.packet import encapsulate, tunnel_prefix
from mcoa.dataplane.path import Path
from mcoa.engine.actions import Envelope, Received, Send
from mcoa.runtime import mobile_node, steering
from mcoa.runtime.config_models import MobileNodeConfiguration
from mcoa.runtime.end import End
from mcoa.runtime.links import LinkAddress, LinkState
from mcoa.runtime.log import EventLog
from mcoa.runtime.mobile_node import MobileNodeService
from mcoa.runtime.signalling import emit_signalling
from mcoa.runtime.sockets import IcmpPacket
from mcoa.wire.messages import BindingAcknowledgement, BindingError, Message
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingErrorStatus, BindingStatus

AGENT = IPv6Address("2001:db8:1::1")
HOME = IPv6Address("2001:db8:1::100")
PEER = IPv6Address("2001:db8:9::9")
LTE = IPv6Address("2001:db8:a::1")
AWAY = IPv6Address("2001:db8:f::9")
NETWORK = IPv6Network("2001:db8:a::/64")


class Anything:
    """Takes the place of each part that would need a kernel."""

    interface, name, index, mtu = "wwan0", "mip0", 5, 1500

    def __init__(self, *_arguments: object, **_options: object) -> None:
        self.sent: list[bytes] = []

    @classmethod
    def open(cls, *_arguments: object, **_options: object) -> "Anything":
        return cls()

    def send(self, packet: bytes, *_to: object) -> int:
        self.sent.append(packet)
        return 0

    pass_on = send

    def converge(self, *_arguments: object) -> tuple[()]:
        return ()

    def _nothing(self, *_arguments: object) -> None:
        pass

    use = attach = close = prepare = settle = hold = announce = link_changed = _nothing
    set_patterns = fit = _nothing
    found = way = None


class Node:
    """A service with one link; to be made on a running loop."""

    def __init__(self, *, is_correspondent: bool = False) -> None:
        configuration = MobileNodeConfiguration.model_validate(
            {
                "role": "mobile-node",
                "name": "node",
                "security": "none",
                "dataplane": "userspace",
                "mobile-node": {"home_address": str(HOME), "home_agent": str(AGENT)},
                "link": [{"name": "lte", "interface": "wwan0", "bid": 1}],
                "correspondent": {} if is_correspondent else None,
            }
        )
        self.lines = io.StringIO()
        log = EventLog(self.lines, monotonic=lambda: 0.0, wall_clock=lambda: 0.0)
        self.service = MobileNodeService(
            configuration,
            netlink=None,  # type: ignore[arg-type]
            journal=None,  # type: ignore[arg-type]
            log=log,
            end=End(),
        )
        self.link(LTE)

    def link(self, *addresses: IPv6Address) -> None:
        state = LinkState(
            up=True,
            addresses=tuple(LinkAddress(address=each, prefix=NETWORK) for each in addresses),
            default_route=True,
            index=7,
        )
        self.service._link_changed("lte", state)

    def acknowledge(self, *, lifetime_s: int = 300) -> None:
        outstanding = self.service.engine.outstanding
        assert outstanding is not None
        answer = BindingAcknowledgement(
            sequence=outstanding.sequence,
            lifetime_s=lifetime_s,
            options=tuple(
                BindingIdentifier(bid=item.bid)
                for item in outstanding.wish.items
                if item.bid is not None
            ),
        )
        self.service._arrivals.from_capture([message(answer)])


def message(value: Message) -> bytes:
    envelope = Envelope(source=AGENT, destination=LTE, routing_header_home_address=HOME)
    return emit_signalling(Send(message=value, envelope=envelope))


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Node]]:
    parts = ("Tun", "IcmpSocket", "LinkWatcher", "Uplink")
    for name in (*parts, "open_capture", "prepare_uplink", "AtHome", "HomeFinder"):
        monkeypatch.setattr(mobile_node, name, Anything)
    monkeypatch.setattr(steering, "Routing", Anything)
    made: list[Node] = []

    def make(*, is_correspondent: bool = False) -> Node:
        made.append(Node(is_correspondent=is_correspondent))
        return made[-1]

    yield make
    for each in made:
        each.service.close()


Maker = Callable[..., Node]


def octets_of(rng: Random) -> bytes:
    """Something that looks like a packet to or from our addresses, or like half of one."""
    address = [each.packed for each in (AGENT, HOME, LTE, PEER, IPv6Address("ff02::1"))]
    answer = BindingAcknowledgement(sequence=rng.randrange(0x10000), lifetime_s=60)
    error = BindingError(status=BindingErrorStatus(rng.randrange(4)), home_address=HOME)
    payload = rng.choice((message(answer)[64:], message(error)[64:], rng.randbytes(30), b""))
    if rng.random() < 0.4:
        header = bytes((rng.choice((6, 41, 58, 135)), rng.randrange(3)))
        payload = (
            header + rng.choice((b"\2\1\0\0\0\0" + address[1], rng.randbytes(22))) + payload
        )
    protocol = rng.choice((0, 6, 17, 41, 43, 44, 51, 58, 60, 135, rng.randrange(256)))
    head = b"\x60\0\0\0" + len(payload).to_bytes(2) + bytes((protocol, rng.randrange(256)))
    octets = bytearray(head + rng.choice(address) + rng.choice(address) + payload)
    for _ in range(rng.randrange(3)):
        octets[rng.randrange(len(octets))] = rng.randrange(256)
    return bytes(octets[: rng.choice((len(octets), rng.randrange(len(octets) + 1)))])


def tunnelled(inner: bytes, destination: bytes = LTE.packed) -> bytes:
    return encapsulate(inner, tunnel_prefix(AGENT.packed, destination))


def in_tunnel(rng: Random, inner: bytes, destination: bytes) -> bytes:
    """Put something into a tunnel packet, some of which are damaged or in fragments."""
    outer = bytearray(tunnelled(inner or bytes(1), destination))
    if rng.random() < 0.3:
        outer[40:40] = bytes((41, rng.randrange(3), *rng.randbytes(6)))
        outer[6] = rng.choice((44, 60))
    if rng.random() < 0.3:
        outer[rng.randrange(8)] = rng.randrange(256)
    return bytes(outer[: rng.choice((len(outer), rng.randrange(41, len(outer) + 1)))])


@pytest.mark.parametrize("seed", range(40))
def test_any_octets_at_any_entrance_stand_in_nobodys_way(node: Maker, seed: int) -> None:
    rng = Random(seed)

    faults: list[object] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *each: faults.append(each))
        made = node(is_correspondent=seed % 2 == 1)
        await asyncio.sleep(0)
        made.acknowledge()
        service, paths = made.service, made.service.engine.paths()
        for _ in range(300):
            octets = octets_of(rng)
            destination = rng.choice((AGENT, LTE, HOME, PEER)).packed
            service._from_device([octets])
            service._arrivals.from_capture([in_tunnel(rng, octets, destination)])
            quoted = bytes((rng.choice((2, 4, 145, 147)), *rng.randbytes(7))) + octets
            service._arrivals.icmp_messages(
                [
                    IcmpPacket(
                        message=quoted, source=PEER, destination=LTE, hop_limit=64, index=7
                    )
                ]
            )
        assert service.engine.paths() == paths
        for _ in range(300):
            service._arrivals.from_capture([octets_of(rng)])

    asyncio.run(scenario())
    assert faults == []


def test_a_packet_with_both_headers_is_opened_twice(node: Maker) -> None:
    """From a mobile node that has bound us, as we have bound it."""

    async def scenario() -> None:
        made = node(is_correspondent=True)
        await asyncio.sleep(0)
        made.acknowledge()
        service = made.service
        plain = b"\x60\0\0\0\0\x08\x11\x40" + PEER.packed + HOME.packed + bytes(8)
        straight = with_home_address(plain, AWAY.packed)
        # By hand: what adds the one header does so to no packet that has the other.
        length = (len(straight) - 40 + 24).to_bytes(2)
        head = straight[:4] + length + b"\x2b\x40" + AWAY.packed + LTE.packed
        both = head + b"\x3c\2\2\1\0\0\0\0" + HOME.packed + straight[40:]
        role = service._correspondent
        assert role is not None
        service._arrivals.from_capture([both])
        assert plain not in service._tun.sent
        path = Path(bid=1, care_of_address=AWAY.packed)
        role.forwarder.table.replace(HOME.packed + PEER.packed, (path,))
        service._arrivals.from_capture([both])
        assert plain in service._tun.sent

    asyncio.run(scenario())


def test_options_that_are_no_home_address_are_the_kernels_business(node: Maker) -> None:
    async def scenario() -> None:
        made = node(is_correspondent=True)
        await asyncio.sleep(0)
        made.acknowledge()
        inner = b"\x60\0\0\0\0\x08\x3c\x40" + PEER.packed + HOME.packed
        inner += bytes.fromhex("3b00010400000000")
        made.service._arrivals.from_capture([tunnelled(inner)])
        assert made.service._tun.sent == [inner]

    asyncio.run(scenario())


def test_a_tunnel_packet_of_another_tunnel_is_given_back_to_the_kernel(node: Maker) -> None:
    """A node behind this router may have the same home agent."""

    async def scenario() -> None:
        made = node()
        await asyncio.sleep(0)
        made.acknowledge()
        inner = b"\x60\0\0\0\0\x00\x3b\x40" + PEER.packed + HOME.packed
        others, former = tunnelled(inner, AWAY.packed), tunnelled(inner)
        made.link(IPv6Address(LTE + 1))
        made.service._arrivals.from_capture([others, former])
        assert made.service._tun.sent == [others, inner]

    asyncio.run(scenario())


def test_addresses_of_one_link_share_its_weight(node: Maker) -> None:
    async def scenario() -> None:
        made = node()
        made.link(LTE, IPv6Address(LTE + 1))
        made.acknowledge()
        paths = made.service._forwarder.table.bindings[HOME.packed]
        assert [path.weight for path in paths] == [5.0, 5.0]
        made.link(LTE)
        assert made.service._forwarder.table.bindings[HOME.packed][0].weight == 10.0

    asyncio.run(scenario())


def test_a_link_that_is_renumbered_for_ever_makes_no_other_address_a_strangers(
    node: Maker,
) -> None:
    async def scenario() -> None:
        made = node()
        await asyncio.sleep(0)
        made.acknowledge()
        for number in range(2, 600):
            made.link(LTE, IPv6Address(LTE + number))
        inner = b"\x60\0\0\0\0\x00\x3b\x40" + PEER.packed + HOME.packed
        made.service._arrivals.from_capture([tunnelled(inner)])
        assert made.service._tun.sent[-1] == inner
        assert len(made.service._arrivals._own) <= 256

    asyncio.run(scenario())


def test_the_status_at_home_with_a_plain_agent_is_true(node: Maker) -> None:
    """Nothing is bound there, nothing is missing, and the agent has shown what it knows."""

    async def scenario() -> None:
        made = node()
        await asyncio.sleep(0)
        service, envelope = made.service, Envelope(source=AGENT, destination=HOME)
        (peer,) = service.status().peers
        assert (peer.state, peer.multiple_care_of) == ("no answer", None)
        made.acknowledge()
        (peer,) = service.status().peers
        assert (peer.state, peer.multiple_care_of) == ("registered", True)
        engine = service.engine
        service._driver.run(engine.home_link_changed("lte", bytes(6), service._now()))
        for _ in range(3):  # it has no binding, and says so of whatever it is told
            if engine.outstanding is not None:
                refusal = BindingAcknowledgement(
                    status=BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE,
                    sequence=engine.outstanding.sequence,
                    lifetime_s=0,
                )
                service._receive(Received(message=refusal, envelope=envelope))
        status = service.status()
        (peer,) = status.peers
        assert (peer.state, peer.multiple_care_of) == ("at home", False)
        assert list(status.bindings) == []

    asyncio.run(scenario())


def test_a_binding_that_is_gone_shows_no_status_of_its_former_life(node: Maker) -> None:
    async def scenario() -> None:
        made = node()
        await asyncio.sleep(0)
        made.acknowledge()
        made.link()
        for entry in made.service.engine.update_list:
            entry.forget()  # it has expired
        (binding,) = made.service.status().bindings
        assert (binding.state, binding.last_status_phrase) == ("gone", None)

    asyncio.run(scenario())


def test_a_router_that_changes_its_mind_fills_no_log(node: Maker) -> None:
    async def scenario() -> None:
        made = node()
        for number in range(200):
            made.link(*(() if number % 2 else (IPv6Address(LTE + number),)))
        assert made.lines.getvalue().count("\n") < 60

    asyncio.run(scenario())


def test_an_agent_that_forgets_again_and_again_fills_no_log(node: Maker) -> None:
    async def scenario() -> None:
        made = node()
        forgot = BindingError(
            status=BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS, home_address=HOME
        )
        for _ in range(200):
            if made.service.engine.outstanding is not None:
                made.acknowledge()
            made.service._arrivals.from_capture([message(forgot)])
            made.service._driver.run(made.service.engine.handle_timer(1e9))
        assert made.lines.getvalue().count("\n") < 80

    asyncio.run(scenario())
