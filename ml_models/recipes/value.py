"""Companies that are cheap for what they earn and own."""

from ml_models.recipe import Keep, Recipe

RECIPE = Recipe(
    strategy="value_largecap",
    keeps=(Keep("earnings_yield", "high", 0.65), Keep("book_to_price", "high", 0.7)),
    emphasis={"value": 3.0, "quality": 2.0, "reversal": 1.5},
)
