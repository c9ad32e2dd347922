"""Placement tests: the arithmetic against other libraries and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from quant.placement import (
    alarm_line,
    correlation_time,
    holm,
    independent_months,
    monthly_worst,
    p_values,
    rank_p_value,
    standing,
    window_sums,
)
from tests.factories.panels import day_factor


def test_window_sums_are_a_convolution() -> None:
    days = np.random.default_rng(1).normal(size=50)
    assert window_sums(days, 7) == pytest.approx(np.convolve(days, np.ones(7), mode="valid"))


def test_monthly_worst_counts_from_the_newest_reading() -> None:
    assert monthly_worst(np.array([9.0, 1.0, 2.0, 3.0, 2.0]), 2).tolist() == [2.0, 3.0]


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.9])
def test_correlation_time_of_an_autoregression(persistence: float) -> None:
    """Of an AR(1) it is (1 + phi) / (1 - phi)."""
    random = np.random.default_rng(2)
    series = signal.lfilter([1.0], [1.0, -persistence], random.normal(size=(40_000, 3)), axis=0)
    exact = (1.0 + persistence) / (1.0 - persistence)
    assert correlation_time(series) == pytest.approx(exact, rel=0.15, abs=0.05)


def test_constant_series_count_as_independent() -> None:
    assert correlation_time(np.ones((100, 1))).tolist() == [1.0]


def test_slow_series_hold_fewer_months() -> None:
    assert independent_months(1260, np.array([1.0, 40.0])).tolist() == [60.0, 21.0]


def test_a_new_independent_month_is_a_prediction() -> None:
    """Where cube roots are normal, p-values of a new month are those of a t prediction interval: uniform."""
    random = np.random.default_rng(3)
    n = np.array(12.0)
    months = random.normal(9.0, 1.0, size=(12, 20_000)) ** 3
    # Distances from a reference that the months make up are shorter; here it is none of theirs.
    new = random.normal(9.0, 1.0, size=20_000) ** 3 * np.sqrt(13.0 / 11.0)
    p = p_values(standing(new, months, n, deviation_min=0.0), n)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_alarm_line_is_where_the_p_value_is_met() -> None:
    months, n = np.random.default_rng(4).gamma(3.0, size=(30, 5)), np.full(5, 30.0)
    line = alarm_line(months, n, p=0.04, deviation_min=0.01)
    assert p_values(standing(line, months, n, deviation_min=0.01), n) == pytest.approx(0.04)


def test_rank_p_value_counts_this_month_too() -> None:
    assert rank_p_value(3.0, np.array([1.0, 2.0, 3.0])) == 0.5
    assert rank_p_value(4.0, np.array([1.0, 2.0, 3.0])) == 0.25


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40))
def test_holm_finds_what_its_steps_find(p: list[float]) -> None:
    """Adjusted values reject at 5 % exactly what the step-down procedure rejects (Holm, 1979, section 3)."""
    values = np.array(p)
    rejected = np.zeros(len(p), dtype=bool)
    for step, place in enumerate(np.argsort(values)):
        if values[place] * (len(p) - step) > 0.05:
            break
        rejected[place] = True
    adjusted = holm(values)
    assert (adjusted >= values).all()
    # Ties are rejected together.
    assert set(values[adjusted <= 0.05]) == set(values[rejected])


def test_day_factor_of_the_factory_is_stationary() -> None:
    paths = np.array([day_factor(np.random.default_rng(seed), 50, 0.97) for seed in range(400)])
    assert paths[:, -1].std() == pytest.approx(1.0, abs=0.12)
