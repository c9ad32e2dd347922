"""Drift of scores: against scikit-learn, closed forms, and simulated screeners."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from quant.score_drift import (
    Calibration,
    brier_scores,
    calibration_error,
    daily_means,
    fell_p_value,
    rank_correlations,
    ranking_quality,
)


def _screened(random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scores, true probabilities, labels) of a screener whose scores overstate what they know."""
    truth = random.beta(8.0, 8.0, size)
    scores = 1.0 / (1.0 + np.exp(-3.0 * np.log(truth / (1.0 - truth))))
    return scores, truth, (random.uniform(size=size) < truth).astype(np.float64)


def test_realised_quality_is_the_area_of_scikit_learn() -> None:
    scores, _, labels = _screened(np.random.default_rng(1), 5000)
    rounded = scores.round(1)
    assert ranking_quality(rounded, labels) == pytest.approx(roc_auc_score(labels, rounded), abs=1e-12)


def test_one_class_has_no_ranking() -> None:
    assert ranking_quality(np.array([0.1, 0.2]), np.ones(2)) is None


def test_expected_quality_foretells_what_comes() -> None:
    """Calibrated on the past, the estimate for later scores is the area that their labels then show (CBPE)."""
    random = np.random.default_rng(2)
    scores, _, labels = _screened(random, 30_000)
    later, _, came = _screened(random, 30_000)
    expected = ranking_quality(later, Calibration(scores, labels)(later))
    assert expected == pytest.approx(roc_auc_score(came, later), abs=0.01)
    # The scores taken at their word promise far too much.
    promised = ranking_quality(later, later)
    assert promised is not None
    assert promised > roc_auc_score(came, later) + 0.05


def test_expected_quality_sees_scores_come_together() -> None:
    """Scores that hardly differ rank less well, which shows before any label."""
    random = np.random.default_rng(3)
    scores, _, labels = _screened(random, 20_000)
    calibration = Calibration(scores, labels)
    timid = 0.5 + (scores - 0.5) / 4.0
    usual, less = ranking_quality(scores, calibration(scores)), ranking_quality(timid, calibration(timid))
    assert usual is not None
    assert less is not None
    assert less < usual - 0.05


def test_calibration_is_the_isotonic_regression_of_scikit_learn() -> None:
    scores, _, labels = _screened(np.random.default_rng(4), 2000)
    scores = scores.round(2)
    peer = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    seen = np.linspace(0.0, 1.0, 101)
    assert Calibration(scores, labels)(seen) == pytest.approx(peer.predict(seen), abs=1e-12)


def test_brier_score_is_that_of_scikit_learn() -> None:
    scores, _, labels = _screened(np.random.default_rng(5), 500)
    assert brier_scores(scores, labels).mean() == pytest.approx(brier_score_loss(labels, scores))


def test_calibration_error_of_overstated_scores() -> None:
    random = np.random.default_rng(6)
    scores, truth, labels = _screened(random, 50_000)
    assert calibration_error(truth, labels) < 0.01
    assert calibration_error(scores, labels) == pytest.approx(np.abs(scores - truth).mean(), abs=0.02)


def test_rank_correlation_by_day() -> None:
    day = np.repeat([0, 1, 2], 4)
    scores = np.tile([1.0, 2.0, 3.0, 4.0], 3)
    forward = np.array([1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0, np.nan, np.nan, 1.0, 2.0])
    told = rank_correlations(day, scores, forward, 3)
    assert told[:2] == pytest.approx([1.0, -1.0])
    assert np.isnan(told[2])


def test_daily_means_leave_unknown_values_out() -> None:
    told = daily_means(np.array([0, 0, 2]), np.array([1.0, np.nan, 3.0]), 3)
    assert told[[0, 2]].tolist() == [1.0, 3.0]
    assert np.isnan(told[1])


class TestDecay:
    @staticmethod
    def _series(random: np.random.Generator, days: int, mean: float = 0.03) -> np.ndarray:
        """Weekly rank correlations of labels that overlap by four weeks."""
        return mean + np.convolve(random.normal(0.0, 0.1, days + 3), np.ones(4) / 2.0, mode="valid")

    def test_steady_ranking_seldom_alarms(self) -> None:
        fell = [
            fell_p_value(self._series(random, 250), self._series(random, 13), window=13, month=4)
            for random in map(np.random.default_rng, range(300))
        ]
        assert np.mean([p is not None and p <= 0.05 for p in fell]) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)

    def test_ranking_turned_round_alarms(self) -> None:
        fell = [
            fell_p_value(self._series(random, 250, 0.1), self._series(random, 13, -0.15), window=13, month=4)
            for random in map(np.random.default_rng, range(50))
        ]
        assert np.mean([p is not None and p <= 0.05 for p in fell]) >= 0.8

    def test_short_history_says_nothing(self) -> None:
        assert fell_p_value(np.zeros(40), np.zeros(13), window=13, month=4) is None
