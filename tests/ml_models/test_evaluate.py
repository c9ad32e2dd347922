"""Each measure against a figure from elsewhere."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from ml_models.evaluate import (
    COST_PER_USD_TRADED,
    ScoredDay,
    assess,
    assess_by,
    auc,
    calibration,
    decile_spread,
    newey_west_t,
    rank_ic,
)


def make_days(count: int, *, skill: float, stocks: int = 40, seed: int = 1) -> list[ScoredDay]:
    generator = np.random.default_rng(seed)
    days = []
    for n in range(count):
        scores = generator.normal(size=stocks)
        forward = 0.02 * (skill * scores + generator.normal(size=stocks))
        labels = (forward > np.median(forward)).astype(np.float32)
        days.append(
            ScoredDay(
                date(2015, 1, 1) + timedelta(days=7 * n), np.arange(stocks, dtype=np.int32), scores, forward, labels
            )
        )
    return days


class TestAuc:
    @given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
    def test_agrees_with_scikit_learn(self, pairs: list[tuple[int, bool]]) -> None:
        scores, labels = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs], dtype=float)
        ours = auc(scores, labels)
        if len(set(labels)) < 2:
            assert ours is None
        else:
            assert ours == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


class TestRankIc:
    def test_agrees_with_scipy(self) -> None:
        generator = np.random.default_rng(1)
        a, b = generator.integers(0, 9, 50).astype(float), generator.normal(size=50)
        assert rank_ic(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)

    def test_constant_scores_have_none(self) -> None:
        assert rank_ic(np.ones(5), np.arange(5.0)) is None


class TestNeweyWest:
    def test_without_lags_is_the_plain_t_statistic_of_the_population_variance(self) -> None:
        values = np.array([0.1, 0.3, -0.1, 0.2])
        assert newey_west_t(values, 0) == pytest.approx(values.mean() / (values.std() / 2))

    def test_by_hand_with_one_lag(self) -> None:
        # Deviations -1, 0, 1: variance 2/3, first autocovariance 0, so the long-run variance is 2/3 + 2 * (1/2) * 0.
        assert newey_west_t(np.array([1.0, 2.0, 3.0]), 1) == pytest.approx(2 / np.sqrt(2 / 9))

    def test_persistence_lowers_it(self) -> None:
        values = np.repeat(np.random.default_rng(2).normal(0.5, 1.0, 50), 4)
        plain, honest = newey_west_t(values, 0), newey_west_t(values, 4)
        assert plain is not None
        assert honest is not None
        assert honest < 0.7 * plain

    def test_too_few_values_say_nothing(self) -> None:
        assert newey_west_t(np.array([1.0, 2.0]), 4) is None


class TestDecileSpread:
    def test_pays_for_every_change_of_weight(self) -> None:
        ids = np.arange(20, dtype=np.int32)
        forward = np.linspace(0.10, -0.09, 20)
        days = [
            ScoredDay(date(2017, 1, 2), ids, -ids.astype(float), forward, np.zeros(20, np.float32)),
            ScoredDay(date(2017, 2, 1), ids, ids.astype(float), forward, np.zeros(20, np.float32)),
        ]
        gross, net = decile_spread(days, spans_apart=1)
        assert gross == pytest.approx(0.0, abs=1e-15)
        # Two USD traded to get in, four to turn both legs round; the mean over two spans is three.
        assert net == pytest.approx(-3.0 * COST_PER_USD_TRADED)

    def test_rebalances_only_once_a_span(self) -> None:
        days = make_days(9, skill=1.0)
        assert decile_spread(days, spans_apart=4) == decile_spread([days[0], days[4], days[8]], spans_apart=1)


class TestAssess:
    def test_skill_shows_in_every_measure(self) -> None:
        quality = assess(make_days(60, skill=1.0), every_sessions=5, label_sessions=21)
        assert quality.sessions == 60
        assert quality.rows == 60 * 40
        assert quality.auc is not None
        assert quality.auc > 0.7
        assert quality.rank_ic_t is not None
        assert quality.rank_ic_t > 10
        assert quality.decile_spread_gross is not None
        assert quality.decile_spread_net is not None
        assert quality.decile_spread_gross > quality.decile_spread_net > 0.04

    def test_no_skill_shows_nothing(self) -> None:
        quality = assess(make_days(200, skill=0.0), every_sessions=5, label_sessions=21)
        assert quality.auc == pytest.approx(0.5, abs=0.02)
        assert quality.rank_ic == pytest.approx(0.0, abs=0.03)

    def test_thin_days_say_nothing(self) -> None:
        quality = assess(make_days(5, skill=1.0, stocks=19), every_sessions=5, label_sessions=21)
        assert quality.sessions == 0
        assert quality.auc is None

    def test_by_group_covers_the_grouped_days_only(self) -> None:
        days = make_days(10, skill=1.0)
        groups = {days[0].session_on: "bull", days[1].session_on: "bull", days[2].session_on: "bear"}
        qualities = assess_by(days, groups, every_sessions=5, label_sessions=21)
        assert {name: quality.sessions for name, quality in qualities.items()} == {"bear": 1, "bull": 2}


class TestCalibration:
    def test_tenths_rise_with_skill(self) -> None:
        tenths = calibration(make_days(50, skill=2.0))
        assert len(tenths) == 10
        assert [tenth[0] for tenth in tenths] == sorted(tenth[0] for tenth in tenths)
        assert tenths[0][1] < 0.2 < 0.8 < tenths[-1][1]

    def test_nothing_gives_nothing(self) -> None:
        assert calibration([]) == []
