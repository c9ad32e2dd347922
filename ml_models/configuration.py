"""A configuration: all that shapes a screener but the dates of its fold. What is counted as one trial."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from typing import Any

from core.errors import UnknownName
from database.queries.models import STANDARD_SCREENER
from features.feature import Feature
from ml_models.algorithm import Algorithm, Parameters
from ml_models.algorithms import ALGORITHMS
from ml_models.recipe import Recipe

TRAIN_YEARS = 5
# What every fold goes through, whichever algorithm learns from it.
_SHAPING_CODE = (
    "ml_models.algorithm",
    "ml_models.configuration",
    "ml_models.dataset",
    "ml_models.eligibility",
    "ml_models.labels",
    "ml_models.lessons",
    "ml_models.recipe",
    "quant.splits",
)


@dataclass(frozen=True)
class Configuration:
    """One way to learn one strategy. `origin` is empty, or names what chose the parameters (a tuning's study)."""

    recipe: Recipe
    algorithm: Algorithm
    parameters: Parameters
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def every_sessions(self) -> int:
        """Sampling of the rows: labels of 21 sessions overlap anyway."""
        return int(self.parameters["every_sessions"])

    def as_dict(self, features: Sequence[Feature]) -> dict[str, Any]:
        """What the trial is, as JSON-ready values."""
        shown = [(feature.name, feature.group) for feature in features]
        return {
            "algorithm": self.algorithm.name,
            "library": self.algorithm.library,
            "parameters": dict(self.parameters),
            "recipe": self.recipe.shape(),
            "features": len(shown),
            "features_hash": sha256(json.dumps(shown).encode()).hexdigest(),
            "train_years": TRAIN_YEARS,
            "embargo_sessions": self.recipe.label_sessions,
            "code": code_hash(self.algorithm.name),
            **({"origin": self.origin} if self.origin else {}),
        }


def standard(recipe: Recipe, *, algorithm: str = STANDARD_SCREENER, full: bool = False) -> Configuration:
    """The recipe with an algorithm's usual parameters, or those of the full daily training."""
    chosen = algorithm_named(algorithm)
    return Configuration(recipe, chosen, chosen.configured({}, full=full))


def algorithm_named(name: str) -> Algorithm:
    """UnknownName for one that is not listed."""
    if name not in ALGORITHMS:
        raise UnknownName("algorithm", name, list(ALGORITHMS))
    return ALGORITHMS[name]


@cache
def code_hash(algorithm: str) -> str:
    """SHA-256 over the source of every module that shapes a model of this algorithm, and its library's version."""
    chosen = ALGORITHMS[algorithm]
    digest = sha256(chosen.library.encode())
    for name in (*_SHAPING_CODE, *chosen.modules):
        spec = find_spec(name)
        assert spec is not None
        source = spec.loader.get_source(name)  # type: ignore[union-attr]  # source loaders have it
        digest.update(source.encode())
    return digest.hexdigest()
