"""The kinds of things a node sets in its kernel, and how each is taken back."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from ipaddress import IPv6Address

from mcoa.runtime import ingress, nftables
from mcoa.runtime.netlink import Changeable, Netlink
from mcoa.runtime.rtnetlink import PROTOCOL, Address, Link, NeighbourFlag
from mcoa.runtime.sysctl import read_setting, write_setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A TUN device that we made."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Our rules of these priorities, and our routes in the tables of these numbers."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesThrough:
    """Our routes through a device, in any table."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressOf:
    """An address that we gave to a device."""

    device: str
    address: str
    prefix_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """Our proxy neighbour entries on a device."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A sysctl below net/ipv6.

    Attributes:
        after: what we set; another value found later is somebody else's and is left alone.
            Empty where the kernel changes the value along with others: put back in any case.
    """

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressHook:
    """The clsact qdisc that we gave to a device; it stays while others' filters use it."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressFilters:
    """Our filters on a device's way in, of these priorities."""

    device: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NftTable:
    """A table of nftables, of family ip6."""

    table: str


Entry = (
    Device
    | Tables
    | RoutesThrough
    | AddressOf
    | Proxies
    | Setting
    | IngressHook
    | IngressFilters
    | NftTable
)


def emit_entry(entry: Entry) -> dict[str, str | int]:
    """Return an entry as a JSON object."""
    return {"kind": type(entry).__name__, **asdict(entry)}


def parse_entry(record: object) -> Entry | None:  # noqa: PLR0911 one for each kind
    """Return the entry that a JSON object stands for; None for anything else."""
    match record:
        case {"kind": "Device", "device": str(device)}:
            return Device(device=device)
        case {"kind": "Tables", "first": int(first), "last": int(last)}:
            return Tables(first=first, last=last)
        case {"kind": "RoutesThrough", "device": str(device)}:
            return RoutesThrough(device=device)
        case {
            "kind": "AddressOf",
            "device": str(device),
            "address": str(address),
            "prefix_length": int(prefix_length),
        }:
            return AddressOf(device=device, address=address, prefix_length=prefix_length)
        case {"kind": "Proxies", "device": str(device)}:
            return Proxies(device=device)
        case {"kind": "Setting", "path": str(path), "before": str(before), "after": str(after)}:
            return Setting(path=path, before=before, after=after)
        case {"kind": "IngressHook", "device": str(device)}:
            return IngressHook(device=device)
        case {
            "kind": "IngressFilters",
            "device": str(device),
            "first": int(first),
            "last": int(last),
        }:
            return IngressFilters(device=device, first=first, last=last)
        case {"kind": "NftTable", "table": str(table)}:
            return NftTable(table=table)
        case _:
            return None


def take_back(entry: Entry, netlink: Netlink) -> None:
    """Undo what an entry names; what is gone already is no error, OSError if refused."""
    match entry:
        case Device():
            netlink.remove_link(entry.device)
        case Tables():
            _remove_tables(entry, netlink)
        case Setting():
            _put_back(entry)
        case NftTable():
            # Without nft(8) it was not we who made one.
            with suppress(FileNotFoundError):
                nftables.remove_table(entry.table)
        case RoutesThrough() | AddressOf() | Proxies() | IngressHook() | IngressFilters():
            # With a device all that hung on it went.
            link = netlink.link(entry.device)
            if link is not None:
                _take_from(link, entry, netlink)


def _take_from(
    link: Link,
    entry: RoutesThrough | AddressOf | Proxies | IngressHook | IngressFilters,
    netlink: Netlink,
) -> None:
    match entry:
        case RoutesThrough():
            routes = netlink.routes(protocol=PROTOCOL)
            _check(netlink.remove_all(each for each in routes if each.index == link.index))
        case AddressOf():
            address = IPv6Address(entry.address)
            netlink.remove(
                Address(index=link.index, address=address, prefix_length=entry.prefix_length)
            )
        case Proxies():
            entries = netlink.neighbours(NeighbourFlag.PROXY)
            ours = [each for each in entries if each.protocol == PROTOCOL]
            _check(netlink.remove_all(each for each in ours if each.index == link.index))
        case IngressHook():
            ingress.remove_unused_hook(link.index, netlink)
        case IngressFilters():
            ingress.remove_filters(link.index, entry.first, entry.last, netlink)


def _remove_tables(entry: Tables, netlink: Netlink) -> None:
    numbers = range(entry.first, entry.last + 1)
    rules = [each for each in netlink.rules() if each.protocol == PROTOCOL]
    routes = netlink.routes(protocol=PROTOCOL)
    _check(netlink.remove_all(rule for rule in rules if rule.priority in numbers))
    _check(netlink.remove_all(route for route in routes if route.table in numbers))


def _put_back(setting: Setting) -> None:
    now = read_setting(setting.path)
    if now in {None, setting.before} or (setting.after and now != setting.after):
        return
    write_setting(setting.path, setting.before)


def _check(refused: list[tuple[Changeable, OSError]]) -> None:
    for _, error in refused:
        raise error
