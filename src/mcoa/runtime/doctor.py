"""Looks at what a node needs: what works, what does not, and what to do about it.

Nothing is changed, and a running daemon is not disturbed.
"""

import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address
from typing import Final

from mcoa.runtime.config_models import (
    Configuration,
    CorrespondentConfiguration,
    HomeAgentConfiguration,
    MobileNodeConfiguration,
)
from mcoa.runtime.control_client import request
from mcoa.runtime.errors import CommandError
from mcoa.runtime.fast_path.libbpf import LIBRARY, library
from mcoa.runtime.fast_path.maps import Maps, Sizes
from mcoa.runtime.links import LinkState, LinkTable, describe_link
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.rtnetlink import MAIN_TABLE
from mcoa.runtime.sysctl import device_setting, read_setting

_ECHO_REQUEST, _ECHO_REPLY = 128, 129
_ANSWER_WITHIN_S: Final = 2.0
_ECHO: Final = struct.Struct("!BBHHH")
_ICMPV6_FILTER: Final = 1


class Verdict(StrEnum):
    """How something is."""

    WORKS = "works"
    DOUBTFUL = "doubtful"
    FAILS = "fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing that was looked at; `advice` is empty where there is nothing to do."""

    what: str
    verdict: Verdict
    finding: str
    advice: str = ""


def examine(configuration: Configuration) -> Iterator[Diagnosis]:
    """Yield what is found, one thing after the other; some take up to two seconds."""
    yield _rights()
    yield _tunnels()
    yield _ipv6()
    yield _data_plane(configuration)
    yield _daemon(configuration)
    states = _link_states()
    match configuration:
        case HomeAgentConfiguration():
            yield from _home_agent(configuration, states)
        case MobileNodeConfiguration():
            yield from _mobile_node(configuration, states)
        case CorrespondentConfiguration():
            for interface in configuration.correspondent.interfaces or ():
                yield _interface(f"interface {interface}", states(interface))


def _rights() -> Diagnosis:
    if os.geteuid() == 0:
        return Diagnosis(what="rights", verdict=Verdict.WORKS, finding="this is root")
    return Diagnosis(
        what="rights",
        verdict=Verdict.DOUBTFUL,
        finding="this is not root, so that not everything can be looked at",
        advice="run this, and the daemon, as root or with CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF",
    )


def _tunnels() -> Diagnosis:
    what = "TUN devices"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return Diagnosis(
            what=what,
            verdict=Verdict.FAILS,
            finding=f"/dev/net/tun: {error.strerror}",
            advice="load the module tun (`modprobe tun`), or let the container have the device",
        )
    return Diagnosis(what=what, verdict=Verdict.WORKS, finding="can be made")


def _ipv6() -> Diagnosis:
    disabled = read_setting(device_setting("all", "disable_ipv6"))
    if disabled == "0":
        return Diagnosis(what="IPv6", verdict=Verdict.WORKS, finding="is switched on")
    return Diagnosis(
        what="IPv6",
        verdict=Verdict.FAILS,
        finding="is switched off" if disabled else "is not in this kernel",
        advice="sysctl net.ipv6.conf.all.disable_ipv6=0, and no ipv6.disable=1 at boot",
    )


def _data_plane(configuration: Configuration) -> Diagnosis:
    """Tell which back end there will be, by loading the programs and letting go of them."""
    what, choice = "data plane", configuration.dataplane
    if choice == "userspace":
        finding = "userspace, as the file says: the daemon carries all packets"
        return Diagnosis(what=what, verdict=Verdict.WORKS, finding=finding)
    reason, advice = _why_no_fast_path()
    if not reason:
        finding = "ebpf: programs in the kernel carry the packets of flows they know"
        return Diagnosis(what=what, verdict=Verdict.WORKS, finding=finding)
    return Diagnosis(
        what=what,
        verdict=Verdict.FAILS if choice == "ebpf" else Verdict.DOUBTFUL,
        finding=f"userspace alone: {reason}",
        advice=advice,
    )


def _why_no_fast_path() -> tuple[str, str]:
    try:
        library()
    except OSError:
        return f"the library {LIBRARY} is not here", "install it: `apt install libbpf1`"
    try:
        maps, programs = Maps.load(Sizes(homes=1, ways=2, flows=1), old_program=None)
    except PermissionError:
        return "the kernel does not let this user load programs", "run this as root"
    except OSError as error:
        advice = "it takes Linux 5.15 or later, with CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF"
        return f"the kernel does not take the programs: {error.strerror}", advice
    maps.close()
    programs.close()
    return "", ""


def _daemon(configuration: Configuration) -> Diagnosis:
    what = "daemon"
    try:
        status = request(configuration.control_socket, {"command": "status"})
    except CommandError as error:
        left = configuration.undo_journal.exists()
        return Diagnosis(
            what=what,
            verdict=Verdict.DOUBTFUL,
            finding=f"{error}" + ("; what it has set is still there" if left else ""),
            advice="`mcoa run FILE`" + (", or `mcoa cleanup FILE`" if left else ""),
        )
    return Diagnosis(
        what=what,
        verdict=Verdict.WORKS,
        finding=f"runs as process {status['pid']}, data plane {status['data_plane']}",
    )


def _link_states() -> Callable[[str], LinkState]:
    table = LinkTable()
    with Netlink() as netlink:
        table.reload(
            netlink.links(),
            netlink.addresses(),
            netlink.routes(table=MAIN_TABLE),
            netlink.neighbours(),
        )
    return table.state


def _interface(what: str, state: LinkState, *, needs_router: bool = False) -> Diagnosis:
    found = describe_link(state, needs_router=needs_router)
    if found == "up":
        addresses = ", ".join(str(each.address) for each in state.addresses)
        return Diagnosis(
            what=what, verdict=Verdict.WORKS, finding=f"{addresses}, MTU {state.mtu}"
        )
    advice = {
        "missing": "see `ip link` for how the interfaces are called",
        "no carrier": "connect it, and switch it on",
        "no router": "it needs a default route: a router advertisement, DHCP, or one by hand",
        "router silent": "its default router does not answer",
        "no address": "it needs a global or unique local IPv6 address",
    }.get(found, "")
    is_needed = not needs_router
    verdict = Verdict.FAILS if is_needed else Verdict.DOUBTFUL
    return Diagnosis(what=what, verdict=verdict, finding=found, advice=advice)


def _home_agent(
    configuration: HomeAgentConfiguration, states: Callable[[str], LinkState]
) -> Iterator[Diagnosis]:
    settings = configuration.home_agent
    yield _interface(f"home link {settings.home_link}", states(settings.home_link))
    with Netlink() as netlink:
        owners = {
            each.index for each in netlink.addresses() if each.address == settings.address
        }
    what = f"service address {settings.address}"
    if owners:
        yield Diagnosis(
            what=what,
            verdict=Verdict.FAILS,
            finding="an interface has it",
            advice="take it off: the daemon has it routed to its device",
        )
    else:
        yield Diagnosis(what=what, verdict=Verdict.WORKS, finding="no interface has it")


def _mobile_node(
    configuration: MobileNodeConfiguration, states: Callable[[str], LinkState]
) -> Iterator[Diagnosis]:
    agent = configuration.mobile_node.home_agent
    usable = 0
    for link in configuration.links:
        state = states(link.interface)
        diagnosis = _interface(f"link {link.name} ({link.interface})", state, needs_router=True)
        yield diagnosis
        if diagnosis.verdict is not Verdict.WORKS:
            continue
        usable += 1
        if agent is not None:
            yield _reach(link.name, link.interface, state, agent)
    if not usable:
        yield Diagnosis(
            what="links",
            verdict=Verdict.FAILS,
            finding="none can be used now",
            advice="one that works is enough to begin with",
        )


def _reach(link: str, interface: str, state: LinkState, agent: IPv6Address) -> Diagnosis:
    what = f"home agent by {link}"
    source = state.care_of_addresses[0]
    try:
        round_trip_s = _echo(interface, source, agent)
    except OSError as error:
        return Diagnosis(
            what=what,
            verdict=Verdict.DOUBTFUL,
            finding=f"cannot be asked: {error.strerror}",
            advice="run this as root",
        )
    if round_trip_s is None:
        return Diagnosis(
            what=what,
            verdict=Verdict.FAILS,
            finding=f"{agent} does not answer an echo request within {_ANSWER_WITHIN_S:.0f} s",
            advice="does its daemon run, is its prefix routed to it, does a firewall let"
            " protocols 41, 58 and 135 pass?",
        )
    finding = f"answers after {round_trip_s * 1000:.0f} ms"
    return Diagnosis(what=what, verdict=Verdict.WORKS, finding=finding)


def _echo(interface: str, source: IPv6Address, destination: IPv6Address) -> float | None:
    """Return the round trip of an echo in seconds; None without an answer."""
    identifier = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as opened:
        blocked = [0xFFFFFFFF] * 8
        blocked[_ECHO_REPLY // 32] &= ~(1 << _ECHO_REPLY % 32)
        filtered = struct.pack("=8I", *blocked)
        opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, filtered)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        opened.bind((str(source), 0))
        begun_s = time.monotonic()
        with suppress(OSError):  # no route counts as no answer
            opened.sendto(_ECHO.pack(_ECHO_REQUEST, 0, 0, identifier, 1), (str(destination), 0))
        while (left_s := begun_s + _ANSWER_WITHIN_S - time.monotonic()) > 0:
            if not select.select([opened], [], [], left_s)[0]:
                break
            message = opened.recv(2048)
            if len(message) >= _ECHO.size and _ECHO.unpack_from(message)[3] == identifier:
                return time.monotonic() - begun_s
    return None


def worst(diagnoses: list[Diagnosis]) -> Verdict:
    """Return how all of it is."""
    order = list(Verdict)
    return max((each.verdict for each in diagnoses), key=order.index, default=Verdict.WORKS)
