"""What a kernel lacks is said, by the doctor, the demonstration and the scenarios."""

import pytest

from mcoa.lab.demo import QUICK, demonstrate
from mcoa.lab.demo_events import Found, GroundFound
from mcoa.lab.ground import Ground, GroundKind
from mcoa.runtime import doctor, kernel_features
from mcoa.runtime.doctor import Verdict
from mcoa.runtime.kernel_features import Feature, missing_features

ABSENT = Feature(name="wings", consequence="it does not fly", is_here=lambda: False)
PRESENT = Feature(name="legs", consequence="it does not walk", is_here=lambda: True)


@pytest.fixture(autouse=True)
def features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_features, "FEATURES", (ABSENT, PRESENT))


def test_what_is_missing_is_named_with_what_follows() -> None:
    assert missing_features() == (ABSENT,)
    assert ABSENT.absence() == "this kernel has no wings: it does not fly"


def test_the_doctor_doubts_a_kernel_that_lacks_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = doctor._kernel()
    assert found.verdict is Verdict.DOUBTFUL
    assert found.finding == "no wings: it does not fly"
    monkeypatch.setattr(kernel_features, "FEATURES", (PRESENT,))
    assert doctor._kernel().verdict is Verdict.WORKS


def test_the_demonstration_says_so_before_it_builds_anything() -> None:
    events = demonstrate(Ground(kind=GroundKind.ROOT), QUICK)
    assert isinstance(next(events), GroundFound)
    assert next(events) == Found(sentence=ABSENT.absence())
    events.close()


def test_a_kernel_without_a_setting_has_no_optimistic_detection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for value, is_here in ((None, False), ("0", True)):
        monkeypatch.setattr(kernel_features, "read_setting", lambda _path, v=value: v)
        assert kernel_features.OPTIMISTIC_DETECTION.is_here() is is_here
