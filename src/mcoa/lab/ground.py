"""On which ground the laboratory stands: namespaces of root, of a user, or a simulation."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NoReturn

from mcoa.lab.namespaces import LabError, environment

PROBE_TIMEOUT_S = 20

# All that the laboratory needs, tried where it leaves no trace: the shell's own namespaces.
PROBE = """
set -e
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip netns add probe
ip -n probe link set lo up
ip link add probe0 type veth peer name probe1
tc qdisc add dev probe0 root tbf rate 1mbit burst 10k latency 50ms
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
ip tuntap add probe2 mode tun || { echo "/dev/net/tun cannot be opened" >&2; exit 1; }
"""
INTO_NAMESPACES = ("unshare", "--net", "--mount")
INTO_USER_NAMESPACE = ("unshare", "--user", "--map-root-user", "--net", "--mount")
# /run belongs to the system's root: a private one takes its place.
WITH_PRIVATE_RUN = 'mount -t tmpfs tmpfs /run && exec "$@"'


class GroundKind(Enum):
    """What the nodes of the laboratory are."""

    ROOT = "network namespaces of root"
    USER = "network namespaces of an unprivileged user"
    SIMULATION = "simulation in virtual time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The best ground this machine allows; `reason` says why it is none better."""

    kind: GroundKind
    reason: str = ""

    def sentence(self) -> str:
        """Return the line that names it."""
        because = f" ({self.reason})" if self.reason else ""
        return f"ground: {self.kind.value}{because}"


def find_ground() -> Ground:
    """Try the grounds from the best down."""
    is_root = os.geteuid() == 0
    failures = []
    if is_root:
        failure = _probe(INTO_NAMESPACES)
        if failure is None:
            kind = GroundKind.USER if _is_in_user_namespace() else GroundKind.ROOT
            return Ground(kind=kind)
        failures.append(failure)
    failure = _probe(INTO_USER_NAMESPACE)
    if failure is None:
        return Ground(kind=GroundKind.USER, reason="" if is_root else "not root")
    failures.append(failure)
    return Ground(kind=GroundKind.SIMULATION, reason=failures[-1])


def demand_ground(kind: GroundKind) -> Ground:
    """Return the ground that somebody asked for; LabError if this machine does not allow it."""
    asked = Ground(kind=kind, reason="asked for")
    is_inside = os.geteuid() == 0 and _is_in_user_namespace()
    match kind:
        case GroundKind.SIMULATION:
            return asked
        case GroundKind.ROOT if os.geteuid() != 0 or is_inside:
            raise LabError(f"{kind.value}: not root")
        case GroundKind.ROOT:
            failure = _probe(INTO_NAMESPACES)
        case GroundKind.USER:
            failure = _probe(INTO_NAMESPACES if is_inside else INTO_USER_NAMESPACE)
    if failure is not None:
        raise LabError(f"{kind.value}: {failure}")
    return asked


def must_enter_user_namespace(ground: Ground) -> bool:
    """Tell whether this process stands beside the ground that was found."""
    return ground.kind is GroundKind.USER and not (
        os.geteuid() == 0 and _is_in_user_namespace()
    )


def enter_user_namespace(command: Sequence[str]) -> NoReturn:
    """Go on as `command` inside a user namespace of its own, in the place of this process."""
    words = [*INTO_USER_NAMESPACE, "sh", "-c", WITH_PRIVATE_RUN, "sh", *command]
    os.execvpe(words[0], words, environment())  # noqa: S606 no shell is wanted


def _probe(inside: Sequence[str]) -> str | None:
    """Return None if the laboratory can be built inside, else what was refused."""
    command = [*inside, "sh", "-c", PROBE]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=PROBE_TIMEOUT_S,
            env=environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"


def _is_in_user_namespace() -> bool:
    first = Path("/proc/self/uid_map").read_text("ascii").split()
    return first != ["0", "0", "4294967295"]
