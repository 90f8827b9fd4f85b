"""Asks routers that have fallen silent whether they are there again.

A link whose router does not answer is used no more (RFC 4861 §7.3), and so nothing would be sent
there that could find out. An echo request has the kernel look for the router anew; one that
advertises hears a solicitation as well, and so does another one in its place.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from ipaddress import IPv6Address

from mcoa.runtime.links import LinkState
from mcoa.runtime.router_advertisements import ALL_ROUTERS, UNSPECIFIED, solicitation
from mcoa.runtime.sockets import PacketSender, endpoint

INTERVAL_S = 4.0  # RTR_SOLICITATION_INTERVAL (RFC 4861 §10)

_ECHO_REQUEST = struct.pack("!BBHHH", 128, 0, 0, 0, 0)  # the kernel fills in the checksum


class Solicitor:
    """Speaks to the routers that are silent, one an interface.

    Args:
        sender: the address that routing takes for the sender's; no interface need have it.
    """

    def __init__(self, sender: IPv6Address) -> None:
        self._sender = sender
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def link_changed(self, interface: str, state: LinkState) -> None:
        """Begin where a router fell silent, end where it speaks or the link is down."""
        self._end(interface)
        if state.up and state.unreachable and state.gateway is not None:
            self._ask(interface, state.index, state.gateway)

    def close(self) -> None:
        """End everywhere."""
        for interface in list(self._timers):
            self._end(interface)

    def _ask(self, interface: str, index: int, gateway: IPv6Address) -> None:
        loop = asyncio.get_running_loop()
        self._timers[interface] = loop.call_later(
            INTERVAL_S, self._ask, interface, index, gateway
        )
        with suppress(OSError):  # it has gone since, as an announcement will tell
            _echo(interface, index, gateway)
            self._solicit(interface, index)

    def _solicit(self, interface: str, index: int) -> None:
        sender = PacketSender(interface=interface, source=self._sender)
        sender.send(solicitation(UNSPECIFIED), endpoint(ALL_ROUTERS, index))
        sender.close()

    def _end(self, interface: str) -> None:
        if (timer := self._timers.pop(interface, None)) is not None:
            timer.cancel()


def _echo(interface: str, index: int, gateway: IPv6Address) -> None:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    with socket.socket(socket.AF_INET6, kind, socket.IPPROTO_ICMPV6) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        opened.sendto(_ECHO_REQUEST, endpoint(gateway, index))
