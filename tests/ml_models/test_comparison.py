"""The table of algorithms: its figures by hand, and that seeds and nothing else differ."""

import numpy as np
import pytest

from ml_models.algorithms import ALGORITHMS
from ml_models.comparison import Series, compare_in_year, tabulate
from ml_models.dataset import Dataset
from ml_models.recipe import Recipe, RuleTerm
from quant.backtest import Prices
from quant.market import Market
from tests.factories.scores import SCREENER_FEATURES, SIGNAL, make_panel, signal_reader

TOY = Recipe("toy_largecap", keeps=(), emphasis={}, rule=(RuleTerm(SIGNAL, "high"),))
GENERATOR = np.random.default_rng(5)


def series(algorithm: str, seed: int, excess: np.ndarray, *, ic: tuple[float, ...] = (0.1, 0.3)) -> Series:
    days = tuple(str(np.datetime64("2016-01-04") + day) for day in range(len(excess)))
    return Series(algorithm, seed, ic, ic, tuple(excess.tolist()), days)


class TestTabulate:
    def test_figures_by_hand(self) -> None:
        excess = np.tile([0.002, -0.001], 126)
        first = tabulate({("toy", 2016): [series("xgboost", 1, excess)]}, seeds=1).lines[0]
        assert first.ic.mean == pytest.approx(0.2)
        assert first.icir.mean == pytest.approx(0.2 / np.std([0.1, 0.3], ddof=1))
        assert first.excess_return_annual.mean == pytest.approx(252 * 0.0005)
        assert first.information_ratio.mean == pytest.approx(0.0005 / excess.std(ddof=1) * np.sqrt(252))
        assert first.drawdown_max.mean == pytest.approx(-0.001)
        assert first.ic.deviation == 0.0

    def test_mean_and_deviation_are_over_seeds(self) -> None:
        members = [
            series("xgboost", seed, np.full(252, 0.0) + level * GENERATOR.normal(size=252))
            for seed, level in ((1, 0.001), (2, 0.002), (3, 0.003))
        ]
        annual = [252 * float(np.mean(one.excess)) for one in members]
        line = tabulate({("toy", 2016): members}, seeds=3).lines[0]
        assert line.seeds == 3
        assert line.excess_return_annual.mean == pytest.approx(np.mean(annual))
        assert line.excess_return_annual.deviation == pytest.approx(np.std(annual, ddof=1))

    def test_years_are_joined_and_the_drawdown_runs_through_them(self) -> None:
        loss = np.full(150, -0.001)
        found = {("toy", year): [series("xgboost", 1, loss)] for year in (2014, 2016)}
        assert tabulate(found, seeds=1).lines[0].drawdown_max.mean == pytest.approx(-0.3)

    def test_nothing_shorter_than_a_year_is_annualised(self) -> None:
        line = tabulate({("toy", 2016): [series("xgboost", 1, GENERATOR.normal(size=100))]}, seeds=1).lines[0]
        assert line.excess_return_annual.mean is None
        assert line.information_ratio.mean is None

    def test_the_best_of_noise_is_deflated_and_called_overfitted(self) -> None:
        members = [series("xgboost", seed, 0.01 * GENERATOR.normal(size=500)) for seed in range(40)]
        table = tabulate({("toy", 2016): members}, seeds=40)
        assert table.trials == 40
        assert table.lines[0].deflated_sharpe is not None
        assert table.lines[0].deflated_sharpe < 0.5
        assert table.overfitting["toy"] is not None
        assert table.overfitting["toy"] > 0.2


class TestCompareInYear:
    @pytest.fixture(scope="class")
    @classmethod
    def found(cls) -> list[Series]:
        panel = make_panel(first_year=2010, last_year=2014, instruments=80)
        rows = Dataset(
            panel=panel,
            features=[feature.name for feature in SCREENER_FEATURES],
            read_year=signal_reader(panel, strength=1.0),
            every_sessions=5,
            label_sessions=21,
            years_kept=6,
        )
        of_year = [index for index, day in enumerate(panel.sessions) if day.year == 2013]
        close = panel.prices[of_year]
        market = Market(
            sessions=np.array(panel.sessions, dtype="datetime64[D]")[of_year],
            instrument_ids=panel.instrument_ids,
            prices=Prices(open=close, close=close, volume=np.full(close.shape, 1e9), dividend=np.zeros(close.shape)),
        )
        return compare_in_year(TOY, 2013, rows, SCREENER_FEATURES, market, algorithms=list(ALGORITHMS), seeds=2)

    def test_every_algorithm_every_seed_and_what_has_none_once(self, found: list[Series]) -> None:
        counts = {name: sum(one.algorithm == name for one in found) for name in (*ALGORITHMS, "plain_rule")}
        assert counts == {"xgboost": 2, "lightgbm": 2, "elastic_net": 1, "ensemble": 2, "plain_rule": 1}

    def test_finds_the_planted_signal(self, found: list[Series]) -> None:
        assert min(float(np.mean(one.rank_ic)) for one in found) > 0.3
        # The labels of the last four weeks reach past the year, where the panel goes on.
        assert {len(one.ic) for one in found} == {53}
        assert {len(one.excess) for one in found} == {260}
        assert min(sum(one.excess) for one in found) > 0.05

    def test_seeds_differ(self, found: list[Series]) -> None:
        for name in ("xgboost", "lightgbm", "ensemble"):
            first, second = (one for one in found if one.algorithm == name)
            assert first.rank_ic != second.rank_ic
