"""State of the market as a whole, the equal-weight universe; the same for all stocks of a day."""

import numpy as np

from features.arrays import Floats
from features.feature import CrossSectionFeature, MarketFeature
from features.history import YEAR_SESSIONS, CrossSections, MarketHistory
from features.windows import lagged, rolling_sum


def _momentum(window: int) -> MarketFeature:
    return MarketFeature(
        name=f"market_momentum_{window}",
        group="market",
        inputs=("market_returns",),
        look_back=window,
        unit="fraction",
        description=f"return of the market over {window} sessions",
        compute=lambda market: np.expm1(rolling_sum(market.log_returns, window)),
    )


def _volatility(market: MarketHistory) -> Floats:
    mean = rolling_sum(market.returns, 21) / 21
    squares = rolling_sum(market.returns * market.returns, 21)
    return np.sqrt(np.maximum(squares - 21 * mean * mean, 0.0) / 20 * YEAR_SESSIONS)


def _drawdown(market: MarketHistory) -> Floats:
    # Return from each session of the year to today; the worst of them is the fall from the year's high.
    fall = np.zeros(len(market.days))
    since = np.zeros(len(market.days))
    for sessions in range(1, YEAR_SESSIONS):
        since = since + lagged(market.log_returns, sessions - 1)
        fall = np.minimum(fall, since)
    return np.expm1(fall)


def _mean_of_members(sections: CrossSections, values: Floats, known: Floats) -> Floats:
    counted = sections.member & np.isfinite(known)
    weight = np.bincount(sections.day[counted], minlength=sections.days)
    total = np.bincount(sections.day[counted], weights=values[counted], minlength=sections.days)
    return (total / np.where(weight > 0, weight, np.nan))[sections.day]


def _breadth(window: int) -> CrossSectionFeature:
    source = f"ma_distance_{window}"

    def compute(sections: CrossSections) -> Floats:
        distance = sections.finished[source].astype(np.float64)
        return _mean_of_members(sections, (distance > 0.0).astype(np.float64), distance)

    return CrossSectionFeature(
        name=f"breadth_{window}",
        group="market",
        inputs=(source,),
        look_back=0,
        unit="share of stocks",
        description=f"share of the universe above its {window}-session average",
        compute=compute,
    )


def _dispersion(sections: CrossSections) -> Floats:
    returns = sections.finished["momentum_21"].astype(np.float64)
    away = returns - _mean_of_members(sections, returns, returns)
    return np.sqrt(_mean_of_members(sections, away * away, returns))


FEATURES = (
    *(_momentum(window) for window in (21, 63, 252)),
    MarketFeature(
        name="market_volatility_21",
        group="market",
        inputs=("market_returns",),
        look_back=21,
        unit="fraction a year",
        description="volatility of the market over a month",
        compute=_volatility,
    ),
    MarketFeature(
        name="market_drawdown_252",
        group="market",
        inputs=("market_returns",),
        look_back=251,
        unit="fraction",
        description="return of the market since its high of the year",
        compute=_drawdown,
    ),
    *(_breadth(window) for window in (50, 200)),
    CrossSectionFeature(
        name="dispersion_21",
        group="market",
        inputs=("momentum_21",),
        look_back=0,
        unit="fraction",
        description="spread of the monthly returns inside the universe",
        compute=_dispersion,
    ),
)
