"""Trends last in bull and calm markets; momentum crashes when a panic turns."""

from strategies.strategy import Strategy

STRATEGY = Strategy(
    name="momentum_largecap",
    label="Momentum, large caps",
    cap_band="largecap",
    purpose="Stocks that have led the market over the past year.",
    affinity={"bull": 0.95, "bear": 0.15, "high_volatility": 0.15, "low_volatility": 0.90, "sideways": 0.40},
)
