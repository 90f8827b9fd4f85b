"""Looks at what a node needs: what works, what does not, and what to do about it.

Nothing is changed, and a running daemon is not disturbed.
"""

import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mcoa.runtime.config_models import (
    Configuration,
    CorrespondentConfiguration,
    HomeAgentConfiguration,
    MobileNodeConfiguration,
)
from mcoa.runtime.config_values import Family
from mcoa.runtime.control_client import request
from mcoa.runtime.errors import CommandError
from mcoa.runtime.fast_path.libbpf import LIBRARY, library
from mcoa.runtime.fast_path.maps import Maps, Sizes
from mcoa.runtime.ipv4_addresses import ask_for_ipv4
from mcoa.runtime.kernel_features import missing_features
from mcoa.runtime.links import LinkState, LinkTable, describe_link
from mcoa.runtime.netlink import Netlink
from mcoa.runtime.rtnetlink import MAIN_TABLE
from mcoa.runtime.sysctl import device_setting, read_setting
from mcoa.wire.checksum import internet_checksum

_ECHO_REQUEST, _ECHO_REPLY = 128, 129
_IPV4_ECHO_REQUEST, _IPV4_ECHO_REPLY = 8, 0
_Address = IPv4Address | IPv6Address
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
    yield _kernel()
    yield _data_plane(configuration)
    yield _daemon(configuration)
    links = _link_states()
    match configuration:
        case HomeAgentConfiguration():
            yield from _home_agent(configuration, links)
        case MobileNodeConfiguration():
            yield from _mobile_node(configuration, links)
        case CorrespondentConfiguration():
            for interface in configuration.correspondent.interfaces or ():
                yield _interface(f"interface {interface}", links.state(interface))


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


def _kernel() -> Diagnosis:
    missing = missing_features()
    if not missing:
        finding = "has all that a node makes use of"
        return Diagnosis(what="kernel", verdict=Verdict.WORKS, finding=finding)
    return Diagnosis(
        what="kernel",
        verdict=Verdict.DOUBTFUL,
        finding="; ".join(f"no {each.name}: {each.consequence}" for each in missing),
        advice="it works without; a kernel of a distribution for servers mostly has them",
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


def _link_states() -> LinkTable:
    table = LinkTable()
    with Netlink() as netlink:
        table.reload(
            netlink.links(),
            netlink.addresses(),
            netlink.routes(table=MAIN_TABLE),
            netlink.neighbours(),
        )
        table.ipv4 = ask_for_ipv4(netlink)
    return table


def _interface(
    what: str, state: LinkState, *, needs_router: bool = False, family: Family = "auto"
) -> Diagnosis:
    found = describe_link(state, needs_router=needs_router, family=family)
    if found == "up":
        every = [*(each.address for each in state.addresses), *state.ipv4]
        addresses = ", ".join(map(str, every))
        return Diagnosis(
            what=what, verdict=Verdict.WORKS, finding=f"{addresses}, MTU {state.mtu}"
        )
    advice = {
        "missing": "see `ip link` for how the interfaces are called",
        "no carrier": "connect it, and switch it on",
        "no router": "it needs a default route: a router advertisement, DHCP, or one by hand",
        "router silent": "its default router does not answer",
        "no address": "it needs a global or unique local IPv6 address",
        "no IPv4": "it needs an IPv4 address and default route, as DHCP brings them",
    }.get(found, "")
    is_needed = not needs_router
    verdict = Verdict.FAILS if is_needed else Verdict.DOUBTFUL
    return Diagnosis(what=what, verdict=verdict, finding=found, advice=advice)


def _home_agent(configuration: HomeAgentConfiguration, links: LinkTable) -> Iterator[Diagnosis]:
    settings = configuration.home_agent
    yield _interface(f"home link {settings.home_link}", links.state(settings.home_link))
    if settings.ipv4_address is not None:
        has_it = any(settings.ipv4_address in each for each in links.ipv4.values())
        yield Diagnosis(
            what=f"IPv4 address {settings.ipv4_address}",
            verdict=Verdict.WORKS if has_it else Verdict.DOUBTFUL,
            finding="is here" if has_it else "no interface with a default route has it",
            advice=""
            if has_it
            else "mobile nodes in IPv4 networks must reach UDP port 4191 there",
        )
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
    configuration: MobileNodeConfiguration, links: LinkTable
) -> Iterator[Diagnosis]:
    settings = configuration.mobile_node
    agent, agent_ipv4 = settings.home_agent, settings.home_agent_ipv4
    usable = 0
    for link in configuration.links:
        has_ipv4 = agent_ipv4 is not None and link.family != "ipv6"
        state = links.state(link.interface, ipv4=has_ipv4)
        diagnosis = _interface(
            f"link {link.name} ({link.interface})",
            state,
            needs_router=True,
            family=link.family,
        )
        yield diagnosis
        if diagnosis.verdict is not Verdict.WORKS:
            continue
        usable += 1
        if agent is not None and state.leads_out and state.addresses and link.family != "ipv4":
            yield _reach(link.name, link.interface, state.care_of_addresses[0], agent)
        if agent_ipv4 is not None and state.ipv4:
            yield _reach(link.name, link.interface, state.ipv4[0], agent_ipv4)
    if not usable:
        yield Diagnosis(
            what="links",
            verdict=Verdict.FAILS,
            finding="none can be used now",
            advice="one that works is enough to begin with",
        )


def _reach(link: str, interface: str, source: _Address, agent: _Address) -> Diagnosis:
    is_ipv4 = isinstance(agent, IPv4Address)
    what = f"home agent by {link}" + (" over IPv4" if is_ipv4 else "")
    needed = "UDP port 4191" if is_ipv4 else "protocols 41, 58 and 135"
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
            advice="does its daemon run, is its address routed to it, does a firewall let"
            f" {needed} pass?",
        )
    finding = f"answers after {round_trip_s * 1000:.0f} ms"
    return Diagnosis(what=what, verdict=Verdict.WORKS, finding=finding)


def _echo(interface: str, source: _Address, destination: _Address) -> float | None:
    """Return the round trip of an echo in seconds; None without an answer."""
    identifier = os.getpid() & 0xFFFF
    is_ipv4 = isinstance(destination, IPv4Address)
    with _echo_socket(is_ipv4=is_ipv4) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        opened.bind((str(source), 0))
        kind = _IPV4_ECHO_REQUEST if is_ipv4 else _ECHO_REQUEST
        blank = _ECHO.pack(kind, 0, 0, identifier, 1)
        # The kernel sums for ICMPv6 alone.
        checksum = internet_checksum(blank) if is_ipv4 else 0
        begun_s = time.monotonic()
        with suppress(OSError):  # no route counts as no answer
            opened.sendto(_ECHO.pack(kind, 0, checksum, identifier, 1), (str(destination), 0))
        while (left_s := begun_s + _ANSWER_WITHIN_S - time.monotonic()) > 0:
            if not select.select([opened], [], [], left_s)[0]:
                break
            packet = opened.recv(2048)
            message = packet[4 * (packet[0] & 0x0F) :] if is_ipv4 else packet
            if len(message) < _ECHO.size:
                continue
            answer, _, _, answered, _ = _ECHO.unpack_from(message)
            if answer in (_ECHO_REPLY, _IPV4_ECHO_REPLY) and answered == identifier:
                return time.monotonic() - begun_s
    return None


def _echo_socket(*, is_ipv4: bool) -> socket.socket:
    if is_ipv4:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    blocked = [0xFFFFFFFF] * 8
    blocked[_ECHO_REPLY // 32] &= ~(1 << _ECHO_REPLY % 32)
    filtered = struct.pack("=8I", *blocked)
    opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, filtered)
    return opened


def worst(diagnoses: list[Diagnosis]) -> Verdict:
    """Return how all of it is."""
    order = list(Verdict)
    return max((each.verdict for each in diagnoses), key=order.index, default=Verdict.WORKS)
