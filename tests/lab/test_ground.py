"""Which ground is found, and which may be asked for."""

from collections.abc import Callable, Sequence

import pytest

from mcoa.lab import ground
from mcoa.lab.ground import Ground, GroundKind, demand_ground, find_ground
from mcoa.lab.namespaces import LabError

Machine = Callable[..., list[Sequence[str]]]
DIRECT, NESTED = ground.INTO_NAMESPACES, ground.INTO_USER_NAMESPACE


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Make this machine one that allows what is given; returns what is tried on it."""

    def make(*allowed: Sequence[str], root: bool, inside: bool = False) -> list[Sequence[str]]:
        tried: list[Sequence[str]] = []

        def probe(words: Sequence[str]) -> str | None:
            tried.append(words)
            return None if words in allowed else f"{words[1]} refused"

        monkeypatch.setattr(ground, "_probe", probe)
        monkeypatch.setattr(ground, "_is_in_user_namespace", lambda: inside)
        monkeypatch.setattr(ground.os, "geteuid", lambda: 0 if root else 1000)
        return tried

    return make


def test_root_stands_on_its_own_namespaces(machine: Machine) -> None:
    machine(DIRECT, NESTED, root=True)
    assert find_ground() == Ground(kind=GroundKind.ROOT)


def test_a_user_stands_on_user_namespaces_because_it_is_not_root(machine: Machine) -> None:
    machine(NESTED, root=False)
    assert find_ground() == Ground(kind=GroundKind.USER, reason="not root")


def test_where_nothing_is_allowed_there_is_the_simulation_and_its_reason(
    machine: Machine,
) -> None:
    machine(root=False)
    found = find_ground()
    assert found.sentence() == "ground: simulation in virtual time (--user refused)"
    assert not ground.must_enter_user_namespace(found)


@pytest.mark.parametrize(
    ("kind", "root", "inside", "tried"),
    [
        (GroundKind.ROOT, True, False, [DIRECT]),
        (GroundKind.USER, True, False, [NESTED]),
        (GroundKind.USER, False, False, [NESTED]),
        (GroundKind.USER, True, True, [DIRECT]),
        (GroundKind.SIMULATION, False, False, []),
    ],
)
def test_a_ground_that_is_allowed_may_be_asked_for(
    machine: Machine,
    kind: GroundKind,
    root: bool,
    inside: bool,
    tried: list[Sequence[str]],
) -> None:
    seen = machine(DIRECT, NESTED, root=root, inside=inside)
    assert demand_ground(kind) == Ground(kind=kind, reason="asked for")
    assert seen == tried


@pytest.mark.parametrize(
    ("kind", "root", "inside", "reason"),
    [
        (GroundKind.ROOT, False, False, "network namespaces of root: not root"),
        (GroundKind.ROOT, True, True, "network namespaces of root: not root"),
        (GroundKind.ROOT, True, False, "network namespaces of root: --net refused"),
        (GroundKind.USER, False, False, "an unprivileged user: --user refused"),
    ],
)
def test_a_ground_that_is_refused_is_an_error_and_no_other_takes_its_place(
    machine: Machine, kind: GroundKind, root: bool, inside: bool, reason: str
) -> None:
    machine(root=root, inside=inside)
    with pytest.raises(LabError, match=reason):
        demand_ground(kind)
