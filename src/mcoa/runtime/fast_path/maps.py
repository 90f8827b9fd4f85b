"""The programs and their maps: loaded anew, or with the maps that a dead daemon left.

Nothing is pinned to a file. The filters on the devices hold the programs, these hold the maps,
and the maps hold all that packets need; so forwarding goes on without a daemon, what is left
goes with its devices, and the next daemon finds it by the filter on its own device.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mcoa.runtime.fast_path.layout import (
    DROP,
    ENTRANCE,
    ENTRY_AT,
    FLOW,
    FLOW_KEY,
    HOME,
    HOME_KEY,
    LAYOUT,
    NUMBER,
    SETTINGS,
    WAY,
    Reason,
    Settings,
)
from mcoa.runtime.fast_path.libbpf import (
    ArrayMap,
    HashMap,
    Object,
    Ring,
    map_size,
    maps_of,
    program_by_number,
)

OBJECT: Final = Path(__file__).parent / "bpf" / "fast_path.bpf.o"
_ARRAYS: Final = {"settings": SETTINGS, "ways": WAY, "flow_states": FLOW, "drops": DROP}
_HASHES: Final = {
    "flows": (FLOW_KEY, NUMBER),
    "entrances": (ENTRANCE, NUMBER),
    "homes": (HOME_KEY, HOME),
}
_OTHERS: Final = ("exceptions", "attended")
_PROGRAMS: Final = ("from_device", "from_ethernet", "from_bare_link", "leave_it")
_LAYOUT_AT: Final = 12  # in the settings
_FIRST: Final = NUMBER.pack(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much the maps hold."""

    homes: int
    ways: int
    flows: int

    def entries(self) -> dict[str, int]:
        """Return the number of entries of each map whose size is not fixed."""
        return {
            "homes": self.homes,
            "ways": self.ways,
            "entrances": self.ways,
            "flows": self.flows,
            "flow_states": self.flows,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Descriptors of the programs."""

    from_device: int
    from_ethernet: int
    from_bare_link: int
    leave_it: int

    def close(self) -> None:
        """Let go of them; filters hold those that they use."""
        for descriptor in (
            self.from_device,
            self.from_ethernet,
            self.from_bare_link,
            self.leave_it,
        ):
            os.close(descriptor)


class Maps:
    """The maps of one node.

    Attributes:
        is_old: a dead daemon has filled them.
        way_numbers, flow_numbers, flow_words: the arrays as numbers of four and eight octets.
    """

    def __init__(self, descriptors: Mapping[str, int], *, is_old: bool) -> None:
        self.is_old = is_old
        self.settings = ArrayMap(descriptors["settings"])
        self.ways = ArrayMap(descriptors["ways"])
        self.flow_states = ArrayMap(descriptors["flow_states"])
        self.drops = ArrayMap(descriptors["drops"])
        self.flows = _hash_map("flows", descriptors)
        self.entrances = _hash_map("entrances", descriptors)
        self.homes = _hash_map("homes", descriptors)
        self.exceptions = Ring(descriptors["exceptions"])
        self._attended = HashMap(descriptors["attended"], NUMBER.size, NUMBER.size)
        self.way_numbers = self.ways.octets.cast("I")
        self.flow_numbers = self.flow_states.octets.cast("I")
        self.flow_words = self.flow_states.octets.cast("Q")

    @classmethod
    def load(cls, sizes: Sizes, *, old_program: int | None) -> tuple[Self, Programs]:
        """Load the programs; with the maps of a program of a dead daemon, if they fit.

        Raises:
            OSError: libbpf is not there, or the kernel does not take the programs.
        """
        loaded = Object(OBJECT)
        try:
            old = {} if old_program is None else _old_maps(old_program)
            loaded.reuse(old)
            if not old:
                loaded.resize(sizes.entries())
            loaded.load()
            for descriptor in old.values():
                os.close(descriptor)
            names = (*_ARRAYS, *_HASHES, *_OTHERS)
            maps = cls({name: loaded.map(name) for name in names}, is_old=bool(old))
            programs = Programs(**{name: loaded.program(name) for name in _PROGRAMS})
        finally:
            loaded.close()
        return maps, programs

    def set(self, settings: Settings) -> None:
        """Say what holds for all packets."""
        self.settings.octets[: SETTINGS.size] = settings.emit()

    def set_partial(self) -> None:
        """Say that not everything that is bound stands in the maps."""
        self.settings.octets.cast("I")[2] = 1

    def attend(self, programs: Programs) -> None:
        """Take the packets that the programs do not know, for as long as this process lives."""
        self._attended.set(_FIRST, NUMBER.pack(programs.leave_it))

    def entry(self) -> int:
        """Return the index of an interface by which tunnel packets come in; 0 if unknown."""
        return int(NUMBER.unpack_from(self.settings.octets, ENTRY_AT)[0])

    def dropped(self) -> dict[Reason, int]:
        """Return how many packets the programs have dropped, by reason."""
        stride, octets = self.drops.stride, self.drops.octets
        return {reason: DROP.unpack_from(octets, reason * stride)[0] for reason in Reason}

    def close(self) -> None:
        """Let go of the maps; what programs use, stays."""
        for view in (self.way_numbers, self.flow_numbers, self.flow_words):
            view.release()
        for array in (self.settings, self.ways, self.flow_states, self.drops):
            array.close()
        for each in (self.flows, self.entrances, self.homes, self._attended):
            each.close()
        self.exceptions.close()


def _hash_map(name: str, descriptors: Mapping[str, int]) -> HashMap:
    key, value = _HASHES[name]
    return HashMap(descriptors[name], key.size, value.size)


def _old_maps(number: int) -> dict[str, int]:
    """Return the maps of a program if they have our layout; else none."""
    try:
        program = program_by_number(number)
    except OSError:
        return {}
    found = maps_of(program)
    os.close(program)
    if _has_our_layout(found):
        return found
    for descriptor in found.values():
        os.close(descriptor)
    return {}


def _has_our_layout(found: Mapping[str, int]) -> bool:
    sizes = {name: layout.size for name, layout in _ARRAYS.items()}
    sizes |= {name: value.size for name, (_, value) in _HASHES.items()}
    if found.keys() != {*sizes, *_OTHERS}:
        return False
    if any(map_size(found[name])[0] != size for name, size in sizes.items()):
        return False
    settings = ArrayMap(os.dup(found["settings"]))
    layout = NUMBER.unpack_from(settings.octets, _LAYOUT_AT)[0]
    settings.close()
    return bool(layout == LAYOUT)
