"""Growth pays in rising and calm markets, and falls hardest when fear rises."""

from strategies.strategy import Strategy

STRATEGY = Strategy(
    name="growth_largecap",
    label="Growth, large caps",
    cap_band="largecap",
    purpose="Companies whose sales and earnings grow fast, at prices that do not yet say so.",
    affinity={"bull": 0.85, "bear": 0.10, "high_volatility": 0.15, "low_volatility": 0.75, "sideways": 0.50},
)
