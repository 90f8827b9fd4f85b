"""Filters on a device's way in, set and removed beside those of others."""

from contextlib import suppress

from mcoa.runtime import traffic_control
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.netlink_framing import MessageFlag, MessageType
from mcoa.runtime.traffic_control import Filter, Match

_NEW = MessageFlag.CREATE | MessageFlag.EXCLUSIVE


def has_hook(index: int, netlink: Netlink) -> bool:
    """Tell whether a device has the place where filters hang, the clsact qdisc."""
    bodies = netlink.dump(MessageType.GET_QDISC, traffic_control.emit_qdiscs())
    return any(traffic_control.is_clsact(body, index) for body in bodies)


def ensure_hook(index: int, netlink: Netlink) -> None:
    """Give a device that place, unless it has it."""
    with suppress(FileExistsError):
        netlink.request(MessageType.NEW_QDISC, traffic_control.emit_clsact(index), _NEW)


def remove_unused_hook(index: int, netlink: Netlink) -> None:
    """Take that place away, unless it is gone or a filter still hangs there."""
    if has_hook(index, netlink) and not filter_priorities(index, netlink):
        netlink.request_unless_absent(
            MessageType.DELETE_QDISC, traffic_control.emit_clsact(index)
        )


def filter_priorities(index: int, netlink: Netlink) -> set[int]:
    """Return the priorities of all filters there; each is the name of a filter."""
    bodies = netlink.dump(MessageType.GET_FILTER, traffic_control.emit_filters(index))
    return {Filter.parse(body).priority for body in bodies}


def add_redirect(
    index: int, priority: int, match: Match, target: int, netlink: Netlink
) -> None:
    """Have packets of `match` redirected to the device `target`."""
    body = traffic_control.emit_redirect(index, priority, match, target)
    netlink.request(MessageType.NEW_FILTER, body, _NEW)


def remove_filters(index: int, first: int, last: int, netlink: Netlink) -> None:
    """Remove the filters of these priorities."""
    for priority in filter_priorities(index, netlink):
        if first <= priority <= last:
            body = traffic_control.emit_filters(index, priority)
            netlink.request_unless_absent(MessageType.DELETE_FILTER, body)
