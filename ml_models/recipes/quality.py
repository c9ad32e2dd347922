"""Companies that earn much on their capital without owing much."""

from ml_models.recipe import Keep, Recipe

RECIPE = Recipe(
    strategy="quality_largecap",
    keeps=(Keep("return_on_equity", "high", 0.6), Keep("leverage", "low", 0.75)),
    emphasis={"quality": 3.0, "growth": 1.5, "value": 1.5},
)
