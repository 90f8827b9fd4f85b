"""Takes packets that the kernel's IPv6 must not see off the uplinks, below it.

A kernel without Mobile IPv6 answers a type 2 routing header or a Home Address option with a
Parameter Problem, and one with it has its own ideas of them. Two ways around: tc redirects
such packets to a TUN device that we read (Redirect); or a packet socket takes a copy and
nftables drops the original (PacketTap). What was taken and is not for this node goes back
to the kernel by writing it to a TUN device.
"""

import ctypes
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

from mcoa.runtime import ingress, nftables
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.traffic_control import Match
from mcoa.runtime.undo import Journal
from mcoa.runtime.undo_entries import IngressFilters, IngressHook, NftTable

FIRST_PRIORITY = 5135
"""Of our filters; there is one for each kind of match, from here on."""

_LAST_PRIORITY = FIRST_PRIORITY + len(Match) - 1
_PACKETS_A_WAKE_UP = 64
_LARGEST_PACKET = 65575
_ETH_P_IPV6 = 0x86DD
_PACKET_HOST = 0
_SO_ATTACH_FILTER, _SOL_PACKET, _PACKET_IGNORE_OUTGOING = 26, 263, 23
_LOAD_OCTET, _JUMP_EQUAL, _RETURN = 0x30, 0x15, 0x06


class Redirect:
    """Redirects packets by tc to a TUN device, whose reader gets them exactly as they came."""

    def __init__(
        self, tun: Tun, matches: Iterable[Match], *, netlink: Netlink, journal: Journal
    ) -> None:
        """Take `tun`, which close() closes; OSError when the kernel lacks what it takes."""
        self._tun = tun
        self._matches = tuple(matches)
        self._netlink = netlink
        self._journal = journal
        self._attached: dict[str, int] = {}
        self.fileno = tun.fileno
        self.receive = tun.receive
        # To try it out on the device itself disturbs nobody; what fails there fails anywhere.
        self._install(tun.index)
        self._uninstall(tun.index)

    def attach(self, interface: str, index: int) -> None:
        """Begin to take packets off an interface; once more does no harm.

        One that was away lost its filters, and may have its number again.
        """
        if self._attached.get(interface) == index and self._is_installed(index):
            return
        if not ingress.has_hook(index, self._netlink):
            self._journal.record(IngressHook(device=interface))
        self._journal.record(
            IngressFilters(device=interface, first=FIRST_PRIORITY, last=_LAST_PRIORITY)
        )
        self._uninstall(index)
        self._install(index)
        self._attached[interface] = index

    def detach(self, interface: str, index: int) -> None:
        """Leave an interface's packets to the kernel."""
        self._attached.pop(interface, None)
        self._uninstall(index)
        if IngressHook(device=interface) in self._journal.entries:
            ingress.remove_unused_hook(index, self._netlink)

    def close(self) -> None:
        """Close the device; the filters stay until they are undone."""
        self._tun.close()

    def _install(self, index: int) -> None:
        ingress.ensure_hook(index, self._netlink)
        for match in self._matches:
            ingress.add_redirect(index, _priority(match), match, self._tun.index, self._netlink)

    def _is_installed(self, index: int) -> bool:
        present = ingress.filter_priorities(index, self._netlink)
        return present.issuperset(_priority(match) for match in self._matches)

    def _uninstall(self, index: int) -> None:
        ingress.remove_filters(index, FIRST_PRIORITY, _LAST_PRIORITY, self._netlink)


class PacketTap:
    """Copies packets by a packet socket, and has nftables drop the originals."""

    def __init__(self, table: str, matches: Iterable[Match], *, journal: Journal) -> None:
        """Use nftables' table of that name; OSError without nftables or packet sockets."""
        self._table = table
        self._matches = tuple(matches)
        self._journal = journal
        self._interfaces: set[str] = set()
        journal.record(NftTable(table=table))
        self._drop()
        self._socket = _packet_socket(_program(self._matches))
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

    def close(self) -> None:
        """Close the socket; the drops stay until they are undone."""
        self._socket.close()

    def _drop(self) -> None:
        nftables.replace_table(
            self._table, self._interfaces, self._matches, lock=self._journal.fileno()
        )


Capture = Redirect | PacketTap


def open_capture(
    device: str,
    *,
    netlink: Netlink,
    journal: Journal,
    matches: Iterable[Match] = (Match.TYPE_2_ROUTING_HEADER,),
    mtu: int = 1500,
) -> Capture:
    """Return the way of taking packets that works on this kernel.

    Args:
        device: `mip0`; the second device gets its name with "-in" at its end.
        netlink: for asking and changing.
        journal: learns of everything first.
        matches: what to take.
        mtu: not less than that of any uplink; octets.

    Raises:
        OSError: there is none, or no right to use it.
    """
    kinds = tuple(matches)
    tun = Tun.open(f"{device}-in", mtu=mtu, netlink=netlink, journal=journal)
    try:
        return Redirect(tun, kinds, netlink=netlink, journal=journal)
    except OSError:
        tun.close()
        netlink.remove_link(tun.name)
    return PacketTap(f"mcoa_{device}", kinds, journal=journal)


def _priority(match: Match) -> int:
    return FIRST_PRIORITY + list(Match).index(match)


def _packet_socket(program: bytes) -> socket.socket:
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    opened = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_IPV6))
    octets = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(octets))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    # It listened before it had its filter.
    with suppress(BlockingIOError):
        while True:
            opened.recv(1)
    return opened


def _program(matches: Iterable[Match]) -> bytes:
    """Return classic BPF that takes packets of any of `matches`, counted from their header."""
    program: list[bytes] = []
    for match in matches:
        left = 2 * len(match.value) + 1
        for octet in match.value:
            left -= 2
            program.append(_instruction(_LOAD_OCTET, 0, 0, octet.offset))
            program.append(_instruction(_JUMP_EQUAL, 0, left, octet.value))
        program.append(_instruction(_RETURN, 0, 0, 0xFFFFFFFF))
    program.append(_instruction(_RETURN, 0, 0, 0))
    return b"".join(program)


def _instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)
