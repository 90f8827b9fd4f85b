"""UDP over IPv4 at a home agent: user packets, and signalling that comes in it (RFC 5555 §4)."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from errno import EADDRINUSE
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mcoa.dataplane.home_agent import HomeAgentForwarder
from mcoa.dataplane.packet import BASE_LENGTH, ICMPV6, MOBILITY_HEADER
from mcoa.dataplane.path import Path
from mcoa.dataplane.trains import Segments, Train, couple
from mcoa.engine.actions import UdpEnd
from mcoa.runtime.data_plane import USER_SPACE, DataPlane
from mcoa.runtime.errors import CommandError
from mcoa.runtime.ipv4_addresses import interface_with
from mcoa.runtime.mip0 import Tun
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.readiness import deliver
from mcoa.runtime.sysctl import ipv4_device_setting
from mcoa.runtime.udp_socket import ENCAPSULATION_PORT, Datagrams, Endpoint, UdpSocket
from mcoa.runtime.undo import Journal
from mcoa.wire.registry import Icmpv6Type

_SOLICITATION: Final = Icmpv6Type.MOBILE_PREFIX_SOLICITATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Enveloped:
    """A packet to be sent in UDP to the end of a mobile node."""

    packet: bytes
    to: UdpEnd


class AgentDatagrams:
    """The socket at the agent's IPv4 address.

    Args:
        address: of this machine.
        service_address: of the agent, sixteen octets.
        forwarder: takes user packets, and sends by this from now on; in trains, where no fast
            path is below it.
        data_plane: the fast path, or none.
        tun: the device of both.
        signalling: takes a batch of messages, each with where it came from.
        now: tells the time of the forwarder.

    Raises:
        CommandError: another program has the port.
    """

    def __init__(
        self,
        address: IPv4Address,
        service_address: bytes,
        forwarder: HomeAgentForwarder,
        data_plane: DataPlane,
        tun: Tun,
        *,
        signalling: Callable[[list[tuple[bytes, UdpEnd]]], None],
        now: Callable[[], float],
    ) -> None:
        is_alone = data_plane.name == USER_SPACE
        try:
            self._socket = UdpSocket(address, joined=is_alone, early=True)
        except OSError as error:
            if error.errno != EADDRINUSE:
                raise
            raise CommandError(
                f"another program has UDP port {ENCAPSULATION_PORT} of {address}",
                f"`ss -ulpn sport = {ENCAPSULATION_PORT}` tells which",
            ) from None
        self._address = address
        self._service_address = service_address
        self._forwarder = forwarder
        self._data_plane = data_plane
        self._tun = tun
        self._signalling = signalling
        self._now = now
        self._undeliver: Callable[[], None] = lambda: None
        forwarder.datagrams.emit = self._emit
        forwarder.datagrams.emit_segments = self._emit_segments
        if is_alone:
            tun.couple()
            forwarder.write_train = tun.send_train

    def start(
        self, lost: Callable[[OSError], None], netlink: Netlink, journal: Journal
    ) -> None:
        """Listen, on the running loop; `journal` learns first of what is set for a fast path."""
        self._undeliver = deliver(self._socket, self._take, lost)
        if self._data_plane.name == USER_SPACE:
            return
        # The fast path's look-ups of routes are those of forwarded packets.
        journal.change_setting(ipv4_device_setting(self._tun.name, "forwarding"), "1")
        interface = interface_with(self._address, netlink)
        if interface is not None:
            with suppress(OSError):  # then datagrams are for the daemon
                self._data_plane.attach(interface)

    def send(self, message: Enveloped) -> None:
        """Send signalling."""
        end = message.to
        self._socket.send(message.packet, _endpoint(end.address.packed, end.port))

    def close(self) -> None:
        """Close the socket."""
        self._undeliver()
        self._socket.close()

    def _emit(self, path: Path, packet: bytes) -> None:
        self._socket.send(packet, _endpoint(path.care_of_address, path.port))

    def _emit_segments(self, path: Path, segments: Segments) -> None:
        self._socket.send_segments(segments, _endpoint(path.care_of_address, path.port))

    def _take(self, arrivals: Iterable[Datagrams]) -> None:
        forwarder, now = self._forwarder, self._now()
        messages: list[tuple[bytes, UdpEnd]] = []
        for segments, source, port, traffic_class in arrivals:
            outer = (source, port, traffic_class)
            for each in couple(segments):
                if isinstance(each, Train):
                    forwarder.train_from_datagrams(outer, each, now)
                elif self._is_signalling(each):
                    end = UdpEnd(address=IPv6Address(source), port=port)
                    messages.append((each, end))
                else:
                    forwarder.from_datagram(outer, each, now)
        if messages:
            self._signalling(messages)

    def _is_signalling(self, packet: bytes) -> bool:
        """Tell whether a packet is for the agent itself, and no echo."""
        if packet[24:BASE_LENGTH] != self._service_address:
            return False
        protocol, first = packet[6], packet[BASE_LENGTH : BASE_LENGTH + 1]
        return protocol == MOBILITY_HEADER or (
            protocol == ICMPV6 and first == bytes((_SOLICITATION,))
        )


@lru_cache(maxsize=1 << 14)
def _endpoint(care_of_address: bytes, port: int) -> Endpoint:
    """Return what a socket wants to be told of an IPv4-mapped address."""
    return str(IPv4Address(care_of_address[12:])), port
