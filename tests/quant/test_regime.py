"""Smoothing, the naming of states, the evidence of rules, and the sentences."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.tables.regimes import LABELS
from quant.regime import (
    ALARM,
    BEAR,
    BULL,
    DWELL_SESSIONS,
    HALFLIFE_SESSIONS,
    HIGH_VOLATILITY,
    LOW_VOLATILITY,
    SIDEWAYS,
    FloatArray,
    smooth,
)
from quant.regime_drivers import describe_drivers
from quant.regime_inputs import INPUTS
from quant.regimes.hidden_markov import filter_probabilities, name_states
from quant.regimes.rules import RULES, Ramp, Tent


def _sure(labels: list[int], certainty: float = 0.96) -> FloatArray:
    """Daily probabilities that are almost sure of `labels`."""
    daily = np.full((len(labels), len(LABELS)), (1 - certainty) / (len(LABELS) - 1))
    daily[np.arange(len(labels)), labels] = certainty
    return daily


class TestSmooth:
    def test_one_odd_day_changes_nothing(self) -> None:
        labels, _ = smooth(_sure([BULL] * 30 + [SIDEWAYS] + [BULL] * 30))
        assert set(labels) == {BULL}

    def test_a_lasting_change_is_followed_within_its_half_life(self) -> None:
        labels, _ = smooth(_sure([BULL] * 40 + [SIDEWAYS] * 40))
        change = int(np.flatnonzero(np.diff(labels))[0]) + 1
        assert 40 < change <= 40 + HALFLIFE_SESSIONS + 2
        assert set(labels[change:]) == {SIDEWAYS}

    def test_danger_is_told_at_once(self) -> None:
        for danger in (BEAR, HIGH_VOLATILITY):
            labels, averaged = smooth(_sure([LOW_VOLATILITY] * 3 + [danger] * 3, certainty=ALARM + 0.01))
            assert labels.tolist() == [LOW_VOLATILITY] * 3 + [danger] * 3
            assert averaged[3].argmax() == danger

    def test_danger_is_left_only_after_its_time(self) -> None:
        labels, _ = smooth(_sure([BULL] * 20 + [BEAR] + [BULL] * 40))
        assert (labels == BEAR).sum() >= DWELL_SESSIONS
        assert labels[-1] == BULL

    def test_half_life(self) -> None:
        _, averaged = smooth(_sure([BULL] * 30 + [SIDEWAYS] * 5, certainty=1.0))
        assert averaged[-1, SIDEWAYS] == pytest.approx(1 - 0.5 ** (5 / HALFLIFE_SESSIONS))

    @given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.floats(0.3, 1.0))
    def test_sums_to_one_and_never_looks_ahead(self, days: list[int], certainty: float) -> None:
        daily = _sure(days, certainty)
        labels, averaged = smooth(daily)
        np.testing.assert_allclose(averaged.sum(axis=1), 1)
        cut = len(days) // 2 + 1
        part, part_averaged = smooth(daily[:cut])
        assert np.array_equal(part, labels[:cut])
        assert np.array_equal(part_averaged, averaged[:cut])

    @given(st.lists(st.sampled_from([BULL, SIDEWAYS, LOW_VOLATILITY]), min_size=30, max_size=300))
    def test_calm_labels_last(self, days: list[int]) -> None:
        labels, _ = smooth(_sure(days))
        changes = np.flatnonzero(np.diff(labels))
        assert (np.diff(changes) >= DWELL_SESSIONS).all()


class TestNameStates:
    def test_by_their_statistics_whatever_their_order(self) -> None:
        # (log VIX, trend, quarter return) of a crash, a nervous rally, a calm rise, a plateau and a fearful plateau.
        means = {
            BEAR: [3.4, -0.10, -0.10],
            BULL: [3.0, 0.10, 0.08],
            LOW_VOLATILITY: [2.5, 0.06, 0.03],
            SIDEWAYS: [2.75, 0.02, 0.0],
            HIGH_VOLATILITY: [3.3, 0.0, 0.01],
        }
        for seed in range(10):
            order = np.random.default_rng(seed).permutation(5)
            named = name_states(np.array([means[label] for label in order]))
            assert [int(order[state]) for state in named] == list(range(5))


class TestHiddenMarkov:
    def test_finds_the_regimes_it_was_drawn_from(self) -> None:
        source = np.random.default_rng(3)
        centres = {
            BULL: (3.0, 0.10, 0.08),
            BEAR: (3.5, -0.12, -0.12),
            HIGH_VOLATILITY: (3.3, 0.0, 0.0),
            LOW_VOLATILITY: (2.4, 0.06, 0.03),
            SIDEWAYS: (2.7, 0.01, 0.0),
        }
        truth = np.repeat(source.permutation(np.tile(np.arange(5), 12)), 40)
        drawn = np.array([centres[label] for label in truth]) + source.normal(0, [0.06, 0.012, 0.015], (len(truth), 3))
        days = pl.date_range(pl.date(2000, 1, 3), pl.date(2012, 1, 1), eager=True)
        days = days.filter(days.dt.weekday() <= 5)[: len(truth)]
        inputs = pl.DataFrame(
            {"session_on": days, "vix": np.exp(drawn[:, 0]), "trend": drawn[:, 1], "quarter_return": drawn[:, 2]}
        )
        found = filter_probabilities(inputs)
        assert np.isfinite(found[522:]).all()
        # The first years have not met all five often enough to tell them apart.
        assert (found[1200:].argmax(axis=1) == truth[1200:]).mean() > 0.95

    def test_too_little_history_is_not_read(self) -> None:
        days = pl.date_range(pl.date(2000, 1, 3), pl.date(2001, 6, 1), eager=True)
        inputs = pl.DataFrame({"session_on": days}).with_columns(
            vix=pl.lit(15.0), trend=pl.lit(0.02), quarter_return=pl.lit(0.01)
        )
        assert np.isnan(filter_probabilities(inputs)).all()

    def test_inputs_that_never_move_are_no_error(self) -> None:
        days = pl.date_range(pl.date(2000, 1, 3), pl.date(2003, 1, 10), eager=True)
        inputs = pl.DataFrame({"session_on": days}).with_columns(
            vix=pl.lit(15.0), trend=pl.lit(0.02), quarter_return=pl.lit(0.01)
        )
        found = filter_probabilities(inputs)
        assert np.isfinite(found[-1]).all()


class TestEvidence:
    def test_ramp_runs_from_none_to_full_in_either_direction(self) -> None:
        values = np.array([10.0, 18.0, 24.0, 30.0, 50.0, np.nan])
        np.testing.assert_allclose(Ramp("vix", 18, 30, 1).evidence(values), [0, 0, 0.5, 1, 1, np.nan])
        np.testing.assert_allclose(Ramp("vix", 30, 18, 1).evidence(values), [1, 1, 0.5, 0, 0, np.nan])

    def test_tent_is_flat_in_the_middle(self) -> None:
        values = np.array([-0.05, 0.0, 0.01, 0.03, 0.05, 0.09])
        np.testing.assert_allclose(Tent("trend", 0.01, 0.01, 0.05, 1).evidence(values), [0, 1, 1, 0.75, 0.25, 0])

    @pytest.mark.parametrize(
        ("label", "values"),
        [
            ("bull", {"vix": 15, "trend": 0.07, "quarter_return": 0.07, "drawdown": -0.01, "breadth": 0.8}),
            ("bear", {"vix": 27, "trend": -0.12, "quarter_return": -0.15, "drawdown": -0.25, "breadth": 0.15}),
            (
                "high_volatility",
                {"vix": 35, "trend": 0.02, "quarter_return": -0.03, "drawdown": -0.09, "breadth": 0.45},
            ),
            ("low_volatility", {"vix": 10, "trend": 0.04, "quarter_return": 0.03, "drawdown": -0.005, "breadth": 0.6}),
            ("sideways", {"vix": 17.5, "trend": 0.015, "quarter_return": 0.01, "drawdown": -0.05, "breadth": 0.55}),
        ],
    )
    def test_textbook_markets_are_called_by_their_names(self, label: str, values: dict[str, float]) -> None:
        realised = {"bull": 11, "bear": 24, "high_volatility": 30, "low_volatility": 6, "sideways": 13}[label]
        row = {**dict.fromkeys(INPUTS), **values} | {"realised_volatility": realised, "slope_10y3m": 1.5}
        days = pl.date_range(pl.date(2017, 6, 29), pl.date(2017, 6, 30), eager=True)
        inputs = pl.DataFrame({"session_on": days, **{name: [value] * 2 for name, value in row.items()}})
        assert RULES.detect(inputs)["label"].to_list() == [label] * 2


class TestDescribeDrivers:
    def test_each_input_has_its_sentence(self) -> None:
        told = describe_drivers(INPUTS, dict.fromkeys(INPUTS, 0.123))
        assert list(told) == list(INPUTS)
        assert all(driver["value"] == 0.123 and driver["sentence"].endswith(".") for driver in told.values())

    def test_signs_and_moods_are_words(self) -> None:
        told = describe_drivers(
            ("vix", "trend", "rotation", "slope_10y3m"),
            {"vix": 45.2, "trend": -0.081, "rotation": 0.02, "slope_10y3m": -0.4},
        )
        assert told["vix"]["sentence"] == "The VIX stands at 45.2: in panic."
        assert told["trend"]["sentence"] == "The index is 8.1% below its 200-day average."
        assert told["rotation"]["sentence"] == "Cyclical stocks lead defensive ones by 2.0% in three months."
        assert "inverted" in told["slope_10y3m"]["sentence"]

    def test_unknown_stays_unknown(self) -> None:
        told = describe_drivers(("breadth",), {"breadth": None})
        assert told == {"breadth": {"value": None, "sentence": "breadth is not known on this day."}}
