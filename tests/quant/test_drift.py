"""Drift of panels: distances against scipy, false alarms and power on correlated panels, one alarm for a model."""

import numpy as np
import pytest
from scipy import stats

from core.errors import InputError
from quant.drift import (
    ALARM_P,
    BINS,
    MISSING,
    SHARE_OF_MISSING,
    PanelDrift,
    count_days,
    fit_bins,
    judge_inputs,
    read_panel,
    refer,
    usual_alarms,
)
from quant.placement import WINDOW_SESSIONS
from tests.factories.panels import count_panel, make_panel

REFERENCE = 1260
MONTHS = 60


def _alarms(
    *, correlation: float, persistence: float, shift: float = 0.0, months: int = MONTHS, seed: int = 7
) -> tuple[float, float]:
    """(share of the months in which any day's reading alarms, the same for KS at p < 0.05 on the month's last day)."""
    ours = textbook = 0
    for month in range(months):
        random = np.random.default_rng([seed, month])
        days = REFERENCE + 2 * WINDOW_SESSIONS
        panel = make_panel(random, days=days, correlation=correlation, persistence=persistence, stocks=100)
        panel[-WINDOW_SESSIONS:] += np.float32(shift)
        reference, _, counts = count_panel(panel, REFERENCE)
        readings = read_panel(reference, counts[1:])
        ours += bool((readings.p[-WINDOW_SESSIONS:] <= ALARM_P).any())
        pooled = stats.ks_2samp(panel[:REFERENCE:10].ravel(), panel[-WINDOW_SESSIONS:].ravel())
        textbook += bool(pooled.pvalue < 0.05)
    return ours / months, textbook / months


@pytest.mark.parametrize(("correlation", "persistence"), [(0.1, 0.0), (0.3, 0.0), (0.3, 0.97)])
def test_calm_months_seldom_alarm(correlation: float, persistence: float) -> None:
    """At most one calm month in twenty alarms, read every day; Kolmogorov-Smirnov at 5 % fires in most of them.

    The bar leaves two standard errors of 60 months; `make bench B=drift` counts ten times as many.
    """
    ours, textbook = _alarms(correlation=correlation, persistence=persistence)
    assert ours <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / MONTHS)
    assert textbook > 0.5


def test_a_shift_of_half_a_deviation_is_found_within_a_month() -> None:
    found, _ = _alarms(correlation=0.3, persistence=0.0, shift=0.5, seed=11)
    assert found >= 0.9


def test_distance_is_that_of_scipy_to_the_width_of_a_bin() -> None:
    random = np.random.default_rng(1)
    panel = make_panel(random, days=REFERENCE + WINDOW_SESSIONS, stocks=50)
    panel[REFERENCE:] = panel[REFERENCE:] * 1.5 + 0.3
    reference, _, counts = count_panel(panel, REFERENCE)
    exact = stats.ks_2samp(panel[:REFERENCE].ravel(), panel[REFERENCE:].ravel()).statistic
    assert read_panel(reference, counts).ks[-1, 0] == pytest.approx(exact, abs=1.0 / BINS)


def test_moments_and_stability_of_a_known_change() -> None:
    """N(0, 1) to N(1, 1): the mean moves by one deviation, and PSI is the symmetric divergence over deciles."""
    random = np.random.default_rng(2)
    panel = make_panel(random, days=REFERENCE + WINDOW_SESSIONS, correlation=0.0, stocks=200)
    panel[REFERENCE:] += 1.0
    reference, _, counts = count_panel(panel, REFERENCE)
    readings = read_panel(reference, counts)
    edges = np.concatenate([[-np.inf], stats.norm.ppf(np.arange(1, 10) / 10), [np.inf]])
    now = np.diff(stats.norm.cdf(edges - 1.0))
    assert readings.psi[-1, 0] == pytest.approx(((now - 0.1) * np.log(now / 0.1)).sum(), rel=0.1)
    assert readings.mean_shift[-1, 0] == pytest.approx(1.0, abs=0.12)  # the outer fortieths are not told apart
    assert readings.p[-1, 0] < 0.001


def test_large_shifts_alarm_within_five_sessions() -> None:
    panel = make_panel(np.random.default_rng(3), days=REFERENCE + WINDOW_SESSIONS + 5)
    panel[-5:] += 3.0
    reference, _, counts = count_panel(panel, REFERENCE)
    p = read_panel(reference, counts).p[:, 0]
    assert p[0] > ALARM_P
    assert p[-1] <= ALARM_P


def test_wider_values_alarm() -> None:
    panel = make_panel(np.random.default_rng(4), days=REFERENCE + WINDOW_SESSIONS, correlation=0.1)
    panel[REFERENCE:] *= 2.0
    reference, _, counts = count_panel(panel, REFERENCE)
    readings = read_panel(reference, counts)
    assert readings.spread_shift[-1, 0] > 0.3
    assert readings.p[-1, 0] <= ALARM_P


class TestGaps:
    def test_more_unknown_values_alarm(self) -> None:
        panel = make_panel(np.random.default_rng(5), days=REFERENCE + WINDOW_SESSIONS)
        panel[-5:, ::3] = np.nan
        reference, _, counts = count_panel(panel, REFERENCE)
        readings = read_panel(reference, counts)
        assert readings.missing[-1, 0] == pytest.approx(5 / 21 / 3, abs=0.01)
        assert readings.p_missing[-1, 0] <= ALARM_P * SHARE_OF_MISSING
        assert readings.p[-1, 0] <= ALARM_P

    def test_a_column_that_nobody_knows_for_a_week_is_dead(self) -> None:
        panel = make_panel(np.random.default_rng(6), days=REFERENCE + WINDOW_SESSIONS + 5)
        panel[-5:] = np.nan
        reference, _, counts = count_panel(panel, REFERENCE)
        assert read_panel(reference, counts).is_dead[:, 0].tolist() == [False] * 5 + [True]

    def test_what_the_reference_has_seen_dead_is_no_news(self) -> None:
        panel = make_panel(np.random.default_rng(6), days=REFERENCE + WINDOW_SESSIONS)
        panel[300:500] = panel[-WINDOW_SESSIONS:] = np.nan
        reference, _, counts = count_panel(panel, REFERENCE)
        readings = read_panel(reference, counts)
        assert not readings.is_dead.any()
        assert np.isnan(readings.ks).all()

    def test_what_the_reference_never_knew_is_not_compared(self) -> None:
        panel = make_panel(np.random.default_rng(7), days=REFERENCE + WINDOW_SESSIONS, stocks=20)
        panel[:REFERENCE] = np.nan
        reference, _, counts = count_panel(panel, REFERENCE)
        readings = read_panel(reference, counts)
        assert np.isnan(readings.p).all()
        assert np.isnan(readings.psi).all()

    def test_unknown_values_are_counted_apart(self) -> None:
        values = np.array([0.0, np.nan, np.inf, 5.0], dtype=np.float32)
        bins = fit_bins([np.arange(100, dtype=np.float32)])
        counts = count_days(bins, [values], np.array([0, 0, 1, 1]), 2)
        assert counts[:, 0, MISSING].tolist() == [1, 1]
        assert counts.sum() == 4


def test_short_references_are_refused() -> None:
    panel = make_panel(np.random.default_rng(8), days=100, stocks=10)
    bins = fit_bins([panel.ravel()])
    counts = count_days(bins, [panel.ravel()], np.repeat(np.arange(100), 10), 100)
    with pytest.raises(InputError, match="100 sessions: give 504 or more"):
        refer(bins, counts)


class TestInputs:
    """Twenty features, half of them driven by one factor."""

    @staticmethod
    def _model(shifted: int, shift: float, seed: int = 1) -> tuple[PanelDrift, list[np.ndarray]]:
        random = np.random.default_rng(seed)
        days, stocks, features = REFERENCE + WINDOW_SESSIONS, 40, 20
        common = make_panel(random, days=days, stocks=stocks, correlation=0.5)
        columns = [
            0.8 * common + 0.6 * make_panel(random, days=days, stocks=stocks)
            if place < 10
            else make_panel(random, days=days, stocks=stocks)
            for place in range(features)
        ]
        for place in range(shifted):
            columns[place][-WINDOW_SESSIONS:] += np.float32(shift)
        day = np.repeat(np.arange(days), stocks)
        bins = fit_bins([column[:REFERENCE:5].ravel() for column in columns])
        counts = count_days(bins, [column.ravel() for column in columns], day, days)
        reference = refer(bins, counts[:REFERENCE])
        return read_panel(reference, counts[REFERENCE:]), usual_alarms(bins, counts[:REFERENCE])

    def test_calm_features_are_no_alarm(self) -> None:
        judged = judge_inputs(*self._model(0, 0.0))
        assert judged.p[-1] > ALARM_P
        assert judged.share[-1] < judged.share_line

    def test_many_features_that_moved_are_one_alarm(self) -> None:
        judged = judge_inputs(*self._model(8, 1.5))
        assert judged.drifted[-1] >= 8
        assert judged.p[-1] <= ALARM_P

    def test_what_the_model_does_not_use_does_not_count(self) -> None:
        panel, usual = self._model(8, 1.5)
        weights = np.where(np.arange(20) < 8, 0.0, 1.0)
        judged = judge_inputs(panel, usual, weights)
        assert judged.features == 12
        assert judged.p[-1] > ALARM_P

    def test_one_broken_column_stands_out(self) -> None:
        judged = judge_inputs(*self._model(1, 50.0))
        assert judged.share[-1] <= 2 / 20
        assert judged.p_single[-1] < 0.001
        assert judged.p[-1] <= ALARM_P

    def test_no_known_feature_is_refused(self) -> None:
        panel, usual = self._model(0, 0.0)
        with pytest.raises(InputError, match="knows none of the features"):
            judge_inputs(panel, usual, np.zeros(20))
