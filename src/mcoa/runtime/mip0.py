"""TUN devices: `mip0`, to which routing sends what needs mobility, and its like.

A TUN device carries bare IP packets between the kernel and the process that holds it. It is
persistent: when the process dies it loses its carrier, but keeps its addresses and routes,
so that no packet leaves by another way, unprotected or with another address, until the next
process takes it over.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterable
from typing import Self

from mcoa.dataplane.trains import Train
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.rtnetlink import LinkFlag
from mcoa.runtime.sysctl import device_setting, write_setting
from mcoa.runtime.undo import Journal
from mcoa.runtime.undo_entries import Device
from mcoa.runtime.unfinished import (
    FINISHED,
    HEADER_LENGTH,
    OFFLOADS,
    taken_in,
    train_header,
    virtio_header,
)

MINIMUM_MTU = 1280
"""IPv6's; with less a device loses its IPv6 addresses and routes."""

_USUAL_MTU = 1500
_LARGEST_MTU = 65535
_LARGEST_READ = HEADER_LENGTH + 65575  # 40 octets of header do not count as payload
_PACKETS_A_WAKE_UP = 64

_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_TUNSETOFFLOAD = 0x400454D0
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_IFREQ = struct.Struct("16sH22x")

# What IPv6 does on a device by itself, and would only be noise here: a link-local address,
# listening to router advertisements and asking for them, detecting duplicates.
_QUIET = {
    "addr_gen_mode": "1",
    "accept_ra": "0",
    "router_solicitations": "0",
    "accept_dad": "0",
}


def device_mtu(uplink_mtus: Iterable[int]) -> int:
    """Return the MTU of a device that is to pass whatever the uplinks can bring; octets.

    Smaller ones are set on routes, where the kernel then tells senders of them: a device
    with less than an uplink would swallow the tunnel packets that fill the uplink.
    """
    return min(max(_USUAL_MTU, *uplink_mtus, MINIMUM_MTU), _LARGEST_MTU)


class Tun:
    """A TUN device that this process holds."""

    def __init__(self, name: str, descriptor: int, index: int, mtu: int) -> None:
        self.name = name
        self.index = index
        self.mtu = mtu
        self.unwritten = 0
        self._descriptor = descriptor

    @classmethod
    def open(
        cls,
        name: str,
        *,
        netlink: Netlink,
        journal: Journal,
        mtu: int = _USUAL_MTU,
        persistent: bool = True,
    ) -> Self:
        """Make the device, or take over the one a dead process left; and switch it on.

        One that is not persistent vanishes with the process, and its routes with it.

        Raises:
            OSError: EBUSY while another process holds it, EPERM without the right, EEXIST
                for a device of that name that is no TUN, ENOENT without TUN support.
        """
        if netlink.link(name) is None:
            journal.record(Device(device=name))
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            request = _IFREQ.pack(name.encode(), _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR)
            _attach(descriptor, request, name)
            # What comes out has its checksum, and is not larger than the MTU.
            fcntl.ioctl(descriptor, _TUNSETOFFLOAD, 0)
            fcntl.ioctl(descriptor, _TUNSETPERSIST, int(persistent))
            index = _switch_on(name, mtu, netlink)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(name, descriptor, index, mtu)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._descriptor

    def receive(self) -> list[bytes]:
        """Return up to 64 packets that were routed to the device; OSError once it is gone."""
        packets: list[bytes] = []
        read, descriptor, add = os.read, self._descriptor, packets.append
        try:
            for _ in range(_PACKETS_A_WAKE_UP):
                add(read(descriptor, _LARGEST_READ)[HEADER_LENGTH:])
        except BlockingIOError:
            pass
        except OSError:
            if not packets:
                raise
        return packets

    def fit(self, uplink_mtus: Iterable[int], netlink: Netlink) -> None:
        """Give the device the MTU that it needs beside uplinks of these; OSError once it is gone."""
        mtu = device_mtu(uplink_mtus)
        if mtu != self.mtu:
            netlink.set_link(self.index, mtu=mtu)
            self.mtu = mtu

    def couple(self) -> None:
        """Let trains come out of the device, for as_trains() from now on."""
        fcntl.ioctl(self._descriptor, _TUNSETOFFLOAD, OFFLOADS)

    def receive_trains(self) -> list[bytes | Train]:
        """Return what receive() does, in trains where the kernel had such."""
        arrivals: list[bytes | Train] = []
        try:
            for _ in range(_PACKETS_A_WAKE_UP):
                arrival = taken_in(os.read(self._descriptor, _LARGEST_READ))
                if arrival is not None:
                    arrivals.append(arrival)
        except BlockingIOError:
            pass
        except OSError:
            if not arrivals:
                raise
        return arrivals

    def as_trains(self) -> "TrainSource":
        """Return the device as a source of packets and trains, after couple()."""
        return TrainSource(self)

    def send(self, packet: bytes) -> bool:
        """Hand the kernel a packet as if it had come in by the device.

        Returns:
            False when it was refused: no IP packet, or a device switched off. Such packets
            are counted in `unwritten`.
        """
        return self._write(FINISHED, packet)

    def send_train(self, train: Train) -> bool:
        """Do so with a train, of which the kernel makes what it needs."""
        return self._write(train_header(train) + train.headers, train.payload)

    def pass_on(self, packet: bytes) -> bool:
        """Do so with a packet from another interface, which the kernel may not have finished."""
        return self._write(virtio_header(packet), packet)

    def close(self) -> None:
        """Let go of the device, which stays; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, header: bytes, rest: bytes | memoryview) -> bool:
        try:
            os.writev(self._descriptor, (header, rest))
        except OSError:
            self.unwritten += 1
            return False
        return True


class TrainSource:
    """A device as a source of packets and trains."""

    def __init__(self, tun: Tun) -> None:
        self.fileno = tun.fileno
        self.receive = tun.receive_trains


def _attach(descriptor: int, request: bytes, name: str) -> None:
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # The kernel's word for a device of that name that is of another kind.
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None


def _switch_on(name: str, mtu: int, netlink: Netlink) -> int:
    for setting, value in _QUIET.items():
        write_setting(device_setting(name, setting), value)
    link = netlink.link(name)
    if link is None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name)
    # Without multicast the kernel sends no listener reports.
    netlink.set_link(link.index, set_flags=LinkFlag.UP, clear_flags=LinkFlag.MULTICAST, mtu=mtu)
    return link.index
