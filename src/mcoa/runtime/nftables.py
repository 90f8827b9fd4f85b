"""Drops packets before the kernel's IPv6 sees them, by nft(8).

For kernels without the tc filters that redirect packets: there a packet socket has taken a
copy already when the drop happens.
"""

import errno
import subprocess
from collections.abc import Iterable

from mcoa.runtime.patterns import Pattern

_RAW_PRIORITY = -300


def replace_table(
    table: str, interfaces: Iterable[str], patterns: Iterable[Pattern], *, lock: int
) -> None:
    """Drop packets of `patterns` that come in by `interfaces`, in a table of that name.

    Args:
        table: its name.
        interfaces: none drop nothing.
        patterns: what to drop.
        lock: the journal's descriptor, which nft(8) holds as well: should we be killed, no
            cleanup begins before it has ended.

    Raises:
        OSError: nft(8) is missing, or it or the kernel refuses.
    """
    named = ", ".join(f'"{interface}"' for interface in sorted(interfaces))
    rules = [
        f"iifname {{ {named} }} {_expression(pattern)} drop" for pattern in patterns if named
    ]
    _nft(
        f"add table ip6 {table}",
        f"delete table ip6 {table}",
        f"table ip6 {table} {{",
        "chain below {",
        f"type filter hook prerouting priority {_RAW_PRIORITY};",
        *rules,
        "}",
        "}",
        lock=lock,
    )


def remove_table(table: str) -> None:
    """Remove a table; no error when it is not there."""
    # "add" before "delete" makes the pair succeed whether or not it was there.
    _nft(f"add table ip6 {table}", f"delete table ip6 {table}")


def _expression(pattern: Pattern) -> str:
    """Return what compares the octets, which nft(8) counts in bits."""
    return " ".join(f"@nh,{8 * octet.offset},8 {octet.value}" for octet in pattern)


def _nft(*lines: str, lock: int | None = None) -> None:
    done = subprocess.run(
        ["nft", "-f", "-"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        pass_fds=() if lock is None else (lock,),
    )
    if done.returncode != 0:
        raise OSError(errno.EIO, f"nft: {done.stderr.strip()}")
