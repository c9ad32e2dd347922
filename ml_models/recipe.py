"""Contract of a screener: which stocks it looks at, what it learns from and how. Recipes are data, not code."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Literal

from features.feature import Group
from ml_models.labels import HORIZON_SESSIONS

SEED = 20170630


@dataclass(frozen=True)
class Keep:
    """One condition of the universe filter: the `fraction` of the stocks with the highest or lowest `feature`.

    The fraction is of the day's universe members whose feature is known. Where it is not known, the stock is left
    out, or stays if the condition is `optional`.
    """

    feature: str
    direction: Literal["high", "low"]
    fraction: float
    optional: bool = False


@dataclass(frozen=True)
class RuleTerm:
    """One published factor of the plain rule: stocks with `high` or `low` values of `feature` come first."""

    feature: str
    direction: Literal["high", "low"]


@dataclass(frozen=True)
class CapBand:
    """Market value in USD from `usd_min` up to, not including, `usd_max`; None is no limit."""

    name: str
    usd_min: float
    usd_max: float | None = None


LARGECAP = CapBand("largecap", usd_min=10e9)


@dataclass(frozen=True)
class Parameters:
    """How a screener is grown. `every_sessions` thins the training rows: labels of 21 sessions overlap anyway."""

    every_sessions: int = 5
    rounds_max: int = 200
    patience_rounds: int = 25
    learning_rate: float = 0.05
    depth_max: int = 3
    leaf_weight_min: float = 100.0
    ridge: float = 10.0
    rows_fraction: float = 0.7
    columns_fraction: float = 0.3
    bins_max: int = 64
    seed: int = SEED

    def booster(self) -> dict[str, Any]:
        """The parameters by the names that XGBoost gives them; rounds, patience and threads are the trainer's."""
        return {
            "objective": "binary:logistic",
            "eval_metric": "auc",
            "tree_method": "hist",
            "learning_rate": self.learning_rate,
            "max_depth": self.depth_max,
            "min_child_weight": self.leaf_weight_min / 4.0,  # a row of an undecided label weighs p(1-p) = 1/4
            "reg_lambda": self.ridge,
            "subsample": self.rows_fraction,
            "colsample_bynode": self.columns_fraction,
            "max_bin": self.bins_max,
            "seed": self.seed,
        }


WEEKLY = Parameters()
DAILY = Parameters(every_sessions=1, rounds_max=1000, patience_rounds=50, learning_rate=0.02, leaf_weight_min=500.0)


@dataclass(frozen=True)
class Recipe:
    """One strategy's screener.

    `keeps` and `cap_band` filter the universe. `emphasis` raises or lowers the chance of a feature's group to be tried
    at a split (XGBoost's feature_weights; 1 where not named). `rule` is the plain rule: it ranks the same stocks while
    no model may (see `rule.py`), and is no part of the model.
    """

    strategy: str
    keeps: tuple[Keep, ...]
    emphasis: Mapping[Group, float]
    cap_band: CapBand = LARGECAP
    label_sessions: int = HORIZON_SESSIONS
    parameters: Parameters = WEEKLY
    full_parameters: Parameters = field(default=DAILY)
    rule: tuple[RuleTerm, ...] = ()

    @property
    def model_name(self) -> str:
        """Name in `model_versions` and in the registry."""
        return f"screener-{self.strategy}"

    def grown(self, *, full: bool) -> Parameters:
        """Parameters of the quick weekly variant, or of the full daily one."""
        return self.full_parameters if full else self.parameters

    def fingerprint(self, *, full: bool) -> str:
        """SHA-256 over everything that shapes this recipe's model."""
        content = asdict(self) | {"parameters": asdict(self.grown(full=full))}
        del content["full_parameters"], content["rule"]
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
