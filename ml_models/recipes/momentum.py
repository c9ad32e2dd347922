"""Stocks that have risen over the last year, the last month left out."""

from ml_models.recipe import Keep, Recipe

RECIPE = Recipe(
    strategy="momentum_largecap",
    keeps=(Keep("momentum_252_21", "high", 0.4),),
    emphasis={"momentum": 3.0, "trend": 2.0, "risk": 1.5},
)
