"""Stocks that have moved little over the last year."""

from ml_models.recipe import Keep, Recipe

RECIPE = Recipe(
    strategy="low_volatility_largecap",
    keeps=(Keep("volatility_252", "low", 0.4),),
    emphasis={"risk": 3.0, "payout": 1.5, "liquidity": 1.5},
)
