"""Contract of a screener: which stocks it looks at, what it learns from and how. Recipes are data, not code."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from features.feature import Group
from ml_models.labels import HORIZON_SESSIONS


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
class Recipe:
    """One strategy's screener, whatever algorithm learns it.

    `keeps` and `cap_band` filter the universe. `emphasis` raises or lowers the chance of a feature's group to be tried
    at a split, where the algorithm can (XGBoost's feature_weights; 1 where not named). `rule` is the plain rule: it
    ranks the same stocks while no model may (see `rule.py`), and is no part of the model.
    """

    strategy: str
    keeps: tuple[Keep, ...]
    emphasis: Mapping[Group, float]
    cap_band: CapBand = LARGECAP
    label_sessions: int = HORIZON_SESSIONS
    rule: tuple[RuleTerm, ...] = ()

    @property
    def model_name(self) -> str:
        """Name in `model_versions` and in the registry."""
        return f"screener-{self.strategy}"

    def shape(self) -> dict[str, Any]:
        """Everything that shapes this recipe's model, as JSON-ready values."""
        content = asdict(self)
        del content["rule"]
        return content
