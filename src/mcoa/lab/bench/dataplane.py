"""The forwarding benchmark: our back ends beside plain forwarding and the kernel's tunnels."""

import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from mcoa.lab.bench.dataplane_result import (
    EBPF,
    EBPF_UDP,
    KERNEL_TUNNEL,
    PLAIN,
    USER_SPACE,
    USER_SPACE_UDP,
    DataplaneResult,
    Rates,
)
from mcoa.lab.bench.figures import Contest
from mcoa.lab.bench.forwarding_network import KERNEL, OURS, ForwardingNetwork, Way
from mcoa.lab.bench.forwarding_network import PLAIN as PLAIN_WAY
from mcoa.lab.bench.progress import Advanced, Began
from mcoa.lab.bench.scale import ScaleResult
from mcoa.lab.namespaces import LabError, Namespaces

_OCTETS_TO_GIGABITS: Final = 8e-9
ROUNDS: Final = ("up", "down", "flood")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured.

    Attributes:
        duration_s: of one round of one contender in one direction.
        bindings: that an agent installs.
    """

    rounds: int = 9
    duration_s: float = 1.0
    bindings: int = 100_000


FULL = Plan()
QUICK = Plan(rounds=5, duration_s=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All is done."""

    result: DataplaneResult


Event = Began | Advanced | Measured


def measure(plan: Plan) -> Generator[Event, None, None]:
    """Run the benchmark; the last event carries the result.

    Raises:
        LabError: the network could not be built, or a round failed.
    """
    with Namespaces() as namespaces:
        yield Began(title="building networks, with daemons")
        ways, absent = _ways(namespaces)
        contenders = {
            f"{name} {what}": _round(network, what, way, plan.duration_s)
            for what in ROUNDS
            for name, (network, way) in ways.items()
        }
        contest = Contest(contenders, plan.rounds)
        yield Began(title=", ".join(ways) + ", in turn")
        for done, total in contest.run():
            yield Advanced(done=done, total=total)
        rates = {
            name: Rates(
                up_gbit_s=contest.result(f"{name} up"),
                down_gbit_s=contest.result(f"{name} down"),
                packets_per_s=contest.result(f"{name} flood"),
            )
            for name in ways
        }
        yield Began(title=f"an agent installs {plan.bindings:,} bindings")
        scale = _scale(namespaces, plan.bindings)
        yield Measured(result=DataplaneResult(rates=rates, absent=absent, scale=scale))


def _ways(
    namespaces: Namespaces,
) -> tuple[dict[str, tuple[ForwardingNetwork, Way]], dict[str, str]]:
    """Return the ways there are, by name, and why others are not."""
    absent: dict[str, str] = {}
    bare, first, second, third, fourth = (
        ForwardingNetwork(namespaces, name) for name in "01234"
    )
    ways = {PLAIN: (bare, PLAIN_WAY)}
    attempts: tuple[tuple[str, ForwardingNetwork, Way, Callable[[], None]], ...] = (
        (KERNEL_TUNNEL, bare, KERNEL, bare.add_kernel_tunnel),
        (EBPF, first, OURS, lambda: first.start_daemons("ebpf")),
        (USER_SPACE, second, OURS, lambda: second.start_daemons("userspace")),
        (EBPF_UDP, third, OURS, lambda: third.start_daemons("ebpf", ipv4=True)),
        (USER_SPACE_UDP, fourth, OURS, lambda: fourth.start_daemons("userspace", ipv4=True)),
    )
    for name, network, way, prepare in attempts:
        try:
            prepare()
        except LabError as error:
            absent[name] = str(error)
        else:
            ways[name] = (network, way)
    return ways, absent


def _scale(namespaces: Namespaces, bindings: int) -> ScaleResult:
    command = [sys.executable, "-m", "mcoa.lab.bench.scale", str(bindings)]
    program = namespaces.start(
        namespaces.add("scale"), command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said, errors = program.communicate()
    if program.returncode != 0:
        raise LabError(f"no scale: {errors.decode().strip().rpartition(chr(10))[2]}")
    return ScaleResult.from_json(said)


def _round(
    network: ForwardingNetwork, what: str, way: Way, duration_s: float
) -> Callable[[], float]:
    unit = 1.0 if what == "flood" else _OCTETS_TO_GIGABITS
    return lambda: network.measure(what, way, duration_s) * unit
