"""The formulas against textbook numbers, pandas, Polars and figures worked out by hand."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from benchmarks.features import (
    by_stock,
    make_columns,
    measured_features,
    pandas_peer,
    panel_of,
    polars_features,
    polars_frame,
    share_of_equal_cells,
)
from features.facts import FACT_AGE_DAYS_MAX, FACT_LAG_DAYS, SHARES
from features.library import FEATURES
from features.matrix import Matrix, compute_matrix
from features.panel import assemble
from tests.factories.features import market_frames, weekdays

Prices = npt.NDArray[np.floating[Any]]
# The worked example of StockCharts' ChartSchool for Wilder's RSI: closes, then the index from the 15th day on.
RSI_CLOSES = (
    *(44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826),
    *(45.8931, 46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439),
)
RSI_EXPECTED = (70.53, 66.32, 66.55, 69.41, 66.36, 57.97)


def one_stock(closes: Prices, **other: Prices) -> Matrix:
    """All features of a single stock; prices that are not given equal the close."""
    count = len(closes)
    columns = {"open": closes, "high": closes, "low": closes, "close": closes, "adj_close": closes} | other
    frames = market_frames(stocks=1, sessions=5)
    frames |= {
        "bars": pl.DataFrame(
            {
                "instrument_id": pl.Series([1] * count, dtype=pl.Int32),
                "session_on": weekdays(count),
                "volume": columns.pop("volume", np.full(count, 1000.0)),
                **columns,
            }
        ),
        "dividends": frames["dividends"].clear(),
    }
    return compute_matrix(assemble(**frames), FEATURES)


def values_of(matrix: Matrix, name: str) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = matrix.values[matrix.names.index(name)]
    return values


class TestAgainstPeers:
    """The same definitions as pandas and Polars users write them; the benchmark compares more rows."""

    def test_pandas_and_polars_agree(self) -> None:
        stocks = 23
        columns = make_columns(stocks, 420, seed=5)
        matrix = compute_matrix(panel_of(columns, stocks), measured_features())
        ours = {name: by_stock(matrix.values[place], stocks) for place, name in enumerate(matrix.names)}
        polars = polars_features(polars_frame(columns, stocks)).to_dict()
        assert set(ours) == set(polars) == set(measured_features())
        assert share_of_equal_cells(ours, pandas_peer(columns, stocks).compute()) == 1.0
        assert share_of_equal_cells(ours, {name: values.to_numpy() for name, values in polars.items()}) == 1.0
        assert np.mean([np.isfinite(values).mean() for values in ours.values()]) > 0.5


class TestOscillators:
    def test_rsi_of_the_textbook(self) -> None:
        rsi = values_of(one_stock(np.array(RSI_CLOSES)), "rsi_14")
        assert np.isnan(rsi[:14]).all()
        assert rsi[14:] == pytest.approx(RSI_EXPECTED, abs=0.006)

    def test_only_rises_is_a_hundred_and_no_move_is_unknown(self) -> None:
        assert values_of(one_stock(np.arange(1.0, 31.0)), "rsi_14")[-1] == 100.0
        assert np.isnan(values_of(one_stock(np.full(30, 5.0)), "rsi_14")[-1])

    def test_macd_of_a_straight_line(self) -> None:
        """On a line an n-average lags by (n-1)/2 sessions, so MACD is (25-11)/2 = 7 steps and its histogram zero."""
        prices = 100.0 + np.arange(400.0)
        matrix = one_stock(prices)
        assert values_of(matrix, "macd_12_26")[-1] * prices[-1] == pytest.approx(7.0, rel=1e-5)
        assert values_of(matrix, "macd_histogram_9")[-1] == pytest.approx(0.0, abs=1e-7)
        assert np.flatnonzero(np.isfinite(values_of(matrix, "macd_12_26")))[0] == 25

    def test_bollinger_of_alternating_prices(self) -> None:
        """Prices 9 and 11 in turn: mean 10, deviation 1, width four deviations for the mean."""
        matrix = one_stock(np.tile([9.0, 11.0], 20))
        assert values_of(matrix, "bollinger_position_20")[-1] == pytest.approx(1.0)
        assert values_of(matrix, "bollinger_width_20")[-1] == pytest.approx(0.4)

    def test_true_range_holds_the_gap(self) -> None:
        """Each session opens and stays 2 above the last close: the true range is 2, the session's own range 0.5."""
        close = 100.0 + 2.0 * np.arange(60)
        matrix = one_stock(close, high=close + 0.25, low=close - 0.25)
        assert values_of(matrix, "atr_14")[-1] * close[-1] == pytest.approx(2.25, rel=1e-6)


class TestVolatility:
    def test_alternating_returns(self) -> None:
        """Returns of +1 % and -1 % in turn: sample deviation of ten of them is 1 % * sqrt(10/9), times sqrt(252)."""
        returns = np.tile([0.01, -0.01], 20)
        matrix = one_stock(100.0 * np.cumprod(np.append(1.0, 1.0 + returns)))
        expected = 0.01 * np.sqrt(10 / 9 * 252)
        assert values_of(matrix, "volatility_10")[-1] == pytest.approx(expected, rel=1e-5)

    def test_parkinson_of_a_constant_range(self) -> None:
        """ln(high/low) = 2 % each day: sigma = 2 % / sqrt(4 ln 2), Parkinson (1980), equation (4)."""
        close = np.full(70, 50.0)
        matrix = one_stock(close, high=close * np.exp(0.01), low=close * np.exp(-0.01))
        expected = 0.02 / np.sqrt(4 * np.log(2)) * np.sqrt(252)
        assert values_of(matrix, "parkinson_volatility_21")[-1] == pytest.approx(expected, rel=1e-5)


class TestMomentum:
    def test_windows_by_hand(self) -> None:
        prices = 100.0 * 1.01 ** np.arange(300)
        matrix = one_stock(prices)
        assert values_of(matrix, "momentum_21")[-1] == pytest.approx(1.01**21 - 1, rel=1e-5)
        assert values_of(matrix, "momentum_252_21")[-1] == pytest.approx(1.01**231 - 1, rel=1e-5)
        assert np.flatnonzero(np.isfinite(values_of(matrix, "momentum_252")))[0] == 252

    def test_dividends_count(self) -> None:
        """A fall by the dividend is no loss: momentum looks at total returns, the close alone at -2 %."""
        close = np.append(np.full(30, 100.0), np.full(30, 98.0))
        matrix = one_stock(close, adj_close=np.full(60, 98.0))
        assert values_of(matrix, "momentum_63")[-1:] == pytest.approx([np.nan], nan_ok=True)
        assert values_of(matrix, "momentum_21")[35] == 0.0
        assert values_of(matrix, "intraday_return_21")[35] == 0.0

    def test_extremes(self) -> None:
        prices = np.append(np.linspace(50.0, 100.0, 150), np.linspace(99.0, 80.0, 150))
        matrix = one_stock(prices, high=prices * 1.25, low=prices * 0.8)
        assert values_of(matrix, "drawdown_252")[-1] == pytest.approx(80.0 / 100.0 - 1, rel=1e-6)
        assert values_of(matrix, "high_distance_252")[-1] == pytest.approx(80.0 / 125.0 - 1, rel=1e-6)
        lowest = prices[-252:].min() * 0.8
        assert values_of(matrix, "low_distance_252")[-1] == pytest.approx(80.0 / lowest - 1, rel=1e-6)


class TestReports:
    """Facts by the day on which they became known."""

    ITEM_DAYS = weekdays(640)

    def frames(self, rows: list[tuple[int, str, date, date, float]]) -> dict[str, pl.DataFrame]:
        frames = market_frames(stocks=2, sessions=640)
        ids = pl.Series([1], dtype=pl.Int32).implode()
        return frames | {
            "bars": frames["bars"].filter(pl.col("instrument_id").is_in(ids)),
            "facts": pl.DataFrame(rows, schema=frames["facts"].schema, orient="row"),
            "shares": frames["shares"].clear(),
        }

    def returns_on_assets(self, rows: list[tuple[int, str, date, date, float]]) -> dict[date, float]:
        matrix = compute_matrix(assemble(**self.frames(rows)), FEATURES)
        return dict(zip(self.ITEM_DAYS, values_of(matrix, "return_on_assets").tolist(), strict=True))

    def test_known_on_the_day_not_before(self) -> None:
        known = date(2015, 4, 7)
        period = date(2014, 12, 31)
        found = self.returns_on_assets(
            [(1, "net_income", period, known, 5.0), (1, "total_assets", period, known, 100.0)]
        )
        assert np.isnan(found[date(2015, 4, 6)])
        assert found[known] == pytest.approx(0.05)

    def test_restated_from_the_day_of_the_restatement(self) -> None:
        period, known, restated = date(2014, 12, 31), date(2015, 3, 31), date(2015, 9, 30)
        found = self.returns_on_assets(
            [
                (1, "net_income", period, known, 5.0),
                (1, "total_assets", period, known, 100.0),
                (1, "net_income", period, restated, 2.0),
            ]
        )
        assert found[date(2015, 9, 29)] == pytest.approx(0.05)
        assert found[restated] == pytest.approx(0.02)

    def test_an_older_period_that_comes_late_does_not_count(self) -> None:
        found = self.returns_on_assets(
            [
                (1, "net_income", date(2014, 12, 31), date(2015, 3, 31), 5.0),
                (1, "total_assets", date(2014, 12, 31), date(2015, 3, 31), 100.0),
                (1, "net_income", date(2013, 12, 31), date(2015, 6, 30), 50.0),
            ]
        )
        assert found[date(2015, 7, 1)] == pytest.approx(0.05)

    def test_older_than_eighteen_months_is_unknown(self) -> None:
        """Counted from the day the period was first known; a restatement makes it no younger."""
        period, known, restated = date(2014, 3, 31), date(2014, 6, 30), date(2015, 6, 30)
        found = self.returns_on_assets(
            [
                (1, "net_income", period, known, 5.0),
                (1, "net_income", period, restated, 4.0),
                (1, "total_assets", period, known, 100.0),
            ]
        )
        last = known + timedelta(days=FACT_AGE_DAYS_MAX)
        assert last == date(2015, 12, 31)
        assert found[last] == pytest.approx(0.04)
        assert np.isnan(found[date(2016, 1, 1)])

    def test_a_share_count_lasts_three_years(self) -> None:
        """Where the next report leaves it out, market value goes on with the newest count; see ADR 0011."""
        period, known = date(2014, 3, 31), date(2014, 6, 30)
        rows = [(1, SHARES, period, known, 1e6), (1, "net_income", period, known, 5.0)]
        matrix = compute_matrix(assemble(**self.frames(rows)), FEATURES)
        caps, yields = values_of(matrix, "log_market_cap"), values_of(matrix, "earnings_yield")
        later = self.ITEM_DAYS.index(date(2016, 1, 4))
        assert np.isfinite(caps[later])
        assert np.isnan(yields[later])

    def test_sustainable_growth_is_return_on_equity_kept(self) -> None:
        rows = [
            (1, item, date(2014, 12, 31), date(2015, 3, 31), value)
            for item, value in (("net_income", 12.0), ("total_equity", 80.0), (SHARES, 1e6))
        ]
        frames = self.frames(rows)
        day = self.ITEM_DAYS.index(date(2015, 4, 1))
        all_kept = frames | {"dividends": frames["dividends"].clear()}
        growth = values_of(compute_matrix(assemble(**all_kept), FEATURES), "sustainable_growth")[day]
        assert growth == pytest.approx(12 / 80)
        paying = values_of(compute_matrix(assemble(**frames), FEATURES), "sustainable_growth")[day]
        assert paying < growth

    def test_no_report_is_out_the_next_morning(self) -> None:
        """Whatever the vendor says: nothing counts sooner than FACT_LAG_DAYS after the period."""
        period = date(2014, 12, 31)
        found = self.returns_on_assets(
            [
                (1, "net_income", period, period + timedelta(days=1), 5.0),
                (1, "total_assets", period, period + timedelta(days=1), 100.0),
            ]
        )
        first = period + timedelta(days=FACT_LAG_DAYS)
        assert found[first] == pytest.approx(0.05)
        assert np.isnan(found[first - timedelta(days=1)])

    def test_growth_needs_the_report_of_the_year_before(self) -> None:
        rows = [
            (1, "total_revenue", date(2013, 12, 31), date(2014, 3, 31), 80.0),
            (1, "total_revenue", date(2014, 12, 31), date(2015, 3, 31), 100.0),
            (1, "net_income", date(2013, 12, 31), date(2014, 3, 31), -10.0),
            (1, "net_income", date(2014, 12, 31), date(2015, 3, 31), -5.0),
        ]
        matrix = compute_matrix(assemble(**self.frames(rows)), FEATURES)
        day = self.ITEM_DAYS.index(date(2015, 4, 1))
        assert values_of(matrix, "sales_growth")[day] == pytest.approx(0.25)
        assert values_of(matrix, "earnings_growth")[day] == pytest.approx(0.5)
        assert np.isnan(values_of(matrix, "sales_growth")[self.ITEM_DAYS.index(date(2014, 6, 2))])

    def test_zero_of_what_cannot_be_zero_is_unknown(self) -> None:
        period, known = date(2014, 12, 31), date(2015, 3, 31)
        rows = [
            (1, "total_revenue", period, known, 0.0),
            (1, "gross_profit", period, known, 0.0),
            (1, "total_assets", period, known, 100.0),
            (1, "net_income", period, known, 0.0),
        ]
        matrix = compute_matrix(assemble(**self.frames(rows)), FEATURES)
        assert np.isnan(values_of(matrix, "gross_margin")).all()
        assert np.isnan(values_of(matrix, "gross_profitability")).all()
        assert values_of(matrix, "return_on_assets")[self.ITEM_DAYS.index(known)] == 0.0

    def test_yields_are_totals_for_shares_times_close(self) -> None:
        period, known = date(2014, 12, 31), date(2015, 3, 31)
        frames = self.frames([(1, "net_income", period, known, 1000.0)])
        frames["shares"] = pl.DataFrame(
            [(1, known, period, 50.0)], schema=market_frames(stocks=1, sessions=5)["shares"].schema, orient="row"
        )
        matrix = compute_matrix(assemble(**frames), FEATURES)
        day = self.ITEM_DAYS.index(known)
        assert values_of(matrix, "earnings_yield")[day] == pytest.approx(1000.0 / (50.0 * matrix.close[day]))
        assert values_of(matrix, "log_market_cap")[day] == pytest.approx(np.log(50.0 * matrix.close[day]))

    def test_without_a_single_report_prices_are_enough(self) -> None:
        frames = market_frames(stocks=2, sessions=300)
        frames["facts"], frames["shares"] = frames["facts"].clear(), frames["shares"].clear()
        matrix = compute_matrix(assemble(**frames), FEATURES)
        assert np.isfinite(values_of(matrix, "momentum_21")[-1])
        assert np.isnan(values_of(matrix, "earnings_yield")).all()


class TestMacro:
    def test_yields_are_known_the_session_after(self) -> None:
        frames = market_frames(stocks=2, sessions=40)
        matrix = compute_matrix(assemble(**frames), FEATURES)
        days = weekdays(40)
        slope = values_of(matrix, "yield_slope_10y_2y")[matrix.instrument_id == 1]
        observed = {(row["series"], row["observed_on"]): row["value"] for row in frames["macro"].iter_rows(named=True)}
        assert np.isnan(slope[0])
        expected = observed["DGS10", days[29]] - observed["DGS2", days[29]]
        assert slope[30] == pytest.approx(expected, rel=1e-5)
        vix = values_of(matrix, "vix_level")[matrix.instrument_id == 1]
        assert vix[30] == pytest.approx(observed["VIX", days[30]], rel=1e-6)

    def test_a_series_that_ended_a_week_ago_is_unknown(self) -> None:
        frames = market_frames(stocks=2, sessions=40)
        days = weekdays(40)
        frames["macro"] = frames["macro"].filter(pl.col("observed_on") <= days[20])
        matrix = compute_matrix(assemble(**frames), FEATURES)
        vix = values_of(matrix, "vix_level")[matrix.instrument_id == 1]
        assert np.isfinite(vix[25])
        assert np.isnan(vix[26:]).all()

    def test_market_drawdown_is_the_fall_from_the_highest_point(self) -> None:
        frames = market_frames(stocks=8, sessions=400)
        panel = assemble(**frames)
        drawdown = values_of(compute_matrix(panel, FEATURES), "market_drawdown_252")
        level = np.cumprod(1.0 + panel.market_returns[1:])
        expected = level[-1] / level[-252:].max() - 1.0
        assert drawdown[-1] == pytest.approx(expected, rel=1e-5)


class TestMarketRelation:
    def test_least_squares_by_numpy(self) -> None:
        """The last 252 returns of a stock on those of the market, fitted by numpy.polyfit."""
        panel = assemble(**market_frames(stocks=8, sessions=300))
        matrix = compute_matrix(panel, FEATURES)
        market = panel.market_returns[-252:]
        prices = panel.columns["adj_close"][panel.bounds[5] - 253 : panel.bounds[5]]
        returns = prices[1:] / prices[:-1] - 1.0
        slope, intercept = np.polyfit(market, returns, 1)
        left = returns - intercept - slope * market
        last = (matrix.day == matrix.day[-1]) & (matrix.instrument_id == 5)
        assert values_of(matrix, "beta_252")[last] == pytest.approx(slope, rel=1e-5)
        assert values_of(matrix, "alpha_252")[last] == pytest.approx(intercept * 252, rel=1e-4)
        expected = np.sqrt((left * left).sum() / 250 * 252)
        assert values_of(matrix, "idiosyncratic_volatility_252")[last] == pytest.approx(expected, rel=1e-5)
        assert values_of(matrix, "correlation_252")[last] == pytest.approx(np.corrcoef(market, returns)[0, 1], rel=1e-5)


class TestStanding:
    def test_outsiders_have_no_rank(self) -> None:
        frames = market_frames()
        matrix = compute_matrix(assemble(**frames), FEATURES)
        rank = values_of(matrix, "rank_momentum_21")
        late = matrix.day > matrix.day[0]
        assert np.isnan(rank[~matrix.member]).all()
        assert (~matrix.member).any()
        assert np.isfinite(rank[matrix.member & late]).any()

    def test_unknown_sector_has_no_standing_in_it(self) -> None:
        matrix = compute_matrix(assemble(**market_frames()), FEATURES)
        assert (matrix.sector < 0).any()
        assert np.isnan(values_of(matrix, "sector_rank_momentum_21")[matrix.sector < 0]).all()
        assert np.isfinite(values_of(matrix, "rank_momentum_21")[matrix.sector < 0]).any()
