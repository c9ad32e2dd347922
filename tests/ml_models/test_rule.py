"""The plain rule: ranks worked out by hand, and what holds for every recipe."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from features.library import FEATURES
from ml_models.algorithm import is_market_wide
from ml_models.recipe import Recipe, RuleTerm
from ml_models.recipes import RECIPES
from ml_models.rule import explain_by_rule, mean_ranks, rank_by_rule

SHOWN = tuple(FEATURES[name] for name in ("volatility_252", "momentum_21", "beta_252"))
CALM = Recipe("toy_largecap", (), {}, rule=(RuleTerm("volatility_252", "low"), RuleTerm("beta_252", "low")))
NAN = float("nan")


def matrix(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


class TestRankByRule:
    def test_by_hand(self) -> None:
        # Ranks of four are 1/8, 3/8, 5/8, 7/8; low is good, so the calmest has (3/8 + 1/8) / 2 above the middle.
        X = matrix((0.1, 9.0, 0.8), (0.2, 8.0, 0.5), (0.3, 7.0, 0.9), (0.4, 6.0, 1.4))
        assert rank_by_rule(CALM, X, SHOWN).tolist() == [0.25, 0.25, -0.125, -0.375]

    def test_unknown_and_infinite_stand_in_the_middle(self) -> None:
        X = matrix((0.1, 0.0, NAN), (0.2, 0.0, NAN), (NAN, 0.0, NAN), (np.inf, 0.0, NAN))
        assert rank_by_rule(CALM, X, SHOWN).tolist() == [0.125, -0.125, 0.0, 0.0]

    def test_ties_share_their_rank(self) -> None:
        X = matrix((0.1, 0.0, 1.0), (0.1, 0.0, 1.0), (0.1, 0.0, 2.0))
        margins = rank_by_rule(CALM, X, SHOWN)
        assert margins[0] == margins[1] > margins[2]

    @given(st.integers(1, 40), st.integers(0, 2**32 - 1))
    def test_agrees_with_scipy(self, stocks: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        X = generator.integers(-4, 5, (stocks, 3)).astype(np.float32)
        expected = np.zeros(stocks)
        for column in (0, 2):
            ranks = rankdata(X[:, column]) if stocks > 1 else np.array([1.0])
            expected -= ((ranks - 0.5) / stocks - 0.5) / 2
        assert rank_by_rule(CALM, X, SHOWN) == pytest.approx(expected, abs=1e-7)

    @given(st.integers(2, 30), st.integers(0, 2**32 - 1))
    def test_only_the_order_of_values_matters(self, stocks: int, seed: int) -> None:
        X = np.random.default_rng(seed).normal(size=(stocks, 3)).astype(np.float32)
        assert (rank_by_rule(CALM, X, SHOWN) == rank_by_rule(CALM, 8.0 * X, SHOWN)).all()


class TestExplainByRule:
    @given(st.integers(1, 30), st.integers(0, 2**32 - 1))
    def test_contributions_are_the_margin_to_the_last_bit(self, stocks: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        X = generator.normal(size=(stocks, 3)).astype(np.float32)
        X[generator.random(X.shape) < 0.2] = NAN
        told = explain_by_rule(CALM, X, SHOWN)
        total = np.zeros(stocks)
        for column in range(3):
            total += told.contributions[:, column]
        assert (total == told.margins).all()
        assert (told.margins == rank_by_rule(CALM, X, SHOWN)).all()
        assert (told.contributions[:, 1] == 0.0).all()
        assert ((mean_ranks(told.margins) > 0) & (mean_ranks(told.margins) < 1)).all()


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
class TestEveryRecipe:
    def test_its_rule_is_a_few_stock_features_of_its_emphasised_groups(self, recipe: Recipe) -> None:
        assert 2 <= len(recipe.rule) <= 5
        assert len({term.feature for term in recipe.rule}) == len(recipe.rule)
        for term in recipe.rule:
            feature = FEATURES[term.feature]
            assert recipe.emphasis.get(feature.group, 1.0) > 1.0
            assert not is_market_wide(feature)

    def test_its_rule_points_the_way_of_its_filter(self, recipe: Recipe) -> None:
        kept = {keep.feature: keep.direction for keep in recipe.keeps}
        assert {
            term.direction for term in recipe.rule if kept.get(term.feature, term.direction) != term.direction
        } == set()
        assert kept.keys() & {term.feature for term in recipe.rule}

    def test_its_rule_does_not_shape_the_model(self, recipe: Recipe) -> None:
        assert replace(recipe, rule=()).shape() == recipe.shape()
