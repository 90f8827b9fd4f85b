"""Settings below /proc/sys/net/ipv6, of the network namespace the calling thread is in."""

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/proc/sys/net/ipv6")


def device_setting(interface: str, name: str) -> str:
    """Return the path of a setting that each device has, such as accept_ra."""
    return f"conf/{interface}/{name}"


def ipv4_device_setting(interface: str, name: str) -> str:
    """Return the path of a setting that each device has for IPv4, such as rp_filter."""
    return f"../ipv4/conf/{interface}/{name}"


def neighbour_setting(interface: str, name: str) -> str:
    """Return the path of a neighbour discovery setting, such as proxy_delay."""
    return f"neigh/{interface}/{name}"


def read_setting(path: str) -> str | None:
    """Return a setting's value; None when this kernel or device has no such setting."""
    try:
        return (_ROOT / path).read_text("ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_setting(path: str, value: str) -> bool:
    """Write a setting's value; False when there is no such setting, OSError if refused."""
    try:
        # Opened for writing only: nothing is created below /proc, and nothing truncated.
        with (_ROOT / path).open("r+", encoding="ascii", buffering=1) as file:
            file.write(f"{value}\n")
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def devices_with_settings() -> Iterator[str]:
    """Yield the names of all devices that have settings, and "default" for those to come."""
    for entry in (_ROOT / "conf").iterdir():
        if entry.name != "all":
            yield entry.name
