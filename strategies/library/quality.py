"""Strong balance sheets are sought after in fear, and lose little in between."""

from strategies.strategy import Strategy

STRATEGY = Strategy(
    name="quality_largecap",
    label="Quality, large caps",
    cap_band="largecap",
    purpose="Companies that earn much on their capital without owing much.",
    affinity={"bull": 0.60, "bear": 0.80, "high_volatility": 0.75, "low_volatility": 0.60, "sideways": 0.70},
)
