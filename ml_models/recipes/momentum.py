"""Stocks that have risen over the last year, the last month left out.

Plain rule: return over twelve months without the last: Jegadeesh and Titman (1993), JF 48(1); nearness to the 52-week
high: George and Hwang (2004), JF 59(5).
"""

from ml_models.recipe import Keep, Recipe, RuleTerm

RECIPE = Recipe(
    strategy="momentum_largecap",
    keeps=(Keep("momentum_252_21", "high", 0.4),),
    emphasis={"momentum": 3.0, "trend": 2.0, "risk": 1.5},
    rule=(RuleTerm("momentum_252_21", "high"), RuleTerm("high_distance_252", "high")),
)
