"""The steps by which a link goes out of use, and back."""

import asyncio
from typing import Any

import pytest

from mcoa.runtime import link_switch
from mcoa.runtime.errors import CommandError
from mcoa.runtime.link_switch import LinkSwitch, Step


class Book:
    """Notes what is done with links."""

    def __init__(self) -> None:
        self.used = {"lte", "wifi"}
        self.done: list[tuple[str, str]] = []

    def in_use(self) -> set[str]:
        return self.used

    def drain(self, link: str) -> None:
        self.done.append(("drain", link))

    def refill(self, link: str, _now: float) -> None:
        self.done.append(("refill", link))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_switch, "_ARRIVED_S", 0.01)


def switch(book: Book) -> LinkSwitch:
    return LinkSwitch(
        ("lte", "wifi"),
        book,  # type: ignore[arg-type]
        settle=lambda link: book.done.append(("settle", link)),
        release=lambda link: book.done.append(("release", link)),
    )


def ask(made: LinkSwitch, command: str, **request: Any) -> dict[str, Any]:
    return made.table()[command](request)


@pytest.mark.usefixtures("quick")
def test_a_link_goes_in_steps() -> None:
    book = Book()

    async def scenario() -> None:
        made = switch(book)
        assert ask(made, "link-disable", link="lte") == {"link": "lte", "state": "draining"}
        assert not made.is_withdrawn("lte")
        assert ask(made, "link-disable", link="lte")["state"] == "draining"
        await asyncio.sleep(0.05)
        assert made.steps == {"lte": Step.DISABLED}
        assert made.is_withdrawn("lte")
        assert ask(made, "link-enable", link="lte") == {"link": "lte", "state": "enabled"}
        assert ask(made, "link-enable", link="lte")["state"] == "enabled"

    asyncio.run(scenario())
    assert book.done == [
        ("drain", "lte"),
        ("settle", "lte"),
        ("release", "lte"),
        ("refill", "lte"),
        ("settle", "lte"),
    ]


@pytest.mark.usefixtures("quick")
def test_a_link_that_is_wanted_again_in_between_is_not_cut_off() -> None:
    book = Book()

    async def scenario() -> None:
        made = switch(book)
        ask(made, "link-disable", link="lte")
        ask(made, "link-enable", link="lte")
        await asyncio.sleep(0.05)
        assert made.steps == {}
        made.close()

    asyncio.run(scenario())
    assert ("release", "lte") not in book.done


def test_the_last_link_needs_force() -> None:
    book = Book()

    async def scenario() -> None:
        made = switch(book)
        ask(made, "link-disable", link="wifi")
        with pytest.raises(CommandError, match="no other link than lte"):
            ask(made, "link-disable", link="lte")
        ask(made, "link-disable", link="lte", force=True)
        assert set(made.steps) == {"lte", "wifi"}
        made.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("link", ["eth7", None, 3])
def test_an_unknown_link_is_refused(link: object) -> None:
    async def scenario() -> None:
        with pytest.raises(CommandError, match="there is no link"):
            ask(switch(Book()), "link-disable", link=link)

    asyncio.run(scenario())
