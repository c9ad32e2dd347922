"""How a stock moves with the market, the equal-weight universe: r = alpha + beta * m + e, least squares.

Frazzini and Pedersen (2014), JFE 111(1), for beta; Ang, Hodrick, Xing and Zhang (2006), Journal of Finance 61(1),
for what the market leaves unexplained.
"""

import numpy as np

from features.arrays import Floats
from features.feature import StockFeature
from features.history import YEAR_SESSIONS, StockHistory

_INPUTS = ("adj_close", "market_returns")


def _beta(stock: StockHistory, window: int) -> Floats:
    return stock.market_covariances(window) / stock.market_variances(window)


def _idiosyncratic(stock: StockHistory, window: int) -> Floats:
    covariance = stock.market_covariances(window)
    explained = covariance * covariance / stock.market_variances(window)
    left = np.maximum(stock.variances(window) - explained, 0.0) * (window - 1) / (window - 2)
    return np.sqrt(left * YEAR_SESSIONS)


def _alpha(stock: StockHistory) -> Floats:
    beta = _beta(stock, 252)
    return (stock.means("returns", 252) - beta * stock.means("market_returns", 252)) * YEAR_SESSIONS


def _correlation(stock: StockHistory) -> Floats:
    return stock.market_covariances(252) / np.sqrt(stock.variances(252) * stock.market_variances(252))


def _beta_over(window: int) -> StockFeature:
    return StockFeature(
        name=f"beta_{window}",
        group="risk",
        inputs=_INPUTS,
        look_back=window,
        unit="ratio",
        description=f"beta to the market over {window} sessions",
        compute=lambda stock: _beta(stock, window),
    )


def _idiosyncratic_over(window: int) -> StockFeature:
    return StockFeature(
        name=f"idiosyncratic_volatility_{window}",
        group="risk",
        inputs=_INPUTS,
        look_back=window,
        unit="fraction a year",
        description=f"volatility over {window} sessions that the market does not explain",
        compute=lambda stock: _idiosyncratic(stock, window),
    )


FEATURES = (
    *(_beta_over(window) for window in (63, 252)),
    StockFeature(
        name="correlation_252",
        group="risk",
        inputs=_INPUTS,
        look_back=252,
        unit="ratio",
        description="correlation with the market over a year",
        compute=_correlation,
    ),
    *(_idiosyncratic_over(window) for window in (63, 252)),
    StockFeature(
        name="alpha_252",
        group="momentum",
        inputs=_INPUTS,
        look_back=252,
        unit="fraction a year",
        description="return over a year that the market does not explain",
        compute=_alpha,
    ),
)
