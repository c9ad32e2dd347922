"""Income carries a portfolio while prices go nowhere, and cushions it while they fall."""

from strategies.strategy import Strategy

STRATEGY = Strategy(
    name="dividend_largecap",
    label="Dividend, large caps",
    cap_band="largecap",
    purpose="Companies that pay high dividends and can keep paying them.",
    affinity={"bull": 0.40, "bear": 0.70, "high_volatility": 0.60, "low_volatility": 0.60, "sideways": 0.80},
)
