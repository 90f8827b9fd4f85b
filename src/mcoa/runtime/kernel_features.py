"""What a kernel may lack without stopping a node, and what the user then notices."""

from collections.abc import Callable
from dataclasses import dataclass

from mcoa.runtime.fast_path.libbpf import is_compiled
from mcoa.runtime.fast_path.maps import Maps, Sizes
from mcoa.runtime.sysctl import device_setting, read_setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something that some kernels are built without.

    Attributes:
        consequence: what is different without it; the end of a sentence.
    """

    name: str
    consequence: str
    is_here: Callable[[], bool]

    def absence(self) -> str:
        """Return the sentence that says that it is missing."""
        return f"this kernel has no {self.name}: {self.consequence}"


def _has_optimistic_detection() -> bool:
    return read_setting(device_setting("default", "optimistic_dad")) is not None


def _compiles_programs() -> bool:
    """Return False if the kernel interprets programs; a switch tells only the first namespace."""
    try:
        maps, programs = Maps.load(Sizes(homes=1, ways=2, flows=1), old_program=None)
    except OSError:
        return True  # there is no fast path at all, which is said elsewhere
    try:
        return is_compiled(programs.from_device)
    finally:
        maps.close()
        programs.close()


OPTIMISTIC_DETECTION = Feature(
    name="optimistic duplicate address detection",
    consequence="a new care-of address can be used a second later",
    is_here=_has_optimistic_detection,
)
JUST_IN_TIME_COMPILER = Feature(
    name="just-in-time compiler for BPF",
    consequence="the fast path is interpreted, and slower",
    is_here=_compiles_programs,
)
FEATURES = (OPTIMISTIC_DETECTION, JUST_IN_TIME_COMPILER)


def missing_features() -> tuple[Feature, ...]:
    """Return what this kernel lacks of FEATURES."""
    return tuple(feature for feature in FEATURES if not feature.is_here())
