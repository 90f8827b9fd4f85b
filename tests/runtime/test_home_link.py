"""A home link whose kernel refuses for a moment."""

import asyncio
from errno import ENOBUFS
from ipaddress import IPv6Address
from typing import Any

import pytest

from mcoa.engine.actions import Interception
from mcoa.runtime import home_link
from mcoa.runtime.home_link import HomeLink

SERVICE = IPv6Address("2001:db8:1::1")
HOME = IPv6Address("2001:db8:1::100")


class Kernel:
    """Takes the place of netlink, the device and the journal."""

    index = 5

    def __init__(self) -> None:
        self.faults = 1
        self.added: list[IPv6Address] = []

    def add_all(self, entries: list[Any]) -> list[Any]:
        if self.faults:
            self.faults -= 1
            raise OSError(ENOBUFS, "No buffer space available")
        self.added += [entry.destination.network_address for entry in entries]
        return []

    def remove_all(self, _entries: object) -> list[Any]:
        return []

    def addresses(self) -> list[Any]:
        return []


def test_a_batch_that_fails_ends_nothing_but_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_link, "LinkWatcher", lambda *_arguments, **_options: None)
    homes = [IPv6Address(HOME + number) for number in range(100)]
    faults: list[object] = []

    async def scenario() -> Kernel:
        kernel: Any = Kernel()
        asyncio.get_running_loop().set_exception_handler(lambda *each: faults.append(each))
        link = HomeLink(
            "eth0",
            address=SERVICE,
            tun=kernel,
            netlink=kernel,
            journal=kernel,
            duplicate=lambda _address: None,
        )
        for home in homes:
            link.intercept(home, Interception.PROXY)
        await asyncio.sleep(0.02)
        for timer in link._announcements.values():
            timer.cancel()
        return kernel

    assert asyncio.run(scenario()).added == homes[32:]
    assert len(faults) == 1
