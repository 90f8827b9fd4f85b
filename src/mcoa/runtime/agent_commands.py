"""What an operator asks of a running home agent about one mobile node (RFC 5846, RFC 5142)."""

from ipaddress import AddressValueError, IPv6Address
from typing import Any

from mcoa.engine.addresses import is_unicast_routable
from mcoa.engine.home_agent import HomeAgent
from mcoa.runtime.control import Command
from mcoa.runtime.driver import Driver
from mcoa.runtime.errors import CommandError


class AgentCommands:
    """The commands `bindings`, `revoke` and `switch` of the control socket.

    Each names a `home_address`. `revoke` may name `bids`, `switch` the `home_agents` to go to.
    All answer {"home_address": ..., "bids": [...]}: what is bound, or is to be revoked, with
    null for the binding of a node without Binding Identifiers.
    """

    def __init__(self, engine: HomeAgent, driver: Driver) -> None:
        self._engine = engine
        self._driver = driver

    def table(self) -> dict[str, Command]:
        """Return the commands by name."""
        return {"bindings": self._bindings, "revoke": self._revoke, "switch": self._switch}

    def _bindings(self, request: dict[str, Any]) -> dict[str, Any]:
        home_address = _address(request.get("home_address"), "home address")
        return _answer(home_address, self._bids(home_address))

    def _revoke(self, request: dict[str, Any]) -> dict[str, Any]:
        home_address, bound = self._bound(request)
        wanted = request.get("bids") or []
        if not isinstance(wanted, list):
            raise CommandError("bids: a list of numbers is needed")
        missing = [each for each in wanted if each not in bound]
        if missing:
            known = ", ".join(str(each) for each in bound if each is not None) or "none"
            names = ", ".join(map(str, missing))
            raise CommandError(f"{home_address} has no BID {names}", f"bound are: {known}")
        actions = self._engine.revoke(home_address, frozenset(wanted), self._driver.now)
        self._driver.run(actions)
        return _answer(home_address, wanted or bound)

    def _switch(self, request: dict[str, Any]) -> dict[str, Any]:
        home_address, bound = self._bound(request)
        words = request.get("home_agents") or []
        if not isinstance(words, list):
            raise CommandError("home_agents: a list of addresses is needed")
        agents = tuple(_address(each, "home agent") for each in words)
        if self._engine.policy.address in agents:
            raise CommandError("that is this home agent itself", "name another one")
        self._driver.run(self._engine.switch(home_address, agents, self._driver.now))
        return _answer(home_address, bound)

    def _bound(self, request: dict[str, Any]) -> tuple[IPv6Address, list[int | None]]:
        home_address = _address(request.get("home_address"), "home address")
        bound = self._bids(home_address)
        if not bound:
            raise CommandError(
                f"nothing is bound to {home_address} here", "`mcoa show` lists what is"
            )
        return home_address, bound

    def _bids(self, home_address: IPv6Address) -> list[int | None]:
        return [binding.bid for binding in self._engine.bindings(home_address)]


def _address(value: object, what: str) -> IPv6Address:
    try:
        address = IPv6Address(value) if isinstance(value, str) else None
    except AddressValueError:
        address = None
    if address is None or not is_unicast_routable(address):
        raise CommandError(f"{value!r:.60} is no {what}", "give an IPv6 address")
    return address


def _answer(home_address: IPv6Address, bids: list[int | None]) -> dict[str, Any]:
    return {"home_address": str(home_address), "bids": bids}
