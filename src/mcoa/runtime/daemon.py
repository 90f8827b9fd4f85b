"""The daemon: one node, from its configuration to a clean end."""

import asyncio
import os
import signal
from typing import Protocol

from mcoa.runtime.config_models import (
    Configuration,
    HomeAgentConfiguration,
    MobileNodeConfiguration,
)
from mcoa.runtime.control import ControlServer
from mcoa.runtime.errors import CommandError, NoPermissionError
from mcoa.runtime.home_agent import HomeAgentNode
from mcoa.runtime.log import EventLog
from mcoa.runtime.mobile_node import MobileNodeNode
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.status import Status
from mcoa.runtime.undo import Journal


class Node(Protocol):
    """A role at work on this machine."""

    async def start(self) -> None:
        """Begin to serve."""
        ...

    async def stop(self) -> None:
        """Say good-bye, in bounded time."""
        ...

    def close(self) -> None:
        """Let go of sockets and devices."""
        ...

    def tick(self) -> None:
        """Do what is due every second."""
        ...

    def status(self) -> Status:
        """Return what a view of the node shows."""
        ...


def run(configuration: Configuration, *, dry_run: bool, log: EventLog) -> int:
    """Run a node until SIGTERM or SIGINT; return the exit code.

    Raises:
        CommandError: it cannot start here.
    """
    try:
        asyncio.run(_serve(configuration, log))
    except PermissionError as error:
        raise NoPermissionError(
            f"the kernel refuses: {error.strerror} ({error.filename or 'network set-up'})",
            "run it as root, or with CAP_NET_ADMIN and CAP_NET_RAW",
        ) from None
    return 0


async def _serve(configuration: Configuration, log: EventLog) -> None:
    journal_path = configuration.runtime_directory / f"{configuration.name}.undo"
    with Netlink() as netlink:
        journal = Journal.open(journal_path)
        try:
            await _serve_node(configuration, netlink, journal, log)
        finally:
            for trouble in journal.undo(netlink):
                log.warning("not-taken-back", what=trouble)


async def _serve_node(
    configuration: Configuration, netlink: Netlink, journal: Journal, log: EventLog
) -> None:
    node = _node(configuration, netlink, journal, log)
    control = ControlServer(
        configuration.control_socket,
        {"status": lambda _request: node.status().as_object()},
        log,
    )
    ticks = asyncio.create_task(_tick(node, log))
    try:
        await control.start()
        await node.start()
        log.info("started", role=configuration.role, name=configuration.name, pid=os.getpid())
        await _until_told_to_stop()
        log.info("stopping")
        await node.stop()
    finally:
        ticks.cancel()
        await control.close()
        node.close()
        log.flush()


def _node(
    configuration: Configuration, netlink: Netlink, journal: Journal, log: EventLog
) -> Node:
    match configuration:
        case HomeAgentConfiguration():
            return HomeAgentNode(configuration, netlink=netlink, journal=journal, log=log)
        case MobileNodeConfiguration():
            return MobileNodeNode(configuration, netlink=netlink, journal=journal, log=log)


async def _tick(node: Node, log: EventLog) -> None:
    while True:
        await asyncio.sleep(1.0)
        node.tick()
        log.flush()


async def _until_told_to_stop() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()


__all__ = ["CommandError", "run"]
