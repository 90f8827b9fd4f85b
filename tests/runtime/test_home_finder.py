"""Which link is home, as router advertisements tell (RFC 6275 §11.5, RFC 5648 §5.6.4)."""

import asyncio
from collections.abc import Callable, Coroutine
from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest

from mcoa.runtime import home_finder
from mcoa.runtime.home_finder import HomeFinder, HomeFound
from mcoa.runtime.links import LinkState
from mcoa.runtime.router_advertisements import Heard
from mcoa.wire.icmpv6_neighbor import RouterAdvertisement
from mcoa.wire.neighbor_discovery import PrefixInformation, SourceLinkLayerAddress

HOME = IPv6Network("2001:db8:1::/64")
AGENT, ROUTER = HOME[1], IPv6Address("fe80::1")
ROUTER_MAC, AGENT_MAC = bytes.fromhex("0200000000fe"), bytes.fromhex("020000000001")
UP = LinkState(up=True, index=4, mac=bytes.fromhex("020000000064"), mtu=1500)


class Listener:
    """Takes the place of the socket; `all` are those that listen, by interface."""

    all: dict[str, "Listener"] = {}  # noqa: RUF012 emptied by the fixture

    def __init__(
        self, interface: str, _index: int, *, heard: Callable[[Heard], None], **_: object
    ) -> None:
        self.interface, self.heard, self.asked = interface, heard, 0
        Listener.all[interface] = self

    def solicit(self) -> None:
        self.asked += 1

    def close(self) -> None:
        del Listener.all[self.interface]


class Finder(HomeFinder):
    """A finder, and what it told."""

    def __init__(self) -> None:
        self.told: list[HomeFound | None] = []
        super().__init__(
            {"lte": "wwan0", "home": "eth0"},
            HOME,
            sender=HOME[0x100],
            found=self.told.append,
            malformed=lambda _why, _who: None,
        )

    def hear(self, interface: str = "eth0", **values: Any) -> None:
        Listener.all[interface].heard(advertisement(**values))


def advertisement(
    network: IPv6Network = HOME,
    *,
    lifetime_s: int = 1800,
    valid_s: int = 3600,
    mac: bytes = ROUTER_MAC,
    router: IPv6Address = ROUTER,
    home_agent: bool = False,
) -> Heard:
    prefix = PrefixInformation(
        prefix=network[1] if home_agent else network[0],
        router_address=home_agent,
        valid_lifetime_s=valid_s,
        preferred_lifetime_s=valid_s,
    )
    told = (SourceLinkLayerAddress(address=mac),) if mac else ()
    message = RouterAdvertisement(
        lifetime_s=lifetime_s, home_agent=home_agent, options=(*told, prefix)
    )
    return Heard(router=router, message=message)


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_finder, "RouterListener", Listener)
    Listener.all.clear()


def play(scenario: Callable[[Finder], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        finder = Finder()
        await scenario(finder)
        finder.close()
        assert not Listener.all

    asyncio.run(run())


@pytest.mark.requirement("S5.6.2-07", "S5.6.4-03", "S5.6.4-04")
def test_a_link_that_is_advertised_the_home_prefix_is_home() -> None:
    async def scenario(finder: Finder) -> None:
        finder.link_changed("home", UP)
        assert Listener.all["eth0"].asked == 1
        finder.hear(network=IPv6Network("2001:db8:2::/64"))
        assert finder.told == []
        finder.hear()
        [found] = finder.told
        assert found is not None
        assert (found.link, found.interface) == ("home", "eth0")
        assert (found.router, found.router_mac) == (ROUTER, ROUTER_MAC)
        finder.hear()
        assert len(finder.told) == 1

    play(scenario)


@pytest.mark.requirement("S5.6.4-04")
def test_a_router_that_does_not_tell_where_it_is_cannot_be_used() -> None:
    async def scenario(finder: Finder) -> None:
        finder.link_changed("home", UP)
        finder.hear(mac=b"")
        finder.hear(lifetime_s=0)
        assert finder.told == []

    play(scenario)


@pytest.mark.requirement("S5.6.2-07")
def test_home_agents_are_known_by_their_own_advertisements() -> None:
    async def scenario(finder: Finder) -> None:
        finder.link_changed("home", UP)
        finder.hear()
        finder.hear(lifetime_s=0, mac=AGENT_MAC, router=IPv6Address("fe80::2"), home_agent=True)
        assert finder.told[-1] is not None
        assert finder.told[-1].agents == {AGENT: AGENT_MAC}
        assert finder.told[-1].router_mac == ROUTER_MAC

    play(scenario)


@pytest.mark.parametrize("ends", ["carrier", "prefix", "router", "time"])
def test_home_ends_with_the_carrier_the_prefix_or_the_router(ends: str) -> None:
    async def scenario(finder: Finder) -> None:
        finder.link_changed("home", UP)
        finder.hear(valid_s=1 if ends == "time" else 3600)
        match ends:
            case "carrier":
                finder.link_changed("home", LinkState())
            case "prefix":
                finder.hear(valid_s=0)
            case "router":
                finder.hear(lifetime_s=0)
            case _:
                await asyncio.sleep(1.1)
        assert finder.told[-1] is None
        assert len(finder.told) == 2

    play(scenario)


def test_a_flood_of_routers_is_bounded() -> None:
    async def scenario(finder: Finder) -> None:
        finder.link_changed("home", UP)
        for number in range(1, 1000):
            router = IPv6Address((0xFE80 << 112) + number)
            finder.hear(router=router)
            finder.hear(network=HOME, router=router, home_agent=True, mac=number.to_bytes(6))
        assert len(finder._seen["home"].routers) <= 64
        assert len(finder._seen["home"].agents) <= 64
        assert finder.told[-1] is not None

    play(scenario)


@pytest.mark.requirement("S5.6.3-04")
def test_of_two_home_links_one_is_used() -> None:
    async def scenario(finder: Finder) -> None:
        finder.link_changed("home", UP)
        finder.link_changed("lte", UP)
        finder.hear("eth0")
        finder.hear("wwan0")
        names = [None if each is None else each.link for each in finder.told]
        assert names == ["home", "lte"]  # the first in order of preference, once it is there
        finder.link_changed("lte", LinkState())
        assert finder.told[-1] is not None
        assert finder.told[-1].link == "home"

    play(scenario)


def test_another_link_layer_address_is_another_home() -> None:
    async def scenario(finder: Finder) -> None:
        finder.link_changed("home", UP)
        finder.hear()
        other = LinkState(up=True, index=4, mac=bytes.fromhex("020000000065"), mtu=1500)
        finder.link_changed("home", other)
        finder.hear()
        states = [None if each is None else each.state for each in finder.told]
        assert states == [UP, None, other]

    play(scenario)
