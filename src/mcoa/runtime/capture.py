"""Takes packets that the kernel's IPv6 must not see off the uplinks, below it.

A kernel without Mobile IPv6 answers a type 2 routing header or a Home Address option with a
Parameter Problem, and one with it has its own ideas of them. One whose tunnels are loaded, as
most are, answers a tunnel packet that belongs to none of them with Port Unreachable, even
beside a raw socket that takes it. Two ways around: tc redirects such packets to a TUN device
that we read (Redirect); or a packet socket takes a copy and nftables drops the original
(PacketTap). What was taken and is not for this node goes back to the kernel by writing it to
a TUN device.
"""

import ctypes
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from mcoa.runtime import ingress, nftables
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.patterns import MOST_PATTERNS, TYPE_2_ROUTING_HEADER, Pattern
from mcoa.runtime.undo import Journal
from mcoa.runtime.undo_entries import IngressFilters, IngressHook, NftTable

FIRST_PRIORITY = 5135
"""Of our filters; there is one for each pattern, anywhere from here on."""

_LAST_PRIORITY = FIRST_PRIORITY + 2 * MOST_PATTERNS - 1  # those of before stand while ours come
_PRIORITIES = range(FIRST_PRIORITY, _LAST_PRIORITY + 1)
_PACKETS_A_WAKE_UP = 64
_LARGEST_PACKET = 65575
_ETH_P_IPV6 = 0x86DD
_PACKET_HOST = 0
_SO_ATTACH_FILTER, _SOL_PACKET, _PACKET_IGNORE_OUTGOING = 26, 263, 23
_LOAD_OCTET, _JUMP_EQUAL, _RETURN = 0x30, 0x15, 0x06


class Redirect:
    """Redirects packets by tc to a TUN device, whose reader gets them exactly as they came."""

    def __init__(
        self, tun: Tun, patterns: Iterable[Pattern], *, netlink: Netlink, journal: Journal
    ) -> None:
        """Take `tun`, which close() closes; OSError when the kernel lacks what it takes."""
        self._tun = tun
        self._patterns = tuple(patterns)
        self._netlink = netlink
        self._journal = journal
        self._attached: dict[str, _Filters] = {}
        self.fileno = tun.fileno
        self.receive = tun.receive
        # To try it out on the device itself disturbs nobody; what fails there fails anywhere.
        self._install(_Filters(index=tun.index))
        self._uninstall(tun.index)

    def attach(self, interface: str, index: int) -> None:
        """Begin to take packets off an interface; once more does no harm.

        One that was away lost its filters, and may have its number again.
        """
        known = self._attached.get(interface)
        if known is not None and known.index == index and self._is_installed(known):
            return
        if not ingress.has_hook(index, self._netlink):
            self._journal.record(IngressHook(device=interface))
        self._journal.record(
            IngressFilters(device=interface, first=FIRST_PRIORITY, last=_LAST_PRIORITY)
        )
        self._attached[interface] = filters = _Filters(index=index)
        self._install(filters)

    def detach(self, interface: str, index: int) -> None:
        """Leave an interface's packets to the kernel."""
        self._attached.pop(interface, None)
        self._uninstall(index)
        if IngressHook(device=interface) in self._journal.entries:
            ingress.remove_unused_hook(index, self._netlink)

    def set_patterns(self, patterns: Iterable[Pattern]) -> None:
        """Take packets of these patterns from now on, and no others."""
        self._patterns = tuple(patterns)
        for filters in self._attached.values():
            with suppress(OSError):  # the interface has gone since, as attach() will see
                self._install(filters)

    def close(self) -> None:
        """Close the device; the filters stay until they are undone."""
        self._tun.close()

    def _install(self, filters: "_Filters") -> None:
        """Add what is missing, then remove what is too much: no packet slips by between."""
        index = filters.index
        ingress.ensure_hook(index, self._netlink)
        present = ingress.filter_priorities(index, self._netlink)
        free = (each for each in _PRIORITIES if each not in present)
        for pattern in self._patterns:
            if pattern not in filters.priorities:
                priority = next(free)
                ingress.add_redirect(index, priority, pattern, self._tun.index, self._netlink)
                filters.priorities[pattern] = priority
        for pattern in filters.priorities.keys() - set(self._patterns):
            del filters.priorities[pattern]
        for priority in present.intersection(_PRIORITIES) - {*filters.priorities.values()}:
            ingress.remove_filters(index, priority, priority, self._netlink)

    def _is_installed(self, filters: "_Filters") -> bool:
        present = ingress.filter_priorities(filters.index, self._netlink)
        return present.issuperset(filters.priorities.values())

    def _uninstall(self, index: int) -> None:
        ingress.remove_filters(index, FIRST_PRIORITY, _LAST_PRIORITY, self._netlink)


@dataclass(slots=True, kw_only=True)
class _Filters:
    """The filters of one interface: the priority of each pattern is its name there."""

    index: int
    priorities: dict[Pattern, int] = field(default_factory=dict)


class PacketTap:
    """Copies packets by a packet socket, and has nftables drop the originals."""

    def __init__(self, table: str, patterns: Iterable[Pattern], *, journal: Journal) -> None:
        """Use nftables' table of that name; OSError without nftables or packet sockets."""
        self._table = table
        self._patterns = tuple(patterns)
        self._journal = journal
        self._interfaces: set[str] = set()
        journal.record(NftTable(table=table))
        self._drop()
        self._socket = _packet_socket(_program(self._patterns))
        self.fileno = self._socket.fileno

    def receive(self) -> list[bytes]:
        """Return up to 64 packets that came in by the interfaces attached."""
        packets: list[bytes] = []
        try:
            for _ in range(_PACKETS_A_WAKE_UP):
                packet, (interface, _, kind, *_) = self._socket.recvfrom(_LARGEST_PACKET)
                if kind == _PACKET_HOST and interface in self._interfaces:
                    packets.append(packet)
        except BlockingIOError:
            pass
        return packets

    def attach(self, interface: str, _index: int) -> None:
        """Begin to take packets off an interface; once more does no harm."""
        if interface in self._interfaces:
            return
        self._interfaces.add(interface)
        self._drop()

    def detach(self, interface: str, _index: int) -> None:
        """Leave an interface's packets to the kernel."""
        self._interfaces.discard(interface)
        self._drop()

    def set_patterns(self, patterns: Iterable[Pattern]) -> None:
        """Take packets of these patterns from now on, and no others."""
        self._patterns = tuple(patterns)
        _set_filter(self._socket, _program(self._patterns))
        self._drop()

    def close(self) -> None:
        """Close the socket; the drops stay until they are undone."""
        self._socket.close()

    def _drop(self) -> None:
        nftables.replace_table(
            self._table, self._interfaces, self._patterns, lock=self._journal.fileno()
        )


Capture = Redirect | PacketTap


def open_capture(
    device: str,
    *,
    netlink: Netlink,
    journal: Journal,
    patterns: Iterable[Pattern] = (TYPE_2_ROUTING_HEADER,),
) -> Capture:
    """Return the way of taking packets that works on this kernel.

    Args:
        device: `mip0`; the second device gets its name with "-in" at its end.
        netlink: for asking and changing.
        journal: learns of everything first.
        patterns: what to take.

    Raises:
        OSError: there is none, or no right to use it.
    """
    kinds = tuple(patterns)
    # Its MTU does not matter: what is redirected to a device is not compared with it.
    tun = Tun.open(f"{device}-in", netlink=netlink, journal=journal)
    try:
        return Redirect(tun, kinds, netlink=netlink, journal=journal)
    except OSError:
        tun.close()
        netlink.remove_link(tun.name)
    return PacketTap(f"mcoa_{device}", kinds, journal=journal)


def _packet_socket(program: bytes) -> socket.socket:
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    opened = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_IPV6))
    _set_filter(opened, program)
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    # It listened before it had its filter.
    with suppress(BlockingIOError):
        while True:
            opened.recv(1)
    return opened


def _set_filter(opened: socket.socket, program: bytes) -> None:
    octets = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(octets))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)


def _program(patterns: Iterable[Pattern]) -> bytes:
    """Return classic BPF that takes packets of any of `patterns`, counted from their header."""
    program: list[bytes] = []
    for pattern in patterns:
        left = 2 * len(pattern) + 1
        for octet in pattern:
            left -= 2
            program.append(_instruction(_LOAD_OCTET, 0, 0, octet.offset))
            program.append(_instruction(_JUMP_EQUAL, 0, left, octet.value))
        program.append(_instruction(_RETURN, 0, 0, 0xFFFFFFFF))
    program.append(_instruction(_RETURN, 0, 0, 0))
    return b"".join(program)


def _instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
