"""The contract of a feature: a small frozen object that says what it measures, from what, and computes it.

One of three kinds, by what `compute` looks at: one stock's own history, the market's, or the finished cross-sections.
`compute` answers one value for each entry it was shown and NaN where the value is unknown; it must not let a value
depend on a later entry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from features.arrays import Floats, Floats32
from features.history import CrossSections, MarketHistory, StockHistory

Unit = Literal[
    "fraction",
    "fraction a year",
    "ratio",
    "points",
    "percent a year",
    "rank from 0 to 1",
    "standard deviations",
    "logarithm of USD",
    "score from 0 to 100",
    "share of stocks",
    "position on a circle",
]
Group = Literal[
    "momentum",
    "reversal",
    "risk",
    "oscillator",
    "trend",
    "liquidity",
    "seasonality",
    "value",
    "quality",
    "growth",
    "size",
    "payout",
    "macro",
    "market",
]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """What all features declare.

    name: lower snake case, the window in sessions last. inputs: columns of the bars, items of the reports, macro series
    or other features. look_back: sessions before the day itself that can matter, on top of what the inputs need.
    fading: the value is an exponential average, whose older sessions keep a weight below 1e-7 instead of none.
    lag_days: least number of days between what is measured and the day on which it is used; the later of this and the
    date on which the data became known counts. description: a noun phrase that completes "a high ...".
    """

    name: str
    group: Group
    inputs: tuple[str, ...]
    look_back: int
    unit: Unit
    description: str
    lag_days: int = 0
    fading: bool = False


@dataclass(frozen=True, kw_only=True)
class StockFeature(Feature):
    """Computed from one stock's own sessions."""

    compute: Callable[[StockHistory], Floats]


@dataclass(frozen=True, kw_only=True)
class MarketFeature(Feature):
    """Computed from the market's sessions; the same for all stocks of a day."""

    compute: Callable[[MarketHistory], Floats]


@dataclass(frozen=True, kw_only=True)
class CrossSectionFeature(Feature):
    """Computed from a finished stock feature, each day by itself."""

    compute: Callable[[CrossSections], Floats | Floats32]
