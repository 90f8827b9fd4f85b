"""The paths of a mobile node: what the engine says can be used, as the forwarder is told it."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from mcoa.dataplane.datagrams import UDP_OVERHEAD
from mcoa.dataplane.mobile_node import DIRECT, MobileNodeForwarder
from mcoa.dataplane.packet import TUNNEL_OVERHEAD
from mcoa.dataplane.path import Path
from mcoa.engine.mobile_node import MobileNode
from mcoa.engine.usable_paths import UsablePath
from mcoa.runtime.config_models import LinkSettings
from mcoa.runtime.data_plane import DataPlane
from mcoa.runtime.events import Events
from mcoa.runtime.fast_path.shapes import frame_to
from mcoa.runtime.links import LinkState, care_of_addresses
from mcoa.runtime.log import Level
from mcoa.runtime.udp_socket import ENCAPSULATION_PORT

_PATIENCE_S: Final = 1.0  # for the other links, after the first one is registered


class PathBook:
    """Keeps the forwarder's paths equal to the engine's.

    Attributes:
        bids: of all paths, by care-of address.
    """

    def __init__(
        self,
        engine: MobileNode,
        forwarder: MobileNodeForwarder,
        data_plane: DataPlane,
        *,
        links: Mapping[str, LinkSettings],
        states: Mapping[str, LinkState],
        mtu: Callable[[UsablePath], int],
        avoided: Callable[[frozenset[str]], object],
        events: Events,
    ) -> None:
        """Begin without paths.

        Args:
            engine: says which paths there are.
            forwarder: is told.
            data_plane: what carries its packets.
            links: by name.
            states: of the links, likewise; they change.
            mtu: tells how large packets on a path may be; octets.
            avoided: told which links are registered and have no path that serves.
            events: for the log.
        """
        self._engine = engine
        self._forwarder = forwarder
        self._table = forwarder.table
        self._data_plane = data_plane
        self._links = links
        self._states = states
        self._mtu = mtu
        self._told_avoided = avoided
        self._avoided: frozenset[str] = frozenset()
        self._events = events
        self._home_address: bytes = engine.policy.home_address.packed
        self._paths: tuple[Path, ...] = ()
        self._visited: tuple[Path, ...] = ()
        self._returning: set[str] = set()
        self.bids: dict[bytes, int] = {}

    def update(self, now: float) -> None:
        """Tell the forwarder of the paths as they are now."""
        usable = self._engine.paths()
        # Several addresses do not make a link quicker.
        shares = Counter(path.link for path in usable)
        paths = tuple(self._path(each, share=1 / shares[each.link]) for each in usable)
        visited = tuple(self._path(each, direct_only=True) for each in self._visited_paths())
        self._forwarder.direct = self._engine.optimization.direct()
        if (paths, visited) == (self._paths, self._visited):
            return
        self._paths, self._visited = paths, visited
        self.bids = {path.care_of_address: path.bid for path in (*visited, *paths)}
        for home_address, bound in ((self._home_address, paths), (DIRECT, visited)):
            self._table.replace(home_address, bound)
            has_rules = bool(self._forwarder.rules)
            self._data_plane.adopt(home_address, now, has_rules=has_rules)
            self._table.obey(home_address, now)
        if paths:
            self._data_plane.attend(now, _PATIENCE_S if self._awaits_others() else 0.0)
        self.take_back(now)
        self._events.log.remote(
            "paths-changed",
            level=Level.INFO,
            paths=" ".join(f"{p.link}:{p.bid or '-'}" for p in usable) or "none",
        )

    def _awaits_others(self) -> bool:
        """Return True while links that have care-of addresses are still to be registered.

        After a restart flows of theirs go on meanwhile, as the daemon before left them; those of
        links that have none, or that a plain agent cannot know, have to move at once.
        """
        if not self._engine.uses_bids:
            return False
        registered = {path.link for path in (*self._paths, *self._visited)}
        others = (
            each for each in self._states if each not in {*registered, self._engine.home_link}
        )
        return any(
            care_of_addresses(self._states[each], self._links[each].family) for each in others
        )

    def active_links(self) -> set[str]:
        """Return the names of the links that have active flows."""
        states = self._table.states_of(self._home_address)
        return {state.path.link for state in states if state.active_flows}

    # What an operator does with links.

    def in_use(self) -> set[str]:
        """Return the names of the links that carry packets of the home address."""
        return {path.link for path in self._paths}

    def drain(self, link: str) -> None:
        """Move all flows off a link."""
        for home_address, bid in self._bids_of(link):
            self._table.path_down(home_address, bid)
        self.judged()

    def refill(self, link: str, now: float) -> None:
        """Let flows use a link again, and have it take its share of them when it is bound."""
        self._returning.add(link)
        for home_address, bid in self._bids_of(link):
            self._table.path_up(home_address, bid)
            self._table.obey(home_address, now)
        self.take_back(now)
        self.judged()

    def judged(self) -> None:
        """Have the agent know which links do not serve now, if they are others than before."""
        states = self._table.states_of(self._home_address)
        bound = {state.path.link for state in states if state.bound}
        avoided = frozenset(bound - {state.path.link for state in states if state.live})
        if avoided != self._avoided:
            self._avoided = avoided
            self._told_avoided(avoided)

    def returned(self, now: float) -> None:
        """Have a path that answers again take its share of the flows."""
        self._table.obey(self._home_address, now)
        self._table.rebalance(self._home_address, now)

    def measured(self, now: float) -> None:
        """Let round trips say where flows go that are to go by them."""
        if self._forwarder.rules.measure:
            self._table.obey(self._home_address, now)

    def take_back(self, now: float) -> None:
        """Give links that are bound again their share of the flows."""
        back = self._returning & self.in_use()
        if back:
            self._returning -= back
            self._table.rebalance(self._home_address, now)

    def _bids_of(self, link: str) -> list[tuple[bytes, int]]:
        bound = [(self._home_address, path) for path in self._paths]
        bound += [(DIRECT, path) for path in self._visited]
        return [(home_address, path.bid) for home_address, path in bound if path.link == link]

    def _visited_paths(self) -> tuple[UsablePath, ...]:
        """Return the paths to correspondents that are there while we are at home."""
        return tuple(self._engine.visited_paths())

    def _path(
        self, usable: UsablePath, *, share: float = 1.0, direct_only: bool = False
    ) -> Path:
        state = self._states[usable.link]
        is_ipv4 = usable.care_of_address.ipv4_mapped is not None
        return Path(
            bid=usable.bid or 0,
            care_of_address=usable.care_of_address.packed,
            weight=self._links[usable.link].weight * share,
            mtu=self._mtu(usable),
            link=usable.link,
            home=usable.home,
            direct_only=direct_only,
            device=state.index,
            frame=b"" if is_ipv4 else frame_to(state.gateway_mac or b"", state.mac),
            overhead=UDP_OVERHEAD if is_ipv4 else TUNNEL_OVERHEAD,
            port=ENCAPSULATION_PORT if is_ipv4 else 0,
        )
