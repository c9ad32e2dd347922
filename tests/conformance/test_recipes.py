"""What every screener recipe promises."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from features.library import FEATURES
from ml_models.eligibility import MARKET_CAP, filter_inputs, judge_day
from ml_models.recipe import Recipe
from ml_models.recipes import RECIPES

STOCKS = 450
ELIGIBLE_MIN = 120

pytestmark = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def a_usual_day(recipe: Recipe, seed: int) -> dict[str, np.ndarray]:
    """An index as it is: one company in five is below the band, one in eight has no report, inputs agree a bit."""
    generator = np.random.default_rng(seed)
    common = generator.normal(size=STOCKS)
    day = {}
    for keep in recipe.keeps:
        side = 1.0 if keep.direction == "high" else -1.0
        values = 0.3 * side * common + generator.normal(size=STOCKS)
        values[generator.random(STOCKS) < 0.12] = np.nan
        day[keep.feature] = values.astype(np.float32)
    day[MARKET_CAP] = generator.normal(np.log(20e9), 0.8, STOCKS).astype(np.float32)
    return day


def test_it_reads_features_that_exist(recipe: Recipe) -> None:
    assert set(filter_inputs(recipe)) <= FEATURES.keys()
    assert recipe.emphasis.keys() <= {feature.group for feature in FEATURES.values()}


def test_it_is_named_by_strategy_and_band(recipe: Recipe) -> None:
    assert RECIPES[recipe.strategy] is recipe
    assert recipe.strategy.endswith(f"_{recipe.cap_band.name}")
    assert recipe.model_name == f"screener-{recipe.strategy}"
    assert len(recipe.strategy) <= 32


def test_its_numbers_are_in_range(recipe: Recipe) -> None:
    assert all(0 < keep.fraction < 1 for keep in recipe.keeps)
    assert all(0 < weight <= 10 for weight in recipe.emphasis.values())
    assert recipe.label_sessions == 21


def test_a_top_hundred_means_something(recipe: Recipe) -> None:
    eligible = [int(judge_day(recipe, a_usual_day(recipe, seed)).mask.sum()) for seed in range(5)]
    assert np.mean(eligible) >= ELIGIBLE_MIN


def test_its_shape_is_all_that_its_model_comes_from(recipe: Recipe) -> None:
    shape = json.dumps(recipe.shape(), sort_keys=True)
    assert json.loads(shape).keys() == asdict(recipe).keys() - {"rule"}
    assert len({json.dumps(other.shape(), sort_keys=True) for other in RECIPES.values()}) == len(RECIPES)
