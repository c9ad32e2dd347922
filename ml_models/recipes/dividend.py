"""Companies that pay high dividends and can keep paying them."""

from ml_models.recipe import Keep, Recipe

RECIPE = Recipe(
    strategy="dividend_largecap",
    keeps=(Keep("dividend_yield_252", "high", 0.4),),
    emphasis={"payout": 3.0, "quality": 2.0, "risk": 1.5},
)
