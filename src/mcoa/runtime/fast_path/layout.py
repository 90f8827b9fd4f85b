"""What the programs in the kernel and the daemon share, as bpf/fast_path.h has it.

The kernel's numbers are in the host's order, those of packets in the network's.
"""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Final, Self

from mcoa.dataplane.fast_path import Form
from mcoa.dataplane.packet import ICMPV6, PORT_PROTOCOLS

LAYOUT: Final = 1
NO_WAY: Final = 0
"""The number of a way that takes nothing; a flow there is the daemon's business."""

WAYS_OF_A_HOME: Final = 8
_NOBODY: Final = bytes(16)
_ECHO: Final = 3  # octets that tell one: its type and its identifier


class Role(IntEnum):
    """Which address of a packet is the home address."""

    NONE = 0
    HOME_AGENT = 1
    MOBILE_NODE = 2
    CORRESPONDENT = 3


class Direction(IntEnum):
    """Of the packets of an entry: towards the other end of the path, or from there."""

    OUTBOUND = 0
    INBOUND = 1


class FlowFlag(IntFlag):
    """What an inbound packet must have to be known."""

    NONE = 0
    SAME_WAY = 1
    SAME_FORM = 2


class Reason(IntEnum):
    """Why a program dropped a packet by itself."""

    NOT_REGISTERED = 0
    CONGESTION = 1


SETTINGS: Final = Struct("=IIII16sII")
ENTRY_AT: Final = 32  # in the settings
WAY: Final = Struct("=III2s2s16s16s16s5Q")
FLOW: Final = Struct("=IIQQQ")
FLOW_KEY: Final = Struct("=16s16s2s2sBBxx")
ENTRANCE: Final = Struct("=16s16s16sH2s")
HOME_KEY: Final = Struct("=16s16s")
HOME: Final = Struct("=I8I")
DROP: Final = Struct("=QQ")
EXCEPTION: Final = Struct("=II16s16s")
NUMBER: Final = Struct("=I")

WAY_COUNTERS: Final = Struct("=5Q")
WAY_COUNTERS_AT: Final = WAY.size - WAY_COUNTERS.size
ROOM_AT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How packets leave by a path; addresses have sixteen octets, IPv4's are mapped ones.

    Attributes:
        room: octets of the largest packet before its new header; 0 for no use.
        device: index of the interface; 0 where the routing tables say.
        frame: Ethernet's header to whoever is next on the device; empty to have it looked up.
    """

    form: Form
    room: int
    device: int = 0
    source: bytes = _NOBODY
    destination: bytes = _NOBODY
    source_port: int = 0
    destination_port: int = 0
    frame: bytes = b""

    def emit(self) -> bytes:
        """Return all of the entry; its counters are zero."""
        return WAY.pack(
            self.form,
            self.room,
            self.device,
            self.source_port.to_bytes(2),
            self.destination_port.to_bytes(2),
            self.source,
            self.destination,
            self.frame,
            *(0, 0, 0, 0, 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What packets that come in by a path are like; zeros where anything goes."""

    form: Form
    home: bytes
    source: bytes = _NOBODY
    destination: bytes = _NOBODY
    source_port: int = 0

    def emit(self) -> bytes:
        """Return the key of the entry."""
        port = self.source_port.to_bytes(2)
        return ENTRANCE.pack(self.home, self.source, self.destination, self.form, port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for all packets."""

    role: Role = Role.NONE
    device: int = 0
    partial: bool = False
    address: bytes = field(default=_NOBODY)

    def emit(self) -> bytes:
        """Return the entry."""
        return SETTINGS.pack(self.role, self.device, self.partial, LAYOUT, self.address, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropEvent:
    """What the programs say of a drop, now and then."""

    reason: Reason
    outer_source: bytes
    inner_source: bytes

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Read one entry of the ring."""
        reason, _, outer_source, inner_source = EXCEPTION.unpack(octets)
        return cls(reason=Reason(reason), outer_source=outer_source, inner_source=inner_source)


def emit_flow_key(shortcut: bytes, direction: Direction) -> bytes:
    """Return the key of the flow that a packet's shortcut() tells.

    The hop limit, which is part of a shortcut, is none of a flow.
    """
    ports = shortcut[34:]
    if len(ports) == _ECHO:
        ports = b"\0" + ports
    return FLOW_KEY.pack(
        shortcut[2:18], shortcut[18:34], ports[:2], ports[2:], shortcut[0], direction
    )


def parse_flow_key(key: bytes) -> tuple[bytes, Direction]:
    """Return a shortcut() of the packets of a flow, as of hop limit 0, and where they go."""
    source, destination, one, other, protocol, direction = FLOW_KEY.unpack(key)
    ports = one + other
    if protocol == ICMPV6:
        ports = ports[1:]
    elif protocol not in PORT_PROTOCOLS:
        ports = b""
    return bytes((protocol, 0)) + source + destination + ports, Direction(direction)
