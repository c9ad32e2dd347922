"""Rooms of one floor share names instead of imports: here the lists are held side by side."""

import pytest

from core.jobs import Job
from features.library import FEATURES
from ml_models.recipes import RECIPES
from mlops.celery_app import QUEUED
from mlops.jobs import JOBS
from strategies.library import STRATEGIES


def test_every_strategy_has_its_screener_and_every_screener_its_strategy() -> None:
    assert set(RECIPES) == set(STRATEGIES)


@pytest.mark.parametrize("strategy", RECIPES)
def test_screener_and_strategy_agree_on_the_cap_band(strategy: str) -> None:
    assert RECIPES[strategy].cap_band.name == STRATEGIES[strategy].cap_band


@pytest.mark.parametrize("strategy", RECIPES)
def test_recipe_names_features_and_groups_that_exist(strategy: str) -> None:
    recipe = RECIPES[strategy]
    assert {keep.feature for keep in recipe.keeps} <= set(FEATURES)
    assert set(recipe.emphasis) <= {feature.group for feature in FEATURES.values()}


def test_every_kind_of_job_can_be_queued_and_has_its_file() -> None:
    assert set(Job.__subclasses__()) == set(QUEUED)
    assert {kind.name.replace("-", "_") for kind in QUEUED} <= set(JOBS)
