"""The kernel's routing tables: asked and changed (Netlink), and watched (Monitor).

The kernel carries out a request while send() runs, so that its answer is there when send()
returns: plain blocking code never waits here, and a link change with the routes that follow
from it is one step of the event loop.
"""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv6Address
from types import TracebackType
from typing import Self

from mcoa.runtime.netlink_framing import (
    Message,
    MessageFlag,
    MessageType,
    emit_message,
    parse_error,
    parse_messages,
)
from mcoa.runtime.rtnetlink import (
    Address,
    Link,
    LinkFlag,
    Neighbour,
    NeighbourFlag,
    Route,
    Rule,
    emit_address_selector,
    emit_link_change,
    emit_link_selector,
    emit_neighbour_selector,
    emit_route_selector,
    emit_rule_selector,
    is_ipv6,
)

Changeable = Address | Neighbour | Route | Rule

ABSENT = frozenset({errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENXIO})
"""What the kernel answers when that which should go is not there."""

GROUPS = {
    "link": 1,
    "neighbour": 3,
    "ipv4-address": 5,
    "ipv4-route": 7,
    "address": 9,
    "route": 11,
    "settings": 12,
    "rule": 19,
}
"""Multicast groups by what they announce, of IPv6 unless they say; "settings" are a device's."""

_SOL_NETLINK = 270
_ADD_MEMBERSHIP, _CAP_ACK, _EXT_ACK, _STRICT_CHECK = 1, 10, 11, 12
_RECEIVE_OCTETS = 1 << 17
_BATCH = 64  # a refusal takes a kilobyte of the receive buffer, which holds 200 KiB
_DUMP_ATTEMPTS = 5
_DATAGRAMS_A_WAKE_UP = 64
_LAST_SEQUENCE = 1 << 31
_SO_RCVBUFFORCE = 33


class Netlink:
    """Requests to the kernel, each done when its method returns; OSError when it refuses."""

    def __init__(self) -> None:
        self._socket = _netlink_socket()
        for option in (_CAP_ACK, _EXT_ACK, _STRICT_CHECK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; what was set stays."""
        self._socket.close()

    def add(self, value: Changeable, *, replace: bool = False) -> None:
        """Add an address, neighbour, route or rule.

        Args:
            value: what to add.
            replace: take the place of one with the same key instead of failing.
        """
        self.request(value.NEW, value.emit(), _creation(replace=replace))

    def remove(self, value: Changeable) -> bool:
        """Remove `value`; False when it is not there."""
        return self.request_unless_absent(value.DELETE, value.emit())

    def add_all(
        self, values: Iterable[Address | Neighbour | Route]
    ) -> list[tuple[Changeable, OSError]]:
        """Add or replace many; returns those that were refused, with the reasons."""
        return self._batches(values, adding=True)

    def remove_all(self, values: Iterable[Changeable]) -> list[tuple[Changeable, OSError]]:
        """Remove many; returns those that were refused, among which are no absent ones."""
        refused = self._batches(values, adding=False)
        return [(value, error) for value, error in refused if error.errno not in ABSENT]

    def link(self, name: str) -> Link | None:
        """Return the device of that name, or None."""
        return next((link for link in self.links() if link.name == name), None)

    def links(self) -> list[Link]:
        """Return all devices."""
        return [
            Link.parse(body) for body in self.dump(MessageType.GET_LINK, emit_link_selector(0))
        ]

    def set_link(
        self,
        index: int,
        *,
        set_flags: LinkFlag = LinkFlag.NONE,
        clear_flags: LinkFlag = LinkFlag.NONE,
        mtu: int = 0,
    ) -> None:
        """Change flags and, unless it is 0, the MTU of a device."""
        body = emit_link_change(index, set_flags, clear_flags, mtu)
        self.request(MessageType.SET_LINK, body)

    def remove_link(self, name: str) -> bool:
        """Remove a virtual device; False when it is not there."""
        link = self.link(name)
        if link is None:
            return False
        return self.request_unless_absent(
            MessageType.DELETE_LINK, emit_link_selector(link.index)
        )

    def addresses(self) -> list[Address]:
        """Return the IPv6 addresses of all devices."""
        bodies = self.dump(MessageType.GET_ADDRESS, emit_address_selector())
        return [Address.parse(body) for body in bodies]

    def routes(self, *, table: int = 0, protocol: int = 0) -> list[Route]:
        """Return IPv6 routes; 0 stands for every table or protocol."""
        bodies = self.dump(MessageType.GET_ROUTE, emit_route_selector(table, protocol))
        return [route for body in bodies for route in Route.parse(body)]

    def rules(self) -> list[Rule]:
        """Return all IPv6 rules."""
        bodies = self.dump(MessageType.GET_RULE, emit_rule_selector())
        return [Rule.parse(body) for body in bodies]

    def neighbours(self, flags: NeighbourFlag = NeighbourFlag.NONE) -> list[Neighbour]:
        """Return what devices know of neighbours; with PROXY, what they answer for."""
        bodies = self.dump(MessageType.GET_NEIGHBOUR, emit_neighbour_selector(flags))
        return [Neighbour.parse(body) for body in bodies if is_ipv6(body)]

    def use_neighbour(self, index: int, address: IPv6Address) -> None:
        """Have the kernel find out whether a neighbour is there, as for a packet to it.

        One that the kernel has never heard of is left alone.
        """
        neighbour = Neighbour(index=index, address=address, flags=NeighbourFlag.USE)
        self.request_unless_absent(neighbour.NEW, neighbour.emit())

    def ask_neighbour(self, index: int, address: IPv6Address) -> None:
        """Have the kernel ask a neighbour whether it is there, however sure of it the kernel is.

        One that the kernel does not know is left alone.
        """
        neighbour = Neighbour(
            index=index, address=address, flags=NeighbourFlag.NONE, asked=True
        )
        self.request_unless_absent(neighbour.NEW, neighbour.emit())

    def request(
        self, kind: MessageType, body: bytes, flags: MessageFlag = MessageFlag.NONE
    ) -> None:
        """Send one request and take its answer."""
        sequence = self._reserve(1)
        flags |= MessageFlag.REQUEST | MessageFlag.ACKNOWLEDGE
        self._socket.send(emit_message(kind, flags, sequence, body))
        for message in self._answers(sequence, sequence):
            if message.kind != MessageType.ERROR:
                continue
            if (error := parse_error(message)) is not None:
                raise error
            return

    def request_unless_absent(self, kind: MessageType, body: bytes) -> bool:
        """Send a request to remove something; False when it is not there."""
        try:
            self.request(kind, body)
        except OSError as error:
            if error.errno in ABSENT:
                return False
            raise
        return True

    def dump(self, kind: MessageType, body: bytes) -> list[bytes]:
        """Return the bodies of all things of a kind; none when their table does not exist."""
        bodies: list[bytes] = []
        for _ in range(_DUMP_ATTEMPTS):
            bodies, is_consistent = self._dump_once(kind, body)
            if is_consistent:
                break
        return bodies

    def _dump_once(self, kind: MessageType, body: bytes) -> tuple[list[bytes], bool]:
        sequence = self._reserve(1)
        flags = MessageFlag.REQUEST | MessageFlag.DUMP
        self._socket.send(emit_message(kind, flags, sequence, body))
        bodies: list[bytes] = []
        is_consistent = True
        for message in self._answers(sequence, sequence):
            is_consistent &= not message.flags & MessageFlag.DUMP_INTERRUPTED
            if message.kind in {MessageType.ERROR, MessageType.DONE}:
                error = parse_error(message)
                if error is not None and error.errno not in ABSENT:
                    raise error
                break
            bodies.append(message.body)
        return bodies, is_consistent

    def _batches(
        self, values: Iterable[Changeable], *, adding: bool
    ) -> list[tuple[Changeable, OSError]]:
        waiting = list(values)
        refused: list[tuple[Changeable, OSError]] = []
        for start in range(0, len(waiting), _BATCH):
            refused += self._batch(waiting[start : start + _BATCH], adding=adding)
        return refused

    def _batch(
        self, values: list[Changeable], *, adding: bool
    ) -> list[tuple[Changeable, OSError]]:
        first = self._reserve(len(values))
        last = first + len(values) - 1
        flags = MessageFlag.REQUEST | (_creation(replace=True) if adding else MessageFlag.NONE)
        datagram = bytearray()
        for sequence, value in enumerate(values, first):
            # Only the last asks for an answer: a refusal is answered in any case.
            if sequence == last:
                flags |= MessageFlag.ACKNOWLEDGE
            kind = value.NEW if adding else value.DELETE
            datagram += emit_message(kind, flags, sequence, value.emit())
        self._socket.send(datagram)
        refused: list[tuple[Changeable, OSError]] = []
        for message in self._answers(first, last):
            if (error := parse_error(message)) is not None:
                refused.append((values[message.sequence - first], error))
            if message.sequence == last:
                break
        return refused

    def _reserve(self, count: int) -> int:
        first = self._sequence + 1 if self._sequence < _LAST_SEQUENCE else 1
        self._sequence = first + count - 1
        return first

    def _answers(self, first: int, last: int) -> Iterator[Message]:
        # What an earlier request left behind (a dump broken off by an error) is passed over.
        while True:
            for message in parse_messages(self._socket.recv(_RECEIVE_OCTETS)):
                if first <= message.sequence <= last:
                    yield message


class Monitor:
    """What the kernel announces about its devices, addresses, routes and rules.

    Its descriptor becomes readable with the announcement; receive() never waits.
    """

    def __init__(self, groups: Iterable[str], *, buffer_octets: int = 1 << 20) -> None:
        self._socket = _netlink_socket()
        self._socket.setblocking(False)
        # Only root may pass the limit of the system; others get what it allows.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_octets)
        with suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_octets)
        for group in groups:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, GROUPS[group])

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def receive(self) -> list[Message] | None:
        """Return what has been announced; None when announcements were lost.

        After None everything is to be asked anew: the kernel had more to say than the
        buffer holds, and does not tell what it left out.
        """
        messages: list[Message] = []
        is_complete = True
        for _ in range(_DATAGRAMS_A_WAKE_UP):
            try:
                messages.extend(parse_messages(self._socket.recv(_RECEIVE_OCTETS)))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                is_complete = False
        return messages if is_complete else None


def _netlink_socket() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    opened.bind((0, 0))
    return opened


def _creation(*, replace: bool) -> MessageFlag:
    return MessageFlag.CREATE | (MessageFlag.REPLACE if replace else MessageFlag.EXCLUSIVE)
