"""libbpf by ctypes: as much of it as loads programs and reads and writes maps.

The library is the system's own. Everything that fails is an OSError with the kernel's reason.
"""

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from ctypes import c_char_p, c_int, c_uint32, c_uint64, c_void_p
from functools import cache
from mmap import PAGESIZE, mmap
from pathlib import Path
from struct import Struct
from typing import Any, Final

LIBRARY: Final = "libbpf.so.1"
_BATCH: Final = 4096
_SIZES: Final = Struct("=5I")  # of a map: its kind, number, key, value and entries
_NAME: Final = slice(24, 40)  # of a map, in what the kernel tells of it
_COMPILED_LENGTH: Final = slice(16, 20)  # of a program, in octets of this processor's code
_PROGRAM_MAPS_AT: Final = 52  # number of maps; eight octets on, a pointer to where they go
_INFORMATION: Final = 256
_MOST_MAPS: Final = 32

_PROTOTYPES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "bpf_object__open_file": (c_void_p, [c_char_p, c_void_p]),
    "bpf_object__load": (c_int, [c_void_p]),
    "bpf_object__close": (None, [c_void_p]),
    "bpf_object__find_map_by_name": (c_void_p, [c_void_p, c_char_p]),
    "bpf_object__find_program_by_name": (c_void_p, [c_void_p, c_char_p]),
    "bpf_map__set_max_entries": (c_int, [c_void_p, c_uint32]),
    "bpf_map__reuse_fd": (c_int, [c_void_p, c_int]),
    "bpf_map__fd": (c_int, [c_void_p]),
    "bpf_program__fd": (c_int, [c_void_p]),
    "bpf_map_update_elem": (c_int, [c_int, c_char_p, c_char_p, c_uint64]),
    "bpf_map_delete_elem": (c_int, [c_int, c_char_p]),
    "bpf_map_get_next_key": (c_int, [c_int, c_char_p, c_char_p]),
    "bpf_map_lookup_elem": (c_int, [c_int, c_char_p, c_char_p]),
    "bpf_map_update_batch": (c_int, [c_int, c_char_p, c_char_p, c_void_p, c_void_p]),
    "bpf_map_get_fd_by_id": (c_int, [c_uint32]),
    "bpf_prog_get_fd_by_id": (c_int, [c_uint32]),
    "bpf_obj_get_info_by_fd": (c_int, [c_int, c_char_p, c_void_p]),
    "libbpf_set_print": (c_void_p, [c_void_p]),
    "ring_buffer__new": (c_void_p, [c_int, c_void_p, c_void_p, c_void_p]),
    "ring_buffer__epoll_fd": (c_int, [c_void_p]),
    "ring_buffer__consume": (c_int, [c_void_p]),
    "ring_buffer__free": (None, [c_void_p]),
}


@cache
def library() -> ctypes.CDLL:
    """Return the library, silent; OSError where the system has none."""
    loaded = ctypes.CDLL(LIBRARY, use_errno=True)
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    loaded.libbpf_set_print(None)
    return loaded


def checked(result: int) -> int:
    """Return what a function gave, unless that is an error."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


class Object:
    """Programs and maps of a compiled file; they live for as long as anybody holds them."""

    def __init__(self, file: Path) -> None:
        self._library = library()
        self._handle = self._library.bpf_object__open_file(os.fsencode(file), None)
        if not self._handle:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(file))

    def resize(self, sizes: Mapping[str, int]) -> None:
        """Give maps their number of entries; before load()."""
        for name, entries in sizes.items():
            checked(self._library.bpf_map__set_max_entries(self._map(name), entries))

    def reuse(self, maps: Mapping[str, int]) -> None:
        """Use maps that are there, by their descriptors; before load()."""
        for name, descriptor in maps.items():
            checked(self._library.bpf_map__reuse_fd(self._map(name), descriptor))

    def load(self) -> None:
        """Have the kernel look at all programs and take them."""
        checked(self._library.bpf_object__load(self._handle))

    def map(self, name: str) -> int:
        """Return a descriptor of a map, for the caller to close."""
        return os.dup(checked(self._library.bpf_map__fd(self._map(name))))

    def program(self, name: str) -> int:
        """Return a descriptor of a program, for the caller to close."""
        found = self._library.bpf_object__find_program_by_name(self._handle, name.encode())
        return os.dup(checked(self._library.bpf_program__fd(found)))

    def close(self) -> None:
        """Let go of the descriptors that map() and program() did not return."""
        self._library.bpf_object__close(self._handle)

    def _map(self, name: str) -> int:
        found: int = self._library.bpf_object__find_map_by_name(self._handle, name.encode())
        return found


def program_by_number(number: int) -> int:
    """Return a descriptor of a program that the kernel has."""
    return checked(library().bpf_prog_get_fd_by_id(number))


def maps_of(program: int) -> dict[str, int]:
    """Return descriptors of the maps that a program uses, by name."""
    numbers = (c_uint32 * _MOST_MAPS)()
    asked = bytearray(_INFORMATION)
    asked[_PROGRAM_MAPS_AT : _PROGRAM_MAPS_AT + 4] = bytes(c_uint32(_MOST_MAPS))
    asked[_PROGRAM_MAPS_AT + 4 : _PROGRAM_MAPS_AT + 12] = bytes(
        c_uint64(ctypes.addressof(numbers))
    )
    told = _information(program, asked)
    count = int.from_bytes(told[_PROGRAM_MAPS_AT : _PROGRAM_MAPS_AT + 4], sys.byteorder)
    found: dict[str, int] = {}
    for number in numbers[:count]:
        descriptor = checked(library().bpf_map_get_fd_by_id(number))
        name = _information(descriptor, bytearray(_INFORMATION))[_NAME]
        found[name.rstrip(b"\0").decode()] = descriptor
    return found


def is_compiled(program: int) -> bool:
    """Return True if the kernel has compiled a program, False if it interprets it."""
    return any(_information(program, bytearray(_INFORMATION))[_COMPILED_LENGTH])


def map_size(descriptor: int) -> tuple[int, int]:
    """Return the octets of a value of a map, and the number of its entries."""
    *_, value, entries = _SIZES.unpack_from(_information(descriptor, bytearray(_INFORMATION)))
    return value, entries


def _information(descriptor: int, asked: bytearray) -> bytes:
    buffer = ctypes.create_string_buffer(bytes(asked), len(asked))
    length = c_uint32(len(asked))
    checked(library().bpf_obj_get_info_by_fd(descriptor, buffer, ctypes.byref(length)))
    return buffer.raw


class HashMap:
    """A map of octets to octets in the kernel."""

    def __init__(self, descriptor: int, key_size: int, value_size: int) -> None:
        self._descriptor = descriptor
        self._key_size, self._value_size = key_size, value_size
        self._update = library().bpf_map_update_elem
        self._delete = library().bpf_map_delete_elem

    def set(self, key: bytes, value: bytes) -> None:
        """Put an entry in, or change it; OSError E2BIG where the map is full."""
        checked(self._update(self._descriptor, key, value, 0))

    def set_all(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Put many in, with few calls."""
        pending: list[tuple[bytes, bytes]] = []
        for entry in entries:
            pending.append(entry)
            if len(pending) >= _BATCH:
                self._set_batch(pending)
                pending = []
        if pending:
            self._set_batch(pending)

    def remove(self, key: bytes) -> bool:
        """Take an entry out; False when there is none."""
        return int(self._delete(self._descriptor, key)) >= 0

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all entries; what changes meanwhile may or may not be among them."""
        functions = library()
        key: bytes | None = None
        following = ctypes.create_string_buffer(self._key_size)
        value = ctypes.create_string_buffer(self._value_size)
        while functions.bpf_map_get_next_key(self._descriptor, key, following) >= 0:
            key = following.raw
            if functions.bpf_map_lookup_elem(self._descriptor, key, value) >= 0:
                yield key, value.raw

    def close(self) -> None:
        """Let go of the map."""
        os.close(self._descriptor)

    def _set_batch(self, entries: list[tuple[bytes, bytes]]) -> None:
        keys = b"".join(key for key, _ in entries)
        values = b"".join(value for _, value in entries)
        count = c_uint32(len(entries))
        checked(
            library().bpf_map_update_batch(
                self._descriptor, keys, values, ctypes.byref(count), None
            )
        )


class ArrayMap:
    """A map in the memory of this process: numbers to entries of one size.

    Attributes:
        octets: all entries, one after the other.
        stride: octets of an entry, rounded up to eight.
        entries: how many there are.
    """

    def __init__(self, descriptor: int) -> None:
        value, self.entries = map_size(descriptor)
        self.stride = value + 7 & ~7
        self._mapped = mmap(descriptor, self.stride * self.entries + PAGESIZE - 1 & -PAGESIZE)
        self.octets = memoryview(self._mapped)
        os.close(descriptor)

    def close(self) -> None:
        """Let go of the map; nothing may hold `octets` any more."""
        self.octets.release()
        self._mapped.close()


_Sample = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, ctypes.c_size_t)


class Ring:
    """What programs write for the daemon; fileno() is readable when there is something."""

    def __init__(self, descriptor: int) -> None:
        self._samples: list[bytes] = []
        self._callback = _Sample(self._take)
        self._descriptor = descriptor
        self._handle = library().ring_buffer__new(descriptor, self._callback, None, None)
        if not self._handle:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return int(library().ring_buffer__epoll_fd(self._handle))

    def receive(self) -> list[bytes]:
        """Return what was written since the last time."""
        library().ring_buffer__consume(self._handle)
        taken, self._samples = self._samples, []
        return taken

    def close(self) -> None:
        """Let go of the ring; a second call does nothing."""
        if self._handle:
            library().ring_buffer__free(self._handle)
            os.close(self._descriptor)
            self._handle = None

    def _take(self, _context: object, data: int, size: int) -> int:
        self._samples.append(ctypes.string_at(data, size))
        return 0
