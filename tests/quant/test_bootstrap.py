"""Resampled intervals hold the truth as often as they say, also where sessions depend on each other."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from skfolio.utils.bootstrap import optimal_block_size

from core.errors import InputError
from quant.bootstrap import (
    BLOCK_MIN_SESSIONS,
    mean_interval,
    optimal_block,
    ratio_difference_interval,
    ratio_interval,
)

Floats = npt.NDArray[np.float64]


def autoregressive(seed: int, sessions: int, memory: float, *, mean: float = 0.0) -> Floats:
    """AR(1) with deviation 0.01, after a burn-in."""
    shocks = np.random.default_rng(seed).normal(size=sessions + 200)
    return np.asarray(mean + 0.01 * math.sqrt(1 - memory**2) * lfilter([1.0], [1.0, -memory], shocks)[200:])


class TestOptimalBlock:
    @pytest.mark.parametrize("memory", [0.3, 0.5, 0.8])
    def test_is_what_theory_says_of_an_autoregression(self, memory: float) -> None:
        # Patton, Politis and White (2009) for AR(1): (2 r / (1 - r^2))^(2/3) n^(1/3).
        theory = (2 * memory / (1 - memory**2)) ** (2 / 3) * 2000 ** (1 / 3)
        blocks = [optimal_block(autoregressive(seed, 2000, memory)) for seed in range(60)]
        assert np.mean(blocks) == pytest.approx(theory, rel=0.15)

    @pytest.mark.parametrize("memory", [0.5, 0.8])
    def test_agrees_with_another_library(self, memory: float) -> None:
        # Their correlation of a lag divides by the two pieces' own variances, so a lag near the bar may differ.
        for seed in range(10):
            series = autoregressive(seed, 2000, memory)
            assert optimal_block(series) == pytest.approx(optimal_block_size(series), rel=0.25)

    def test_is_never_below_a_week_nor_beyond_a_third(self) -> None:
        assert optimal_block(autoregressive(1, 2000, 0.0)) == BLOCK_MIN_SESSIONS
        assert optimal_block(np.full(50, 0.01)) == BLOCK_MIN_SESSIONS
        assert optimal_block(np.linspace(-1.0, 1.0, 60)) <= 20

    @given(sessions=st.integers(2, 40), seed=st.integers(0, 1000))
    def test_short_series_have_one(self, sessions: int, seed: int) -> None:
        assert optimal_block(np.random.default_rng(seed).normal(size=sessions)) >= BLOCK_MIN_SESSIONS


class TestCoverage:
    def test_nine_of_ten_intervals_hold_the_truth(self) -> None:
        mean, weight = 0.001, 0.5
        held = np.zeros(3)
        for seed in range(200):
            first = autoregressive(seed, 1000, 0.3, mean=mean)
            second = weight * first + 0.7 * autoregressive(10_000 + seed, 1000, 0.3)
            other_ratio = weight * mean / (0.01 * math.hypot(weight, 0.7))
            truths = (mean, mean / 0.01, mean / 0.01 - other_ratio)
            found = (
                mean_interval(first, draws=300),
                ratio_interval(first, draws=300),
                ratio_difference_interval(first, second, draws=300),
            )
            held += [
                interval is not None and interval.low <= truth <= interval.high
                for interval, truth in zip(found, truths, strict=True)
            ]
        # Promised 90 %; block bootstraps of dependent series fall short by a few points, and 200 rounds add 4 of noise.
        assert (held / 200 > 0.82).all()
        assert (held / 200 < 0.96).all()

    def test_ignoring_dependence_would_be_too_sure(self) -> None:
        series = autoregressive(3, 1000, 0.8)
        plain = 2 * 1.645 * series.std() / math.sqrt(1000)
        # An AR(1) with 0.8 multiplies the deviation of its mean by three.
        interval = mean_interval(series)
        assert 2.0 * plain < interval.high - interval.low < 4.0 * plain


class TestIntervals:
    @settings(deadline=None, max_examples=30)
    @given(seed=st.integers(0, 1000), sessions=st.integers(10, 300), scale=st.floats(0.01, 100))
    def test_scale_leaves_ratios_and_stretches_means(self, seed: int, sessions: int, scale: float) -> None:
        series = autoregressive(seed, sessions, 0.2, mean=0.0005)
        plain, scaled = mean_interval(series, draws=50), mean_interval(series * scale, draws=50)
        assert scaled.low == pytest.approx(plain.low * scale, rel=1e-6, abs=1e-12)
        ratio, same = ratio_interval(series, draws=50), ratio_interval(series * scale, draws=50)
        assert ratio is not None
        assert same is not None
        assert (same.low, same.high) == pytest.approx((ratio.low, ratio.high), rel=1e-6, abs=1e-9)
        assert ratio.observed == pytest.approx(series.mean() / series.std(ddof=1))

    def test_same_seed_same_interval(self) -> None:
        series = autoregressive(1, 400, 0.2)
        assert mean_interval(series, seed=3) == mean_interval(series, seed=3) != mean_interval(series, seed=4)

    def test_twins_do_not_differ(self) -> None:
        series = autoregressive(1, 400, 0.2)
        difference = ratio_difference_interval(series, series)
        assert difference is not None
        assert (difference.low, difference.observed, difference.high) == pytest.approx((0, 0, 0), abs=1e-12)

    def test_pairing_takes_out_what_is_shared(self) -> None:
        market = autoregressive(1, 1000, 0.0)
        small_edge = market + 0.0002 + autoregressive(2, 1000, 0.0) / 50
        difference, alone = ratio_difference_interval(small_edge, market), ratio_interval(small_edge)
        assert difference is not None
        assert alone is not None
        assert difference.low > 0
        assert difference.high - difference.low < (alone.high - alone.low) / 5

    def test_what_does_not_vary_has_no_ratio(self) -> None:
        assert ratio_interval(np.full(50, 0.01)) is None
        assert ratio_difference_interval(np.full(50, 0.01), autoregressive(1, 50, 0.0)) is None

    @pytest.mark.parametrize("wrong", [[0.1], [0.1, math.nan, 0.2], [[0.1, 0.2]]])
    def test_what_is_no_series_is_refused(self, wrong: list[float]) -> None:
        with pytest.raises(InputError, match="finite"):
            mean_interval(np.array(wrong))

    def test_pairs_of_different_length_are_refused(self) -> None:
        with pytest.raises(InputError, match="as long as each other, got 50 and 49"):
            ratio_difference_interval(autoregressive(1, 50, 0.0), autoregressive(1, 49, 0.0))

    def test_level_of_certainty_is_refused(self) -> None:
        with pytest.raises(InputError, match="level"):
            mean_interval(autoregressive(1, 50, 0.0), level=1.0)
