"""What a search for parameters is, without the library that searches: what serves and what plans needs no more."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

from core.errors import DataMissing
from database.queries.features import Snapshot
from features.feature import Feature
from ml_models.configuration import Configuration, standard
from ml_models.recipe import Recipe

INNER_YEARS = 3


@dataclass(frozen=True)
class Study:
    """One search: of one strategy and algorithm, over `inner_years`, which all lie before `test_from_on`."""

    usual: Configuration
    inner_years: tuple[int, ...]
    test_from_on: date
    key: str

    def proposal(self, parameters: Mapping[str, int | float]) -> Configuration:
        """What one proposal is as a trial."""
        return self._with(parameters, "proposal")

    def chosen(self, parameters: Mapping[str, int | float]) -> Configuration:
        """The configuration that the study decided for, whose folds serve."""
        return self._with(parameters, "choice")

    def _with(self, parameters: Mapping[str, int | float], role: str) -> Configuration:
        changed = self.usual.algorithm.configured({**self.usual.parameters, **parameters})
        origin = {"study": self.key, "role": role, "inner_years": list(self.inner_years)}
        return Configuration(self.usual.recipe, self.usual.algorithm, changed, origin)


@dataclass(frozen=True)
class Outcome:
    """What became of a proposal: `state` complete, pruned or barren (no year could be judged); rank IC by year."""

    state: str
    rank_ics: dict[str, float]

    @property
    def value(self) -> float | None:
        """Mean rank IC over the inner years; None where not all were judged."""
        return mean_rank_ic(self.rank_ics) if self.state == "complete" else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"state": self.state, "rank_ics": self.rank_ics, "value": self.value}


@dataclass(frozen=True)
class Tried:
    """A proposal and its outcome."""

    parameters: dict[str, int | float]
    outcome: Outcome


def plan_study(
    recipe: Recipe,
    algorithm: str,
    snapshots: Mapping[int, Snapshot],
    features: Sequence[Feature],
    *,
    possible: Sequence[int],
    first_test_year: int,
) -> Study:
    """The search that may be made before `first_test_year`, on the newest of the years that can have a fold.

    DataMissing where none of the `possible` years lies before it.
    """
    usual = standard(recipe, algorithm=algorithm)
    years = tuple(year for year in possible if first_test_year - INNER_YEARS <= year < first_test_year)
    if not years:
        raise DataMissing(
            f"tuning for test years from {first_test_year} on needs a fold of one of the {INNER_YEARS} years before"
            " them; give other years with --years"
        )
    seen = {str(year): snapshots[year].content_hash for year in sorted(snapshots) if year < first_test_year}
    shape = {"usual": usual.as_dict(features), "inner_years": years, "snapshots": seen}
    key = sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]
    return Study(usual, years, date(first_test_year, 1, 1), key)


def mean_rank_ic(rank_ics: Mapping[str, float]) -> float:
    """Over the years judged so far."""
    return sum(rank_ics.values()) / len(rank_ics)
