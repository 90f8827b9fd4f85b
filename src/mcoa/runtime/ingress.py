"""Filters on a device's way in and out, set and removed beside those of others."""

from contextlib import suppress

from mcoa.runtime import traffic_control
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.netlink_framing import MessageFlag, MessageType
from mcoa.runtime.patterns import Pattern
from mcoa.runtime.traffic_control import Filter, Hook

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


def filters(index: int, netlink: Netlink, hook: Hook = Hook.IN) -> list[Filter]:
    """Return all filters there."""
    body = traffic_control.emit_filters(index, hook=hook)
    return [Filter.parse(each) for each in netlink.dump(MessageType.GET_FILTER, body)]


def filter_priorities(index: int, netlink: Netlink) -> set[int]:
    """Return the priorities of all filters on the way in; each is the name of a filter."""
    return {each.priority for each in filters(index, netlink)}


def run_program(
    index: int, hook: Hook, priority: int, program: tuple[int, str], netlink: Netlink
) -> None:
    """Have a program, by its descriptor and name, look at all packets; in place of another."""
    body = traffic_control.emit_program(index, hook, priority, *program)
    flags = MessageFlag.CREATE | MessageFlag.REPLACE
    netlink.request(MessageType.NEW_FILTER, body, flags)


def add_redirect(
    index: int, priority: int, pattern: Pattern, target: int, netlink: Netlink
) -> None:
    """Have packets of `pattern` redirected to the device `target`."""
    body = traffic_control.emit_redirect(index, priority, pattern, target)
    netlink.request(MessageType.NEW_FILTER, body, _NEW)


def add_redirect_of_origin(
    index: int, priority: int, origin: str, target: int, netlink: Netlink
) -> None:
    """Have IPv6 packets on their way out that came in by `origin` redirected to a device."""
    body = traffic_control.emit_redirect_of_origin(index, priority, origin, target)
    netlink.request(MessageType.NEW_FILTER, body, _NEW)


def remove_filters(
    index: int, first: int, last: int, netlink: Netlink, hook: Hook = Hook.IN
) -> None:
    """Remove the filters of these priorities."""
    for each in {(each.priority, each.protocol) for each in filters(index, netlink, hook)}:
        priority, protocol = each
        if first <= priority <= last:
            body = traffic_control.emit_filters(index, priority, hook=hook, protocol=protocol)
            netlink.request_unless_absent(MessageType.DELETE_FILTER, body)
