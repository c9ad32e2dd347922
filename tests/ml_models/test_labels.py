"""What is taught, and that it is unknown where the future is."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataMissing
from ml_models.labels import beats_median, forward_returns, price_panel

DAYS = [date(2017, 1, 2) + timedelta(days=n) for n in range(6)]


def bars(prices: dict[int, list[float | None]]) -> pl.DataFrame:
    rows = [
        (instrument, DAYS[n], price)
        for instrument, series in prices.items()
        for n, price in enumerate(series)
        if price is not None
    ]
    return pl.DataFrame(
        rows,
        schema={"instrument_id": pl.Int32, "session_on": pl.Date, "adj_close": pl.Float64},
        orient="row",
    )


class TestPricePanel:
    def test_lays_out_sessions_by_instruments_with_gaps_unknown(self) -> None:
        panel = price_panel(bars({7: [1.0, 2.0], 3: [None, 5.0]}))
        assert panel.sessions == tuple(DAYS[:2])
        assert panel.instrument_ids.tolist() == [3, 7]
        np.testing.assert_array_equal(panel.prices, [[np.nan, 1.0], [5.0, 2.0]])

    def test_no_bars_names_the_remedy(self) -> None:
        with pytest.raises(DataMissing, match="acis data load-sample"):
            price_panel(bars({}))


class TestForwardReturns:
    def test_is_the_total_return_over_the_horizon(self) -> None:
        panel = price_panel(bars({1: [100.0, 90.0, 110.0, 99.0]}))
        np.testing.assert_allclose(forward_returns(panel, horizon=2)[:, 0], [0.10, 0.10, np.nan, np.nan])

    def test_a_missing_price_at_either_end_is_unknown(self) -> None:
        panel = price_panel(bars({1: [100.0, None, 110.0, 99.0, 50.0], 2: [1.0] * 5}))
        np.testing.assert_allclose(forward_returns(panel, horizon=1)[:, 0], [np.nan, np.nan, -0.1, 50 / 99 - 1, np.nan])

    def test_a_horizon_beyond_the_history_knows_nothing(self) -> None:
        assert np.isnan(forward_returns(price_panel(bars({1: [1.0, 2.0]})), horizon=21)).all()


class TestBeatsMedian:
    def test_half_of_the_known_rows_win_each_day(self) -> None:
        forward = np.array([0.1, -0.1, 0.3, np.nan, 0.2, 0.4])
        session = np.array([0, 0, 0, 0, 1, 1])
        np.testing.assert_array_equal(beats_median(forward, session), [0, 0, 1, np.nan, 0, 1])

    def test_unknown_days_stay_unknown(self) -> None:
        assert np.isnan(beats_median(np.array([np.nan, np.nan]), np.array([3, 3]))).all()

    def test_nothing_gives_nothing(self) -> None:
        assert len(beats_median(np.array([]), np.array([], dtype=np.int64))) == 0

    @given(st.lists(st.floats(-0.9, 3.0), min_size=1, max_size=40))
    def test_a_day_never_has_more_winners_than_losers(self, returns: list[float]) -> None:
        labels = beats_median(np.array(returns), np.zeros(len(returns), dtype=np.int64))
        assert labels.sum() <= len(returns) / 2
