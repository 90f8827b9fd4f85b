"""What a scenario found, what it claims, and both as one JSON object."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcoa.lab.demo_events import Event
from mcoa.lab.demo_result import Claim, JsonValue

SCHEMA = "mcoa.lab/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The end of a scenario.

    Attributes:
        scenario: its name on the command line.
        figures: what was measured, by name; times are milliseconds.
    """

    scenario: str
    claims: tuple[Claim, ...]
    figures: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether all that is claimed is true."""
        return all(claim.holds for claim in self.claims)

    def to_object(self) -> dict[str, JsonValue]:
        """Return everything as one JSON object."""
        return {
            "schema": SCHEMA,
            "scenario": self.scenario,
            **self.figures,
            "claims": [
                {"sentence": claim.sentence, "holds": claim.holds} for claim in self.claims
            ],
            "holds": self.holds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """The last event of a scenario."""

    proof: Proof


ScenarioEvent = Event | Proven
