"""Contract of a strategy: what it is called, which stocks it is about, and in which markets it belongs.

Which stocks pass its filter and what its model looks at is data of the same name in `ml_models.recipes`; the two
meet in rows: a strategy can be chosen on a night on which its screen was scored and allocated.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import InputError
from database.tables.regimes import LABELS


@dataclass(frozen=True)
class Strategy:
    """One way to pick stocks. `affinity` says for each regime how well the strategy suits it, from 0 to 1."""

    name: str
    label: str
    cap_band: str
    purpose: str
    affinity: Mapping[str, float]

    def __post_init__(self) -> None:
        if not self.name.endswith(f"_{self.cap_band}"):
            raise InputError(f"strategy {self.name!r} must end with its cap band: {self.short_name}_{self.cap_band}")
        if set(self.affinity) != set(LABELS) or not all(0 <= value <= 1 for value in self.affinity.values()):
            raise InputError(f"strategy {self.name!r} needs an affinity from 0 to 1 for each of {', '.join(LABELS)}")

    @property
    def short_name(self) -> str:
        """The name without its cap band, as people type it."""
        return self.name.removesuffix(f"_{self.cap_band}")

    def suits(self, probabilities: Mapping[str, float]) -> float:
        """Expected affinity under the regime's probabilities, from 0 to 1."""
        return sum(self.affinity[label] * probability for label, probability in probabilities.items())
