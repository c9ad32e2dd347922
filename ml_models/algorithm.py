"""Contract of a learning algorithm: rows in, a model out that scores, explains itself and goes into plain files.

Whatever algorithm was chosen by name, the rest of the room sees the same three things: margins (higher is better, in
log odds or close to them), contributions that add up to them, and files in a format that cannot carry code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.errors import DataMissing, InputError
from features.feature import Feature, Group, MarketFeature
from ml_models.dataset import Matrix, Rows

Floats = npt.NDArray[np.float64]
# Numbers by name. All algorithms know `every_sessions` (sampling of the training rows) and `seed`.
Parameters = Mapping[str, int | float]
SEED = 20170630
# Where validation finds nothing to learn, a stump's few distinct scores would still have to rank a hundred stocks.
TREES_MIN = 20


class Model(Protocol):
    """A trained screener. X is C-ordered float32, a row a stock, a column a feature, NaN where unknown."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns, in order."""

    def margins(self, X: Matrix) -> Floats:
        """One raw score a row."""

    def contributions(self, X: Matrix) -> tuple[Floats, Floats]:
        """What each feature adds (rows x features) and each row's base; base plus the sum is the margin."""

    def to_files(self) -> dict[str, bytes]:
        """File name -> content, from which the algorithm's `read` makes the same model to the bit."""


@dataclass(frozen=True)
class Trained:
    """A model and how its training went: `rounds` were kept, the validation window liked `best_round` most."""

    model: Model
    rounds: int
    best_round: int
    validation_auc: float


class Train(Protocol):
    """Learn from `train`, stop by `validation`. Same rows, parameters and one thread: same bits."""

    def __call__(
        self,
        train: Rows,
        validation: Rows,
        *,
        features: Sequence[Feature],
        emphasis: Mapping[Group, float],
        parameters: Parameters,
        threads: int,
    ) -> Trained: ...


@dataclass(frozen=True)
class Range:
    """What tuning may try of one parameter: from `low` to `high`, both inclusive; whole numbers where both are."""

    low: int | float
    high: int | float
    log: bool = False


@dataclass(frozen=True)
class Algorithm:
    """One entry of the zoo. `weekly` are its usual parameters, `daily` those of the full training.

    `library` names what it is made with and its version, `modules` the files that shape its models: either changing
    makes its folds due again.
    """

    name: str
    library: str
    modules: tuple[str, ...]
    weekly: Parameters
    daily: Parameters
    ranges: Mapping[str, Range]
    train: Train
    read: Callable[[Mapping[str, bytes]], Model]

    def configured(self, changes: Parameters, *, full: bool = False) -> dict[str, int | float]:
        """The usual parameters with some changed. InputError for a name that it does not know."""
        usual = self.daily if full else self.weekly
        for name in changes:
            if name not in usual:
                raise InputError(f"{self.name} has no parameter {name!r}; it has {', '.join(sorted(usual))}")
        return {**usual, **changes}


def require_both_labels(train: Rows, validation: Rows) -> None:
    """DataMissing where a window has no rows or rows of one class only: there is nothing to learn from it."""
    for name, rows in (("training", train), ("validation", validation)):
        if len(np.unique(rows.labels)) < 2:
            raise DataMissing(f"the {name} window has {len(rows)} rows and not both labels; load earlier bars")


def is_market_wide(feature: Feature) -> bool:
    """Whether all stocks of a day have the same value, so that it ranks nothing.

    In a filtered universe, whose share of winners swings from week to week, it would teach the dates instead; no
    algorithm looks at such a feature.
    """
    return isinstance(feature, MarketFeature) or feature.group in {"macro", "market"}


def probabilities(margins: npt.NDArray[np.floating]) -> Floats:
    """Probability of beating the median, from the raw margin."""
    return 1.0 / (1.0 + np.exp(-margins.astype(np.float64)))
