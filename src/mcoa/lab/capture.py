"""Captures packets of interfaces in several namespaces into one pcapng file.

Mobility signalling and ICMPv6 are kept whole, of other packets the headers, up to a bound on
the file. Run as a program it reads commands on its standard input (`signalling`: leave data
packets alone, which costs nothing; `everything`), and ends with it.
"""

import ctypes
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mcoa.lab.namespaces import enter
from mcoa.lab.pcapng import (
    LINK_TYPE_ETHERNET,
    LINK_TYPE_RAW,
    enhanced_packet,
    interface_description,
    section_header,
)
from mcoa.lab.sightings import (
    DESTINATION_OPTIONS,
    ETHERTYPE_IPV6,
    ICMPV6,
    IPV6,
    MOBILITY,
    ROUTING,
    is_signalling,
)

ETH_P_ALL = 0x0003
SO_TIMESTAMPNS, SO_ATTACH_FILTER, SO_DETACH_FILTER = 35, 26, 27
PACKET_OUTGOING = 4
ARPHRD_ETHER = 1
ETHERNET_OCTETS = 14
HEADER_OCTETS = 128  # Ethernet, two IPv6 headers and a TCP header with its options
BATCH = 64
RECEIVE_BUFFER_OCTETS = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """An interface to capture at; `label` is its name in the file ("mn:lte").

    With `signalling_only` data packets are left alone there, whatever the commands say.
    """

    namespace: Path
    interface: str
    label: str
    signalling_only: bool = False

    def argument(self) -> str:
        """Return the tap as one word of the command line."""
        extent = "signalling" if self.signalling_only else "everything"
        return f"{self.namespace},{self.interface},{self.label},{extent}"

    @classmethod
    def from_argument(cls, word: str) -> "Tap":
        """Read one word of the command line; ValueError if it is not a tap."""
        namespace, interface, label, extent = word.split(",")
        return cls(
            namespace=Path(namespace),
            interface=interface,
            label=label,
            signalling_only=extent == "signalling",
        )


class Capture:
    """The open taps and the file; data packets stop at `limit_octets` less a tenth."""

    def __init__(self, taps: Sequence[Tap], file: IO[bytes], limit_octets: int) -> None:
        self._taps = taps
        self._sockets = [open_tap(tap) for tap in taps]
        self._is_ethernet = [each.getsockname()[3] == ARPHRD_ETHER for each in self._sockets]
        self._file, self._limit_octets = file, limit_octets
        self._write(section_header("mcoa"))
        for tap, is_ethernet in zip(taps, self._is_ethernet, strict=True):
            link_type = LINK_TYPE_ETHERNET if is_ethernet else LINK_TYPE_RAW
            self._write(interface_description(tap.label, link_type))
        self.select_signalling()
        self.select_everything()

    def run(self, commands: int) -> None:
        """Capture until `commands`, a descriptor, reaches its end."""
        numbers = {each.fileno(): number for number, each in enumerate(self._sockets)}
        going_on = True
        while going_on:
            ready, _, _ = select.select([*numbers, commands], [], [])
            packets = []
            for descriptor in ready:
                if descriptor == commands:
                    going_on = self._obey(os.read(commands, 4096).decode())
                else:
                    packets += self._drain(numbers[descriptor])
            self._write(b"".join(block for _, block in sorted(packets)))
            time.sleep(0.002)  # collects packets into batches
        self._file.flush()

    def select_signalling(self) -> None:
        """From now on let the kernel drop all but signalling."""
        for each, is_ethernet in zip(self._sockets, self._is_ethernet, strict=True):
            attach_filter(each, signalling_filter(ETHERNET_OCTETS if is_ethernet else 0))

    def select_everything(self) -> None:
        """From now on take data packets too, where that is wanted."""
        for tap, each in zip(self._taps, self._sockets, strict=True):
            if not tap.signalling_only:
                each.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    def _obey(self, text: str) -> bool:
        for line in text.splitlines():
            match line:
                case "signalling":
                    self.select_signalling()
                case "everything":
                    self.select_everything()
                case _:
                    raise ValueError(f"not a command of the capture: {line!r}")
        return bool(text)

    def _drain(self, number: int) -> list[tuple[int, bytes]]:
        tap, start = self._sockets[number], ETHERNET_OCTETS * self._is_ethernet[number]
        packets = []
        for _ in range(BATCH):
            try:
                data, ancillary, _, address = tap.recvmsg(65535, 64)
            except OSError:  # nothing more, or the interface just went down
                break
            kept = data if is_signalling(data[start:]) else data[:HEADER_OCTETS]
            if kept is not data and self._file.tell() > self._limit_octets * 9 // 10:
                continue
            timestamp_ns = _timestamp_ns(ancillary)
            block = enhanced_packet(
                number, timestamp_ns, kept, len(data), outbound=address[2] == PACKET_OUTGOING
            )
            packets.append((timestamp_ns, block))
        return packets

    def _write(self, blocks: bytes) -> None:
        if self._file.tell() + len(blocks) <= self._limit_octets:
            self._file.write(blocks)


def open_tap(tap: Tap) -> socket.socket:
    """Open a packet socket on an interface of another namespace."""
    opened: list[socket.socket] = []

    def open_inside() -> None:
        enter(tap.namespace)
        opened.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))

    thread = threading.Thread(target=open_inside)
    thread.start()
    thread.join()
    [tapped] = opened
    tapped.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    tapped.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
    tapped.setblocking(False)
    tapped.bind((tap.interface, ETH_P_ALL))
    return tapped


def signalling_filter(start: int) -> list[tuple[int, int, int, int]]:
    """Return a classic BPF program that passes IPv6 packets with signalling, tunnelled too.

    `start` is the offset of the IPv6 header. It looks at the first next header and, in a
    tunnel packet, at that of the inner header.
    """
    load_octet, load_half, equal, answer = 0x30, 0x28, 0x15, 0x06
    telling = (MOBILITY, ICMPV6, ROUTING, DESTINATION_OPTIONS)
    program: list[tuple[int, int, int, int]] = []
    if start:
        # jumps count the instructions to pass over: 13 lead from here to the refusal
        program += [
            (load_half, 0, 0, start - 2),
            (equal, 0, 2 * len(telling) + 3, ETHERTYPE_IPV6),
        ]
    program.append((load_octet, 0, 0, start + 6))
    program += _passes(telling, to_acceptance=2 * len(telling) + 3)
    program += [(equal, 0, len(telling) + 1, IPV6), (load_octet, 0, 0, start + 46)]
    program += _passes(telling, to_acceptance=len(telling) + 1)
    return [*program, (answer, 0, 0, 0), (answer, 0, 0, 0xFFFFFFFF)]


def attach_filter(tapped: socket.socket, program: Sequence[tuple[int, int, int, int]]) -> None:
    """Give a socket a classic BPF program."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(buffer))
    tapped.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, head)


def _passes(protocols: Sequence[int], to_acceptance: int) -> list[tuple[int, int, int, int]]:
    return [
        (0x15, to_acceptance - 1 - index, 0, protocol)
        for index, protocol in enumerate(protocols)
    ]


def _timestamp_ns(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack_from("=qq", data)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()


def main(arguments: Sequence[str]) -> None:
    """Capture into the file named first, with the bound in octets named second."""
    path, limit_octets, *taps = arguments
    with Path(path).open("wb") as file:
        capture = Capture([Tap.from_argument(word) for word in taps], file, int(limit_octets))
        print("ready", flush=True)  # noqa: T201 whoever started it waits for this line
        capture.run(sys.stdin.fileno())


if __name__ == "__main__":
    main(sys.argv[1:])
