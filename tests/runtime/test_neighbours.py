"""Where neighbours look for an address, and which groups a home agent listens to for that."""

from collections.abc import Iterator
from ipaddress import IPv6Address

import pytest

from mcoa.runtime import neighbours
from mcoa.runtime.neighbours import Neighbours, solicited_node_group

HOME = IPv6Address("2001:db8:1::100")
COUSIN = IPv6Address("2001:db8:1:0:1::100")  # its group is the same


def test_rfc4291_2_7_1_the_group_has_the_addresss_last_24_bits() -> None:
    address = IPv6Address("4037::01:800:200e:8c6c")
    assert solicited_node_group(address) == IPv6Address("ff02::1:ff0e:8c6c")


class Socket:
    """Both sockets of a Neighbours; it knows its groups."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        self.groups: list[IPv6Address] = []

    def join(self, group: IPv6Address, _index: int) -> None:
        self.groups.append(group)

    def leave(self, group: IPv6Address, _index: int) -> None:
        self.groups.remove(group)

    def send(self, _packet: bytes, _to: object) -> int:
        return 0

    def close(self) -> None:
        self.groups.clear()


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Iterator[Neighbours]:
    monkeypatch.setattr(neighbours, "IcmpSocket", Socket)
    monkeypatch.setattr(neighbours, "PacketSender", Socket)
    monkeypatch.setattr(neighbours, "deliver", lambda *_: lambda: None)
    made = Neighbours("eth0", 2, bytes(6), sender=HOME, claimed=lambda _address: None)
    yield made
    made.close()


def groups(link: Neighbours) -> list[IPv6Address]:
    socket = link._socket
    assert isinstance(socket, Socket)
    return socket.groups


def test_a_group_is_left_with_the_last_address_that_needs_it(link: Neighbours) -> None:
    for address in (HOME, COUSIN, HOME):
        link.probe(address)
    assert groups(link) == [solicited_node_group(HOME)]
    link.release(HOME)
    link.release(HOME)
    assert groups(link) == [solicited_node_group(HOME)]
    link.release(COUSIN)
    assert groups(link) == []


def test_the_end_of_a_detection_costs_the_same_however_many_there_are(
    link: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [IPv6Address(HOME + n) for n in range(500)]
    for address in addresses:
        link.probe(address)
    asked = 0

    def counted(address: IPv6Address) -> IPv6Address:
        nonlocal asked
        asked += 1
        return solicited_node_group(address)

    monkeypatch.setattr(neighbours, "solicited_node_group", counted)
    for address in addresses:
        link.release(address)
    assert groups(link) == []
    assert asked <= 2 * len(addresses)
