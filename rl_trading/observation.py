"""What the allocator sees of each stock and of the market, and the scales fitted on training data only."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from database.tables.regimes import LABELS

Floats32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Two columns of the screener's, then columns of the feature store; the same order in training and at night.
SCORE_COLUMNS = ("score", "score_place")
STOCK_FEATURES = (
    "momentum_21",
    "momentum_252_21",
    "reversal_5",
    "volatility_21",
    "volatility_252",
    "idiosyncratic_volatility_63",
    "beta_252",
    "correlation_252",
    "drawdown_252",
    "ma_distance_200",
    "sector_rank_momentum_252",
    "dividend_yield_252",
)
STOCK_COLUMNS = SCORE_COLUMNS + STOCK_FEATURES
# Columns of the feature store that are the same for all stocks of a day, then the regime's probabilities.
MARKET_FEATURES = (
    "vix_level",
    "vix_change_21",
    "yield_slope_10y_3m",
    "breadth_200",
    "market_momentum_21",
    "market_momentum_252",
    "market_volatility_21",
    "market_drawdown_252",
    "dispersion_21",
)
CONTEXT_COLUMNS = MARKET_FEATURES + LABELS
CLIP = 5.0
_SCALE_MIN = 1e-8


@dataclass(frozen=True)
class Scales:
    """Mean and spread of each column over the training rows; unknown values become the mean, that is zero."""

    stock_mean: Floats
    stock_spread: Floats
    context_mean: Floats
    context_spread: Floats

    @classmethod
    def fit(cls, stocks: Floats32, mask: Flags, context: Floats32) -> "Scales":
        """From raw training rows: stocks (r, n, c) where mask (r, n), context (r, m); NaN is left out."""
        stock_mean, stock_spread = _moments(stocks[mask].astype(np.float64))
        context_mean, context_spread = _moments(context.astype(np.float64))
        return cls(stock_mean, stock_spread, context_mean, context_spread)

    def encode(self, stocks: Floats32, mask: Flags, context: Floats32) -> Floats32:
        """Static observations (r, n * c + n + m): scaled stock features, mask, scaled context; finite throughout."""
        rows = len(stocks)
        scaled = _scale(stocks, self.stock_mean, self.stock_spread) * mask[:, :, None]
        market = _scale(context, self.context_mean, self.context_spread)
        return np.concatenate([scaled.reshape(rows, -1), mask, market], axis=1).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {name: [float(v) for v in getattr(self, name)] for name in self.__dataclass_fields__}


def _moments(values: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    zeroed = np.where(known, values, 0.0)
    mean = zeroed.sum(axis=0) / count
    spread = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
    return mean, np.where(spread > _SCALE_MIN, spread, 1.0)


def _scale(values: Floats32, mean: Floats, spread: Floats) -> Floats:
    return np.nan_to_num(np.clip((values - mean) / spread, -CLIP, CLIP), nan=0.0)


@dataclass(frozen=True)
class Layout:
    """Sizes of an observation: n stocks with c features each, m context columns."""

    stocks: int
    features: int
    context: int

    @property
    def static(self) -> int:
        """Length of the part that does not depend on the portfolio."""
        return self.stocks * (self.features + 1) + self.context

    @property
    def size(self) -> int:
        """Length of the whole observation: static part, weights, cash, weight to be sold."""
        return self.static + self.stocks + 2

    def check(self, observation_size: int) -> None:
        """Raise InputError unless observations of this size have this layout."""
        if observation_size != self.size:
            raise InputError(f"observations have {observation_size} numbers, the layout {self} needs {self.size}")
