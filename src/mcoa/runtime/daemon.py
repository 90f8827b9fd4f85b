"""The daemon: one node, from its configuration to a clean end."""

import asyncio
import os
import signal
from dataclasses import replace
from errno import EBUSY, EEXIST, ENODEV, ENOENT
from typing import Any

from mcoa.runtime.config_models import (
    Configuration,
    CorrespondentConfiguration,
    HomeAgentConfiguration,
    MobileNodeConfiguration,
)
from mcoa.runtime.control import ControlServer
from mcoa.runtime.correspondent import CorrespondentService
from mcoa.runtime.end import End
from mcoa.runtime.errors import CommandError, NoPermissionError
from mcoa.runtime.guard import Faults, run_each
from mcoa.runtime.home_agent import HomeAgentService
from mcoa.runtime.log import EventLog
from mcoa.runtime.mobile_node import MobileNodeService
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.node import Node
from mcoa.runtime.plan import plan
from mcoa.runtime.several import SeveralRoles
from mcoa.runtime.undo import Journal


def run(configuration: Configuration, *, dry_run: bool, log: EventLog) -> int:
    """Run a node until SIGTERM or SIGINT; return the exit code.

    Raises:
        CommandError: it cannot start here.
    """
    if dry_run:
        for line in plan(configuration):
            print(line)  # noqa: T201 - this is what the user asked to see
        return 0
    try:
        return asyncio.run(_serve(configuration, log))
    except PermissionError as error:
        raise NoPermissionError(
            f"the kernel refuses: {error.strerror} ({error.filename or 'network set-up'})",
            "run it as root, or with CAP_NET_ADMIN and CAP_NET_RAW",
        ) from None


async def _serve(configuration: Configuration, log: EventLog) -> int:
    with Netlink() as netlink:
        journal = Journal.open(configuration.undo_journal)
        try:
            return await _serve_node(configuration, netlink, journal, log)
        finally:
            for trouble in journal.undo(netlink):
                log.warning("not-taken-back", what=trouble)


async def _serve_node(
    configuration: Configuration, netlink: Netlink, journal: Journal, log: EventLog
) -> int:
    """Serve until told to stop, or until the node cannot go on; return the exit code."""
    end = End()
    loop = asyncio.get_running_loop()
    faults = Faults(log)
    loop.set_exception_handler(faults.handle)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.ask)
    try:
        node = _node(configuration, netlink=netlink, journal=journal, log=log, end=end)
    except OSError as error:
        raise _refusal(error, configuration.device) from None
    control = ControlServer(
        configuration.control_socket,
        {"status": lambda _request: _status(node, faults), **node.commands()},
        log,
    )
    ticks = asyncio.create_task(_tick(node, log))
    try:
        await control.start()
        await node.start()
        log.info(
            "started",
            role=configuration.role,
            name=configuration.name,
            pid=os.getpid(),
            security=configuration.security,
        )
        await end.wait()
        log.info("stopping")
        await node.stop()
    finally:
        ticks.cancel()
        await control.close()
        node.close()
        log.flush()
    return end.exit_code


def _node(
    configuration: Configuration,
    *,
    netlink: Netlink,
    journal: Journal,
    log: EventLog,
    end: End,
) -> Node:
    match configuration:
        case HomeAgentConfiguration():
            agent = HomeAgentService(
                configuration, netlink=netlink, journal=journal, log=log, end=end
            )
            if configuration.correspondent is None:
                return agent
            correspondent = CorrespondentService(
                configuration,
                netlink=netlink,
                journal=journal,
                log=log,
                end=end,
                take_elsewhere=agent.take,
            )
            return SeveralRoles(agent, correspondent)
        case MobileNodeConfiguration():
            return MobileNodeService(
                configuration, netlink=netlink, journal=journal, log=log, end=end
            )
        case CorrespondentConfiguration():
            return CorrespondentService(
                configuration, netlink=netlink, journal=journal, log=log, end=end
            )


def _refusal(error: OSError, device: str) -> CommandError | OSError:
    """Return what a user is told when the devices of a node cannot be had."""
    if error.errno == EBUSY:
        hint = "another daemon has it; stop that one, or give this one another `device`"
        return CommandError(f"the device {device} is in use", hint)
    if error.errno == EEXIST and error.filename is not None:
        hint = "it is not ours, so it stays; give this node another `device`"
        return CommandError(f"there is a device {error.filename} already, and no TUN", hint)
    if error.errno in {ENOENT, ENODEV} and error.filename == "/dev/net/tun":
        hint = "load the module tun, or let the container have /dev/net/tun"
        return CommandError("this system has no TUN devices", hint)
    return error


async def _tick(node: Node, log: EventLog, interval_s: float = 1.0) -> None:
    while True:
        await asyncio.sleep(interval_s)
        run_each(node.tick, log.flush)


def _status(node: Node, faults: Faults) -> dict[str, Any]:
    """Return a node's status; faults of the program are among its counters, where there were."""
    status = node.status()
    if faults.count:
        status = replace(status, counters={**status.counters, "internal-faults": faults.count})
    return status.as_object()
