"""The kinds of value that a configuration file can hold, and what is said about bad ones."""

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from mcoa.binding.routability import MAX_RR_BINDING_LIFETIME_S
from mcoa.engine.addresses import is_unicast_routable
from mcoa.engine.policy import AtHome
from mcoa.runtime.quantities import DURATION_HINT, RATE_HINT, parse_duration, parse_rate
from mcoa.runtime.units import human_duration

SHORTEST_LIFETIME_S = 4
LONGEST_LIFETIME_S = 4 * 0xFFFF  # 16 bits that count four seconds (RFC 6275 §6.1.7)
HIGHEST_WEIGHT_MBIT_S = 1_000_000

SECURITY_MEANS = (
    "it says that you accept signalling without protection: whoever can send packets to the "
    "home agent can then redirect or cut off the home address"
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_LONGEST_DEVICE = 12
_ADDRESS_HINT = 'write an IPv6 address, such as "2001:db8:1::100"'
_IPV4_HINT = 'write an IPv4 address between quotes, such as "192.0.2.1"'
_PREFIX_HINT = 'write an IPv6 prefix, such as "2001:db8:1::/64"'


def refusal(message: str, hint: str = "") -> PydanticCustomError:
    """Return the error that tells the user `message`, and `hint` below it."""
    return PydanticCustomError("mcoa", "{message}", {"message": message, "hint": hint})


def as_written(value: object) -> str:
    """Return a value about as TOML writes it, cut to a readable length."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"' if len(value) <= 40 else f'"{value[:39]}…"'
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return str(value)


def quoted_text(value: object, hint: str) -> str:
    """Return a text; the problem for anything else gets the hint."""
    if not isinstance(value, str):
        raise refusal(f"{as_written(value)} is not text in quotes", hint)
    return value


def _name(value: object) -> str:
    hint = "use letters, digits, and . _ - inside; at most 32 characters"
    text = quoted_text(value, hint)
    if not _NAME.fullmatch(text):
        raise refusal(f"{as_written(value)} cannot be a name", hint)
    return text


def _interface(value: object) -> str:
    hint = 'write the name of a network interface, such as "wwan0"'
    text = quoted_text(value, hint)
    if not 0 < len(text.encode()) <= 15:
        raise refusal(f"{as_written(value)} is no interface name: 1 to 15 octets", hint)
    if text in {".", ".."} or re.search(r"[\s/:%]", text) or not text.isprintable():
        raise refusal(f"{as_written(value)} is no interface name", hint)
    return text


def _device(value: object) -> str:
    text = _interface(value)
    if len(text.encode()) > _LONGEST_DEVICE:
        raise refusal(
            f"{as_written(value)} is too long: 1 to {_LONGEST_DEVICE} octets",
            'devices beside it get longer names, such as "mip0-in"',
        )
    return text


def _address(value: object) -> IPv6Address:
    text = quoted_text(value, _ADDRESS_HINT)
    if "/" in text or "%" in text:
        hint = "write the address alone, without prefix length or zone"
        raise refusal(f"{as_written(value)} is not an IPv6 address", hint)
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise _not_an_address(text) from None
    if not is_unicast_routable(address):
        hint = "write a global or unique local unicast address"
        raise refusal(f"{address} cannot be reached over a network", hint)
    return address


def _not_an_address(text: str) -> PydanticCustomError:
    try:
        IPv4Address(text)
    except AddressValueError:
        return refusal(f"{as_written(text)} is not an IPv6 address", _ADDRESS_HINT)
    message = f"{text} is an IPv4 address, which has no place here"
    return refusal(message, _ADDRESS_HINT)


def _ipv4_address(value: object) -> IPv4Address:
    text = quoted_text(value, _IPV4_HINT)
    try:
        address = IPv4Address(text)
    except AddressValueError:
        raise refusal(f"{as_written(value)} is not an IPv4 address", _IPV4_HINT) from None
    if not is_unicast_routable(address):
        hint = "write a unicast address that other networks reach"
        raise refusal(f"{address} cannot be reached over a network", hint)
    return address


def _prefix(value: object) -> IPv6Network:
    prefix = _any_prefix(value)
    if prefix.prefixlen == 0 or not is_unicast_routable(prefix.network_address + 1):
        raise refusal(f"{prefix} is not a prefix of unicast addresses", _PREFIX_HINT)
    return prefix


def _any_prefix(value: object) -> IPv6Network:
    text = quoted_text(value, _PREFIX_HINT)
    if "/" not in text:
        raise refusal(f"{as_written(value)} has no prefix length", _PREFIX_HINT)
    try:
        prefix = IPv6Network(text, strict=False)
    except ValueError:
        raise refusal(f"{as_written(value)} is not an IPv6 prefix", _PREFIX_HINT) from None
    if prefix.network_address != IPv6Address(text.partition("/")[0]):
        message = f"{as_written(value)} has bits set behind its length"
        raise refusal(message, f'the prefix is "{prefix}"')
    return prefix


def _directory(value: object) -> Path:
    hint = 'write an absolute path, such as "/run/mcoa"'
    path = Path(quoted_text(value, hint))
    if not path.is_absolute():
        raise refusal(f"{as_written(value)} is not an absolute path", hint)
    return path


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        hint = "write true or false, without quotes"
        raise refusal(f"{as_written(value)} is neither true nor false", hint)
    return value


def _lifetime(value: object) -> int:
    try:
        seconds = parse_duration(quoted_text(value, DURATION_HINT))
    except ValueError as error:
        raise refusal(str(error), DURATION_HINT) from None
    if not SHORTEST_LIFETIME_S <= seconds <= LONGEST_LIFETIME_S:
        shortest, longest = map(human_duration, (SHORTEST_LIFETIME_S, LONGEST_LIFETIME_S))
        message = f"{as_written(value)} is out of range"
        raise refusal(message, f"a lifetime is {shortest} to {longest}")
    return int(seconds) // 4 * 4


def _probe_interval(value: object) -> float:
    hint = 'write a time from "10ms" to "10s", or "off"'
    text = quoted_text(value, hint)
    if text == "off":
        return 0.0
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise refusal(str(error), hint) from None
    if not 0.01 <= seconds <= 10.0:
        raise refusal(f"{as_written(value)} is out of range", hint)
    return seconds


def _weight(value: object) -> float:
    match value:
        case bool():
            raise refusal(f"{as_written(value)} is not a rate", RATE_HINT)
        case int() | float():
            weight = float(value)
        case _:
            try:
                weight = parse_rate(quoted_text(value, RATE_HINT))
            except ValueError as error:
                raise refusal(str(error), RATE_HINT) from None
    if not (isfinite(weight) and 0 < weight <= HIGHEST_WEIGHT_MBIT_S):
        hint = f"a weight is above 0 and at most {HIGHEST_WEIGHT_MBIT_S} Mbit/s"
        raise refusal(f"{as_written(value)} is out of range", hint)
    return weight


def _correspondent_lifetime(value: object) -> int:
    seconds = _lifetime(value)
    if seconds > MAX_RR_BINDING_LIFETIME_S:
        message = f"{as_written(value)} is out of range"
        raise refusal(message, "return routability is good for 7m at most (RFC 6275)")
    return seconds


def _routability(value: object) -> str:
    if value != "return-routability":
        message = f"security = {as_written(value)}: a correspondent has no other protection"
        hint = 'leave it out: updates prove themselves by "return-routability"'
        raise refusal(message, hint)
    return "return-routability"


def _security(value: object) -> str:
    if value != "none":
        message = f"security = {as_written(value)}: protection is not available in this version"
        raise refusal(message, f'the only value is "none"; {SECURITY_MEANS}')
    return "none"


def _at_home(value: object) -> AtHome:
    choices = ", ".join(f'"{each.value}"' for each in AtHome)
    hint = f"write one of {choices}"
    text = quoted_text(value, hint)
    if text not in {each.value for each in AtHome}:
        raise refusal(f"{as_written(value)} is none of the choices", hint)
    return AtHome(text)


def choice(kind: object, refused: str) -> Callable[[object], str]:
    """Return the check of one out of the words of a Literal; `refused` has {} for another."""
    words = get_args(kind)
    *others, last = (f'"{word}"' for word in words)
    hint = f"write {', '.join(others)} or {last}"

    def check(value: object) -> str:
        text = quoted_text(value, hint)
        if text not in words:
            raise refusal(refused.format(as_written(value)), hint)
        return text

    return check


def whole_number(low: int, high: int) -> Callable[[object], int]:
    """Return the check of a number from `low` to `high`."""

    def check(value: object) -> int:
        hint = f"write a whole number from {low} to {high}"
        if isinstance(value, bool) or not isinstance(value, int):
            raise refusal(f"{as_written(value)} is not a whole number", hint)
        if not low <= value <= high:
            raise refusal(f"{value} is out of range", hint)
        return value

    return check


def items(example: str) -> Callable[[object], tuple[object, ...]]:
    """Return the check of a list; `example` is one in TOML."""

    def check(value: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            message = f"{as_written(value)} is not a list"
            raise refusal(message, f"write a list, such as {example}")
        if not value:
            raise refusal("the list is empty", f"write at least one, such as {example}")
        return tuple(value)

    return check


def link_tables(value: object) -> tuple[object, ...]:
    """Check that links are given as tables of their own."""
    if isinstance(value, dict):
        raise refusal("[link] has single brackets", "write [[link]], once for each uplink")
    if not isinstance(value, list) or not value:
        raise refusal("no uplinks are given", "write a table [[link]] for each uplink")
    return tuple(value)


Name = Annotated[str, BeforeValidator(_name)]
Interface = Annotated[str, BeforeValidator(_interface)]
Device = Annotated[str, BeforeValidator(_device)]
Address = Annotated[IPv6Address, BeforeValidator(_address)]
AgentIpv4Address = Annotated[IPv4Address, BeforeValidator(_ipv4_address)]
Family = Literal["auto", "ipv6", "ipv4", "both"]
"""Of care-of addresses: IPv6 where there is one, else IPv4; one of the two alone; or both."""

FamilyChoice = Annotated[Family, BeforeValidator(choice(Family, "{} is none of the choices"))]
Prefix = Annotated[IPv6Network, BeforeValidator(_prefix)]
Directory = Annotated[Path, BeforeValidator(_directory)]
Flag = Annotated[bool, BeforeValidator(_flag)]
BackEnd = Literal["auto", "ebpf", "userspace"]
"""What carries the packets: the best there is, programs in the kernel, or the daemon alone."""

BackEndChoice = Annotated[
    BackEnd, BeforeValidator(choice(BackEnd, "there is no data plane {}"))
]
Lifetime = Annotated[int, BeforeValidator(_lifetime)]
ProbeInterval = Annotated[float, BeforeValidator(_probe_interval)]
ProbeMultiplier = Annotated[int, BeforeValidator(whole_number(2, 20))]
Weight = Annotated[float, BeforeValidator(_weight)]
CorrespondentLifetime = Annotated[int, BeforeValidator(_correspondent_lifetime)]
CorrespondentSecurity = Annotated[Literal["return-routability"], BeforeValidator(_routability)]
CacheSize = Annotated[int, BeforeValidator(whole_number(1, 1_000_000))]
Interfaces = Annotated[tuple[Interface, ...], BeforeValidator(items('["eth0"]'))]
Security = Annotated[Literal["none"], BeforeValidator(_security)]
BindingIdentifierNumber = Annotated[int, BeforeValidator(whole_number(1, 0xFFFF))]
LinkMtu = Annotated[int, BeforeValidator(whole_number(1280, 0xFFFF))]
Preference = Annotated[int, BeforeValidator(whole_number(0, 0xFFFF))]
AtHomeChoice = Annotated[AtHome, BeforeValidator(_at_home)]
BindingsPerNode = Annotated[int, BeforeValidator(whole_number(1, 100))]
Prefixes = Annotated[tuple[Prefix, ...], BeforeValidator(items('["2001:db8:1::/64"]'))]
AnyPrefix = Annotated[IPv6Network, BeforeValidator(_any_prefix)]
AnyPrefixes = Annotated[tuple[AnyPrefix, ...], BeforeValidator(items('["::/0"]'))]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(items('["2001:db8:1::100"]'))]
