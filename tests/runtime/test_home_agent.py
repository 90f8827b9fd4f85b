"""A home agent's service without its kernel: what strangers and a bad disk can do to it."""

import asyncio
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from errno import ENOSPC
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mcoa.engine.actions import Envelope, Send
from mcoa.engine.addresses import home_agents_anycast
from mcoa.runtime import home_agent
from mcoa.runtime.config_models import HomeAgentConfiguration
from mcoa.runtime.end import End
from mcoa.runtime.errors import CommandError
from mcoa.runtime.home_agent import HomeAgentService
from mcoa.runtime.links import ABSENT_LINK
from mcoa.runtime.log import EventLog
from mcoa.runtime.router_advertisements import Heard
from mcoa.runtime.signalling import emit_signalling, parse_signalling
from mcoa.wire.checksum import MOBILITY_HEADER, upper_layer_checksum
from mcoa.wire.icmpv6_mobility import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
)
from mcoa.wire.icmpv6_neighbor import RouterAdvertisement
from mcoa.wire.ipv6 import Ipv6Packet, emit_packet
from mcoa.wire.messages import (
    BindingError,
    BindingRevocationAcknowledgement,
    BindingRevocationIndication,
    BindingUpdate,
    Message,
    UnknownMessage,
)
from mcoa.wire.neighbor_discovery import HomeAgentInformation, PrefixInformation
from mcoa.wire.option_list import MalformedOption
from mcoa.wire.options import BindingIdentifier
from mcoa.wire.registry import BindingErrorStatus, OptionType, UpdateFlag

AGENT = IPv6Address("2001:db8:1::1")
HOME = IPv6Address("2001:db8:1::100")
LTE, WIFI = IPv6Address("2001:db8:a::1"), IPv6Address("2001:db8:b::1")
OTHER = IPv6Address("2001:db8:1::2")


class Device:
    """Takes the place of `mip0`."""

    name, index = "mip0", 5

    def __init__(self) -> None:
        self.written: list[bytes] = []

    @classmethod
    def open(cls, *_arguments: object, **_options: object) -> "Device":
        return cls()

    def send(self, packet: bytes) -> bool:
        self.written.append(packet)
        return True

    def close(self) -> None:
        pass


class Link:
    """Takes the place of the home link, on which nobody is."""

    interface, state = "eth0", ABSENT_LINK

    def __init__(self, *_arguments: object, **_options: object) -> None:
        pass

    def close(self) -> None:
        pass

    def intercept(self, *_: object) -> None:
        pass

    def detect(self, _home_address: IPv6Address) -> None:
        pass

    def own_address(self) -> None:
        pass


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], "Agent"]]:
    monkeypatch.setattr(home_agent, "Tun", Device)
    monkeypatch.setattr(home_agent, "HomeLink", Link)
    monkeypatch.setattr(home_agent, "Origins", Link)
    made: list[Agent] = []

    def make() -> Agent:
        made.append(Agent(tmp_path / f"{len(made)}"))
        return made[-1]

    yield make
    for each in made:
        each.service.close()


class Agent:
    """A service, and what it wrote; to be made on a running loop."""

    def __init__(self, directory: Path) -> None:
        configuration = HomeAgentConfiguration.model_validate(
            {
                "role": "home-agent",
                "name": "agent",
                "security": "none",
                "dataplane": "userspace",
                "runtime_directory": str(directory),
                "state_directory": str(directory),
                "home-agent": {
                    "address": str(AGENT),
                    "home_link": "eth0",
                    "home_prefixes": ["2001:db8:1::/64"],
                    "duplicate_address_detection": False,
                },
            }
        )
        self.lines = io.StringIO()
        log = EventLog(self.lines, monotonic=lambda: 0.0, wall_clock=lambda: 0.0)
        self.service = HomeAgentService(
            configuration,
            netlink=None,  # type: ignore[arg-type]
            journal=None,  # type: ignore[arg-type]
            log=log,
            end=End(),
        )

    @property
    def written(self) -> list[bytes]:
        device = self.service._tun
        assert isinstance(device, Device)
        return device.written

    def take(self, *packets: bytes) -> None:
        self.service._packets(list(packets))


def message(value: Message, source: IPv6Address = LTE) -> bytes:
    envelope = Envelope(source=source, destination=AGENT, home_address=HOME)
    return emit_signalling(Send(message=value, envelope=envelope))


def update(sequence: int) -> bytes:
    return message(
        BindingUpdate(
            sequence=sequence,
            flags=UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME,
            lifetime_s=60,
            options=(BindingIdentifier(bid=1, care_of_address=LTE),),
        )
    )


def with_payload_protocol(packet: bytes, protocol: int) -> bytes:
    header = bytes((protocol,)) + packet[65:68] + b"\0\0" + packet[70:]
    checksum = upper_layer_checksum(header, HOME.packed, AGENT.packed, MOBILITY_HEADER)
    return packet[:64] + header[:4] + checksum.to_bytes(2) + header[6:]


UNKNOWN = UnknownMessage(type=99, data=bytes(10))
MALFORMED = with_payload_protocol(update(1), 58)

Maker = Callable[[], Agent]


def test_octets_that_are_no_packet_stand_in_nobodys_way(agent: Maker) -> None:
    async def scenario() -> None:
        made = agent()
        made.take(b"", b"\x60", bytes(6), bytes(7), bytes(39), update(1))
        assert len(made.service.engine.bindings(HOME)) == 1
        await made.service.stop()
        assert len(made.written) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(40))
def test_a_mutated_packet_stands_in_nobodys_way(agent: Maker, seed: int) -> None:
    rng = Random(seed)

    async def scenario() -> None:
        made = agent()
        for sequence in range(1, 100):
            octets = bytearray(rng.choice((update(sequence), message(UNKNOWN), MALFORMED)))
            for _ in range(rng.randint(1, 4)):
                octets[rng.choice((6, 40, 64, rng.randrange(len(octets))))] = rng.randrange(256)
            made.take(bytes(octets[: rng.randint(1, len(octets))]), bytes(octets))
        made.take(update(0x4000))
        assert made.service.engine.bindings(HOME)

    asyncio.run(scenario())


@pytest.mark.parametrize("nonsense", [message(UNKNOWN), MALFORMED], ids=["unknown", "bad"])
def test_rfc4443_2_4_complaints_are_limited_in_rate(agent: Maker, nonsense: bytes) -> None:
    async def scenario() -> None:
        made = agent()
        for _ in range(20):
            made.take(*[nonsense] * 50)
        assert 50 <= len(made.written) < 150
        assert made.lines.getvalue().count("\n") < 30
        assert 1000 in made.service.status().counters.values()

    asyncio.run(scenario())


def registration(sequence: int, *priorities: int) -> bytes:
    """Return an update for two links, with their priorities."""
    options = tuple(
        BindingIdentifier(bid=bid, care_of_address=address, priority=priority)
        for bid, (address, priority) in enumerate(zip((LTE, WIFI), priorities, strict=True), 1)
    )
    flags = UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME
    return message(
        BindingUpdate(sequence=sequence, flags=flags, lifetime_s=60, options=options)
    )


@pytest.mark.parametrize(
    ("priorities", "used"),
    [
        ((20, 30), {1}),
        ((30, 20), {2}),
        ((20, 20), {1, 2}),
        ((0, 0), {1, 2}),
        ((127, 0), {1}),
        ((0, 127), {2}),
    ],
)
@pytest.mark.parametrize("flow_bindings", [True, False])
def test_rfc6089_5_1_1_bid_pri_orders_the_paths_of_a_home_address(
    agent: Maker, priorities: tuple[int, int], used: set[int], *, flow_bindings: bool
) -> None:
    async def scenario() -> None:
        made = agent()
        engine, table = made.service.engine, made.service._forwarder.table
        engine.policy = replace(engine.policy, flow_bindings=flow_bindings)
        made.take(registration(1, *priorities))
        for flow in range(8):
            table.choose(HOME.packed, bytes((flow,)), 1.0)
        paths = {flow.path.path.bid for flow in table.flows_of(HOME.packed)}
        assert paths == (used if flow_bindings else {1, 2})
        await made.service.stop()

    asyncio.run(scenario())


def test_another_bid_pri_moves_flows_at_once_and_without_their_packets(agent: Maker) -> None:
    async def scenario() -> None:
        made = agent()
        table = made.service._forwarder.table
        made.take(registration(1, 10, 20))
        for flow in range(8):
            table.choose(HOME.packed, bytes((flow,)), 1.0)
        made.take(registration(2, 20, 10))
        assert {flow.path.path.bid for flow in table.flows_of(HOME.packed)} == {2}
        await made.service.stop()

    asyncio.run(scenario())


def test_malformed_options_are_counted_and_logged_at_a_limited_rate(agent: Maker) -> None:
    async def scenario() -> None:
        made = agent()
        broken = MalformedOption(type=OptionType.FLOW_IDENTIFICATION, data=bytes(3))
        for sequence in range(1, 101):
            made.take(
                message(
                    BindingUpdate(
                        sequence=sequence,
                        flags=UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME,
                        lifetime_s=60,
                        options=(BindingIdentifier(bid=1, care_of_address=LTE), broken),
                    )
                )
            )
        await made.service.stop()
        assert len(made.written) == 100
        assert made.service.status().counters["option-malformed"] == 100
        lines = made.lines.getvalue()
        assert 1 <= lines.count("option-malformed") <= 20
        assert "Flow Identification" in lines
        assert "FID-PRI needs 2 octets, 1 remain" in lines

    asyncio.run(scenario())


def test_a_disk_that_fails_fills_no_log(agent: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        made = agent()
        outbox = made.service._outbox

        def fail(_batch: object) -> None:
            raise OSError(ENOSPC, "No space left on device")

        monkeypatch.setattr(outbox, "_commit", fail)
        for sequence in range(1, 50):
            made.take(update(sequence))
            await asyncio.sleep(0.002)
            monkeypatch.setattr(outbox, "_retry", None)  # a second has passed
        assert made.written == []
        counters = made.service.status().counters
        assert counters["store-failures"] > 20
        assert counters["acknowledgements-unsent"] > 20
        assert made.lines.getvalue().count("store-failed") == 20

    asyncio.run(scenario())


# Home Address options that mean nothing here.


def claim(source: IPv6Address) -> bytes:
    packet = Ipv6Packet(
        source=source, destination=AGENT, protocol=17, payload=bytes(8), home_address=HOME
    )
    return emit_packet(packet)


@pytest.mark.requirement("S6.5-01", "S6.5-02", "S6.5-03")
def test_rfc5648_6_5_a_packet_from_an_unbound_address_is_answered_with_an_error(
    agent: Maker,
) -> None:
    async def scenario() -> None:
        made = agent()
        made.take(update(1), claim(LTE))
        await made.service.stop()
        assert [packet[6] for packet in made.written] == [43]  # the acknowledgement alone
        made.take(*[claim(WIFI)] * 300)
        await made.service.stop()
        errors = [parse_signalling(packet) for packet in made.written[1:]]
        assert 50 <= len(errors) < 150  # (c) of RFC 4443 §2.4
        assert errors[0].message == BindingError(
            status=BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS, home_address=HOME
        )
        assert errors[0].envelope.destination == WIFI

    asyncio.run(scenario())


# Discovery.


def test_who_asks_for_home_agents_by_the_anycast_address_is_answered(agent: Maker) -> None:
    async def scenario() -> None:
        made = agent()
        anycast = home_agents_anycast(IPv6Network("2001:db8:1::/64"))
        request = HomeAgentAddressDiscoveryRequest(identifier=5)
        envelope = Envelope(source=LTE, destination=anycast)
        made.take(emit_signalling(Send(message=request, envelope=envelope)))
        hear = made.service._router_heard
        hear(heard(IPv6Address("fe80::2"), preference=9))
        made.take(emit_signalling(Send(message=request, envelope=envelope)))
        hear(heard(IPv6Address("fe80::2"), preference=9, home_agent=False))
        made.take(emit_signalling(Send(message=request, envelope=envelope)))
        await made.service.stop()
        answers = [parse_signalling(packet) for packet in made.written]
        assert [each.message for each in answers] == [
            HomeAgentAddressDiscoveryReply(identifier=5, addresses=addresses)
            for addresses in ((AGENT,), (OTHER, AGENT), (AGENT,))
        ]
        assert {each.envelope.destination for each in answers} == {LTE}

    asyncio.run(scenario())


def heard(router: IPv6Address, *, preference: int, home_agent: bool = True) -> Heard:
    prefix = PrefixInformation(
        prefix=OTHER, router_address=True, valid_lifetime_s=60, preferred_lifetime_s=60
    )
    options = (prefix, HomeAgentInformation(preference=preference, lifetime_s=30))
    message = RouterAdvertisement(home_agent=home_agent, lifetime_s=0, options=options)
    return Heard(router=router, message=message)


def test_replies_to_whoever_asks_for_agents_are_limited_in_rate(agent: Maker) -> None:
    async def scenario() -> None:
        made = agent()
        anycast = home_agents_anycast(IPv6Network("2001:db8:1::/64"))
        request = HomeAgentAddressDiscoveryRequest(identifier=5)
        envelope = Envelope(source=LTE, destination=anycast)
        made.take(*[emit_signalling(Send(message=request, envelope=envelope))] * 500)
        await made.service.stop()
        assert 50 <= len(made.written) < 150

    asyncio.run(scenario())


# The operator's commands.


def command(made: Agent, name: str, **request: object) -> dict[str, Any]:
    return made.service.commands()[name]({"command": name, **request})


def test_an_operator_revokes_bindings(agent: Maker) -> None:
    async def scenario() -> None:
        made = agent()
        made.take(update(1))
        await made.service.stop()
        home = str(HOME)
        assert command(made, "bindings", home_address=home)["bids"] == [1]
        assert command(made, "revoke", home_address=home, bids=[1])["bids"] == [1]
        await made.service.stop()
        revocation = parse_signalling(made.written[-1])
        assert isinstance(revocation.message, BindingRevocationIndication)
        answer = BindingRevocationAcknowledgement(sequence=revocation.message.sequence)
        made.take(message(answer))
        assert command(made, "bindings", home_address=home)["bids"] == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "request_", "reason"),
    [
        ("revoke", {}, "no home address"),
        ("revoke", {"home_address": "fe80::1"}, "no home address"),
        ("revoke", {"home_address": 7}, "no home address"),
        ("revoke", {"home_address": "2001:db8:1::999"}, "nothing is bound"),
        ("revoke", {"home_address": str(HOME), "bids": [1, 9]}, "has no BID 9"),
        ("revoke", {"home_address": str(HOME), "bids": "1"}, "list"),
        ("switch", {"home_address": str(HOME), "home_agents": ["x"]}, "no home agent"),
        ("switch", {"home_address": str(HOME), "home_agents": [str(AGENT)]}, "itself"),
        ("switch", {"home_address": str(HOME), "home_agents": "x"}, "list"),
    ],
)
def test_commands_that_make_no_sense_are_refused_and_change_nothing(
    agent: Maker, name: str, request_: dict[str, object], reason: str
) -> None:
    async def scenario() -> None:
        made = agent()
        made.take(update(1))
        with pytest.raises(CommandError, match=reason):
            command(made, name, **request_)
        await made.service.stop()
        assert len(made.written) == 1
        assert made.service.engine.notices.next_deadline() is None

    asyncio.run(scenario())
