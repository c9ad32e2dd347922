"""Companies whose sales and earnings grow faster than most."""

from ml_models.recipe import Keep, Recipe

RECIPE = Recipe(
    strategy="growth_largecap",
    keeps=(
        Keep("sustainable_growth", "high", 0.7),
        # Known from the second report of a company on.
        Keep("sales_growth", "high", 0.7, optional=True),
        Keep("earnings_growth", "high", 0.8, optional=True),
    ),
    emphasis={"growth": 3.0, "quality": 2.0, "momentum": 2.0},
)
