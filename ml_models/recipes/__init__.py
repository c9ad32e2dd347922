"""The visible list of all screeners, by strategy."""

from ml_models.recipe import Recipe
from ml_models.recipes import dividend, growth, low_volatility, momentum, quality, value

RECIPES: dict[str, Recipe] = {
    module.RECIPE.strategy: module.RECIPE for module in (growth, value, dividend, momentum, quality, low_volatility)
}
