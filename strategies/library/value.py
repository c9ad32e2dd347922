"""Value needs patience rather than a trend; in panic cheap gets cheaper."""

from strategies.strategy import Strategy

STRATEGY = Strategy(
    name="value_largecap",
    label="Value, large caps",
    cap_band="largecap",
    purpose="Companies that are cheap for what they earn and own.",
    affinity={"bull": 0.60, "bear": 0.35, "high_volatility": 0.35, "low_volatility": 0.50, "sideways": 0.65},
)
