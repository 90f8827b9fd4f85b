"""Tells the packets for mobile nodes apart by the interface that they came in by.

A TUN device does not say that. So what came in by an interface that some rule names is redirected,
on its way out to `mip0`, to a device of its own, which is read here. A fast path comes first: it
leaves flows alone that it does not know, and those are the ones that rules are asked about.
"""

from collections.abc import Callable, Iterable
from typing import Final

from mcoa.runtime import ingress
from mcoa.runtime.links import LinkState, LinkWatcher
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.readiness import deliver
from mcoa.runtime.traffic_control import Hook
from mcoa.runtime.undo import Journal

FIRST_PRIORITY: Final = 5200
"""Of our filters; there is one for each interface, from here on."""

_LAST_PRIORITY: Final = FIRST_PRIORITY + 0xFF
_MTU: Final = 1500


class Origins:
    """Reads what came in by each of some interfaces, which may come and go.

    Args:
        tun: where all of it is routed.
        interfaces: of which to tell.
        netlink: for asking and changing.
        journal: learns of everything first.
        refused: told of an interface whose packets the kernel does not tell apart.
    """

    def __init__(
        self,
        tun: Tun,
        interfaces: Iterable[str],
        *,
        netlink: Netlink,
        journal: Journal,
        refused: Callable[[str, OSError], None],
    ) -> None:
        self._index = tun.index
        self._netlink = netlink
        self._refused = refused
        names = sorted(set(interfaces))
        self._priorities = {name: FIRST_PRIORITY + n for n, name in enumerate(names)}
        self._attached: dict[str, int] = {}
        self._undeliver: list[Callable[[], None]] = []
        # Those of a daemon that was killed lead nowhere now.
        if ingress.has_hook(self._index, netlink):
            self._remove(FIRST_PRIORITY, _LAST_PRIORITY)
        if names:
            ingress.ensure_hook(self._index, netlink)
        self._doors = {
            name: Tun.open(
                f"{tun.name}-{number}",
                mtu=_MTU,
                netlink=netlink,
                journal=journal,
                persistent=False,
            )
            for number, name in enumerate(names, 1)
        }
        self._watcher = LinkWatcher(
            {name: name for name in names}, self._changed, netlink=netlink, groups=("link",)
        )

    def start(
        self, take: Callable[[Iterable[bytes], str], None], lost: Callable[[OSError], None]
    ) -> None:
        """Give `take` packets, with the interface that they came in by; on the running loop."""

        def taker(name: str) -> Callable[[Iterable[bytes]], None]:
            return lambda packets: take(packets, name)

        for name, door in self._doors.items():
            self._undeliver.append(deliver(door, taker(name), lost))
        if self._doors:
            self._watcher.start()

    def close(self) -> None:
        """Let go of the devices, which vanish; the filters are those of `mip0`, and go with it."""
        self._watcher.close()
        for undeliver in self._undeliver:
            undeliver()
        for door in self._doors.values():
            door.close()

    def _changed(self, name: str, state: LinkState) -> None:
        """Lay the way anew for an interface that has come, perhaps as another of its name."""
        before = self._attached.get(name, 0)
        if before == state.index:
            return
        priority = self._priorities[name]
        if before:
            self._remove(priority, priority)
        self._attached[name] = state.index
        if state.index:
            door = self._doors[name].index
            try:
                ingress.add_redirect_of_origin(self._index, priority, name, door, self._netlink)
            except OSError as error:
                self._refused(name, error)

    def _remove(self, first: int, last: int) -> None:
        ingress.remove_filters(self._index, first, last, self._netlink, Hook.OUT)
