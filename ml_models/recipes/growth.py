"""Companies whose sales and earnings grow faster than most."""

from ml_models.recipe import Keep, Recipe

RECIPE = Recipe(
    strategy="growth_largecap",
    keeps=(Keep("sales_growth", "high", 0.65), Keep("earnings_growth", "high", 0.65)),
    emphasis={"growth": 3.0, "quality": 2.0, "momentum": 2.0},
)
