"""Projection on the limits: properties, and the same answer as the optimisers' own capping."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import InputError
from quant.optimiser import cap_weights
from rl_trading.weights import ACTION_SCALE, Limits, limited, project, quantise, weigh_actions

preferences = arrays(np.float64, (3, 21), elements=st.floats(1e-3, 1e3))
masks = arrays(np.bool_, (3, 20))


class TestProject:
    @settings(max_examples=60)
    @given(preferences, masks, st.floats(0.02, 1.0), st.floats(0.0, 0.5))
    def test_limits_hold_and_rows_sum_to_one(
        self, wanted: np.ndarray, mask: np.ndarray, position_max: float, cash_min: float
    ) -> None:
        weights = np.empty_like(wanted)
        project(wanted, mask, position_max, cash_min, weights)
        assert weights.sum(axis=1) == pytest.approx(1.0)
        assert (weights >= 0).all()
        assert weights[:, :-1].max() <= position_max + 1e-12
        assert (weights[:, -1] >= cash_min - 1e-12).all()
        assert (weights[:, :-1][~mask] == 0).all()

    @settings(max_examples=60)
    @given(preferences)
    def test_larger_preference_never_weighs_less(self, wanted: np.ndarray) -> None:
        weights = np.empty_like(wanted)
        project(wanted, np.ones((3, 20), dtype=np.bool_), 0.08, 0.02, weights)
        order = np.argsort(wanted[:, :-1], axis=1)
        assert (np.diff(np.take_along_axis(weights[:, :-1], order, axis=1)) >= -1e-12).all()

    def test_equals_the_optimisers_capping(self) -> None:
        wanted = np.random.default_rng(3).lognormal(0, 1.5, 40)
        ours = limited(wanted, Limits(position_weight_max=0.08, cash_weight_min=0.0))
        assert ours[:-1] == pytest.approx(cap_weights(wanted, 0.08))

    def test_what_no_position_may_take_stays_cash(self) -> None:
        weights = limited(np.array([5.0, 1.0, 3.0, np.nan]), Limits(0.08, 0.02))
        assert weights == pytest.approx([0.08, 0.08, 0.08, 0.0, 0.76])

    def test_without_stocks_all_is_cash(self) -> None:
        assert limited(np.full(4, np.nan), Limits()).tolist() == [0, 0, 0, 0, 1]


class TestWeighActions:
    def test_is_a_softmax_where_no_limit_binds(self) -> None:
        actions = np.random.default_rng(1).uniform(-0.2, 0.2, (2, 31))
        weights = np.empty_like(actions)
        weigh_actions(actions, np.ones((2, 30), dtype=np.bool_), 1.0, 0.0, weights)
        powers = np.exp(ACTION_SCALE * actions)
        assert weights == pytest.approx(powers / powers.sum(axis=1, keepdims=True))

    def test_action_of_an_empty_slot_means_nothing(self) -> None:
        actions = np.zeros((2, 6))
        actions[1, 4] = 1.0
        mask = np.array([[True, True, True, True, False]] * 2)
        weights = np.empty_like(actions)
        weigh_actions(actions, mask, 0.9, 0.0, weights)
        assert weights[0].tolist() == weights[1].tolist()


class TestQuantise:
    @given(arrays(np.float64, 50, elements=st.floats(0, 0.02)))
    def test_sums_to_exactly_one(self, weights: np.ndarray) -> None:
        stocks, cash = quantise(weights)
        assert sum(stocks, cash) == Decimal(1)
        assert cash >= 0
        assert all(abs(float(w) - v) < 1e-8 for w, v in zip(stocks, weights, strict=True))


class TestLimits:
    @pytest.mark.parametrize(
        "limits", [{"position_weight_max": 0.0}, {"position_weight_max": 1.1}, {"cash_weight_min": 1.0}]
    )
    def test_refuses_what_no_portfolio_can_keep(self, limits: dict[str, float]) -> None:
        with pytest.raises(InputError, match=next(iter(limits))):
            Limits(**limits)
