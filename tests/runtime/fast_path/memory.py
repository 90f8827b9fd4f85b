"""Maps in memory, for the fast path's bookkeeping without a kernel."""

from collections.abc import Iterator

from mcoa.runtime.fast_path.layout import FLOW, WAY


class MemoryHash:
    """A map of octets to octets, of limited size."""

    def __init__(self, most: int) -> None:
        self.entries: dict[bytes, bytes] = {}
        self._most = most

    def set(self, key: bytes, value: bytes) -> None:
        if key not in self.entries and len(self.entries) >= self._most:
            raise OSError(7, "Argument list too long")
        self.entries[key] = value

    def remove(self, key: bytes) -> bool:
        return self.entries.pop(key, None) is not None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        yield from list(self.entries.items())


class MemoryArray:
    """A map of numbers to entries of one size."""

    def __init__(self, stride: int, entries: int) -> None:
        self.stride, self.entries = stride, entries
        self.octets = memoryview(bytearray(stride * entries))


class MemoryMaps:
    """What KernelFastPath needs of the maps."""

    def __init__(self, *, ways: int = 64, flows: int = 64) -> None:
        self.ways = MemoryArray(WAY.size, ways)
        self.flow_states = MemoryArray(FLOW.size, flows)
        self.way_numbers = self.ways.octets.cast("I")
        self.flow_numbers = self.flow_states.octets.cast("I")
        self.flow_words = self.flow_states.octets.cast("Q")
        self.flows, self.entrances = MemoryHash(flows), MemoryHash(ways)
        self.homes = MemoryHash(ways)
        self.is_partial = False

    def set_partial(self) -> None:
        self.is_partial = True
