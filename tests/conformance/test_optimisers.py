"""What every optimiser promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from quant.optimiser import FloatArray
from quant.optimisers import OPTIMISERS


def _market(seed: int, sessions: int, assets: int) -> FloatArray:
    """Correlated returns, some assets five times as volatile as others."""
    source = np.random.default_rng(seed)
    common = source.standard_normal((sessions, 2)) @ source.standard_normal((2, assets))
    own = source.standard_normal((sessions, assets)) * (0.5 + 2 * source.random(assets))
    return 0.01 * (common + own)


@pytest.mark.parametrize("name", OPTIMISERS)
class TestEveryOptimiser:
    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 10_000),
        sessions=st.integers(2, 80),
        assets=st.integers(1, 60),
        slack=st.sampled_from([1.0, 1.0001, 1.2, 2.0, 5.0, 100.0]),
    )
    def test_weights_are_long_only_capped_and_sum_to_one(
        self, name: str, seed: int, sessions: int, assets: int, slack: float
    ) -> None:
        weight_max = slack / assets
        weights = OPTIMISERS[name].weights(_market(seed, sessions, assets), weight_max=weight_max)
        assert weights.shape == (assets,)
        assert weights.sum() == pytest.approx(1, abs=1e-9)
        assert weights.min() >= 0
        assert weights.max() <= min(1, weight_max) + 1e-12

    def test_same_input_same_bits(self, name: str) -> None:
        returns = _market(1, 252, 50)
        first = OPTIMISERS[name].weights(returns, weight_max=0.1)
        assert np.array_equal(first, OPTIMISERS[name].weights(returns.copy(), weight_max=0.1))

    def test_order_of_assets_does_not_matter(self, name: str) -> None:
        returns = _market(2, 252, 30)
        order = np.random.default_rng(0).permutation(30)
        straight = OPTIMISERS[name].weights(returns, weight_max=0.08)
        permuted = OPTIMISERS[name].weights(returns[:, order], weight_max=0.08)
        np.testing.assert_allclose(permuted, straight[order], atol=1e-9)

    def test_input_is_left_alone(self, name: str) -> None:
        returns = _market(3, 60, 10)
        kept = returns.copy()
        OPTIMISERS[name].weights(returns, weight_max=0.2)
        assert np.array_equal(returns, kept)

    def test_motionless_assets_have_weights_too(self, name: str) -> None:
        weights = OPTIMISERS[name].weights(np.zeros((60, 8)), weight_max=0.25)
        np.testing.assert_allclose(weights, 1 / 8)

    def test_missing_values_are_refused(self, name: str) -> None:
        returns = _market(4, 60, 10)
        returns[3, 4] = np.nan
        with pytest.raises(InputError, match="missing"):
            OPTIMISERS[name].weights(returns)

    def test_cap_without_solution_is_refused_with_the_remedy(self, name: str) -> None:
        with pytest.raises(InputError, match=r"raise it to 0\.1000"):
            OPTIMISERS[name].weights(_market(5, 60, 10), weight_max=0.09)

    def test_one_session_is_refused(self, name: str) -> None:
        with pytest.raises(InputError, match="two sessions"):
            OPTIMISERS[name].weights(_market(6, 1, 10))

    def test_key_is_the_name(self, name: str) -> None:
        assert OPTIMISERS[name].name == name
