"""Calm stocks fall less when the market does, and lag when it runs."""

from strategies.strategy import Strategy

STRATEGY = Strategy(
    name="low_volatility_largecap",
    label="Low volatility, large caps",
    cap_band="largecap",
    purpose="Stocks that have moved little over the past year.",
    affinity={"bull": 0.30, "bear": 0.90, "high_volatility": 0.90, "low_volatility": 0.55, "sideways": 0.60},
)
