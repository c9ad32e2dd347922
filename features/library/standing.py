"""Where a stock stands among the members of the universe, or of its sector in the universe, on the same day.

Ranks run from 0 (lowest) to 1 (highest) as (average rank - 1/2) / count; standard scores are held within three
standard deviations. Stocks outside the universe have neither, nor has a group of one, as there is nothing to compare.
"""

import numpy as np

from features.arrays import Floats32, Integers
from features.feature import CrossSectionFeature, Group
from features.history import CrossSections
from features.ranking import rank_in_groups, score_in_groups

_SCORE_MAX = 3.0

# What is ranked, with its group and what it is called.
_SIGNALS: dict[str, tuple[Group, str]] = {
    "reversal_5": ("reversal", "weekly fall"),
    "momentum_21": ("momentum", "monthly return"),
    "momentum_126": ("momentum", "half-year return"),
    "momentum_252": ("momentum", "twelve-month return"),
    "momentum_252_21": ("momentum", "twelve-month return without the last month"),
    "volatility_63": ("risk", "quarterly volatility"),
    "volatility_252": ("risk", "yearly volatility"),
    "beta_252": ("risk", "beta"),
    "high_distance_252": ("momentum", "price against the 52-week high"),
    "earnings_yield": ("value", "earnings yield"),
    "book_to_price": ("value", "book to price"),
    "cash_flow_yield": ("value", "cash-flow yield"),
    "return_on_equity": ("quality", "return on equity"),
    "gross_profitability": ("quality", "gross profitability"),
    "sales_growth": ("growth", "sales growth"),
    "earnings_growth": ("growth", "earnings growth"),
    "log_market_cap": ("size", "market value"),
    "dividend_yield_252": ("payout", "dividend yield"),
}
_RANKED = (
    "reversal_5",
    "momentum_21",
    "momentum_126",
    "momentum_252",
    "momentum_252_21",
    "volatility_63",
    "volatility_252",
    "beta_252",
    "high_distance_252",
    "earnings_yield",
    "book_to_price",
    "return_on_equity",
    "sales_growth",
    "log_market_cap",
    "dividend_yield_252",
)
_RANKED_IN_SECTOR = (
    "momentum_21",
    "momentum_252",
    "volatility_252",
    "earnings_yield",
    "book_to_price",
    "cash_flow_yield",
    "return_on_equity",
    "gross_profitability",
    "sales_growth",
    "earnings_growth",
    "dividend_yield_252",
)
_SCORED = ("momentum_252_21", "volatility_252", "earnings_yield", "return_on_equity", "dividend_yield_252")
_SCORED_IN_SECTOR = ("momentum_252_21", "earnings_yield", "return_on_equity")


def _group_of(sections: CrossSections, in_sector: bool) -> Integers:
    return sections.sector_group if in_sector else sections.day


def _rank(signal: str, *, in_sector: bool) -> CrossSectionFeature:
    def compute(sections: CrossSections) -> Floats32:
        return rank_in_groups(sections.finished[signal], _group_of(sections, in_sector), sections.member)

    group, noun = _SIGNALS[signal]
    return CrossSectionFeature(
        name=f"sector_rank_{signal}" if in_sector else f"rank_{signal}",
        group=group,
        inputs=(signal,),
        look_back=0,
        unit="rank from 0 to 1",
        description=f"{noun} compared with the {'sector' if in_sector else 'universe'}",
        compute=compute,
    )


def _score(signal: str, *, in_sector: bool) -> CrossSectionFeature:
    def compute(sections: CrossSections) -> Floats32:
        scores = score_in_groups(sections.finished[signal], _group_of(sections, in_sector), sections.member)
        return np.clip(scores, -_SCORE_MAX, _SCORE_MAX)

    group, noun = _SIGNALS[signal]
    return CrossSectionFeature(
        name=f"sector_zscore_{signal}" if in_sector else f"zscore_{signal}",
        group=group,
        inputs=(signal,),
        look_back=0,
        unit="standard deviations",
        description=f"{noun} away from the average of the {'sector' if in_sector else 'universe'}",
        compute=compute,
    )


FEATURES = (
    *(_rank(signal, in_sector=False) for signal in _RANKED),
    *(_rank(signal, in_sector=True) for signal in _RANKED_IN_SECTOR),
    *(_score(signal, in_sector=False) for signal in _SCORED),
    *(_score(signal, in_sector=True) for signal in _SCORED_IN_SECTOR),
)
