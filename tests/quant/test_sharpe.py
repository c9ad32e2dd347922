"""Sharpe ratios are believed as far as the papers allow: their own examples, and properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.errors import InputError
from quant.sharpe import (
    Moments,
    deflated_ratio,
    expected_maximum,
    measure_moments,
    minimum_track_record,
    probabilistic_ratio,
)

# Bailey and López de Prado (2014), the example: annual ratio 2.5, variance 0.5 across trials, 250 sessions a year.
EXAMPLE = Moments(sessions=1250, ratio=2.5 / math.sqrt(250), skewness=-3.0, kurtosis=10.0)
EXAMPLE_VARIANCE = 0.5 / 250

ratios = st.floats(-0.5, 0.5)
shapes = st.tuples(st.floats(-3, 3), st.floats(1.1, 30)).map(lambda pair: (pair[0], pair[1] + pair[0] ** 2))


class TestDeflatedRatio:
    def test_example_of_the_paper(self) -> None:
        assert expected_maximum(trials=100, variance=EXAMPLE_VARIANCE) == pytest.approx(0.1132, abs=1e-4)
        assert deflated_ratio(EXAMPLE, trials=100, variance=EXAMPLE_VARIANCE) == pytest.approx(0.9004, abs=1e-4)
        assert deflated_ratio(EXAMPLE, trials=46, variance=EXAMPLE_VARIANCE) == pytest.approx(0.9505, abs=1e-4)

    @given(trials=st.integers(1, 10_000), more=st.integers(1, 1_000), shape=shapes)
    def test_every_further_trial_costs(self, trials: int, more: int, shape: tuple[float, float]) -> None:
        moments = Moments(1000, 0.08, *shape)
        few = deflated_ratio(moments, trials=trials, variance=0.001)
        assert 0.0 <= deflated_ratio(moments, trials=trials + more, variance=0.001) < few <= 1.0

    def test_one_trial_is_no_selection(self) -> None:
        assert deflated_ratio(EXAMPLE, trials=1, variance=0.5) == probabilistic_ratio(EXAMPLE)

    @pytest.mark.parametrize("trials", [2, 20, 400])
    def test_the_best_of_noise_is_about_as_good_as_expected(self, trials: int) -> None:
        best = np.random.default_rng(3).normal(size=(20_000, trials)).max(axis=1).mean()
        # The formula is the limit for many trials; the paper shows it close from a handful on.
        assert expected_maximum(trials=trials, variance=1.0) == pytest.approx(best, abs=0.06)

    @pytest.mark.parametrize(("trials", "variance"), [(0, 0.1), (-5, 0.1), (3, -0.1), (3, math.nan)])
    def test_impossible_counts_are_refused(self, trials: int, variance: float) -> None:
        with pytest.raises(InputError, match="trials must be at least 1"):
            expected_maximum(trials=trials, variance=variance)


class TestProbabilisticRatio:
    def test_example_of_the_paper(self) -> None:
        # Bailey and López de Prado (2012): two years of a hedge fund index, monthly; the shape takes the proof away.
        fund = Moments(sessions=24, ratio=0.458, skewness=-2.448, kurtosis=10.164)
        normal = Moments(sessions=24, ratio=0.458, skewness=0.0, kurtosis=3.0)
        assert probabilistic_ratio(fund) == pytest.approx(0.913, abs=1e-3)
        assert probabilistic_ratio(normal) == pytest.approx(0.982, abs=1e-3)

    @given(ratio=ratios, shape=shapes, sessions=st.integers(2, 5000))
    def test_is_half_at_the_ratio_itself_and_falls_with_the_bar(
        self, ratio: float, shape: tuple[float, float], sessions: int
    ) -> None:
        moments = Moments(sessions, ratio, *shape)
        assert probabilistic_ratio(moments, bar=ratio) == pytest.approx(0.5)
        assert probabilistic_ratio(moments, bar=ratio + 0.1) <= 0.5 <= probabilistic_ratio(moments, bar=ratio - 0.1)

    def test_impossible_moments_are_refused(self) -> None:
        with pytest.raises(InputError, match="no series has these moments"):
            probabilistic_ratio(Moments(100, 1.0, 5.0, 1.0))


class TestMinimumTrackRecord:
    @pytest.mark.parametrize(("periods", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
    def test_example_of_the_paper(self, periods: int, years: float) -> None:
        # (2012): an annual ratio of 2 above 1 with 95 % confidence, normal returns, daily, weekly and monthly.
        moments = Moments(10, 2 / math.sqrt(periods), 0.0, 3.0)
        needed = minimum_track_record(moments, bar=1 / math.sqrt(periods), confidence=0.95)
        assert needed is not None
        assert needed / periods == pytest.approx(years, abs=0.01)

    @given(ratio=st.floats(0.01, 0.5), shape=shapes)
    def test_is_where_the_probability_reaches_the_confidence(self, ratio: float, shape: tuple[float, float]) -> None:
        needed = minimum_track_record(Moments(2, ratio, *shape))
        assert needed is not None
        enough = Moments(math.ceil(needed) + 1, ratio, *shape)
        assert probabilistic_ratio(enough) >= 0.95 - 1e-9
        if needed > 4:
            assert probabilistic_ratio(Moments(math.floor(needed) - 1, ratio, *shape)) < 0.95

    def test_no_record_proves_what_is_not_there(self) -> None:
        assert minimum_track_record(Moments(100, -0.1, 0.0, 3.0)) is None
        assert minimum_track_record(Moments(100, 0.0, 0.0, 3.0)) is None

    def test_confidence_of_a_coin_is_refused(self) -> None:
        with pytest.raises(InputError, match="confidence"):
            minimum_track_record(EXAMPLE, confidence=0.5)


class TestMeasureMoments:
    @given(seed=st.integers(0, 10_000), sessions=st.integers(5, 400))
    def test_agrees_with_scipy(self, seed: int, sessions: int) -> None:
        returns = np.random.default_rng(seed).standard_t(4, sessions) * 0.01
        moments = measure_moments(returns)
        assert moments is not None
        assert moments.sessions == sessions
        assert moments.ratio == pytest.approx(returns.mean() / returns.std(ddof=1))
        assert moments.skewness == pytest.approx(stats.skew(returns))
        assert moments.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
        assert 0.0 <= probabilistic_ratio(moments) <= 1.0

    @pytest.mark.parametrize(
        "returns", [[], [0.01], [0.01] * 50, [0.0] * 50, [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2]], ids=str
    )
    def test_what_does_not_vary_has_none(self, returns: list[float]) -> None:
        assert measure_moments(np.array(returns)) is None

    @pytest.mark.parametrize("wrong", [[0.1, math.nan], [0.1, math.inf], [[0.1, 0.2]]])
    def test_what_is_no_series_is_refused(self, wrong: list[float]) -> None:
        with pytest.raises(InputError, match="finite"):
            measure_moments(np.array(wrong))
